"""What is logged, where, and for how long it is kept."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, setting

Level = Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"]


class LoggingConfig(Config):
    """What is logged, where, and for how long it is kept."""

    level: Level = setting("INFO", "least severe message on the console; files have DEBUG, too")
    console: bool = setting(True, "whether messages go to the console")
    file: bool = setting(False, "whether messages go to files, one a day")
    folder: Path = setting(Path("logs"), "folder of these files")
    json_lines: bool = setting(False, "files of JSON objects, one a line")
    rotation_mb: float = setting(10.0, "size in MB at which a file is closed and zipped", gt=0)
    retention_days: float = setting(7.0, "days for which files are kept", gt=0)
