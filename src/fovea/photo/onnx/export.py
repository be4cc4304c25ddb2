"""`photo.export`: SHARP becomes a folder of ONNX networks, each held against its own module.

Every part is a `.onnx` of a few hundred kilobytes with its weights in a `.onnx.data` beside it, as
ONNX wants for what may pass two gigabytes. `network.json` says what the runtime has to know. With
`precision=int8` the transformers' layers are quantised as onnxruntime does it: weights by output
channel, activations when they come.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from fovea.errors import JobError
from fovea.photo.model.architecture import Architecture
from fovea.photo.model.network import SharpNetwork
from fovea.photo.onnx.parts import PARTS, TRANSFORMERS, Part, examples
from fovea.photo.precision.pages import release
from fovea.photo.settings.export import ExportConfig
from fovea.photo.weights import load_network
from fovea.runs.stage import Context

FORMAT = 1
NEAR = {"float32": 1e-3, "int8": 0.5}
"""How far an output may be off at most, in standard deviations: rounding, or 8 bits of it."""
ANY_CROPS = 2
"""What a part of any batch is traced with; 1 would be taken for a constant."""


def export(config: ExportConfig, context: Context) -> dict[str, float]:
    """Write the parts, and hold each against the network."""
    network = load_network(config.weights)
    folder = context.output("network")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    worst = 0.0
    for number, part in enumerate(PARTS):
        if context.should_stop():
            context.stop()
        context.progress(number, len(PARTS), "parts")
        path = draft / f"{part.name}.onnx"
        write_part(part, network, path, opset=config.opset)
        is_int8 = config.precision == "int8" and part.name in TRANSFORMERS
        if is_int8:
            quantize(path)
        off = parity(part, network, path, crops=config.crops, seed=context.seed)
        _require_near(part, off, most=NEAR["int8" if is_int8 else "float32"])
        context.note(f"{part.name}: off by {off:.1e} of a standard deviation at most")
        worst = max(worst, off)
        release(network.parameters())
    (draft / "network.json").write_text(
        json.dumps(described(network.architecture, config), indent=2) + "\n"
    )
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
    context.progress(len(PARTS), len(PARTS), "parts")
    size = sum(file.stat().st_size for file in folder.iterdir())
    return {"off": worst, "size_mb": size / 1e6}


def described(architecture: Architecture, config: ExportConfig) -> dict[str, Any]:
    """What the runtime has to know of the network."""
    vit, (trim0, trim1) = architecture.vit, architecture.trims
    return {
        "format": FORMAT,
        "precision": config.precision,
        "network_size": architecture.network_size,
        "crop_px": vit.image_px,
        "patch_px": vit.patch_px,
        "trims": [trim0, trim1],
        "parts": {part.name: [list(part.inputs), list(part.outputs)] for part in PARTS},
    }


def write_part(part: Part, network: SharpNetwork, path: Path, *, opset: int) -> None:
    """Trace one part and save it, its weights beside it."""
    module = part.module(network).eval()
    given = examples(part, network.architecture, crops=ANY_CROPS, seed=0)
    shapes: Any = None
    if part.open_batch:
        shapes = ({0: torch.export.Dim("crops", min=1, max=1024)},)
    elif len(given) > 1:
        # `*args` is one parameter with a tuple of tensors, none of which has an open axis.
        shapes = (tuple({} for _ in given),)
    with _quiet():
        program = torch.onnx.export(
            module,
            tuple(given),
            dynamo=True,
            opset_version=opset,
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None, "the exporter that dynamo=True means returns a program"
    _forget_sources(program.model)
    program.save(path, external_data=True)


def quantize(path: Path) -> None:
    """Give the part's matrix products int8 weights, in place."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = path.with_name(f"small-{path.name}")
    with _quiet():
        quantize_dynamic(
            path,
            small,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )
    import onnx

    model = onnx.load(small)
    for old in (path, path.with_name(f"{path.name}.data"), small):
        old.unlink(missing_ok=True)
    small.with_name(f"{small.name}.data").unlink(missing_ok=True)
    onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}.data")


@torch.inference_mode()
def parity(part: Part, network: SharpNetwork, path: Path, *, crops: int, seed: int) -> float:
    """How far the part's outputs are off the network's, in standard deviations, at most."""
    given = examples(part, network.architecture, crops=crops, seed=seed)
    wanted: Tensor | tuple[Tensor, ...] = part.module(network).eval()(*given)
    wanted = (wanted,) if isinstance(wanted, Tensor) else wanted
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    arrays = {name: value.numpy() for name, value in zip(part.inputs, given, strict=True)}
    found = cast("list[np.ndarray]", session.run(list(part.outputs), arrays))
    return max(
        float(np.abs(ours - theirs.numpy()).max() / max(float(theirs.std()), 1e-12))
        for ours, theirs in zip(found, wanted, strict=True)
    )


def _require_near(part: Part, off: float, *, most: float) -> None:
    if not off <= most:
        raise JobError(
            f"the part {part.name} as ONNX is off by {off:.2g} standard deviations of the network's"
            f" own output, and {most:g} is allowed. Please report it, with the versions that"
            " `pip list` shows of torch, onnx and onnxruntime."
        )


def _forget_sources(model: Any) -> None:
    # Where in our source a node came from says nothing to its users, and differs by machine.
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.metadata_props.clear()


@contextmanager
def _quiet() -> Generator[None]:
    # The exporter and the quantiser warn of what is theirs to know.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
