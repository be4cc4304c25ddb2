"""`fovea tune`: make, go on with and look at studies. The verbs stand in `verbs/`."""

from __future__ import annotations

import importlib

from fovea.tuning.best import write_best
from fovea.tuning.verbs import VERBS


def main(arguments: list[str]) -> int:
    """`fovea tune STUDY.yaml`, or `fovea tune VERB STUDY`; gives the exit code."""
    target = "fovea.tuning.verbs.tune:main"
    if arguments and arguments[0] in VERBS:
        target, arguments = VERBS[arguments[0]].target, arguments[1:]
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)(arguments)


__all__ = ["main", "write_best"]
