"""One section of the file of settings, written anew while the rest stays as its author wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.config import to_yaml
from fovea.runs.durable import write_text
from fovea.service.settings import ServeConfig


def write_section(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Put a section into a file; where there is none, one with all defaults is made.

    Args:
        path: YAML or JSON, by its ending; folders above it are made.
        name: the section's key at the top of the file.
        section: what stands below it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_json = path.suffix.lower() == ".json"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        text = json.dumps(_defaults()) if is_json else to_yaml(ServeConfig())
    if is_json:
        whole = {**json.loads(text), name: dict(section)}
        write_text(path, json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
        return
    block = dialect.dump({name: dict(section)})
    # The key's line, and all lines below it that are further in.
    found = re.compile(rf"^{re.escape(name)}:.*\n?(?:(?:[ \t]*\n)*[ \t]+\S.*\n?)*", re.MULTILINE)
    if found.search(text):
        text = found.sub(lambda _: block, text, count=1)
    else:
        text = f"{text.rstrip()}\n{block}" if text.strip() else block
    write_text(path, text)


def _defaults() -> dict[str, Any]:
    return ServeConfig().model_dump(mode="json")
