"""Settings before they are checked: words, variables and documents, laid over each other.

Each layer is a `Document`: nested data, and the source of each part. `Merger` lays them on the
model's defaults, key by key. Lists and free-form maps replace; a group that turns to another `kind`
drops what the new branch does not know. What was typed is read as the field it is for wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from fovea import dialect
from fovea.declaration import Config, branches, find, is_a, kind_of, nearest, parts
from fovea.dialect import Document, Keys, mapping
from fovea.errors import Problem


@dataclass(frozen=True)
class _Typed:
    """What was typed for one setting: texts, each with whether it is added to what is there."""

    words: tuple[tuple[Any, bool], ...]

    def value(self, annotation: Any, before: Any) -> Any:
        """The value they make for a field of this type that had the value `before`."""
        is_list, result = is_a(annotation, list, tuple, set, frozenset), before
        for number, (word, adds) in enumerate(self.words):
            value: Any = _read(word, annotation, is_list) if isinstance(word, str) else word
            if adds and isinstance(value, dict):
                result = mapping(result) | mapping(value)
            elif is_list and value is not None and (adds or number):
                result = list[Any](result or ()) + list[Any](value)
            else:
                result = value
        return result


def _settled(given: Any, annotation: Any, before: Any) -> Any:
    if isinstance(given, _Typed):
        return given.value(annotation, before)
    inside = mapping(given) if not branches(annotation) else {}
    return {key: _settled(value, Any, None) for key, value in inside.items()} or given


def _read(text: str, annotation: Any, is_list: bool) -> Any:
    if text in ("null", "~") and is_a(annotation, type(None)):
        return None
    value, inside = dialect.parse(text), [get_args(part) for part in parts(annotation)]
    if is_list:
        item = next((arguments[0] for arguments in inside if arguments), Any)
        one = not isinstance(value, list)
        return [_read(text, item, is_list=False)] if one else list[Any](value)
    takes_text = is_a(annotation, str, Path) and not is_a(annotation, int, float, dict)
    takes_words = any(isinstance(choice, str) for choices in inside for choice in choices)
    is_quoted = isinstance(value, str) and text[:1] in ("'", '"')
    return text if (takes_text or takes_words) and not is_quoted else value


class Layer:
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
            group = mapping(dialect.parse(text))
            if group:
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
            is_group = field and not below and branches(field.annotation)
            if is_group and isinstance(value, dict):
                self.give(mapping(value), source, found)
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


class Merger:
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
        self,
        model: type[Config],
        tree: dict[str, Any],
        data: Mapping[str, Any],
        path: Keys,
        layer: Document,
    ) -> None:
        for name, given in data.items():
            key = model.renamed.get(name, name)
            if key != name:
                self.notes.append(f"{name} is now called {key} (from {layer.where((*path, name))})")
            here, info = (*path, key), model.model_fields.get(key)
            value = _settled(given, info.annotation if info else Any, tree.get(key))
            inside = branches(info.annotation) if info else ()
            if inside and isinstance(value, dict):
                self.sources.pop(here, None)
                branch, tree[key] = self._branch(
                    inside, mapping(tree.get(key)), mapping(value), here
                )
                self._lay(branch, tree[key], mapping(value), here, layer)
            else:
                tree[key] = value
                self._forget(here)
                self.sources[here] = layer.where((*path, name))

    def _branch(
        self, inside: Sequence[type[Config]], old: dict[str, Any], new: dict[str, Any], path: Keys
    ) -> tuple[type[Config], dict[str, Any]]:
        """Which branch the group is in now, and what of its old content stays in it."""
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


_ASSIGNMENT = re.compile(r"(?:--)?([A-Za-z_][\w.-]*?)(\+?)=(.*)", re.DOTALL)


def arguments_layer(
    model: type[Config], words: Iterable[str], positional: Iterable[str] = (), prefix: str = ""
) -> tuple[Document, list[Problem]]:
    """Read `key=value`, `key+=value`, `--key value`, `--key=value`, `--[no-]flag` and bare words.

    `prefix` is what stood before each word where it was typed: of `fit.iterations=7`, `fit.`.

    Returns:
        The layer, and what could not be understood.
    """
    layer, problems = Layer(model), list[Problem]()
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
        typed = f"{prefix}{word}"
        try:
            if text is None:
                problems.append(Problem(key, "no_value", "needs a value after it", None, typed))
            else:
                layer.put(key.split("."), _contents(text), typed, adds=bool(adds))
        except OSError as error:
            message = f"cannot read the file {error.filename}: {error.strerror}"
            problems.append(Problem(key, "file", message, text, typed))
    return layer.document, problems


def _flag(model: type[Config], key: str, left: list[str]) -> tuple[str, str | None]:
    _, field, _ = find(model, key.split("."))
    opposite = find(model, key[3:].split("."))[1] if key[:3] in ("no-", "no_") else None
    if field is None and opposite is not None:
        return key[3:], "false"
    is_bool = field is not None and is_a(field.annotation, bool)
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
        layer = Layer(model)
        for variable in sorted(v for v in environment if v.startswith(prefix)):
            path = variable.removeprefix(prefix).lower().split("__")
            if prefix == "FOVEA__" and find(model, path)[1] is None:
                near = nearest(model, tuple(path))
                notes.append(f"env {variable} is no setting of {name}{near and f'; {near}'}")
                continue
            layer.put(path, environment[variable], f"env {variable}")
        found.append(layer.document)
    return found, notes
