"""Tar files for streaming: the picture, caption and row of each sample behind one another.

Source: the format of the library webdataset: members of a sample share a name up to the first dot.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from fovea.synth.sample import Fields, Sample
from fovea.synth.state import dumped


def write_tars(
    folder: Path,
    rows: Iterable[Sample],
    fields: Fields,
    root: Path,
    *,
    most_bytes: int,
) -> list[Path]:
    """Write rows into tar files of at most so many bytes, `shard-00000.tar` and so on.

    Times and owners are left out, so that the same rows give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    out: tarfile.TarFile | None = None
    written = 0
    try:
        for number, row in enumerate(rows):
            members = list(_members(number, row, fields, root))
            size = sum(512 + -(-len(content) // 512) * 512 for _, content in members)
            if out is None or written + size > most_bytes:
                if out is not None:
                    out.close()
                made.append(folder / f"shard-{len(made):05d}.tar")
                out = tarfile.open(made[-1], "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed below; several follow one another
                written = 0
            for name, content in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                out.addfile(entry, io.BytesIO(content))
            written += size
    finally:
        if out is not None:
            out.close()
    return made


def _members(number: int, row: Sample, fields: Fields, root: Path) -> Iterable[tuple[str, bytes]]:
    key = f"{number:09d}"
    images = row.get(fields.images) or []
    held = row.get(fields.image_bytes) or []
    for place, path in enumerate(images):
        given = held[place] if place < len(held) else None
        content = given if isinstance(given, bytes) else (root / path).read_bytes()
        ending = Path(path).suffix.lower().removeprefix(".") or "jpg"
        yield f"{key}.{ending}" if place == 0 else f"{key}.{place}.{ending}", content
    yield f"{key}.txt", fields.without_tokens(row.get(fields.text) or "").encode()
    told = {name: value for name, value in row.items() if name != fields.image_bytes}
    yield f"{key}.json", dumped(told)
