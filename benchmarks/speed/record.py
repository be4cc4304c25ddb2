"""What every benchmark here notes: the machine, the date, and its rows as one JSON file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numba
import torch


def machine() -> dict[str, object]:
    """The processor and what it was busy with, and the versions that matter."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
    }


def write_record(
    path: Path | None,
    name: str,
    rows: Sequence[Any],
    *,
    noted: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """Write the record where it was asked for.

    Args:
        path: of a JSON file; None writes nothing.
        name: of the benchmark, `speed/rasterize`.
        rows: what was measured.
        noted: of the machine, beside what is always noted.
        more: beside the rows.
    """
    if path is None:
        return
    here = machine() | dict(noted or {})
    result = {"name": name, "date": date.today().isoformat(), "machine": here, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result | more, indent=2) + "\n")
