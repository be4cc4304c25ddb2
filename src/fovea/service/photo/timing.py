"""How long the network takes, each way: `python -m fovea.service.photo.timing`, a process.

What is asked for comes in as JSON on its standard input; each way's mean goes out as a line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

SWITCHES = {"cudnn_benchmark": "FOVEA_CUDNN_BENCHMARK", "tf32": "FOVEA_TF32"}


def main() -> int:
    """Time every way that is asked for; one that fails says why."""
    asked = json.load(sys.stdin)
    for way in asked["ways"]:
        try:
            said = {"seconds": mean_seconds(asked, way), "trouble": ""}
        except Exception as error:  # noqa: BLE001 -- whatever a driver raises; the next may work
            said = {"seconds": None, "trouble": f"{type(error).__name__}: {error}".splitlines()[0]}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    return 0


def mean_seconds(asked: Mapping[str, Any], way: Mapping[str, Any]) -> float:
    """The mean of the runs that count."""
    from fovea.training.device import use_switches

    device = "cuda:0" if asked["device"] == "cuda" else asked["device"]
    if device != "cpu":
        use_switches({name: "1" if way[key] else "0" for key, name in SWITCHES.items()})
    precision = asked["engine"]["precision"]
    if precision in ("auto", "float32"):
        precision = "auto" if way["amp"] else "float32"
    work = _work({**asked["engine"], "precision": precision}, device, asked["size"])
    for _ in range(asked["warmup_runs"]):
        work()
    began = time.perf_counter()
    for _ in range(asked["test_runs"]):
        work()
    return (time.perf_counter() - began) / asked["test_runs"]


def _work(engine: Mapping[str, Any], device: str, size: int) -> Callable[[], None]:
    """What is timed: one group of crops in SHARP's transformer; other networks as a whole."""
    import numpy as np
    import torch

    from fovea.photo.engine import load_predictor
    from fovea.photo.photograph import Photograph
    from fovea.photo.settings.engine import EngineConfig
    from fovea.photo.torch_predictor import TorchPredictor

    predictor = load_predictor(EngineConfig(**engine), device)

    def finished() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    if isinstance(predictor, TorchPredictor):
        staged = predictor.staged
        side = staged.network.architecture.network_size
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)

        def one_group() -> None:
            staged.one_group(image)
            finished()

        return one_group
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    photograph = Photograph("test", pixels, float(size), "assumed")

    def whole() -> None:
        predictor.predict(photograph)
        finished()

    return whole


if __name__ == "__main__":
    sys.exit(main())
