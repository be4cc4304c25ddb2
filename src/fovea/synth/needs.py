"""What operators say they need of a machine, and how many processes that leaves room for.

All operators of a segment are done by the same process, so what they hold in memory adds up, while
cores and GPUs are those of the operator that wants most.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fovea.errors import ConfigError

AUTO = -1
"""What data-juicer's recipes say for "choose yourself"."""


@dataclass(frozen=True)
class Needs:
    """What one process needs."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = 0

    @classmethod
    def of(cls, given: Sequence[Mapping[str, Any]]) -> Needs:
        """What the parameters of all operators say.

        Raises:
            ConfigError: one is no number, or no size.
        """
        sizes = (one.get("memory") or one.get("mem_required") for one in given)
        return cls(
            max([1.0, *(_number(one, "num_cpus", "cpu_required") for one in given)]),
            max([0.0, *(_number(one, "num_gpus", "gpu_required") for one in given)]),
            sum(memory_of(size) for size in sizes if size and size != AUTO),
        )

    def processes(self, most: int) -> int:
        """How many of this machine's processes fit, one at least and `most` at most."""
        found = min(most, int((os.cpu_count() or 1) // self.cpus))
        if self.memory_bytes:
            import psutil

            found = min(found, psutil.virtual_memory().available // self.memory_bytes)
        return max(1, found)


def memory_of(size: str | float) -> int:
    """The bytes of `16GB`; a bare number counts gigabytes, as in data-juicer.

    Raises:
        ConfigError: it is no size.
    """
    from fovea.synth.filters.image import bytes_of

    try:
        return int(bytes_of(size) if isinstance(size, str) else size * 1024**3)
    except ValueError as error:
        raise ConfigError(f"memory {error}.") from None


def _number(given: Mapping[str, Any], name: str, older_name: str) -> float:
    value = given.get(name, given.get(older_name))
    if value is None or value == AUTO:
        return 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ConfigError(f"{name} must be a number; got {value!r}.")
