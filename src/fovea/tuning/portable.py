"""A study file that other folders and machines can read: whole paths, its base, no password."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fovea import dialect
from fovea.runs.durable import write_text
from fovea.tuning.address import Address
from fovea.tuning.plan import Plan


def portable(plan: Plan, address: Address) -> dict[str, Any]:
    """The study file with the command line's changes; paths are whole, and no password is in it."""
    data = plan.file.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    data["target"] = plan.portable_target()
    if plan.file.storage != "auto":
        data["storage"] = address.text
    return data


def place_base(target: dict[str, Any], base: Mapping[str, Any], folder: Path) -> None:
    """Write the base settings of a study of another machine beside its study file here."""
    if not base:
        return
    command = target.get("command")
    if command is None:
        write_text(folder / "base.yaml", dialect.dump(dict(base)))
        target["config"] = "base.yaml"
        return
    name = "base.json" if str(command["config"]["base"]).endswith(".json") else "base.yaml"
    text = json.dumps(base) if name.endswith(".json") else dialect.dump(dict(base))
    write_text(folder / name, text)
    command["config"]["base"] = name
