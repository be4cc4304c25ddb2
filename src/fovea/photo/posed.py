"""A scene made of one photograph of a posed capture: scores, a sheet and a page of its novel views.

What is scored, and how the scale is found, stands in `novel_views`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from fovea.errors import DataError
from fovea.metrics.scores import image_metrics
from fovea.photo.drawing import Picture
from fovea.photo.novel_views import SCENE, WALL, Foretold, evaluate_views, nearest_views
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.sharp_ply import camera_at_origin, read_camera
from fovea.runs.durable import write_json
from fovea.runs.stage import Context
from fovea.scene.camera import Camera
from fovea.scene.capture import Capture, Photograph, View, load, read_capture
from fovea.scene.files import read_gaussians
from fovea.scene.image import to_uint8, write_image
from fovea.scene.page import figure, page, section, strip, table, tiles
from fovea.scene.sheet import Row, draw_sheet, error_colors
from fovea.training.device import torch_device

TITLES = {SCENE: "scene, scale given", WALL: "a wall, its depth given"}
COLUMNS = {
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "lpips": ("LPIPS", "{:.3f}"),
}
SHAPE_TOLERANCE = 0.02


def evaluate_posed(config: EvaluateConfig, folder: Path, context: Context) -> dict[str, float]:
    """Score the scene on the other photographs of a capture."""
    capture = read_capture(folder, images=config.images, hold_out=0)
    view = chosen(capture, config.view)
    others = [other for other in capture.views if other is not view]
    near = nearest_views(view.camera, [other.camera for other in others], config.views)
    used = [view, *(others[number] for number in near)]
    photographs = [load(each, config.resolution) for each in used]
    gaussians = read_gaussians(config.scene).to(torch_device(context.device))
    source = photographs[0]
    lens = _lens(config, source.camera)

    def watch(done: int, total: int) -> None:
        if context.should_stop():
            context.stop()
        context.progress(done, total, "tries")

    metrics = image_metrics(config.lpips)
    found = evaluate_views(source, photographs[1:], gaussians, lens, metrics=metrics, watch=watch)
    targets = list(zip(used[2::2], photographs[2::2], strict=True))
    _write(config, context, view, source, targets, found)
    scores = {f"test/{name}": found[SCENE].mean[name] for name in COLUMNS if name in metrics}
    return scores | {"wall/psnr": found[WALL].mean["psnr"]}


def chosen(capture: Capture, name: str) -> View:
    """The view of that name, the first where none is given.

    Raises:
        DataError: there is no such view.
    """
    names = [view.name for view in capture.views]
    wanted = name or names[0]
    stem = Path(wanted).stem
    for view in capture.views:
        if view.name in (wanted, stem) or view.image.name == wanted:
            return view
    raise DataError(
        f"view names the photograph that the scene was made of, and {capture.folder} has none"
        f" called {name!r}. It has {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}."
    )


def _lens(config: EvaluateConfig, camera: Camera) -> Camera:
    """The camera that the scene was made with; of the capture where its file does not say.

    Raises:
        DataError: it had another shape than the photograph of the capture.
    """
    size = {"height": camera.height, "width": camera.width}
    known = read_camera(config.scene)
    if known is None:
        return camera_at_origin(config.focal_px or float(camera.intrinsics[0, 0]), **size)
    if abs(known.width / known.height / (camera.width / camera.height) - 1) > SHAPE_TOLERANCE:
        raise DataError(
            f"{config.scene} was made of a photograph of {known.width}x{known.height} px, and"
            f" {camera.name} has {camera.width}x{camera.height}: another shape. Name the photograph"
            " that it was made of by view=."
        )
    return known


def _write(
    config: EvaluateConfig,
    context: Context,
    view: View,
    source: Photograph,
    targets: Sequence[tuple[View, Photograph]],
    found: Mapping[str, Foretold],
) -> None:
    """Scores, a sheet and a page."""
    document = _document(config, view, [target.name for target, _ in targets], found)
    write_json(context.output("scores"), document)
    rows = [
        Row(target.name, _pictures(photograph, found, number), _said(found, number))
        for number, (target, photograph) in enumerate(targets)
    ]
    sheet = np.asarray(draw_sheet(rows))
    write_image(context.output("sheet"), sheet.astype(np.float32) / 255)
    context.picture(0, "sheet", sheet)
    context.output("page").write_text(_page(config, view, source, rows, found), encoding="utf-8")


def _document(
    config: EvaluateConfig, view: View, names: Sequence[str], found: Mapping[str, Foretold]
) -> dict[str, object]:
    return {
        "view": view.name,
        "config": json.loads(config.model_dump_json()),
        "test": found[SCENE].mean,
        "methods": {
            name: {
                "scores": method.mean,
                "units_per_m": method.units_per_m,
                "views": dict(zip(names, method.scores, strict=True)),
            }
            for name, method in found.items()
        },
    }


def _said(found: Mapping[str, Foretold], number: int) -> dict[str, float]:
    return {
        "psnr": found[SCENE].scores[number]["psnr"],
        "wall_psnr": found[WALL].scores[number]["psnr"],
    }


def _pictures(
    photograph: Photograph, found: Mapping[str, Foretold], number: int
) -> dict[str, np.ndarray]:
    truth = photograph.over(torch.ones(3)).numpy()
    scene, wall = (found[name].pictures[number] / np.float32(255) for name in (SCENE, WALL))
    return {
        "photograph": truth,
        "foretold": scene,
        "error": error_colors(scene, truth),
        "a wall": wall,
        "its error": error_colors(wall, truth),
    }


def _page(
    config: EvaluateConfig,
    view: View,
    source: Photograph,
    rows: Sequence[Row],
    found: Mapping[str, Foretold],
) -> str:
    made_of: Picture = to_uint8(source.over(torch.ones(3)).numpy())
    mean, wall = found[SCENE].mean, found[WALL].mean
    head = tiles(
        {
            "PSNR of novel views": f"{mean['psnr']:.2f} dB",
            "a wall": f"{wall['psnr']:.2f} dB",
            "SSIM": f"{mean['ssim']:.3f}",
            "units for a metre": f"{found[SCENE].units_per_m:.3g}",
        }
    )
    means = {TITLES[name]: method.mean for name, method in found.items()}
    views = "".join(
        strip([figure(picture, f"{row.name}: {name}") for name, picture in row.pictures.items()])
        for row in rows
    )
    settings = {
        name: {"value": str(value)} for name, value in config.model_dump(mode="json").items()
    }
    said = (
        f"Means of {len(rows)} views. As many others, between them, gave each method its scale:"
        " units of the capture for a metre."
    )
    return page(
        f"photo.evaluate: {view.name}",
        head,
        section("Scores", table(means, COLUMNS, corner="method", marked=TITLES[SCENE]), said),
        section(
            "The photograph", strip([figure(made_of, f"{view.name}: the scene is made of it")])
        ),
        section("Views", views),
        section("Settings", table(settings, {"value": ("", "{}")}, corner="setting")),
        lead="A scene made of one photograph, seen from where others were taken.",
    )
