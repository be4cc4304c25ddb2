"""Photographs without poses, or a video, become a capture that a fit can read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pycolmap
from jaxtyping import Float
from PIL import Image

from fovea.errors import DataError
from fovea.relight.capture.layout import cameras_of, turn_upright, write_layout
from fovea.relight.capture.shots import Shot, find_shots, frames_of_video, is_video
from fovea.relight.position_map import draw_cameras
from fovea.relight.settings.poses import PosesConfig
from fovea.relight.structure import find_features, map_cameras, match_features
from fovea.runs.stage import Context

NAMED = 6
"""Photographs without a pose that a note names."""


def poses(config: PosesConfig, context: Context) -> dict[str, float]:
    """Find where each photograph was taken from, and write them straight, as a COLMAP capture."""
    work = context.folder / "tmp" / "work"
    work.mkdir(parents=True, exist_ok=True)
    shots = _shots(config, context)
    context.note(f"{len(shots)} photographs from {config.photographs}")
    if is_video(config.photographs) and config.matching == "auto":
        config = config.model_copy(update={"matching": "sequential"})

    def watch(done: int, total: int, unit: str) -> None:
        context.progress(done, total, unit)
        if unit not in context.items:
            context.items.add(unit)
        if context.should_stop():
            context.stop()

    database = work / "database.db"
    find_features(shots, database, config, watch)
    match_features(shots, database, config, watch)
    model = map_cameras(shots, database, work / "models", context.seed, watch)
    cameras = {} if model is None else cameras_of(model)
    missing = [shot.name for shot in shots if shot.name not in cameras]
    if model is None or len(cameras) < config.least * len(shots):
        raise _too_few(config, shots, len(cameras), missing)
    _say(context, shots, missing)
    if config.upright:
        turn_upright(model)
    scores = _scores(model, shots)
    picture = draw_cameras(cameras_of(model), _points(model))
    write_layout(
        context.output("capture"),
        model,
        {shot.name: shot for shot in shots},
        lambda done, total: watch(done, total, "photographs written"),
    )
    context.picture(0, "cameras", picture)
    Image.fromarray(picture).save(context.output("picture"))
    context.output("scores").write_text(
        json.dumps(scores | {"not_registered": missing}, indent=2) + "\n"
    )
    context.log(0, scores)
    return scores


def _shots(config: PosesConfig, context: Context) -> list[Shot]:
    if not is_video(config.photographs):
        return find_shots(config.photographs, config.pattern)

    def watch(done: int, total: int) -> None:
        context.progress(done, total, "frames")
        if context.should_stop():
            context.stop()

    folder = context.folder / "tmp" / "frames"
    return frames_of_video(config.photographs, config.frames, folder, watch)


def _too_few(
    config: PosesConfig, shots: Sequence[Shot], found: int, missing: Sequence[str]
) -> DataError:
    return DataError(
        f"poses were found for {found} of the {len(shots)} photographs in {config.photographs}, and"
        f" least={config.least:g} asks for {config.least:.0%} and 3 at the least. Without one:"
        f" {_listed(missing)}. Neighbouring photographs should share more than half of what they"
        " show, from places some steps apart, sharp, of a thing with texture; add such, take"
        " features=8192, or lower least."
    )


def _say(context: Context, shots: Sequence[Shot], missing: Sequence[str]) -> None:
    found = len(shots) - len(missing)
    context.note(f"poses found for {found} of {len(shots)} photographs")
    if missing:
        context.note(
            f"no pose for {len(missing)}, which are left out: {_listed(missing)}", level="warning"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" * (len(names) > NAMED))


def _scores(model: pycolmap.Reconstruction, shots: Sequence[Shot]) -> dict[str, float]:
    return {
        "poses/photographs": len(shots),
        "poses/registered": model.num_reg_images(),
        "poses/points": model.num_points3D(),
        "poses/reprojection_px": model.compute_mean_reprojection_error(),
    }


def _points(model: pycolmap.Reconstruction) -> Float[np.ndarray, "n 3"]:
    return np.array([model.point3D(key).xyz for key in sorted(model.point3D_ids())]).reshape(-1, 3)
