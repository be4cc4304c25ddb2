"""The result: the rows of the last states as files, in data-juicer's names.

`res.jsonl` (or json, parquet, or several of them), `res_stats.jsonl` with a line for each row where
there are statistics, and `dataset.json`, which says where the images are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from fovea.runs.durable import write_json
from fovea.synth.plan import Handling
from fovea.synth.sample import STATS
from fovea.synth.source import ABOUT
from fovea.synth.state import State, dumped, loaded

Form = Literal["jsonl", "json", "parquet"]


def form_of(export_path: str | None, export_type: Form | None) -> Form:
    """The form of the result: as wished, or by the ending of its name."""
    if export_type:
        return export_type
    ending = Path(export_path or "").suffix.removeprefix(".")
    return ending if ending in ("json", "parquet") else "jsonl"


def write_result(
    folder: Path,
    states: Sequence[State],
    handling: Handling,
    *,
    form: Form = "jsonl",
    shard_bytes: int = 0,
    stem: str = "res",
) -> list[Path]:
    """Write the rows of states into a folder.

    Args:
        folder: of the result.
        states: in order.
        handling: for what is said of the data set.
        form: of the files.
        shard_bytes: above that the result becomes several files; 0 writes one.
        stem: of the files' names.

    Returns:
        The files of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = sum((state.folder / "rows.jsonl").stat().st_size for state in states)
    rows = sum(state.rows() for state in states)
    count = min(size // shard_bytes + 1 if shard_bytes else 1, max(1, rows))
    names = shard_names(stem, form, count)
    bounds = [rows * number // count for number in range(count + 1)]
    if form == "jsonl" and count == 1:
        _chain([state.folder / "rows.jsonl" for state in states], folder / names[0])
    else:
        lines = _lines(states)
        for number, name in enumerate(names):
            _write(folder / name, lines, bounds[number + 1] - bounds[number], form)
    stats = [state.folder / "stats.jsonl" for state in states]
    if any(path.is_file() for path in stats):
        _stats(states, folder / f"{stem}_stats.jsonl")
    write_json(folder / ABOUT, about_result(handling))
    return [folder / name for name in names]


def about_result(handling: Handling) -> dict[str, Any]:
    """What is said of a result beside it."""
    fields = handling.fields
    return {
        "image_root": str(handling.root),
        "text_key": fields.text,
        "image_key": fields.images,
        "image_special_token": fields.image_token,
        "eoc_special_token": fields.eoc_token,
    }


def shard_names(stem: str, form: str, count: int) -> list[str]:
    """`res.jsonl`, or `res-00-of-05.jsonl` and so on."""
    if count == 1:
        return [f"{stem}.{form}"]
    digits = len(str(count)) + 1
    return [f"{stem}-{n:0{digits}d}-of-{count:0{digits}d}.{form}" for n in range(count)]


def _chain(files: Sequence[Path], target: Path) -> None:
    with target.open("wb") as out:
        for file in files:
            with file.open("rb") as opened:
                shutil.copyfileobj(opened, out, 1 << 20)


def _stats(states: Sequence[State], target: Path) -> None:
    """The statistics behind one another; a part without any gives an empty line of them."""
    with target.open("wb") as out:
        for state in states:
            file = state.folder / "stats.jsonl"
            if file.is_file():
                with file.open("rb") as opened:
                    shutil.copyfileobj(opened, out, 1 << 20)
            else:
                out.write((dumped({STATS: {}}) + b"\n") * state.rows())


def _lines(states: Sequence[State]) -> Iterator[bytes]:
    for state in states:
        with (state.folder / "rows.jsonl").open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")


def _write(path: Path, lines: Iterator[bytes], count: int, form: Form) -> None:
    if form == "parquet":
        _write_parquet(path, lines, count)
        return
    with path.open("wb") as out:
        _write_text(out, lines, count, form)


def _write_text(out: IO[bytes], lines: Iterator[bytes], count: int, form: Form) -> None:
    if form == "json":
        out.write(b"[")
    for number in range(count):
        if form == "json":
            out.write(b"\n" if number == 0 else b",\n")
        out.write(next(lines) + (b"" if form == "json" else b"\n"))
    if form == "json":
        out.write(b"\n]\n")


def _write_parquet(path: Path, lines: Iterator[bytes], count: int, group: int = 10_000) -> None:
    """Row groups of one schema; fields that only some rows have are null in the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draft = path.with_suffix(".lines")
    schemas: list[pa.Schema] = []
    with draft.open("wb") as held:
        for at in range(0, count, group):
            some = [next(lines) for _ in range(min(group, count - at))]
            held.write(b"".join(line + b"\n" for line in some))
            schemas.append(pa.Table.from_pylist(_rows(some)).schema)
    schema = pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([])
    with pq.ParquetWriter(path, schema) as writer, draft.open("rb") as held:
        for at in range(0, count, group):
            some = [next(held).rstrip(b"\n") for _ in range(min(group, count - at))]
            writer.write_table(pa.Table.from_pylist(_rows(some), schema=schema))
    draft.unlink()


def _rows(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Rows with every field that one of them has."""
    rows = [loaded(line) for line in lines]
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]
