"""The photographs of a folder, a name for each that no other has, and what became of them."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fovea.errors import DataError
from fovea.photo.focal import pixels_to_film
from fovea.photo.photograph import Photograph
from fovea.runs.artifact import kind
from fovea.runs.durable import write_text

READ = (*kind("photo").suffixes, ".apng", ".pbm", ".pnm", ".j2k", ".dds", ".ico", ".icns", ".psd")
NOT_READ = {
    ".svg": "a drawing",
    **dict.fromkeys(
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef"),
        "a camera's raw file",
    ),
}
"""Pictures too, of which it is said that they cannot be used."""
MOST_LISTED = 6


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    file: str
    """Relative to the folder that was given."""
    name: str
    """Of its scene, depth map and picture."""
    problem: str = ""
    """Why it failed; empty where it did not."""
    width: int = 0
    height: int = 0
    focal_px: float = 0.0
    focal_source: str = ""
    gaussians: int = 0
    notes: tuple[str, ...] = ()
    picture: str = ""
    """Of the photograph beside a view of its scene; relative to the stage's folder."""

    @classmethod
    def of(
        cls, file: str, name: str, photograph: Photograph, *, gaussians: int, picture: str
    ) -> Outcome:
        """That of a photograph that became a scene."""
        return cls(
            file=file,
            name=name,
            width=photograph.width,
            height=photograph.height,
            focal_px=round(photograph.focal_px, 3),
            focal_source=photograph.focal_source,
            gaussians=gaussians,
            notes=photograph.notes,
            picture=picture,
        )

    @property
    def film_mm(self) -> float:
        """The focal length as on 35 mm film; 0 where there is none."""
        if not self.focal_px:
            return 0.0
        return pixels_to_film(self.focal_px, width=self.width, height=self.height)

    def write(self, path: Path) -> None:
        """Keep it as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Outcome | None:
        """What `write` kept, or None where nothing is."""
        if not path.is_file():
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**data | {"notes": tuple(data["notes"])})


def photographs_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The files of a folder that are named as pictures are, in the order of their names.

    Upper and lower case of a suffix are one. Hidden files do not count, nor does a camera's raw
    file beside a picture of the same name. What only has the name of a picture is listed as well:
    that it is none is found when it is read.

    Args:
        folder: to look into.
        recursive: whether to look into the folders inside it too, but not into links to folders.

    Raises:
        DataError: there is none.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        # A folder may be named as a picture is; one that is looked into is no picture.
        names = files if recursive else [*files, *folders]
        found += [Path(place) / name for name in names if _is_named_as_picture(Path(name))]
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
    pictures = {_stem(path) for path in found if path.suffix.lower() in READ}
    found = [p for p in found if p.suffix.lower() in READ or _stem(p) not in pictures]
    if not found:
        raise DataError(
            f"{folder} holds no photograph ({', '.join(READ[:8])} ...); it holds: "
            f"{_listing(folder)}. Give another folder"
            + ("." if recursive else ", or recursive=true to look into the folders inside it.")
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def distinct_names(files: Iterable[str]) -> dict[str, str]:
    """A name for each file, given relative to their folder: its stem, where no other has that.

    Else the folders before it and its suffix are taken in, `day1/a.jpg` -> `day1-a`, `a.png` ->
    `a-png`. Case does not make two names different, as it does not for some file systems.
    """
    files = list(files)
    levels = (
        lambda path: path.stem,
        lambda path: "-".join(path.with_suffix("").parts),
        lambda path: "-".join((*path.with_suffix("").parts, path.suffix.removeprefix("."))),
    )
    names: dict[str, str] = {}
    taken: set[str] = set()
    left = [Path(file) for file in files]
    for level in levels:
        counts = Counter(level(path).casefold() for path in left)
        for path in left:
            name = level(path)
            if counts[name.casefold()] == 1 and name.casefold() not in taken:
                names[path.as_posix()] = name
                taken.add(name.casefold())
        left = [path for path in left if path.as_posix() not in names]
    for path in left:
        base = number = levels[-1](path)
        count = 2
        while number.casefold() in taken:
            number, count = f"{base}-{count}", count + 1
        names[path.as_posix()] = number
        taken.add(number.casefold())
    return {file: names[file] for file in files}


def write_table(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Every file and what became of it, a line each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(_row(Outcome("", ""))))
        rows.writeheader()
        rows.writerows(_row(outcome) for outcome in outcomes)


def _row(outcome: Outcome) -> Mapping[str, object]:
    return {
        "file": outcome.file,
        "outcome": "failed" if outcome.problem else "done",
        "name": outcome.name,
        "width": outcome.width or "",
        "height": outcome.height or "",
        "focal_px": outcome.focal_px or "",
        "focal_mm_on_film": round(outcome.film_mm, 2) or "",
        "focal_source": outcome.focal_source,
        "gaussians": outcome.gaussians or "",
        "what": outcome.problem or "; ".join(outcome.notes),
    }


def _is_named_as_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    return (suffix in READ or suffix in NOT_READ) and not path.name.startswith(".")


def _stem(path: Path) -> str:
    return str(path.with_suffix("")).casefold()


def _listing(folder: Path) -> str:
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return (", ".join(names[:MOST_LISTED]) or "nothing") + more
