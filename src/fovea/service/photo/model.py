"""Whether the network can be loaded: tried once, in a process of its own.

The service itself holds no network, so that it answers at once and a fault of a driver does not
take it along. `python -m fovea.service.photo.model` is that process: settings come in as JSON on
its standard input, what became of it goes out as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fovea.errors import FoveaError

WITHIN_S = 600.0


@dataclass(frozen=True)
class Loaded:
    """What became of it."""

    name: str = ""
    seconds: float = 0.0
    """From nothing to a network that can predict."""
    trouble: str = ""
    """Why it cannot be loaded; empty when it can."""


def load_once(settings: Mapping[str, Any], device: str) -> Loaded:
    """Load the network in another process, and let it go again.

    Args:
        settings: of EngineConfig.
        device: where it goes.
    """
    words = json.dumps({"engine": dict(settings), "device": device})
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=words,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Loaded(trouble=f"it was not loaded within {WITHIN_S:.0f} s")
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return Loaded(trouble=(done.stderr.splitlines() or ["its process was ended"])[-1])
    return Loaded(**json.loads(lines[-1]))


def main() -> int:
    """Load it, and say how that went."""
    from fovea.photo.engine import load_predictor
    from fovea.photo.settings.engine import EngineConfig

    asked = json.load(sys.stdin)
    start = time.perf_counter()
    device = "cuda:0" if asked["device"] == "cuda" else asked["device"]
    try:
        predictor = load_predictor(EngineConfig(**asked["engine"]), device)
        found = Loaded(predictor.name, round(time.perf_counter() - start, 3))
    except FoveaError as error:
        found = Loaded(trouble=str(error))
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
