"""The whole list of keys of a published checkpoint, with what of it inference never runs."""

from __future__ import annotations

import torch

from fovea.errors import ArtifactError
from fovea.photo.model.architecture import ENCODER, PATCH, Architecture, Shapes
from fovea.photo.model.network import SharpNetwork

CLASSES = 21841
IMAGE = ENCODER + "image_encoder."
COARSEST = (
    "monodepth_model.monodepth_predictor.decoder.fusions.4.resnet1.residual.",
    "feature_model.decoder.fusions.4.resnet1.residual.",
)
Listed = dict[str, tuple[int, ...]]


def built_on_meta(architecture: Architecture, *, alignment: bool) -> SharpNetwork:
    """A network without memory: names and shapes only, nothing drawn at random."""
    with torch.device("meta"):
        return SharpNetwork(architecture, alignment=alignment)


def public_shapes(architecture: Architecture, *, classes: int = CLASSES) -> Listed:
    """Every key of a checkpoint of that architecture, with its shape."""
    network = built_on_meta(architecture, alignment=True)
    used = {key: tuple(each.shape) for key, each in network.state_dict().items()}
    return used | unused_shapes(architecture, classes=classes)


def unused_shapes(architecture: Architecture, *, classes: int = CLASSES) -> Listed:
    """What no network of ours builds: two classifiers and two units that get no input."""
    width = architecture.vit.width
    listed: Listed = {}
    for encoder in (PATCH, IMAGE):
        listed[encoder + "head.weight"] = (classes, width)
        listed[encoder + "head.bias"] = (classes,)
    widths = architecture.monodepth_width, architecture.gaussian_width
    for start, channels in zip(COARSEST, widths, strict=True):
        for convolution in (1, 3):
            listed[f"{start}{convolution}.weight"] = (channels, channels, 3, 3)
            listed[f"{start}{convolution}.bias"] = (channels,)
    return listed


def classes_of(shapes: Shapes) -> int:
    """How many classes the unused classifiers of a checkpoint have."""
    head = shapes.get(PATCH + "head.bias")
    return head[0] if head else CLASSES


def recognize(shapes: Shapes) -> Architecture:
    """The architecture that a checkpoint fits best, so that what does not fit can be named.

    Raises:
        ArtifactError: it resembles none.
    """
    classes = classes_of(shapes)

    def misfits(architecture: Architecture) -> int:
        wanted = public_shapes(architecture, classes=classes)
        return sum(wanted.get(key) != shapes.get(key) for key in wanted.keys() | shapes.keys())

    known = min((Architecture.sharp(), Architecture.thin(), Architecture.tiny()), key=misfits)
    if not (least := misfits(known)):
        return known
    try:
        own = Architecture.of_shapes(shapes)
    except ArtifactError:
        if least > len(shapes) // 2:
            raise
        return known
    return min(known, own, key=misfits)
