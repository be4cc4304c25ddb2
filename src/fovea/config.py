"""Config: the choices of one stage, declared once.

A Config is frozen, refuses unknown keys, and says each field's type, default, bounds and help in one place.
The command line's flags, the YAML file, the environment, the HTTP body, the search space and the record of
a run are all read from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """The choices of one stage, or a group of them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=False
    )

    @classmethod
    def artifact_fields(cls) -> dict[str, str]:
        """The fields that name an input artifact: name -> kind."""
        extras = {name: info.json_schema_extra for name, info in cls.model_fields.items()}
        return {
            name: extra["fovea"]["artifact"]
            for name, extra in extras.items()
            if isinstance(extra, dict) and "artifact" in extra.get("fovea", {})
        }


def setting(
    default: Any = ...,
    help: str = "",
    *,
    local_only: bool = False,
    in_fingerprint: bool = True,
    tunable: tuple[float, float] | None = None,
    log: bool = False,
    advanced: bool = False,
    **bounds: Any,
) -> Any:
    """Declare one field of a Config.

    Args:
        default: its value when nobody says otherwise; required when left out.
        help: one line, with the unit where the name does not carry it.
        local_only: paths, commands and device ids, which are refused over HTTP.
        in_fingerprint: whether a change of it changes the result.
        tunable: a range worth searching.
        log: whether that range is searched on a logarithmic scale.
        advanced: shown only in the long help and folded away in forms.
        bounds: `ge`, `gt`, `le`, `lt`, `multiple_of`, `pattern`, `min_length`, `discriminator`.
    """
    about = {
        "local_only": local_only,
        "in_fingerprint": in_fingerprint,
        "tunable": list(tunable) if tunable else None,
        "log": log,
        "advanced": advanced,
    }
    extra = {"fovea": {name: value for name, value in about.items() if value not in (None, False)}}
    extra["fovea"]["in_fingerprint"] = in_fingerprint
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def artifact(kind: str, help: str, *, optional: bool = False) -> Any:
    """Declare a field that names an input artifact by its path; annotate it as `Path` or `Path | None`."""
    extra = {"fovea": {"artifact": kind, "local_only": True, "in_fingerprint": True}}
    return Field(None if optional else ..., description=help, json_schema_extra=extra)


__all__ = ["Config", "Path", "artifact", "setting"]
