"""A scene held against photographs: scores, error maps, normals, and a sheet that shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError
from fovea.metrics.image import psnr, ssim
from fovea.metrics.normals import normal_error_deg
from fovea.relight.capture import Photograph, View, load, read_capture
from fovea.relight.scores import backdrop
from fovea.relight.sheet import Row, draw_sheet, error_colors
from fovea.relight.stages import EvaluateConfig
from fovea.runs.stage import Context
from fovea.scene.files import read_gaussians
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import read_image, resize, write_image
from fovea.scene.rasterize import rasterize
from fovea.training.device import torch_device

SHEET_VIEWS = 6


def evaluate(config: EvaluateConfig, context: Context) -> dict[str, float]:
    """Render every view of the split, score it, and write pictures of it."""
    device = torch_device(context.device)
    gaussians = read_gaussians(config.scene).to(device)
    capture = read_capture(config.data, images=config.images, hold_out=config.hold_out)
    views = capture.split(config.split)
    if not views:
        raise DataError(
            f"{config.data} has no {config.split} views to evaluate on. Hold some out, hold_out=8,"
            " or take split=train."
        )
    behind = backdrop(config.background, device)
    folder = context.output("renders")
    folder.mkdir(parents=True, exist_ok=True)
    each: dict[str, dict[str, float]] = {}
    shown = set(np.linspace(0, len(views) - 1, min(SHEET_VIEWS, len(views))).round().astype(int))
    rows: list[Row] = []
    for number, view in enumerate(views):
        photograph = load(view, config.resolution)
        drawn = _draw(gaussians, photograph, behind)
        truth = photograph.over(behind)
        scores, true_normals = _scores(drawn, truth, view, photograph)
        each[view.name] = scores
        pictures = {
            "": drawn.image,
            "_error": torch.from_numpy(error_colors(drawn.image.numpy(), truth.numpy())),
            "_normal": drawn.normals * 0.5 + 0.5,
        }
        for suffix, picture in pictures.items():
            write_image(folder / f"{view.name}{suffix}.png", picture)
        if number in shown:
            columns = {"photograph": truth, "rendering": drawn.image, "error": pictures["_error"]}
            columns["normals"] = pictures["_normal"]
            if true_normals is not None:
                columns["true normals"] = true_normals * 0.5 + 0.5
            rows.append(Row(view.name, {k: v.numpy() for k, v in columns.items()}, scores))
        context.progress(number + 1, len(views), "views", psnr=scores["psnr"])
        if context.should_stop():
            context.stop()
    draw_sheet(rows).save(context.output("sheet"))
    means = _means(each, config.split)
    document = means | {"views": each}
    context.output("scores").write_text(json.dumps(document, indent=2) + "\n")
    context.log(0, means)
    return means


@dataclass(frozen=True)
class _Drawn:
    image: Float[Tensor, "h w 3"]
    normals: Float[Tensor, "h w 3"]
    """Of length 1 where the scene is, 0 elsewhere."""


@torch.no_grad()
def _draw(gaussians: Gaussians, photograph: Photograph, behind: Tensor) -> _Drawn:
    normals = gaussians.extras.get("normal", torch.zeros_like(gaussians.means))
    raster = rasterize(gaussians, photograph.camera, passengers=normals, background=behind)
    blended = functional.normalize(raster.passengers, dim=-1)
    blended = torch.where(raster.alpha.unsqueeze(-1) > 0.5, blended, 0.0)
    return _Drawn(raster.features.clamp(0, 1).cpu(), blended.cpu())


def _scores(
    drawn: _Drawn, truth: Tensor, view: View, photograph: Photograph
) -> tuple[dict[str, float], Tensor | None]:
    scores = {"psnr": float(psnr(drawn.image, truth)), "ssim": float(ssim(drawn.image, truth))}
    if "normal" not in view.truth:
        return scores, None
    stored = read_image(view.truth["normal"])
    stored = resize(
        stored, height=photograph.camera.height, width=photograph.camera.width, filter="area"
    )
    normals = functional.normalize(torch.from_numpy(stored[..., :3]) * 2 - 1, dim=-1)
    covered = torch.from_numpy(stored[..., 3] if stored.shape[-1] == 4 else stored[..., 0] * 0 + 1)
    normals = torch.where(covered.unsqueeze(-1) > 0.5, normals, 0.0)
    both = (covered > 0.5) & (drawn.normals.norm(dim=-1) > 0.5)
    if both.any():
        scores["normal_deg"] = float(normal_error_deg(drawn.normals[both], normals[both]))
    return scores, normals


def _means(each: dict[str, dict[str, float]], split: str) -> dict[str, float]:
    names = {name: None for scores in each.values() for name in scores}
    return {
        f"{split}/{name}": float(np.mean([s[name] for s in each.values() if name in s]))
        for name in names
    }
