"""Where rows come from: files of several forms, cut into parts that any process can read.

A part is a range of lines of a jsonl file or a row group of a parquet file, with the digest of its
content. Other forms (json, .gz, .zst, a mixture by weights) are first written out as jsonl.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import orjson

from fovea.errors import DataError
from fovea.synth.sample import Sample
from fovea.synth.unpack import BLOCK_BYTES, CUT, as_lines, decrypted

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

ABOUT = "dataset.json"
"""Beside a data set that this room wrote: where its images are, and its tokens."""
FORMS = (".parquet", *(f".{form}{packed}" for form in ("jsonl", "json")
                       for packed in ("", ".gz", ".zst")))  # fmt: skip
PIECE_BYTES = 1 << 26
"""A part ends here whatever its rows, so that long rows do not fill the memory."""
LINES_READ = 4096


@dataclass(frozen=True)
class Part:
    """Some neighbouring rows of one file."""

    path: Path
    origin: str
    """The file that the person named, where `path` was written from it."""
    start: int
    """First byte, or row group."""
    end: int
    first: int
    """Place of its first row in the whole data set."""
    line: int
    """Place of its first row in its file, from 1."""
    rows: int
    """Its lines; blank ones are counted and hold no row."""
    digest: str
    prefix: str = ""
    """Stands before its relative image paths, so that they start where those of others do."""
    image_key: str = "images"


@dataclass(frozen=True)
class Line:
    """One row as it was read, or why it could not be."""

    number: int
    line: int
    raw: bytes | None
    sample: Sample | None
    trouble: str = ""
    mended: str = ""


def files_of(paths: Sequence[Path], suffixes: Sequence[str]) -> list[tuple[int, Path]]:
    """The files of a data set in order, each with the number of the path it came from.

    Raises:
        DataError: there is none.
    """
    found: list[tuple[int, Path]] = []
    for number, path in enumerate(paths):
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        if path.is_dir():
            wanted = tuple(suffixes) or FORMS
            inside = [p for p in inside if p.name.endswith(wanted) and _is_data(p)]
        found += [(number, file) for file in inside]
    if not found:
        raise DataError(
            f"{', '.join(map(str, paths))} holds no data set: files that end in"
            f" {', '.join(suffixes or FORMS)} are wanted. Name a file or another folder."
        )
    return found


def _is_data(path: Path) -> bool:
    stem = path.name.split(".")[0]
    return path.name != ABOUT and not stem.endswith("_stats") and not path.name.startswith(".")


def about(path: Path) -> dict[str, Any]:
    """What a data set that this room wrote says of itself; nothing of another."""
    file = (path if path.is_dir() else path.parent) / ABOUT
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def root_of(paths: Sequence[Path], wanted: str | None) -> Path:
    """The folder that relative image paths start from."""
    if wanted:
        return Path(wanted).absolute()
    first = paths[0]
    known = about(first).get("image_root")
    return Path(known) if known else (first if first.is_dir() else first.parent).absolute()


def parts_of(
    paths: Sequence[Path],
    folder: Path,
    *,
    rows: int,
    suffixes: Sequence[str] = (),
    weights: Sequence[float] = (),
    most: int = 0,
    seed: int = 0,
    fernet: Fernet | None = None,
    image_root: str | None = None,
    image_key: str = "images",
) -> list[Part]:
    """Cut a data set into parts.

    Args:
        paths: files and folders, in order.
        folder: for what must be written out first.
        rows: of a part, of files with lines.
        suffixes: that files of folders must have.
        weights: of each path, 0 to 1: the part of its rows that is drawn.
        most: rows of the whole, drawn by the seed; 0 takes all.
        seed: of the draws.
        fernet: opens encrypted files.
        image_root: folder that relative image paths of all files start from.
        image_key: the field of those.

    Raises:
        DataError: nothing is there, or a file is not of its form.
    """
    files = files_of(paths, suffixes)
    if weights and len(weights) != len(paths):
        raise DataError(
            f"there are {len(weights)} weights and {len(paths)} paths. Give each path its weight."
        )
    roots = [root_of([path], image_root) for path in paths]
    prefixes = ["" if r == roots[0] else os.path.relpath(r, roots[0]) for r in roots]
    opened = [
        _Opened(number, decrypted(file, folder, fernet) if fernet else file, file,
                prefixes[number], image_key)
        for number, file in files
    ]  # fmt: skip
    if most or any(weight != 1.0 for weight in weights):
        drawn = _drawn(opened, folder, list(weights) or [1.0] * len(paths), most, seed)
        opened = [_Opened(0, drawn, drawn)]
    found: list[Part] = []
    for file in opened:
        first = found[-1].first + found[-1].rows if found else 0
        found += file.cut(folder, rows, first)
    return found


@dataclass(frozen=True)
class _Opened:
    """A file of a data set."""

    number: int
    """Of the path that it belongs to."""
    path: Path
    origin: Path
    prefix: str = ""
    image_key: str = "images"

    def cut(self, folder: Path, rows: int, first: int) -> list[Part]:
        """Its parts, of which the first row has this place in the whole."""
        if self.path.name.endswith(".parquet"):
            parts = _row_groups(self.path, str(self.origin), first)
        else:
            parts = list(_ranges(as_lines(self.path, folder), str(self.origin), rows, first))
        if not self.prefix:
            return parts
        return [replace(part, prefix=self.prefix, image_key=self.image_key) for part in parts]


def _ranges(file: Path, origin: str, rows: int, first: int) -> Iterator[Part]:
    """Ranges of so many lines, each with the digest of its bytes."""
    start, line = 0, 1
    with file.open("rb") as opened:
        for content, count in _pieces(opened, rows):
            end = start + len(content)
            digest = hashlib.sha256(content).hexdigest()
            yield Part(file, origin, start, end, first + line - 1, line, count, digest)
            start, line = end, line + count


def _pieces(file: IO[bytes], rows: int) -> Iterator[tuple[bytes, int]]:
    """The content in pieces of so many lines."""
    held = b""
    count = 0
    while block := file.read(BLOCK_BYTES):
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + 1
        at = 0
        while count + len(ends) >= rows:
            cut = int(ends[rows - count - 1])
            yield held + block[at:cut], rows
            ends = ends[rows - count :]
            at, held, count = cut, b"", 0
        held += block[at:]
        count += len(ends)
        if count and len(held) > PIECE_BYTES:
            cut = held.rindex(b"\n") + 1
            yield held[:cut], count
            held, count = held[cut:], 0
    if held:
        yield held, count + (not held.endswith(b"\n"))


def _row_groups(file: Path, origin: str, first: int) -> list[Part]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{origin} is no parquet file: {error}. Write it again.") from error
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    found: list[Part] = []
    line = 1
    for group in range(read.num_row_groups):
        rows = read.metadata.row_group(group).num_rows
        key = f"{digest}:{group}"
        found.append(Part(file, origin, group, group + 1, first + line - 1, line, rows, key))
        line += rows
    return found


def _drawn(
    files: Sequence[_Opened],
    folder: Path,
    weights: list[float],
    most: int,
    seed: int,
) -> Path:
    """A file of the rows that weights and the largest number draw, in their order."""
    parts = [(file.number, part) for file in files for part in file.cut(folder, 10_000, 0)]
    totals = [sum(p.rows for n, p in parts if n == number) for number in range(len(weights))]
    counts = shares(totals, weights, most)
    key = "|".join(f"{part.digest}{part.prefix}" for _, part in parts) + f"|{counts}|{seed}"
    target = folder / f"drawn-{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"
    if target.exists():
        return target
    rng = np.random.default_rng((seed, 7))
    taken = [
        np.sort(rng.permutation(total)[:count]) for total, count in zip(totals, counts, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    begun = [0] * len(weights)
    with draft.open("wb") as out:
        for number, part in parts:
            wanted = set((taken[number] - begun[number]).tolist())
            begun[number] += part.rows
            for place, line in enumerate(read(part)):
                if place in wanted:
                    out.write((line.raw or orjson.dumps(line.sample)) + b"\n")
    draft.replace(target)
    return target


def shares(totals: Sequence[int], weights: Sequence[float], most: int) -> list[int]:
    """How many rows of each path are taken.

    Without a largest number, that part of each, the weights taken as relative to the largest where
    one is above 1; with a largest number, that is shared out by weight.
    """
    if not most:
        whole = max([1.0, *weights])
        return [round(t * w / whole) for t, w in zip(totals, weights, strict=True)]
    left, found = most, list[int]()
    for total, weight in zip(totals, weights, strict=True):
        share = min(math.ceil(most * weight / (sum(weights) or 1.0)), left, total)
        found.append(share)
        left -= share
    return found


def read(part: Part) -> Iterator[Line]:
    """The rows of a part; blank lines are left out."""
    lines = _read(part)
    return (_moved(line, part) for line in lines) if part.prefix else lines


def _moved(line: Line, part: Part) -> Line:
    """The row with image paths that start where those of the first file do."""
    images = line.sample.get(part.image_key) if line.sample else None
    if line.sample is None or not isinstance(images, list) or not images:
        return line
    moved = [str(Path(part.prefix) / path) if isinstance(path, str) else path for path in images]
    return replace(line, raw=None, sample=line.sample | {part.image_key: moved})


def _read(part: Part) -> Iterator[Line]:
    if part.path.suffix == ".parquet":
        yield from _read_parquet(part)
        return
    with part.path.open("rb") as file:
        file.seek(part.start)
        content = file.read(part.end - part.start)
    for place, raw in enumerate(content.split(b"\n")):
        if raw and not raw.isspace():
            yield _parsed(raw.rstrip(b"\r"), part.first + place, part.line + place)


def _read_parquet(part: Part) -> Iterator[Line]:
    import pyarrow.parquet as pq

    place = 0
    with pq.ParquetFile(part.path) as file:
        for batch in file.iter_batches(LINES_READ, row_groups=[part.start]):
            for sample in batch.to_pylist():
                yield Line(part.first + place, part.line + place, None, sample)
                place += 1


def _parsed(raw: bytes, number: int, line: int) -> Line:
    if raw.startswith(CUT):
        said = raw.removeprefix(CUT).decode("utf-8", "replace")
        return Line(number, line, raw, None, trouble=f"is where the file is cut off: {said}")
    try:
        sample = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _mended(raw, number, line, str(error))
    if not isinstance(sample, dict):
        return Line(number, line, raw, None, trouble="is no object with fields")
    return Line(number, line, raw, sample)


def _mended(raw: bytes, number: int, line: int, trouble: str) -> Line:
    """A line that is no strict JSON: broken UTF-8 and NaN are read all the same."""
    text = raw.decode("utf-8", "replace").lstrip("\ufeff")
    try:
        sample = json.loads(text)
    except (ValueError, RecursionError):
        return Line(number, line, raw, None, trouble=f"is no JSON: {trouble}")
    if not isinstance(sample, dict):
        return Line(number, line, raw, None, trouble="is no object with fields")
    return Line(number, line, None, sample, mended="bytes that are no UTF-8 became U+FFFD"
                if "\ufffd" in text else "numbers that are no JSON were read")  # fmt: skip
