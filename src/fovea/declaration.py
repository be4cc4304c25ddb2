"""How settings are declared, and how a declaration is walked.

Notation: a path is a tuple of keys, `("optimizer", "rate")`; people see it as `optimizer.rate`. A
group is a field that holds a Config, or one of several: its branches, told apart by their `kind`.
"""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from fovea.dialect import Keys, mapping

_field: Any = Field  # its overloads know no default that may be anything


class Config(BaseModel):
    """The choices of one stage, or a group of them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=False
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    """Old names of fields, each with the name it has now; files that use them are still read."""

    @model_validator(mode="before")
    @classmethod
    def _one_of_several(cls, data: Any) -> Any:
        """One path where several may be given stands for itself."""
        given = mapping(data)
        alone = {
            name: (value,)
            for name in cls.artifact_fields()
            if isinstance(value := given.get(name), str | os.PathLike)
            and is_a(cls.model_fields[name].annotation, tuple)
        }
        return given | alone if alone else data

    @classmethod
    def artifact_fields(cls) -> dict[str, str]:
        """The fields that name an input artifact: name -> kind."""
        return {
            name: about(info)["artifact"]
            for name, info in cls.model_fields.items()
            if "artifact" in about(info)
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
    noted: dict[str, Any] = {"in_fingerprint": in_fingerprint}
    if tunable:
        noted["tunable"] = list(tunable)
    noted |= {
        name: True
        for name, value in (("local_only", local_only), ("log", log), ("advanced", advanced))
        if value
    }
    return _field(default, description=help, json_schema_extra={"fovea": noted}, **bounds)


def artifact(kind: str, help: str, *, optional: bool = False) -> Any:
    """Declare a field that holds the path of an input: annotate it `Path`, or `Path | None`.

    `tuple[Path, ...]` takes several of the kind.
    """
    extra = {"fovea": {"artifact": kind, "local_only": True, "in_fingerprint": True}}
    default = None if optional else ...
    return _field(default, description=help, json_schema_extra=extra)


def about(info: FieldInfo) -> Mapping[str, Any]:
    """What `setting` and `artifact` noted of a field beside its type and bounds."""
    return mapping(mapping(info.json_schema_extra).get("fovea"))


def branches(annotation: Any) -> tuple[type[Config], ...]:
    """The Configs that a field of this type may hold; none when it is a plain value or a list."""
    return tuple(p for p in parts(annotation) if isinstance(p, type) and issubclass(p, Config))


def kind_of(branch: type[Config]) -> str:
    """The `kind` that picks this branch; empty where there is nothing to pick from."""
    field = branch.model_fields.get("kind")
    return str((get_args(field.annotation) or ("",))[0]) if field else ""


def fields(model: type[Config], path: Keys = ()) -> Iterator[tuple[Keys, FieldInfo]]:
    """Every field with its path: a group before what it holds, branches one after the other."""
    for name, info in model.model_fields.items():
        yield (*path, name), info
        for branch in branches(info.annotation):
            yield from fields(branch, (*path, name))


def find(model: type[Config], words: Sequence[str]) -> tuple[Keys, FieldInfo | None, Keys]:
    """The path that these words mean, `-` for `_` put right.

    Returns:
        The path as far as it names fields, the field there (None when the next word names none),
        and the words left over, which are keys of a free-form map where there is a field.
    """
    models, found, path = (model,), None, list[str | int]()
    for number, word in enumerate(words):
        name = word.replace("-", "_")
        holder = next((m for m in models if name in m.model_fields), None)
        if holder is None:
            is_map = found is not None and is_a(found.annotation, dict)
            return tuple(path), found if is_map else None, tuple(words[number:])
        found = holder.model_fields[name]
        models = branches(found.annotation)
        path.append(name)
    return tuple(path), found, ()


def parts(annotation: Any) -> Iterator[Any]:
    """The plain types a value may have: `list[int] | None` gives `list[int]` and `NoneType`."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from parts(part)
    elif hasattr(annotation, "__metadata__"):
        yield from parts(get_args(annotation)[0])
    else:
        yield annotation


def is_a(annotation: Any, *wanted: type) -> bool:
    """Whether a field of this type may hold a value of one of those."""
    found = [get_origin(part) or part for part in parts(annotation)]
    return any(isinstance(part, type) and issubclass(part, wanted) for part in found)


def values(config: Config, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value of a Config with its path, groups opened."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from values(value, (*path, name))
        else:
            yield (*path, name), value


def nearest(model: type[Config], path: Keys) -> str:
    """The setting that was probably meant: `did you mean data.batch_size?`, or nothing."""
    known = [tuple(map(str, keys)) for keys, _ in fields(model)]
    word = str(path[-1]).replace("-", "_")
    beside = {keys[-1]: keys for keys in known if keys[:-1] == path[:-1]}
    anywhere = {keys[-1]: keys for keys in known}
    for names, cutoff in ((beside, 0.6), (anywhere, 0.75)):
        near = difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
        if near:
            return f"did you mean {'.'.join(names[near[0]])}?"
    return ""
