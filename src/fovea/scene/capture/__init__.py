"""Captures: posed photographs as NeRF-synthetic, TensoIR, COLMAP and instant-ngp lay them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fovea.errors import ArtifactError
from fovea.scene.capture import colmap, transforms
from fovea.scene.capture.checks import (
    refuse_another_capture,
    refuse_useless,
    require_masks,
)
from fovea.scene.capture.photographs import (
    Photograph,
    load,
    load_all,
    refuse_if_too_large,
    scaled_size,
)
from fovea.scene.capture.truth import environments_of
from fovea.scene.capture.views import Capture, View

__all__ = [
    "Capture", "Photograph", "View", "is_capture", "load", "load_all", "read_capture",
    "refuse_another_capture", "refuse_if_too_large", "require_masks", "scaled_size",
]  # fmt: skip


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
    refuse_useless(capture, path)
    return replace(capture, environments=environments_of(capture.folder))


def is_capture(path: Path) -> bool:
    """Whether a folder, or a file, holds poses as one of the kinds that are read has them."""
    if path.is_file():
        return path.suffix == ".json"
    names = ("transforms_train.json", "transforms.json")
    return (
        colmap.find_model(path) is not None
        or any((path / name).is_file() for name in names)
        or any(path.glob("*_[0-9]*/metadata.json"))
    )


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
        f" Found: {shown or 'nothing'}. Photographs without poses get them by:"
        f" fovea relight poses {path}"
    )
