"""What `fovea serve --help` says."""

from __future__ import annotations

from fovea import console, dialect
from fovea.config import fields
from fovea.declaration import branches
from fovea.service.settings import ServeConfig
from fovea.service.settings.flags import CONFIG, FLAGS


def help_text(summary: str) -> str:
    """Flags first, then every setting by its group."""
    rows = {f"{CONFIG[0]}, {CONFIG[1]} FILE": "settings from a YAML or JSON file; config.yaml"}
    for name, flag in FLAGS.items():
        values = " W H" if flag.values == 2 else " VALUE" * flag.values
        shown = f"{flag.short}, {name}" if flag.short else f"    {name}"
        rows[shown + values] = ", ".join(flag.settings)
    parts = [f"fovea serve: {summary}", "", "Flags", console.pairs(rows), "", "Settings"]
    settings = {
        ".".join(map(str, path)): f"{info.description} ({dialect.line(info.default)})"
        for path, info in fields(ServeConfig)
        if not branches(info.annotation)
    }
    return "\n".join([*parts, console.pairs(settings)])
