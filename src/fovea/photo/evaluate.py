"""A scene made of one photograph is held against others.

Of a stereo pair's left photograph against the right one, which stands here; of one photograph of a
posed capture against those around it, which stands in `posed`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fovea.errors import DataError
from fovea.metrics.image import LPIPS
from fovea.photo.pair import StereoPair, read_pair
from fovea.photo.posed import evaluate_posed
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.sharp_ply import camera_at_origin, read_camera
from fovea.photo.stereo_scores import GROUND, RAW, SCENE, WALL, Look, evaluate_stereo
from fovea.photo.turbo import depth_colors
from fovea.runs.durable import write_json
from fovea.runs.stage import Context
from fovea.scene.capture import is_capture
from fovea.scene.files import read_gaussians
from fovea.scene.image import to_uint8, write_image
from fovea.scene.page import figure, page, section, strip, table, tiles
from fovea.scene.sheet import error_colors
from fovea.training.device import torch_device

Picture = UInt8[np.ndarray, "height width 3"]

TITLES = {
    SCENE: "scene, scale and shift given",
    WALL: "a wall, scale and shift given",
    GROUND: "the ground, scale and shift given",
    RAW: "scene in its own metres",
}
COLUMNS = {
    "psnr": ("PSNR dB", "{:.2f}"),
    "psnr_seen": ("PSNR, seen by both", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "ssim_seen": ("SSIM, seen by both", "{:.3f}"),
    "lpips": ("LPIPS", "{:.3f}"),
    "abs_rel": ("abs-rel", "{:.3f}"),
    "delta_1.25": ("δ < 1.25", "{:.3f}"),
    "rmse": ("RMSE", "{:.3f}"),
}
SHEET_PX = 360
"""Width of each picture of the sheet."""


def evaluate(config: EvaluateConfig, context: Context) -> dict[str, float]:
    """Score the scene, and write scores, a sheet and a page."""
    if config.data is not None and is_capture(config.data):
        return evaluate_posed(config, config.data, context)
    return _evaluate_pair(config, context)


def _evaluate_pair(config: EvaluateConfig, context: Context) -> dict[str, float]:
    pair = read_pair(config)
    gaussians = read_gaussians(config.scene).to(torch_device(context.device))
    height, width = pair.disparity.shape
    known = read_camera(config.scene)
    if known is None and not pair.focal_px:
        raise DataError(
            f"{config.scene} does not say with which focal length it was made, and neither does the"
            f" pair {pair.name}. Give focal_px=."
        )
    lens = known or camera_at_origin(pair.focal_px, height=height, width=width)
    _check_shape(config, pair, lens.height, lens.width)
    metrics = {} if config.lpips == "none" else {"lpips": LPIPS(config.lpips)}
    looks = evaluate_stereo(pair, gaussians, lens, align=config.align, metrics=metrics)
    write_json(context.output("scores"), _document(config, pair, looks))
    pictures = _pictures(pair, looks)
    columns = [_labelled(picture, label) for label, picture in pictures.items()]
    write_image(context.output("sheet"), _grid(columns).astype(np.float32) / 255)
    context.picture(0, "sheet", _grid(columns))
    context.output("page").write_text(_page(config, pair, looks, pictures), encoding="utf-8")
    scores = {f"test/{name}": value for name, value in looks[SCENE].scores.items()}
    if RAW in looks:
        scores |= {f"raw/{name}": value for name, value in looks[RAW].scores.items()}
    return scores


def _check_shape(config: EvaluateConfig, pair: StereoPair, height: int, width: int) -> None:
    """Refuse a scene made of a picture of another shape: its rays are others."""
    tall, wide = pair.disparity.shape
    if abs(width / height / (wide / tall) - 1) > 0.02:
        raise DataError(
            f"{config.scene} was made of a photograph of {width}x{height} px, and the left one of "
            f"{pair.name} has {wide}x{tall}: another shape. Predict it from the left photograph."
        )


def _document(
    config: EvaluateConfig, pair: StereoPair, looks: Mapping[str, Look]
) -> dict[str, object]:
    """What is written as scores.json; what is not finite is null."""
    methods = {
        name: {
            "scores": {key: _finite(value) for key, value in look.scores.items()},
            "scale": _finite(look.alignment.scale),
            "shift": _finite(look.alignment.shift),
        }
        for name, look in looks.items()
    }
    return {
        "pair": pair.name,
        "is_metric": pair.is_metric,
        "seen_by_both": float(pair.seen_by_both().mean()),
        "align": config.align,
        "config": json.loads(config.model_dump_json()),
        "test": methods[SCENE]["scores"],
        "methods": methods,
    }


def _pictures(pair: StereoPair, looks: Mapping[str, Look]) -> dict[str, Picture]:
    """What the sheet and the page show, by caption."""
    truth = pair.depth()
    farthest = float(np.nanmax(truth))
    shown = {
        "left photograph": pair.left,
        "true depth": depth_colors(np.nan_to_num(truth), farthest),
        "its depth, aligned": depth_colors(looks[SCENE].depth, farthest),
        "right photograph": pair.right,
        "right, foretold": looks[SCENE].right,
        "error": to_uint8(error_colors(looks[SCENE].right / 255, pair.right / 255)),
        "seen by both": _dimmed(pair.right, pair.seen_by_both()),
        "a wall": looks[WALL].right,
        "the ground": looks[GROUND].right,
    }
    return shown


def _page(
    config: EvaluateConfig,
    pair: StereoPair,
    looks: Mapping[str, Look],
    pictures: Mapping[str, Picture],
) -> str:
    scores = looks[SCENE].scores
    head = tiles(
        {
            "PSNR of the right view": f"{scores['psnr']:.2f} dB",
            "where both see": f"{scores.get('psnr_seen', math.nan):.2f} dB",
            "abs-rel": f"{scores['abs_rel']:.3f}",
            "δ < 1.25": f"{scores['delta_1.25']:.3f}",
        }
    )
    rows = {TITLES[name]: look.scores for name, look in looks.items()}
    said = (
        f"{100 * float(pair.seen_by_both().mean()):.0f} % of the right picture is seen by the left "
        f"camera too. Alignment: {config.align} of the inverse depth."
    )
    settings = {
        name: {"value": str(value)} for name, value in config.model_dump(mode="json").items()
    }
    return page(
        f"photo.evaluate: {pair.name}",
        head,
        section("Scores", table(rows, COLUMNS, corner="method", marked=TITLES[SCENE]), said),
        section(
            "Pictures", strip(figure(p, label, width_px=SHEET_PX) for label, p in pictures.items())
        ),
        section("Settings", table(settings, {"value": ("", "{}")}, corner="setting")),
        lead="A scene made of the left photograph, seen from where the right one was taken.",
    )


def _dimmed(picture: Picture, kept: np.ndarray) -> Picture:
    return np.where(kept[..., None], picture, picture // 4).astype(np.uint8)


def _labelled(picture: Picture, label: str) -> Picture:
    height = round(picture.shape[0] * SHEET_PX / picture.shape[1])
    small = cv2.resize(picture, (SHEET_PX, height), interpolation=cv2.INTER_AREA)
    bar = np.full((24, SHEET_PX, 3), 250, np.uint8)
    cv2.putText(bar, label, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 34), 1, cv2.LINE_AA)
    return np.concatenate([bar, small])


def _grid(cells: list[Picture], across: int = 3) -> Float[np.ndarray, "h w 3"] | Picture:
    rows = [np.concatenate(cells[at : at + across], 1) for at in range(0, len(cells), across)]
    return np.concatenate(rows)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
