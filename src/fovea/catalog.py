"""The stages by name, and where each is declared; nothing is imported until it is asked for.

Another package adds stages through the entry-point group `fovea.stages`, `room.verb` ->
`module:STAGE`. It cannot replace one of ours; what cannot be loaded is listed and stops nothing.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fovea.errors import BackendError, RecipeError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from fovea.runs.stage import Stage

ROOMS: dict[str, str] = {
    "relight": "photographs with poses -> geometry, materials, light",
    "events": "recordings of event cameras -> a detector from few labels, boxes, films",
    "photo": "one photograph -> metric 3D Gaussians, a scene to walk in",
    "synth": "image-text data -> cleaned, synthesised and looked at, ready to train on",
    "vlm": "image-text data -> a vision-language model, its answers and scores",
}
"""What each room is for, in the words of the help text."""


class Entry(NamedTuple):
    """What is known of a stage without importing it."""

    target: str
    """`package.module:STAGE`."""
    summary: str
    """One line, the same as the stage's own."""


STAGES: dict[str, Entry] = {
    "relight.poses": Entry(
        "fovea.relight.stages:POSES", "a folder of photographs or a video gets camera poses"
    ),
    "relight.fit": Entry(
        "fovea.relight.stages:FIT", "photographs with poses become 3D Gaussians with normals"
    ),
    "relight.bake": Entry(
        "fovea.relight.stages:BAKE",
        "a scene becomes a surface, and places near it learn what they see of the sky",
    ),
    "relight.decompose": Entry(
        "fovea.relight.stages:DECOMPOSE",
        "colours become base colour, roughness, metallic, and the light they were seen under",
    ),
    "relight.export": Entry(
        "fovea.relight.stages:EXPORT",
        "a scene with materials for other programs: glTF, HDR, and Gaussians for the page",
    ),
    "relight.evaluate": Entry(
        "fovea.relight.stages:EVALUATE",
        "a scene is held against photographs and truth: scores, a report, a sheet of pictures",
    ),
    "relight.film": Entry(
        "fovea.relight.stages:FILM", "a camera moves around a scene, or a light does: a video"
    ),
    "events.convert": Entry(
        "fovea.events.stages:CONVERT",
        "a recording in any format becomes one in another, whole or in part",
    ),
    "events.simulate": Entry(
        "fovea.events.stages:SIMULATE",
        "made scenes become a data set with exact boxes, or a video becomes a recording",
    ),
    "events.preprocess": Entry(
        "fovea.events.stages:PREPROCESS",
        "recordings with boxes beside them become a data set of histograms",
    ),
    "events.check": Entry(
        "fovea.events.stages:CHECK",
        "a data set is looked through, and what is wrong with it is said",
    ),
    "events.annotate": Entry(
        "fovea.events.stages:ANNOTATE",
        "boxes go out as COCO or YOLO files, or come back as *_bbox.npy",
    ),
    "events.train": Entry(
        "fovea.events.stages:TRAIN",
        "labelled recordings become a detector; teacher and student alike",
    ),
    "events.label": Entry(
        "fovea.events.stages:LABEL",
        "a detector labels the training recordings; what no track holds is ignored",
    ),
    "events.audit": Entry(
        "fovea.events.stages:AUDIT",
        "pseudo labels are held against hidden truth: a page with advice",
    ),
    "events.evaluate": Entry(
        "fovea.events.stages:EVALUATE",
        "a detector is held against the boxes of a data set: AP by Prophesee's protocol",
    ),
    "events.compare": Entry(
        "fovea.events.stages:COMPARE",
        "scores of several detectors side by side: a table, curves, and what was gained",
    ),
    "events.film": Entry(
        "fovea.events.stages:FILM",
        "recordings of a data set as videos, with true boxes and those that are found",
    ),
    "events.detect": Entry(
        "fovea.events.stages:DETECT",
        "a recording, or a stream while it comes, gets boxes and a video that shows them",
    ),
    "events.export": Entry(
        "fovea.events.stages:EXPORT",
        "a detector becomes an ONNX network with its memory as inputs and outputs",
    ),
    "photo.predict": Entry(
        "fovea.photo.stages:PREDICT",
        "a photograph becomes metric 3D Gaussians; or each one in a folder",
    ),
    "photo.film": Entry(
        "fovea.photo.stages:FILM",
        "a camera moves before a scene made of a photograph: a film, its depth, stills",
    ),
    "photo.export": Entry(
        "fovea.photo.stages:EXPORT",
        "SHARP becomes a folder of ONNX networks that predicts without torch",
    ),
    "photo.convert": Entry(
        "fovea.photo.stages:CONVERT",
        "a scene becomes a file of another format, smaller, or in other axes",
    ),
    "photo.evaluate": Entry(
        "fovea.photo.stages:EVALUATE",
        "a scene is held against other photographs of the place, and true depth: a page",
    ),
    "synth.simulate": Entry(
        "fovea.synth.stages:SIMULATE",
        "drawn pictures with captions, many of them wrong, and questions with sure answers",
    ),
    "synth.clean": Entry(
        "fovea.synth.stages:CLEAN",
        "image-text data goes through operators: filtered, changed, rid of duplicates",
    ),
    "synth.analyze": Entry(
        "fovea.synth.stages:ANALYZE",
        "image-text data is measured once: what any limit would keep, on one page",
    ),
    "synth.export": Entry(
        "fovea.synth.stages:EXPORT",
        "rows become LLaVA's json with their questions, and back, or tar files; checked",
    ),
    "vlm.pretrain": Entry(
        "fovea.vlm.stages:PRETRAIN",
        "pictures with captions teach a projector to speak to a language model",
    ),
    "vlm.finetune": Entry(
        "fovea.vlm.stages:FINETUNE",
        "instructions teach language model and projector together",
    ),
    "vlm.evaluate": Entry(
        "fovea.vlm.stages:EVALUATE",
        "a model answers the questions of TextVQA or MMBench: scores, answers, a page",
    ),
    "vlm.compare": Entry(
        "fovea.vlm.stages:COMPARE",
        "scores of models side by side: what one data set has over another, and how sure",
    ),
    "vlm.pack": Entry(
        "fovea.vlm.stages:PACK",
        "recipe, logs and answers become the challenge's submit.zip, checked as it will be",
    ),
}


class Plugin(NamedTuple):
    """A stage that another package offers."""

    name: str
    target: str
    package: str
    trouble: str = ""
    """Why it cannot be used; empty when it can."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'fit'?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def summary(name: str) -> str:
    """What the stage of that name is for, without loading it."""
    return STAGES[name].summary if name in STAGES else "from another package"


def stage(name: str) -> Stage:
    """The stage of that name.

    Raises:
        RecipeError: there is none.
        BackendError: another package offers it, and it cannot be loaded.
    """
    if name in STAGES:
        return _load(STAGES[name].target)
    for point in _entry_points():
        if point.name == name:
            found = _tried(point)
            if isinstance(found, Plugin):
                raise BackendError(
                    f"the stage {name} of the package {found.package} cannot be used: "
                    f"{found.trouble}. Mend or uninstall that package."
                )
            return found
    names = stage_names()
    raise RecipeError(f"'{name}' is not a stage.{nearest(name, names)} Stages: {', '.join(names)}.")


def stage_names() -> list[str]:
    """The names of all stages, ours first."""
    return [*STAGES, *(point.name for point in _entry_points() if point.name not in STAGES)]


def all_stages() -> Iterator[Stage]:
    """Every stage that can be loaded, one after the other."""
    for entry in STAGES.values():
        yield _load(entry.target)
    for point in _entry_points():
        found = _tried(point)
        if not isinstance(found, Plugin):
            yield found


def plugins() -> list[Plugin]:
    """What other packages offer, with the trouble where it cannot be used."""
    found = [(point, _tried(point)) for point in _entry_points()]
    return [
        tried if isinstance(tried, Plugin) else Plugin(point.name, point.value, _package(point))
        for point, tried in found
    ]


def stray_variables(environment: Iterable[str]) -> list[str]:
    """A note for each variable that looks like a setting of a stage there is not."""
    prefixes = {f"FOVEA_{name.replace('.', '_').upper()}" for name in stage_names()} | {"FOVEA"}
    looks = {name: name.partition("__")[0] for name in environment if "__" in name}
    return [
        f"env {name} is for no stage.{nearest(prefix, prefixes)}"
        for name, prefix in sorted(looks.items())
        if prefix.startswith("FOVEA") and prefix not in prefixes
    ]


def require(wanted_by: str, extras: Iterable[str]) -> None:
    """Refuse to start what needs an extra of which a package is missing.

    Raises:
        BackendError: with the line that installs it.
    """
    for extra in extras:
        missing = sorted(_missing(extra))
        if missing:
            raise BackendError(
                f"{wanted_by} needs {', '.join(missing)}, and "
                f"{'they are' if len(missing) > 1 else 'it is'} not installed. "
                f'Run: pip install "fovea-vision[{extra}]"'
            )


def _load(target: str) -> Stage:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _entry_points() -> Iterable[EntryPoint]:
    return _points_on(tuple(sys.path))


@functools.lru_cache(maxsize=2)
def _points_on(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What the packages on that path add; looking through all of them takes 50 ms."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group="fovea.stages"))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


def _tried(point: EntryPoint) -> Stage | Plugin:
    if point.name in STAGES:
        trouble = f"the name {point.name} is taken by fovea"
    elif not re.fullmatch(r"[a-z]\w*\.[a-z]\w*", point.name):
        trouble = f"its name is not room.verb but {point.name}"
    else:
        try:
            found: Any = point.load()
        except Exception as error:  # noqa: BLE001 -- whatever another package raises while imported
            trouble = f"{type(error).__name__}: {error}"
        else:
            if getattr(found, "name", None) == point.name and hasattr(found, "implementation"):
                return found
            trouble = f"{point.value} is not a Stage named {point.name}"
    return Plugin(point.name, point.value, _package(point), trouble)


def _missing(extra: str) -> set[str]:
    from importlib.metadata import PackageNotFoundError, distribution, requires

    absent: set[str] = set()
    for line in requires("fovea-vision") or ():
        if not re.search(rf"""extra == ['"]{extra}['"]""", line):
            continue
        if inner := re.match(r"fovea-vision\[([\w,]+)\]", line):
            absent |= {name for part in inner[1].split(",") for name in _missing(part)}
            continue
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            distribution(name)
        except PackageNotFoundError:
            absent.add(name)
    return absent
