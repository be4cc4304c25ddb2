"""A detector leaves the house as ONNX, with its memory as explicit inputs and outputs.

The network takes `histograms`, uint8 [batch, 20, height, width], unpadded, and the states `h1 c1
... h4 c4` of the step before, zeros at the start of a recording. It gives `predictions`, decoded
[batch, anchors, 5 + classes] of [centre x, centre y, w, h, objectness, classes...] in pixels and
probabilities, and `h1_next c1_next ...`. docs/detector.md shows a loop around it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, TensorProto, helper
from torch import Tensor, nn

from fovea.errors import JobError
from fovea.events.model.architecture import BINS, STRIDES
from fovea.events.model.detector import Detector
from fovea.events.model.memory import States
from fovea.events.model.weights import load_detector
from fovea.events.sensor import Sensor, preset
from fovea.events.settings.export import ExportConfig
from fovea.runs.stage import Context

STATES = tuple(f"{kind}{stage}" for stage in range(1, 5) for kind in "hc")
STEPS = 3
"""Over which the network is held against the detector."""
ANY_BATCH = 2
"""What a network of any batch is traced with; 1 would be taken for a constant."""
NEAR_PX, NEAR = 1e-2, 1e-4
"""How far boxes in pixels, and probabilities and states, may be off the detector's."""


def export(config: ExportConfig, context: Context) -> dict[str, float]:
    """Write the network, and hold it against the detector it was made of."""
    wanted = None if config.sensor == "auto" else preset(config.sensor)
    detector, sensor = load_detector(config.detector, sensor=wanted)
    context.progress(0, STEPS, "parts")
    network = traced(detector, sensor, batch=config.batch, opset=config.opset)
    if config.suppression:
        add_suppression(network, confidence=config.confidence, iou=config.iou)
    describe(network, detector, sensor)
    context.progress(1, STEPS, "parts")
    content = network.SerializeToString(deterministic=True)
    batch = config.batch or ANY_BATCH
    off = parity(content, detector, sensor, batch=batch, seed=context.rng("parity"))
    context.progress(2, STEPS, "parts")
    _require_near(off, config.detector)
    path = context.output("network")
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
    context.progress(STEPS, STEPS, "parts")
    return off | {"size_mb": len(content) / 1e6}


class Explicit(nn.Module):
    """A detector whose states are eight tensors rather than a list of pairs."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, histograms: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Predictions, then the states for the next step."""
        predictions, after = self.detector(histograms, paired(states))
        return predictions, *(each for pair in after for each in pair)


def paired(states: tuple[Tensor, ...]) -> States:
    """The pairs (h, c) of eight tensors."""
    return list(zip(states[::2], states[1::2], strict=True))


def empty_states(detector: Detector, sensor: Sensor, batch: int) -> tuple[Tensor, ...]:
    """The eight tensors at the start of a recording."""
    height, width = sensor.padded
    dims = detector.architecture.dims
    return tuple(
        torch.zeros(batch, channels, height // stride, width // stride)
        for channels, stride in zip(dims, (4, *STRIDES), strict=True)
        for _ in "hc"
    )


def traced(detector: Detector, sensor: Sensor, *, batch: int, opset: int) -> ModelProto:
    """The detector as an ONNX graph; `batch` 0 leaves its size open."""
    count = batch or ANY_BATCH
    size = sensor.network_height, sensor.network_width
    histograms = torch.zeros(count, BINS, *size, dtype=torch.uint8)
    states = empty_states(detector, sensor, count)
    shapes: Any = None
    if not batch:
        # The other inputs follow the first, which alone names the axis.
        own, others = {0: torch.export.Dim("batch", min=1, max=1024)}, {0: torch.export.Dim.AUTO}
        shapes = own, tuple(others for _ in states)
    with _quiet():
        program = torch.onnx.export(
            Explicit(detector).eval(),
            (histograms, *states),
            dynamo=True,
            opset_version=opset,
            input_names=["histograms", *STATES],
            output_names=["predictions", *(f"{name}_next" for name in STATES)],
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None, "the exporter that dynamo=True means returns a program"
    network: ModelProto = program.model_proto
    for node in network.graph.node:
        # Where in our source a node came from says nothing to its users.
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*network.graph.value_info, *network.graph.input, *network.graph.output):
        del value.metadata_props[:]
    del network.graph.metadata_props[:]
    return network


def add_suppression(network: ModelProto, *, confidence: float, iou: float) -> None:
    """Let the graph also say which predictions remain.

    The further output `kept` is int64 [n, 3] of (frame, class, anchor), surest first in each class.
    A prediction stands for its likeliest class alone, as in `postprocess`.
    """
    graph = network.graph
    constants = {
        "nms_minus_one": np.array([-1.0], np.float32),
        "nms_most": np.array([np.iinfo(np.int64).max >> 32], np.int64),
        "nms_iou": np.array([iou], np.float32),
        # The operator keeps what is above its threshold, we what is not below ours.
        "nms_confidence": np.array([np.nextafter(np.float32(confidence), np.float32(-1))]),
        "nms_axis": np.array([2], np.int64),
    }
    for start, end, name in ((0, 4, "box"), (4, 5, "objectness"), (5, 2**31, "classes")):
        constants[f"nms_{name}_start"] = np.array([start], np.int64)
        constants[f"nms_{name}_end"] = np.array([end], np.int64)
        slots = [f"nms_{name}_start", f"nms_{name}_end", "nms_axis"]
        node = helper.make_node("Slice", ["predictions", *slots], [f"nms_{name}"])
        graph.node.append(node)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(values, name) for name, values in constants.items()
    )
    steps: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("ReduceMax", ["nms_classes", "nms_axis"], "nms_best", {"keepdims": 1}),
        ("GreaterOrEqual", ["nms_classes", "nms_best"], "nms_is_best", {}),
        ("Mul", ["nms_classes", "nms_objectness"], "nms_all", {}),
        ("Where", ["nms_is_best", "nms_all", "nms_minus_one"], "nms_own", {}),
        ("Transpose", ["nms_own"], "nms_scores", {"perm": [0, 2, 1]}),
    )
    graph.node.extend(
        helper.make_node(kind, inputs, [output], **options)
        for kind, inputs, output, options in steps
    )
    inputs = ["nms_box", "nms_scores", "nms_most", "nms_iou", "nms_confidence"]
    graph.node.append(helper.make_node("NonMaxSuppression", inputs, ["kept"], center_point_box=1))
    graph.output.append(helper.make_tensor_value_info("kept", TensorProto.INT64, ["n", 3]))
    onnx.checker.check_model(network)


def describe(network: ModelProto, detector: Detector, sensor: Sensor) -> None:
    """Note in the graph whose detector it is, so that the file alone is enough."""
    said: Mapping[str, object] = {
        "sensor": sensor.name,
        "sensor_height": sensor.height,
        "sensor_width": sensor.width,
        "halved": sensor.halved,
        "classes": list(sensor.classes),
        "strides": list(STRIDES),
        "padded": list(sensor.padded),
        "size": detector.architecture.size,
        "histogram": "stacked_histogram_dt=50_nbins=10",
        "predictions": "centre x, centre y, w, h in pixels; objectness; classes",
    }
    helper.set_model_props(
        network,
        {name: each if isinstance(each, str) else json.dumps(each) for name, each in said.items()},
    )


@torch.no_grad()
def parity(
    content: bytes, detector: Detector, sensor: Sensor, *, batch: int, seed: np.random.Generator
) -> dict[str, float]:
    """How far the network is off the detector over a few steps, each with its own states."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    shape = (STEPS, batch, BINS, sensor.network_height, sensor.network_width)
    histograms = (seed.integers(1, 11, shape) * (seed.random(shape) < 0.05)).astype(np.uint8)
    ours = empty_states(detector, sensor, batch)
    theirs = [each.numpy() for each in ours]
    off = {"boxes_px_off": 0.0, "probabilities_off": 0.0, "states_off": 0.0}
    for now in histograms:
        predictions, after = detector(torch.from_numpy(now), paired(ours))
        ours = tuple(each for pair in after for each in pair)
        found, *theirs = session.run(
            None, {"histograms": now, **dict(zip(STATES, theirs, strict=False))}
        )
        theirs = theirs[: len(STATES)]
        apart = np.abs(found - predictions.numpy())
        between = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(theirs, ours, strict=True))
        for name, value in zip(
            off, (apart[..., :4].max(), apart[..., 4:].max(), between), strict=True
        ):
            off[name] = max(off[name], float(value))
    return off


def _require_near(off: dict[str, float], detector: Path) -> None:
    """Refuse a network that says something else than its detector.

    Raises:
        JobError: it does.
    """
    limits = {"boxes_px_off": NEAR_PX, "probabilities_off": NEAR, "states_off": NEAR}
    for name, limit in limits.items():
        if not off[name] <= limit:
            raise JobError(
                f"the network made of {detector} should say what the detector says, and over"
                f" {STEPS} steps {name} is {off[name]:.2g}, above {limit:g}. Report this with the"
                f" versions of torch {torch.__version__} and onnxruntime"
                f" {onnxruntime.__version__}."
            )


@contextmanager
def _quiet() -> Generator[None]:
    """Without the exporter's words about itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)
