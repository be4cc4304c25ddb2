"""What the cards are doing, as NVIDIA's management library says it through nvidia-smi."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class GpuFacts:
    """One card now."""

    index: str
    name: str
    used_mb: float
    use_percent: float


def gpu_facts() -> list[GpuFacts]:
    """Every card; none where there is no NVIDIA driver."""
    rows = _asked("--query-gpu=index,name,memory.used,utilization.gpu")
    return [GpuFacts(row[0], row[1], _number(row[2]), _number(row[3])) for row in rows if row[3:]]


def memory_mb(processes: set[int]) -> float:
    """MB of the cards that these processes hold."""
    rows = _asked("--query-compute-apps=pid,used_memory") if processes else []
    return sum(_number(row[1]) for row in rows if row[1:] and _number(row[0]) in processes)


def _asked(query: str) -> list[list[str]]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        told = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        return []
    lines = told.stdout.splitlines() if told.returncode == 0 else []
    return [line.split(", ") for line in lines]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return 0.0
