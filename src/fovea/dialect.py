"""The dialect of YAML in which configs, recipes and studies are written.

YAML 1.2's scalars (`1e-4` is a number, `on` and `1:30` are text), no key twice, and additions:
`extends: base.yaml` at the top of a file, and `include: part.yaml` in any mapping, lay what stands
beside them over another file; `${env:NAME:-else}` and `${samples}`, the folder of the sample
scenes, are filled in.
Every value keeps the line it came from.

Notation: a path is a tuple of keys and list positions, `("stages", "fit", "with")`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import yaml
from pydantic_core import to_jsonable_python

from fovea.errors import ConfigError

Keys = tuple[str | int, ...]

SAMPLES = Path(__file__).parent / "samples"
_FILLED = re.compile(r"(\$?)\$\{(env:(\w+)(?::-([^}]*))?|samples)\}")
_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]


class Dumper(yaml.SafeDumper):
    """Writes what `Loader` reads back equal: text that looks like a number is quoted."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: the same list twice is written twice."""
        return True


for _name, _pattern, _first in _SCALARS:
    for _class in (Loader, Dumper):
        letters = [letter.strip("\0") for letter in _first]
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), letters)
# Words that older readers of YAML take for booleans are quoted, so that those read text, too.
Dumper.add_implicit_resolver(
    f"{_TAG}bool", re.compile(r"^(?:y|n|yes|no|on|off)$", re.IGNORECASE), list("yYnNoO")
)
# Text with line breaks and the like is quoted and escaped: folding would not give it back.
Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        _TAG + "str", text, style=None if text.isprintable() else '"'
    ),
)
Dumper.add_representer(
    float,
    lambda dumper, number: dumper.represent_scalar(
        _TAG + "float", repr(number).replace("inf", ".inf").replace("nan", ".nan")
    ),
)


@dataclass(frozen=True)
class Document:
    """Plain data, and where each part of it was written."""

    data: dict[str, Any]
    sources: dict[Keys, str]
    """`bear.yaml:14` for each path."""

    def where(self, path: Keys) -> str:
        """The source of the value at `path`, or of the nearest part around or inside it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        inside = (source for key, source in self.sources.items() if key[: len(path)] == path)
        return next(inside, "")

    def at(self, *path: str | int) -> Document:
        """The part below `path`, as a document of its own; empty where nothing is written."""
        data: Any = self.data
        for key in path:
            data = mapping(data).get(str(key))
        inside = {k[len(path) :]: s for k, s in self.sources.items() if k[: len(path)] == path}
        return Document(mapping(data), inside)


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def load(path: Path | str) -> Document:
    """Read a file, with whatever it extends below it.

    Raises:
        ConfigError: it is missing, is not text, is not valid in this dialect, or extends itself.
    """
    return _overlaid(layers(path))


def layers(path: Path | str) -> list[Document]:
    """The file and all it extends, lowest first; for who can merge them knowing the settings."""
    return _layers(Path(path), ())


def parse(text: str) -> Any:
    """Read one value as typed on a command line; text that is no YAML stands for itself."""
    try:
        node = yaml.compose(text, Loader=Loader)
        return None if node is None else _Builder("", Path(), ()).build(node, ())
    except (yaml.YAMLError, ConfigError):
        return text


def dump(data: Any) -> str:
    """Write plain data so that `load` reads it back equal. Equal data gives equal bytes."""
    return yaml.dump(
        _escaped(data), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=2**31
    )


def line(value: Any) -> str:
    """One value on one line, as it would be typed."""
    text = yaml.dump(
        to_jsonable_python(value),
        Dumper=Dumper,
        default_flow_style=True,
        allow_unicode=True,
        width=2**31,
    )
    return text.removesuffix("...\n").strip()


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key; lists, and groups of another `kind`, replace."""
    merged = dict(below)
    for key, value in above.items():
        old, new = mapping(merged.get(key)), mapping(value)
        if old and new and new.get("kind", old.get("kind")) == old.get("kind"):
            merged[key] = merge(old, new)
        else:
            merged[key] = value
    return merged


def _layers(path: Path, open_files: tuple[Path, ...]) -> list[Document]:
    document = _read(path, open_files)
    bases = document.data.pop("extends", [])
    found: list[Document] = []
    for base in bases if isinstance(bases, list) else [bases]:
        found += _layers(path.parent / str(base), (*open_files, path.resolve()))
    return [*found, document]


def _overlaid(documents: Iterable[Document]) -> Document:
    data: dict[str, Any] = {}
    sources: dict[Keys, str] = {}
    for document in documents:
        data = merge(data, document.data)
        sources |= document.sources
    return Document(data, sources)


def _read(path: Path, open_files: tuple[Path, ...]) -> Document:
    if path.resolve() in open_files:
        chain = " -> ".join(file.name for file in (*open_files, path))
        raise ConfigError(f"{path} extends or includes itself: {chain}. Break the circle.")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=Loader)
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}. Check the path.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder, and a YAML file was wanted.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 (byte {error.start}).") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line} is not valid YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}.") from None
    builder = _Builder(str(path), path.parent, (*open_files, path.resolve()))
    data = {} if node is None else builder.build(node, ())
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else f"only {str(data)[:40]!r}"
        raise ConfigError(f"{path} holds {what}, and `key: value` lines are wanted.")
    return Document(data, builder.sources)


class _Builder:
    """Turns the nodes of one file into plain data, and notes their lines."""

    def __init__(self, name: str, folder: Path, open_files: tuple[Path, ...]) -> None:
        self.name = name
        self.folder = folder
        self.open_files = open_files
        self.sources: dict[Keys, str] = {}
        self._open_nodes: list[int] = []

    def build(self, node: yaml.Node, path: Keys) -> Any:
        if path:
            self.sources[path] = self._place(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open_nodes:
            raise ConfigError(f"{self._place(node)}: this anchor holds itself.")
        self._open_nodes.append(id(node))
        if isinstance(node, yaml.SequenceNode):
            value: Any = [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
        else:
            value = self._mapping(node, path)
        self._open_nodes.pop()
        return value

    def _mapping(self, node: yaml.Node, path: Keys) -> dict[str, Any]:
        data: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self._place(key_node)}: a key must be one word.")
            key, line = key_node.value, key_node.start_mark.line + 1
            if key in data:
                raise ConfigError(
                    f"{self.name}: '{key}' is given twice, in lines {lines[key]} and {line}; "
                    "keep one."
                )
            lines[key] = line
            data[key] = self.build(value_node, (*path, key))
            self.sources[(*path, key)] = f"{self.name}:{line}"
        part = data.get("include")
        if isinstance(part, str) and part.endswith((".yaml", ".yml")):
            below = _read(self.folder / part, self.open_files)
            del data["include"]
            data = merge(below.data, data)
            self.sources = {(*path, *key): s for key, s in below.sources.items()} | self.sources
        return data

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if kind == "float":
            return float(re.sub(r"\.(inf|nan)", r"\1", text.lower()))
        if kind == "str":
            return self._filled(text, node)
        raise ConfigError(f"{self._place(node)}: the tag {node.tag} is not understood here.")

    def _filled(self, text: str, node: yaml.Node) -> str:
        def value(match: re.Match[str]) -> str:
            escaped, whole, name, otherwise = match.groups()
            if not self.name:
                return match[0]
            if escaped:
                return match[0].removeprefix("$")
            if whole == "samples":
                return str(SAMPLES)
            if name not in os.environ and otherwise is None:
                raise ConfigError(
                    f"{self._place(node)}: the environment variable {name} is not set. "
                    f"Set it, or give another value with ${{env:{name}:-value}}."
                )
            return os.environ.get(name, otherwise or "")

        return _FILLED.sub(value, text)

    def _place(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"


def _escaped(data: Any) -> Any:
    if isinstance(data, str):
        return _FILLED.sub(lambda match: "$" + match[0], data)
    if isinstance(data, Mapping):
        return {key: _escaped(value) for key, value in data.items()}
    return [_escaped(item) for item in data] if isinstance(data, list | tuple) else data
