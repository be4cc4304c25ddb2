"""The stages by name, and where each is declared; nothing is imported until it is asked for.

Another package adds stages through the entry-point group `fovea.stages`, name -> `module:STAGE`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator

from fovea.errors import RecipeError
from fovea.runs.stage import Stage

STAGES: dict[str, str] = {
    "relight.fit": "fovea.relight.stages:FIT",
    "relight.film": "fovea.relight.stages:FILM",
    "relight.evaluate": "fovea.relight.stages:EVALUATE",
}


def stage(name: str) -> Stage:
    """The stage of that name.

    Raises:
        RecipeError: there is none.
    """
    if name not in STAGES:
        near = difflib.get_close_matches(name, STAGES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise RecipeError(f"'{name}' is not a stage.{hint} Stages: {', '.join(STAGES)}.")
    module, _, attribute = STAGES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def all_stages() -> Iterator[Stage]:
    """Every stage, loaded one after the other."""
    for name in STAGES:
        yield stage(name)
