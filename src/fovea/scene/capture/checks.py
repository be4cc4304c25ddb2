"""What a capture must be for a stage to make sense of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.errors import ArtifactError, DataError
from fovea.scene.capture.views import Capture, View

NEAREST = 1e-9
"""Training cameras that are all nearer to each other than this stand at one point."""


def refuse_useless(capture: Capture, path: Path) -> None:
    """Refuse a capture that no fit can see depth in.

    Raises:
        DataError: it has no photograph, fewer than two training views, all of them from one point,
            or all of them the same picture.
    """
    if not capture.views:
        named = (
            f"names {len(capture.absent)}, the first {capture.absent[0]}"
            if capture.absent
            else "names none"
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
    if np.ptp(capture.positions, axis=0).max() < NEAREST:
        raise DataError(
            f"all {len(train)} training cameras of {path} stand at one point"
            f" {np.round(capture.positions[0], 3).tolist()}: depth cannot be seen from there. Are"
            " the translations of the poses missing?"
        )
    refuse_copies([view.image for view in train], path)


def refuse_copies(paths: Sequence[Path], folder: Path) -> None:
    """Refuse photographs that are all one file, byte for byte.

    Raises:
        DataError: they are.
    """
    if len(paths) < 2 or len({path.stat().st_size for path in paths}) > 1:
        return
    first = paths[0].read_bytes()
    if all(path.read_bytes() == first for path in paths[1:]):
        raise DataError(
            f"all {len(paths)} photographs of {folder} are the same picture: {paths[0]} and"
            f" {paths[-1]} agree byte for byte, and depth is seen by moving. Put the photographs of"
            " different places there."
        )


def require_masks(capture: Capture, *, wanted_by: str, otherwise: str) -> None:
    """Refuse a capture in which a photograph has neither alpha nor a mask.

    Args:
        capture: to be looked at; headers are read, photographs are not.
        wanted_by: the stage that cuts things out by them.
        otherwise: what a person can do who has no masks, `"whole=true keeps the background"`.

    Raises:
        DataError: with the number of them and the first.
    """
    bare = [view for view in capture.views if view.mask is None and not _has_alpha(view)]
    if bare:
        raise DataError(
            f"{wanted_by} cuts the object out of every photograph, and {len(bare)} of the"
            f" {len(capture.views)} of {capture.folder} have neither alpha nor a mask, the first"
            f" {bare[0].image}. Save them as PNG with alpha, or put white-on-black masks into"
            f" masks/ beside images/, named as the photographs; {otherwise}."
        )


def refuse_another_capture(found: str, capture: Capture, *, where: Path) -> None:
    """Refuse what was made from another capture than this one.

    Args:
        found: `Capture.identity` as it was kept there.
        capture: the one that is used now.
        where: it was kept.

    Raises:
        ArtifactError: the two differ.
    """
    if found != capture.identity:
        raise ArtifactError(
            f"{where} was made from another capture than {capture.folder}: its views are {found},"
            f" and these are {capture.identity}. Give the capture it was made from, or begin anew"
            " in another run folder."
        )


def _has_alpha(view: View) -> bool:
    if view.image.suffix.lower() in (".exr", ".hdr"):
        return False
    with Image.open(view.image) as picture:
        return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
