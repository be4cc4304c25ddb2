"""Config: the choices of one stage, declared once.

A Config is frozen, refuses unknown keys, and says each field's type, default, bounds and help once.
The command line's flags, the YAML file, the environment, the HTTP body, the search space and the
record of a run are all read from it.

`resolve` lays the layers over each other, low to high: the model's defaults, a preset, files, the
environment, the command line, overrides of a study or a request. It merges key by key and remembers
where every value came from. What the model then refuses is said in one ConfigError.

Notation: a path is a tuple of keys, `("optimizer", "rate")`; people see it as `optimizer.rate`. A
group is a field that holds a Config, or one of several: its branches, told apart by their `kind`.
"""

from __future__ import annotations

import difflib
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from fovea import dialect
from fovea.dialect import Document, Keys
from fovea.errors import ConfigError, Problem

RECIPES = Path(__file__).parent / "recipes"


class Config(BaseModel):
    """The choices of one stage, or a group of them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=False
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    """Old names of fields, each with the name it has now; files that use them are still read."""

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
    """Declare a field that holds the path of an input: annotate it `Path`, or `Path | None`."""
    extra = {"fovea": {"artifact": kind, "local_only": True, "in_fingerprint": True}}
    return Field(None if optional else ..., description=help, json_schema_extra=extra)


def about(info: FieldInfo) -> Mapping[str, Any]:
    """What `setting` and `artifact` noted of a field beside its type and bounds."""
    extra = info.json_schema_extra
    noted = extra.get("fovea") if isinstance(extra, dict) else None
    return noted if isinstance(noted, dict) else {}


# What a model holds


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
            is_map = found is not None and _is_a(found.annotation, dict)
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


def _is_a(annotation: Any, *wanted: type) -> bool:
    found = [get_origin(part) or part for part in parts(annotation)]
    return any(isinstance(part, type) and issubclass(part, wanted) for part in found)


# Layers


@dataclass(frozen=True)
class _Typed:
    """What was typed for one setting: texts, each with whether it is added to what is there."""

    words: tuple[tuple[Any, bool], ...]

    def value(self, annotation: Any, before: Any) -> Any:
        """The value they make for a field of this type that had the value `before`."""
        is_list, result = _is_a(annotation, list, tuple, set, frozenset), before
        for number, (word, adds) in enumerate(self.words):
            value = _read(word, annotation, is_list) if isinstance(word, str) else word
            if adds and isinstance(result, Mapping) and isinstance(value, Mapping):
                result = {**result, **value}
            elif is_list and value is not None and (adds or number):
                result = [*(result or ()), *value]
            else:
                result = value
        return result


def _read(text: str, annotation: Any, is_list: bool) -> Any:
    if text in ("null", "~") and _is_a(annotation, type(None)):
        return None
    value, inside = dialect.parse(text), [get_args(part) for part in parts(annotation)]
    if is_list:
        item = next((arguments[0] for arguments in inside if arguments), Any)
        return value if isinstance(value, list) else [_read(text, item, is_list=False)]
    takes_text = _is_a(annotation, str, Path) and not _is_a(annotation, int, float, dict)
    takes_words = any(isinstance(choice, str) for choices in inside for choice in choices)
    is_quoted = isinstance(value, str) and text[:1] in ("'", '"')
    return text if (takes_text or takes_words) and not is_quoted else value


class _Layer:
    """Gathers settings given one by one into a document."""

    def __init__(self, model: type[Config]) -> None:
        self.model = model
        self.document = Document({}, {})

    def put(self, words: Sequence[str], text: str, source: str, *, adds: bool = False) -> None:
        """Note the text typed for one setting; below a free-form map it is added to the map."""
        path, field, below = find(self.model, words)
        value: Any = text
        if field and below:
            value = dialect.parse(text)
            for key in reversed(below):
                value = {key: value}
        elif field and branches(field.annotation):
            group = dialect.parse(text)
            if isinstance(group, dict):
                self.give(group, source, path)
                return
        node, key = self._node((*path, *(() if field else below)), source)
        before = node.get(key)
        words_before = before.words if isinstance(before, _Typed) else ()
        node[key] = _Typed((*words_before, (value, adds or bool(field and below))))

    def give(self, data: Mapping[str, Any], source: str, path: Keys = ()) -> None:
        """Note values as they are; keys may be dotted."""
        for dotted, value in data.items():
            words = (*path, *str(dotted).split("."))
            found, field, below = find(self.model, [str(word) for word in words])
            if field and not below and branches(field.annotation) and isinstance(value, Mapping):
                self.give(value, source, found)
            else:
                node, key = self._node((*found, *below), source)
                node[key] = value

    def _node(self, path: Keys, source: str) -> tuple[dict[str, Any], str]:
        node = self.document.data
        for key in path[:-1]:
            if not isinstance(node.get(str(key)), dict):
                node[str(key)] = {}
            node = node[str(key)]
        self.document.sources[path] = source
        return node, str(path[-1])


class _Merger:
    """The layers so far: plain data, where each part came from, and what was worth a word."""

    def __init__(self, model: type[Config]) -> None:
        self.tree = _defaults(model)
        self.sources: dict[Keys, str] = {}
        self.notes: list[str] = []
        self.model = model

    def lay(self, layer: Document) -> None:
        """Lay a layer over all before it."""
        self._lay(self.model, self.tree, layer.data, (), layer)

    def where(self, path: Keys) -> str:
        """Where the value at this path came from."""
        found = (self.sources.get(path[:length]) for length in range(len(path), 0, -1))
        return next((source for source in found if source), "default")

    def _lay(
        self, model: type[Config], tree: dict[str, Any], data: Any, path: Keys, layer: Document
    ) -> None:
        for name, given in data.items():
            key = model.renamed.get(name, name)
            if key != name:
                self.notes.append(f"{name} is now called {key} (from {layer.where((*path, name))})")
            here, info = (*path, key), model.model_fields.get(key)
            value = given
            if isinstance(given, _Typed):
                value = given.value(info.annotation if info else Any, tree.get(key))
            inside = branches(info.annotation) if info else ()
            if inside and isinstance(value, Mapping):
                branch, tree[key] = self._branch(inside, tree.get(key), value, here)
                self._lay(branch, tree[key], value, here, layer)
            else:
                tree[key] = value
                self._forget(here)
                self.sources[here] = layer.where((*path, name))

    def _branch(
        self, inside: Sequence[type[Config]], old: Any, new: Mapping[str, Any], path: Keys
    ) -> tuple[type[Config], dict[str, Any]]:
        """Which branch the group is in now, and what of its old content stays in it."""
        old = old if isinstance(old, dict) else {}
        kind = new.get("kind", old.get("kind", kind_of(inside[0])))
        kind = kind.words[-1][0] if isinstance(kind, _Typed) else kind
        branch = next((b for b in inside if kind_of(b) == kind), inside[0])
        if old and old.get("kind", kind) == kind:
            return branch, old
        stays = _defaults(branch)
        for key in old:
            given = [p for p in self.sources if p[: len(path) + 1] == (*path, key)]
            if given and key in branch.model_fields:
                stays[key] = old[key]
            elif given:
                dotted = ".".join(map(str, (*path, key)))
                self.notes.append(f"{dotted} (from {self.sources[given[0]]}) is not of kind {kind}")
                self._forget((*path, key))
        return branch, stays

    def _forget(self, path: Keys) -> None:
        for key in [key for key in self.sources if key[: len(path)] == path]:
            del self.sources[key]


def _defaults(model: type[Config]) -> dict[str, Any]:
    values = {
        name: info.get_default(call_default_factory=True)
        for name, info in model.model_fields.items()
        if not info.is_required()
    }
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return value


# The command line, the environment

_ASSIGNMENT = re.compile(r"(?:--)?([A-Za-z_][\w.-]*?)(\+?)=(.*)", re.DOTALL)


def arguments_layer(
    model: type[Config], words: Iterable[str], positional: Iterable[str] = ()
) -> tuple[Document, list[Problem]]:
    """Read `key=value`, `key+=value`, `--key value`, `--key=value`, `--[no-]flag` and bare words.

    Returns:
        The layer, and what could not be understood.
    """
    layer, problems = _Layer(model), list[Problem]()
    left, places = [word for word in words if word != "--set"], list(positional)
    while left:
        word = left.pop(0)
        if match := _ASSIGNMENT.fullmatch(word):
            key, adds, text = match.groups()
            word = f"--{key}" if word.startswith("--") else word
        elif word.startswith("--"):
            (key, text), adds = _flag(model, word[2:], left), ""
        elif places:
            key, adds, text, word = places.pop(0), "", word, f"argument {word}"
        else:
            message = f"a value without its name; write NAME={word}"
            problems.append(Problem(word, "no_name", message, word, "the command line"))
            continue
        try:
            if text is None:
                problems.append(Problem(key, "no_value", "needs a value after it", None, word))
            else:
                layer.put(key.split("."), _contents(text), word, adds=bool(adds))
        except OSError as error:
            message = f"cannot read the file {text[1:]}: {error.strerror}"
            problems.append(Problem(key, "file", message, text, word))
    return layer.document, problems


def _flag(model: type[Config], key: str, left: list[str]) -> tuple[str, str | None]:
    _, field, _ = find(model, key.split("."))
    if field is None and key[:3] in ("no-", "no_") and find(model, key[3:].split("."))[1]:
        return key[3:], "false"
    is_bool = field is not None and _is_a(field.annotation, bool)
    if is_bool and left[:1] not in (["true"], ["false"]):
        return key, "true"
    return key, left.pop(0) if left and not left[0].startswith("--") else None


def _contents(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    return Path(text[1:]).read_text().rstrip("\n") if text.startswith("@") else text


def environment_layers(
    model: type[Config], name: str, environment: Mapping[str, str]
) -> tuple[list[Document], list[str]]:
    """The settings of `FOVEA__A__B`, for any stage, and above them of `FOVEA_<ROOM>_<VERB>__A__B`.

    Returns:
        The two layers, and a note for each variable for any stage that this one has no setting for.
    """
    found, notes = list[Document](), list[str]()
    for prefix in ("FOVEA__", f"FOVEA_{name.replace('.', '_').upper()}__"):
        layer = _Layer(model)
        for variable in sorted(v for v in environment if v.startswith(prefix)):
            path = variable.removeprefix(prefix).lower().split("__")
            if prefix == "FOVEA__" and find(model, path)[1] is None:
                near = nearest(model, tuple(path))
                notes.append(f"env {variable} is no setting of {name}{near and f'; {near}'}")
                continue
            layer.put(path, environment[variable], f"env {variable}")
        found.append(layer.document)
    return found, notes


# Resolving

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Resolved(Generic[C]):
    """A Config, and where each of its values came from."""

    config: C
    sources: Mapping[str, str]
    """For every value, by its dotted path: `bear.yaml:14`, `env NAME`, `--key`, `default`."""
    notes: tuple[str, ...] = ()
    """What was dropped, renamed or meant for other stages."""


def resolve(
    model: type[C],
    *,
    name: str,
    preset: str | None = None,
    files: Iterable[Path | str | Document] = (),
    environment: Mapping[str, str] = os.environ,
    arguments: Iterable[str] = (),
    positional: Iterable[str] = (),
    overrides: Mapping[str, Any] | Iterable[str] = (),
    overrides_source: str = "override",
) -> Resolved[C]:
    """Lay all layers over each other, and check the result.

    Args:
        model: the Config of the stage.
        name: of the stage, `room.verb`.
        preset: the name of one of `presets(name)`.
        files: YAML files or documents, low to high.
        environment: the variables; an empty mapping leaves them out.
        arguments: words of the command line.
        positional: the settings that bare words stand for, in order.
        overrides: what a study or a request sets: values by (dotted) name, or `key=value` words.
        overrides_source: what to call them.

    Raises:
        ConfigError: a layer cannot be read, or settings are not valid; then all of them are named.
    """
    merger = _Merger(model)
    if preset is not None:
        for document in dialect.layers(preset_file(name, preset)):
            merger.lay(document)
    for file in files:
        for document in [file] if isinstance(file, Document) else dialect.layers(file):
            merger.lay(document)
    found, notes = environment_layers(model, name, environment)
    typed, problems = arguments_layer(model, arguments, positional)
    if isinstance(overrides, Mapping):
        layer = _Layer(model)
        layer.give(overrides, overrides_source)
        last = layer.document
    else:
        last, more = arguments_layer(model, overrides)
        problems += more
    for document in (*found, typed, last):
        merger.lay(document)
    try:
        config = model.model_validate(merger.tree)
    except ValidationError as error:
        raise _refusal(name, [*problems, *_problems(model, error, merger)]) from None
    if problems:
        raise _refusal(name, problems)
    leaves = {".".join(map(str, path)): merger.where(path) for path, _ in values(config)}
    return Resolved(config, leaves, (*notes, *merger.notes))


def values(config: Config, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value of a Config with its path, groups opened."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Config):
            yield from values(value, (*path, name))
        else:
            yield (*path, name), value


def to_yaml(config: Config) -> str:
    """The whole Config as YAML, byte for byte the same for equal ones; `resolve` reads it back."""
    return dialect.dump(config.model_dump(mode="json"))


def presets(name: str) -> dict[str, Path]:
    """The presets of a stage: name -> file."""
    files = sorted(RECIPES.glob(f"{name}.*.yaml"))
    return {file.name.removeprefix(f"{name}.").removesuffix(".yaml"): file for file in files}


def preset_file(name: str, preset: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: the stage has none of that name.
    """
    known = presets(name)
    if preset not in known:
        near = difflib.get_close_matches(preset, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(known) or "none"
        raise ConfigError(f"{name} has no preset '{preset}'.{hint} Its presets: {listed}.")
    return known[preset]


# Problems

_WANTED = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "path": "must be a path",
    "list": "must be a list",
    "tuple": "must be a list",
    "dict": "must be a mapping",
    "model": "must be a group of settings",
}


def _problems(model: type[Config], error: ValidationError, merger: _Merger) -> list[Problem]:
    found: dict[Keys, Problem] = {}
    for detail in error.errors(include_url=False):
        code, given, path = detail["type"], detail["input"], _path_in(merger.tree, detail)
        message = _message(model, code, path, detail)
        if code == "union_tag_invalid":
            path, given = (*path, "kind"), given["kind"]
        if code not in ("missing", "extra_forbidden", "union_tag_not_found"):
            message += f"; got {_short(given)}"
        if path in found:  # one value, refused by each type it might have had
            message = (
                f"{found[path].message.split('; got ')[0]} or {message.removeprefix('must be ')}"
            )
        source = "" if code == "missing" else merger.where(path)
        plain = given if isinstance(given, str | int | float | bool | list) else None
        found[path] = Problem(".".join(map(str, path)), code, message, plain, source)
    return list(found.values())


def _path_in(tree: Any, detail: Any) -> Keys:
    """The place of an error in what was given; pydantic's own also names types and branches."""
    path, node = list[str | int](), tree
    for part in detail["loc"]:
        if (isinstance(node, dict) and part in node) or (
            isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)
        ):
            path, node = [*path, part], node[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            path.append(part)
    return tuple(path)


def _message(model: type[Config], code: str, path: Keys, detail: Any) -> str:
    said = str(detail["msg"]).removeprefix("Value error, ")
    said = said.replace("Input should be ", "must be ").split(", unable to")[0]
    if code == "missing":
        field = find(model, [str(word) for word in path])[1]
        return f"is required: {field.description}" if field else "is required"
    if code == "extra_forbidden":
        near = nearest(model, path)
        return f"unknown setting{near and f'; {near}'}"
    if code.startswith("union_tag"):
        choices = detail["ctx"].get("expected_tags", "")
        return f"must be one of {choices}" if choices else "needs a `kind`"
    if code in ("string_type", "path_type") and isinstance(detail["input"], int | float):
        return "must be text (put it in quotes)"
    kind, _, how = code.partition("_")
    return _WANTED[kind] if kind in _WANTED and how in ("type", "parsing") else said


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else dialect.dump([value])[2:].strip()
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def _refusal(name: str, problems: Sequence[Problem]) -> ConfigError:
    count = "1 setting" if len(problems) == 1 else f"{len(problems)} settings"
    lines = [f"{count} of {name} {'is' if len(problems) == 1 else 'are'} not valid"]
    first = max(len(problem.loc) for problem in problems)
    second = max(len(problem.message) for problem in problems)
    for p in problems:
        origin = f"   from {p.source}" if p.source else ""
        lines.append(f"  {p.loc:{first}}   {p.message:{second}}{origin}".rstrip())
    lines.append(f"Every setting with its bounds: fovea {name.replace('.', ' ')} --help")
    return ConfigError("\n".join(lines), tuple(problems))
