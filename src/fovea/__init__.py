"""Vision systems in one package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fovea.tuning.handle import TrialHandle
    from fovea.tuning.notebook import tune

__all__ = ["TrialHandle", "tune"]

_PLACES = {"tune": "fovea.tuning.notebook", "TrialHandle": "fovea.tuning.handle"}


def __getattr__(name: str) -> Any:
    """What is used from Python; imported when it is asked for, so that the rest stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'fovea' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
