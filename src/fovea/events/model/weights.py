"""Detectors as files: ours, and the published checkpoints of RVT and LEOD.

`detector.pt` holds the weights with the architecture and the sensor, and is read back without
running anything. A Lightning checkpoint holds much else; what is no tensor is skipped unread.
Names of weights are those of the published checkpoints, without their prefix `mdl.`.
"""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fovea.errors import ArtifactError
from fovea.events.model import skipping
from fovea.events.model.architecture import SIZES, Architecture
from fovea.events.model.detector import Detector
from fovea.events.sensor import LabelRules, Sensor
from fovea.training.checkpoint import NOT_READ, reason

PREFIX = "mdl."
FIRST = "backbone.stages.0.downsample_cf2cl.conv.weight"
LAST = "yolox_head.cls_preds.0.weight"
Weights = dict[str, Tensor]


def save_detector(
    path: Path, detector: Detector, sensor: Sensor, extra: Mapping[str, Any] | None = None
) -> None:
    """Write a detector with what is needed to use it: its architecture and its sensor.

    Args:
        path: a `.pt` file.
        detector: to write.
        sensor: that it was trained for.
        extra: plain values to keep beside it, such as the step and the scores.
    """
    weights = {
        name: each.detach().cpu().contiguous() for name, each in detector.state_dict().items()
    }
    draft = path.with_name(f".{path.name}.draft")
    torch.save(
        {
            "architecture": detector.architecture.to_dict(),
            "sensor": dataclasses.asdict(sensor),
            "extra": dict(extra or {}),
            "state_dict": weights,
        },
        draft,
    )
    draft.replace(path)


def load_detector(
    path: Path, *, sensor: Sensor | None = None, device: str | torch.device = "cpu"
) -> tuple[Detector, Sensor]:
    """Read a detector, ready to predict.

    Args:
        path: our `detector.pt`, a checkpoint of RVT or LEOD, bare weights, or safetensors.
        sensor: that it is wanted for; one of our own files knows it.
        device: to put it on.

    Raises:
        ArtifactError: the file cannot be read, or it holds no detector for that sensor.
    """
    content = _read(path)
    weights = _weights_in(content, path)
    if "architecture" in content:
        architecture, own = _described(content, path)
        _require_same(own, sensor, path)
        sensor = sensor or own
    elif sensor is None:
        raise ArtifactError(
            f"{path} does not say which sensor it is for: it holds weights alone. Give"
            " sensor=NAME, gen1 or gen4 for the published checkpoints."
        )
    else:
        architecture = _recognised(weights, sensor, path)
    detector = Detector(architecture)
    _fill(detector, weights, path)
    return detector.to(device).eval(), sensor


def load_weights(detector: Detector, path: Path) -> None:
    """Fill a detector with the weights of a file of any of the kinds that `load_detector` reads.

    Raises:
        ArtifactError: the file cannot be read, or its weights are of another detector.
    """
    _fill(detector, _weights_in(_read(path), path), path)


def size_of(weights: Mapping[str, Tensor]) -> str:
    """The size of detector that weights look like: `tiny`, or `unknown`."""
    embed = len(weights[FIRST]) if FIRST in weights else 0
    return next((size for size, made in SIZES.items() if made["embed"] == embed), "unknown")


def _fill(detector: Detector, weights: Weights, path: Path) -> None:
    """Strictly: every weight, and none beside.

    Raises:
        ArtifactError: naming the first that does not fit.
    """
    wanted = detector.state_dict()
    of = detector.architecture
    looks = f"{path} looks like size {size_of(weights)}{_with_classes(weights)}"
    for name, each in wanted.items():
        if name not in weights:
            raise ArtifactError(
                f"{of.size} with {of.classes} classes has the weight {name} {_shape(each)}, and"
                f" {path} does not. {looks}. Take a detector of that size, or another file."
            )
        if each.shape != weights[name].shape:
            raise ArtifactError(
                f"{of.size} with {of.classes} classes wants {name} of shape {_shape(each)}, and"
                f" {path} has {_shape(weights[name])}. {looks}. Take a detector of that size and"
                " sensor, or another file."
            )
    if extra := [name for name in weights if name not in wanted]:
        raise ArtifactError(
            f"{path} has the weight {extra[0]} {_shape(weights[extra[0]])}, and {of.size} with"
            f" {of.classes} classes does not. {looks}. Take a detector of that size."
        )
    detector.load_state_dict(weights)


def _with_classes(weights: Weights) -> str:
    return f" with {len(weights[LAST])} classes" if LAST in weights else ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(f"a detector is a file, and {path} is none. Give its path.")
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except (SafetensorError, *NOT_READ) as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a detector: {reason(error)}."
            " It may be cut short; copy or download it again."
        ) from error
    if not isinstance(content, dict):
        raise ArtifactError(
            f"a detector's file holds weights by name, and {path} holds a"
            f" {type(content).__name__}. Give a checkpoint, or a state dict."
        )
    return {str(name): each for name, each in content.items()}


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # A pickle that torch did not write; what matters is what it holds.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # Lightning keeps settings as objects of classes we neither have nor want to run.
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=skipping)


def _weights_in(content: dict[str, Any], path: Path) -> Weights:
    found: Any = content.get("state_dict", content)
    weights = {
        str(name).removeprefix(PREFIX): each
        for name, each in found.items()
        if isinstance(each, Tensor)
    }
    if FIRST not in weights:
        names = ", ".join(list(weights)[:3]) or ", ".join(list(content)[:3]) or "nothing"
        raise ArtifactError(
            f"a detector has a weight {FIRST}, and {path} has none. Found: {names}. Give a"
            " checkpoint of an RVT or LEOD detector."
        )
    return weights


def _described(content: dict[str, Any], path: Path) -> tuple[Architecture, Sensor]:
    try:
        found = content["sensor"]
        own = Sensor(
            **found | {"classes": tuple(found["classes"]), "rules": LabelRules(**found["rules"])}
        )
        return Architecture.from_dict(content["architecture"]), own
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} does not describe its detector as this version does: {error}. Train it again,"
            " or load it with the version that wrote it."
        ) from error


def _require_same(own: Sensor, wanted: Sensor | None, path: Path) -> None:
    """Refuse a sensor other than the file's own, where that changes what the network does."""
    if wanted is None:
        return
    for what in ("classes", "partition", "halved"):
        if getattr(own, what) != getattr(wanted, what):
            raise ArtifactError(
                f"{path} is a detector for {own.name} ({own.height} x {own.width}), whose {what}"
                f" are {getattr(own, what)}; it is wanted for {wanted.name} ({wanted.height} x"
                f" {wanted.width}) with {getattr(wanted, what)}. Train one on that sensor, or give"
                " data of the detector's own."
            )


def _recognised(weights: Weights, sensor: Sensor, path: Path) -> Architecture:
    size = size_of(weights)
    if size == "unknown":
        raise ArtifactError(
            f"{path} is of no known size: its first stage has {len(weights[FIRST])} channels."
            f" Known: {_sizes(SIZES)}. Give a checkpoint of one of these."
        )
    options = {
        "token_mask": "backbone.stages.0.mask_token" in weights,
        "depthwise_memory": "backbone.stages.0.lstm.conv3x3_dws.weight" in weights,
    }
    return dataclasses.replace(Architecture.of(size, sensor), **options)


def _sizes(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {SIZES[name]['embed']}" for name in names)
