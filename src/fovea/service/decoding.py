"""`python -m fovea.service.decoding MB SECONDS FILE`: decodes a picture under limits, and ends.

Leaves with 0 where it could be decoded, with `DAMAGED` where it is damaged, and in any other way
where it needs more memory or time than it has.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from fovea.errors import DataError
from fovea.scene.decode import BROKEN, open_picture

DAMAGED = 4
TOO_MUCH = 5


def main(memory_mb: int, seconds: int, path: str) -> int:
    """Decode a picture and forget it."""
    import resource  # not on every system, and needed in the child alone

    memory = memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    try:
        with open_picture(Path(path)) as picture:
            picture.load()
    except MemoryError:
        return TOO_MUCH
    except (DataError, *BROKEN):
        return DAMAGED
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
