"""PLY, the container: named elements, each a table of typed columns.

What the columns mean is said elsewhere: in `ply` for Gaussians. The parser is our own because the
usual package, plyfile, is under the GPL, and because counts have to be held against the size of the
file before anything is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fovea.errors import ArtifactError

Elements = dict[str, np.ndarray]
"""By name, in the order of the file; each a structured array of its rows."""

LONGEST_HEADER = 65536
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
NAMES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort"} | {
    "i4": "int", "u4": "uint", "f4": "float", "f8": "double"
}  # fmt: skip


def read_elements(path: str | Path) -> Elements:
    """Read the raw columns of a PLY file, up to the first element that holds lists.

    Raises:
        ArtifactError: it is missing, is not a PLY, or holds less than its header promises.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"No PLY file {path}: there is no such file. Check the name.")
    with path.open("rb") as file:
        header = _read_header(path, file)
        if header.format == "ascii":
            return _read_text(path, header, file.read())
        return _read_binary(path, header, file)


def write_elements(path: str | Path, elements: Mapping[str, np.ndarray]) -> None:
    """Write structured arrays as the elements of a binary little-endian PLY."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["ply", "format binary_little_endian 1.0"]
    for name, rows in elements.items():
        lines.append(f"element {name} {len(rows)}")
        fields = rows.dtype.fields or {}
        lines += [f"property {NAMES[kind.str[1:]]} {field}" for field, (kind, *_) in fields.items()]
    with path.open("wb") as file:
        file.write(("\n".join([*lines, "end_header"]) + "\n").encode("ascii"))
        for rows in elements.values():
            little = np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("<"), copy=False))
            file.write(little.view(np.uint8).data)


@dataclass
class _Header:
    format: str
    elements: list[tuple[str, int, np.dtype]]
    """Name, count and row type of each, up to the first that holds lists."""


def _read_header(path: Path, file: IO[bytes]) -> _Header:
    start = file.read(LONGEST_HEADER)
    if not re.match(rb"ply[ \t]*\r?\n", start):
        raise ArtifactError(
            f"{path} is not a PLY file: it starts with {start[:24]!r}. "
            "Give a .ply that a Gaussian tool has exported."
        )
    end = re.search(rb"\nend_header[ \t]*\r?\n", start)
    if end is None:
        raise ArtifactError(
            f"{path} has no 'end_header' in its first {len(start)} bytes: it is cut off or not a "
            "PLY file. Fetch or export it again."
        )
    file.seek(end.end())
    format, elements = "", list[tuple[str, int, list[tuple[str, str]]]]()
    for line in start[: end.start()].decode("ascii", "replace").splitlines()[1:]:
        match line.split():
            case ["format", ("ascii" | "binary_little_endian" | "binary_big_endian") as format, _]:
                pass
            case ["element", name, count] if count.isdecimal():
                elements.append((name, int(count), []))
            case ["property", "list", *_] if elements:
                elements.pop()
                break
            case ["property", kind, name] if elements and kind in TYPES:
                elements[-1][2].append((name, TYPES[kind]))
            case ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise ArtifactError(f"{path} has a header line that is not PLY: {line[:80]!r}.")
    if not format:
        raise ArtifactError(f"{path} names no format (ascii or binary) in its header.")
    order = ">" if format == "binary_big_endian" else "<"
    return _Header(format, [(n, c, _row_type(path, n, f, order)) for n, c, f in elements])


def _row_type(path: Path, name: str, fields: list[tuple[str, str]], order: str) -> np.dtype:
    names = [field for field, _ in fields]
    twice = {field for field in names if names.count(field) > 1}
    if twice:
        raise ArtifactError(f"{path} has the column {min(twice)!r} twice in element {name!r}.")
    return np.dtype([(field, order + kind) for field, kind in fields])


def _read_binary(path: Path, header: _Header, file: IO[bytes]) -> Elements:
    left = path.stat().st_size - file.tell()
    elements: Elements = {}
    for name, count, kind in header.elements:
        needed = count * kind.itemsize
        if needed > left:
            raise ArtifactError(
                f"{path} is cut off: its header promises {count} rows of {kind.itemsize} bytes in "
                f"element {name!r}, {needed} bytes, and {left} are there. Fetch or export it again."
            )
        rows = np.frombuffer(file.read(needed), dtype=kind, count=count)
        elements[name] = rows.astype(kind.newbyteorder("="), copy=False)
        left -= needed
    return elements


def _read_text(path: Path, header: _Header, body: bytes) -> Elements:
    words = body.split()
    elements: Elements = {}
    for name, count, kind in header.elements:
        width = len(kind.names or ())
        if count * width > len(words):
            raise ArtifactError(
                f"{path} is cut off: its header promises {count} rows of {width} numbers in "
                f"element {name!r}, and {len(words)} numbers are there. Fetch or export it again."
            )
        try:
            numbers = np.array(words[: count * width], dtype=np.float64).reshape(count, width)
        except ValueError as error:
            raise ArtifactError(f"{path} holds in element {name!r} no number: {error}.") from None
        rows = np.empty(count, dtype=kind.newbyteorder("="))
        for index, field in enumerate(kind.names or ()):
            rows[field] = numbers[:, index]
        elements[name] = rows
        words = words[count * width :]
    return elements
