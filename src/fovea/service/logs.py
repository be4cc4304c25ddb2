"""The service's log: on the console in colours, in files that are turned over, zipped and removed.

Modules log through the standard library; what they say is taken over by loguru here. Keys, tokens
and passwords are blotted out wherever they appear. `[Task <id>]` stands before what is about a job.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loguru import logger

from fovea.logs import without_secrets
from fovea.service.settings.logging import LoggingConfig

if TYPE_CHECKING:
    from loguru import Record

SUCCESS = 25
"""Between information and warning; loguru's own number."""
CONSOLE = "<green>{time:HH:mm:ss}</green> | <level>{level: <8}</level> | {message}\n{exception}"
FILE = (
    "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {extra[module]}:{function}:{line} | {message}\n"
    "{exception}"
)
FILE_NAME = "fovea_{time:YYYYMMDD}.log"


def begin(settings: LoggingConfig) -> None:
    """Send all that is logged where the settings say."""
    logging.addLevelName(SUCCESS, "SUCCESS")
    logger.remove()
    logger.configure(patcher=_blotted)
    if settings.console:
        logger.add(sys.stderr, level=settings.level, format=_as(CONSOLE), diagnose=False)
    if settings.file:
        settings.folder.mkdir(parents=True, exist_ok=True)
        logger.add(
            settings.folder / FILE_NAME,
            level="DEBUG",
            format=_json_line if settings.json_lines else _as(FILE),
            rotation=f"{settings.rotation_mb} MB",
            retention=f"{settings.retention_days} days",
            compression="zip",
            encoding="utf-8",
            backtrace=False,
            diagnose=False,  # it would write down values, and uploads and keys among them
        )
    logging.basicConfig(handlers=[_Passing()], level=logging.INFO, force=True)
    logging.getLogger("fovea").setLevel(logging.DEBUG)


def end() -> None:
    """Write what is left, and close the files."""
    logger.complete()
    logger.remove()


class _Passing(logging.Handler):
    """Hands over what the standard library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over one message, with the place it came from."""
        known = record.levelno in (5, 10, 20, SUCCESS, 30, 40, 50)
        level: str | int = logging.getLevelName(record.levelno) if known else record.levelno

        def patched(target: Record) -> None:
            target["function"], target["line"] = record.funcName, record.lineno
            target["extra"]["module"] = record.name

        logger.opt(exception=record.exc_info).patch(patched).log(level, record.getMessage())


def _blotted(record: Record) -> None:
    record["extra"].setdefault("module", record["name"])
    record["message"] = without_secrets(record["message"])


def _as(template: str) -> Callable[[Record], str]:
    """A format that takes the text of an exception through the same blotting."""

    def formatted(record: Record) -> str:
        _blot_exception(record)
        return template.replace("{exception}", "{extra[trace]}")

    return formatted


def _json_line(record: Record) -> str:
    _blot_exception(record)
    line: dict[str, Any] = {
        "time": record["time"].isoformat(),
        "level": record["level"].name,
        "module": record["extra"]["module"],
        "function": record["function"],
        "line": record["line"],
        "message": record["message"],
    }
    if record["extra"]["trace"]:
        line["exception"] = record["extra"]["trace"]
    record["extra"]["json"] = json.dumps(line, ensure_ascii=False)
    return "{extra[json]}\n"


def _blot_exception(record: Record) -> None:
    import traceback

    error = record["exception"]
    lines = traceback.format_exception(error.type, error.value, error.traceback) if error else []
    record["extra"]["trace"] = without_secrets("".join(lines))
