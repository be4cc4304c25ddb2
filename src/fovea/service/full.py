"""Whether an error says that there is no room left, whoever says it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from fovea.runs.durable import FULL

NO_ROOM = "there is no room left on the disk for this. It can be asked for again once there is."
FULL_DISK = {"code": "disk", "message": NO_ROOM}
"""As the error of a job."""
LEAST_BYTES = 1 << 20
"""With less than that left, whatever went wrong went wrong for want of room."""
_OF_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
"""Its journal and its index cannot grow, either."""
_OF_POSTGRESQL = "53100"


def has_room(folder: Path) -> bool:
    """Whether the disk of a folder has any room to speak of."""
    return shutil.disk_usage(folder).free >= LEAST_BYTES


def is_full(error: BaseException | None) -> bool:
    """Whether a file system, SQLite or PostgreSQL says so, or the error that this came from."""
    while error is not None:
        driver = getattr(error, "orig", None)  # SQLAlchemy's errors carry the driver's
        if (
            (isinstance(error, OSError) and error.errno in FULL)
            or getattr(driver, "sqlite_errorcode", None) in _OF_SQLITE
            or getattr(driver, "sqlstate", None) == _OF_POSTGRESQL
        ):
            return True
        error = error.__cause__
    return False
