"""Captures: posed photographs as NeRF-synthetic, TensoIR, COLMAP and instant-ngp lay them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fovea.errors import ArtifactError, DataError
from fovea.relight.capture import colmap, transforms
from fovea.relight.capture.photographs import Photograph, load, scaled_size
from fovea.relight.capture.truth import environments_of
from fovea.relight.capture.views import Capture, View

__all__ = ["Capture", "Photograph", "View", "load", "read_capture", "scaled_size"]


def read_capture(path: Path, *, images: str = "images", hold_out: int = 8) -> Capture:
    """Read the poses of a capture, whatever its kind; photographs are decoded later, one by one.

    Args:
        path: its folder, or a `transforms.json` itself.
        images: the folder of the photographs, for COLMAP.
        hold_out: every n-th view is for testing where the capture has no test split; 0 trains on
            all.

    Raises:
        ArtifactError: the folder is of no known kind, or its pose file cannot be read.
        DataError: the poses or photographs in it cannot be used.
    """
    capture = _read(path, images=images, hold_out=hold_out)
    _check(capture, path)
    return replace(capture, environments=environments_of(capture.folder))


def _read(path: Path, *, images: str, hold_out: int) -> Capture:
    if path.is_file():
        return transforms.read_single(path, hold_out=hold_out)
    if not path.is_dir():
        raise ArtifactError(f"a capture is a folder of posed photographs; {path} does not exist.")
    if colmap.find_model(path):
        return colmap.read_colmap(path, images=images, hold_out=hold_out)
    if (path / "transforms_train.json").is_file():
        return transforms.read_split(path, hold_out=hold_out)
    if (path / "transforms.json").is_file():
        return transforms.read_single(path / "transforms.json", hold_out=hold_out)
    if any(path.glob("*_[0-9]*/metadata.json")):
        return transforms.read_tensoir(path, hold_out=hold_out)
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise ArtifactError(
        f"{path} is neither COLMAP (no sparse/0), nor NeRF-synthetic (no transforms_train.json),"
        " nor instant-ngp (no transforms.json), nor TensoIR (no train_000/metadata.json)."
        f" Found: {shown or 'nothing'}. Photographs without poses need COLMAP first."
    )


def _check(capture: Capture, path: Path) -> None:
    if not capture.views:
        named = (
            f"names {len(capture.absent)}, the first {capture.absent[0]}"
            if capture.absent
            else ("names none")
        )
        raise DataError(
            f"{path} holds no photograph to fit: its pose file {named}. Put them where it says."
        )
    train = capture.split("train")
    if len(train) < 2:
        raise DataError(
            f"a fit needs at least 2 training views, and {path} has {len(train)} of"
            f" {len(capture.views)}. Hold out fewer: hold_out=0."
        )
    if np.ptp(capture.positions, axis=0).max() < 1e-9:
        raise DataError(
            f"all {len(train)} training cameras of {path} stand at one point"
            f" {np.round(capture.positions[0], 3).tolist()}: depth cannot be seen from there. Are"
            " the translations of the poses missing?"
        )
