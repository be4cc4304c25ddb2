"""Stages: what one declares, and what it is handed when it runs.

A stage is declared in its room's `stages.py`, which imports nothing heavy, as a `Stage`: a name, a
Config, the artifacts it makes, and where its function stands. The function itself,

    def fit(config: FitConfig, context: Context) -> dict[str, float]: ...

stands in a module named after its verb, reads its inputs from the paths in its Config, writes each
output to `context.output(name)`, and returns its final scores. Called directly in a test it is an
ordinary function. It never prints, never opens a tracker and never reads the environment.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fovea.config import Config
from fovea.errors import DataError, StoppedError
from fovea.runs.durable import discard, drop_torn_line, publish, write_text

if TYPE_CHECKING:
    import numpy as np

Event = dict[str, Any]
"""One line of `events.jsonl`: `kind` and whatever belongs to it."""


@dataclass(frozen=True)
class Output:
    """One artifact that a stage makes."""

    kind: str
    path: str
    """Its name inside the stage's output folder, `scene.ply`."""
    help: str
    optional: bool = False
    """Some configs of the stage do not make it."""


@dataclass(frozen=True)
class Stage:
    """What is known of a stage without importing it."""

    name: str
    """`room.verb`."""
    summary: str
    """One line, in the reader's words, for the help text."""
    config: type[Config]
    implementation: str
    """`package.module:function`, imported when the stage runs."""
    outputs: Mapping[str, Output]
    version: int = 1
    """Raised when the same config and inputs give other results than before."""
    resumable: Literal["none", "checkpoint", "items"] = "none"
    launch: Literal["inline", "process", "torchrun"] = "process"
    metrics: Mapping[str, Literal["min", "max"]] = field(
        default_factory=dict[str, Literal["min", "max"]]
    )
    """The metrics it logs or returns that a study may follow, and which way is better."""
    occasional: tuple[str, ...] = ()
    """Those of them that only some inputs give, such as errors where there is truth."""
    positional: tuple[str, ...] = ()
    """Settings that may be given on the command line without their name, in this order."""
    requires: tuple[str, ...] = ()
    """Extras of the package that must be installed: `("relight",)`."""

    @property
    def inputs(self) -> dict[str, str]:
        """The artifact settings of the Config: name -> kind."""
        return self.config.artifact_fields()

    def given(self, config: Config) -> dict[str, tuple[str, Path]]:
        """The inputs that a config names, kind and path; of several, `scores.0`, `scores.1`."""
        found: dict[str, tuple[str, Path]] = {}
        for name, wanted in self.inputs.items():
            value = getattr(config, name)
            if isinstance(value, tuple):
                paths = cast("tuple[Path, ...]", value)
                found |= {f"{name}.{n}": (wanted, path) for n, path in enumerate(paths)}
            elif value is not None:
                found[name] = (wanted, value)
        return found

    def placed(self, config: Config, paths: Mapping[str, Path]) -> Config:
        """The config with other paths for inputs, named as `given` names them."""
        whole: dict[str, Any] = {}
        for name, path in paths.items():
            field, _, number = name.partition(".")
            if number:
                several = list(whole.get(field, getattr(config, field)))
                several[int(number)] = path
                whole[field] = tuple(several)
            else:
                whole[field] = path
        return config.model_copy(update=whole)

    def load(self) -> Callable[[Any, Context], dict[str, float]]:
        """Import the stage's function."""
        module, _, function = self.implementation.partition(":")
        return getattr(importlib.import_module(module), function)


class Checkpoints:
    """The places inside a stage from which it can go on; each is a folder, whole or absent.

    The stage writes what it likes into the folder it is given. The last two are kept, and the best.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, step: int, write: Callable[[Path], None], *, is_best: bool = False) -> Path:
        """Make the checkpoint of `step`: `write` fills a folder that appears only when full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"step-{step:09d}"
        draft = self.folder / f".draft-{step:09d}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        write(draft)
        publish(draft, target)
        if is_best:
            write_text(self.folder / "best", target.name)
        keep = {p.name for p in self._all()[-self.keep :]} | {self._best_name()}
        for old in self._all():
            if old.name not in keep:
                discard(old)
        return target

    def latest(self) -> tuple[int, Path] | None:
        """The newest checkpoint as `(step, folder)`, or None where there is none."""
        found = self._all()
        return (int(found[-1].name.removeprefix("step-")), found[-1]) if found else None

    def best(self) -> tuple[int, Path] | None:
        """The checkpoint last saved with `is_best`, or None."""
        name = self._best_name()
        if not name or not (self.folder / name).is_dir():
            return None
        return int(name.removeprefix("step-")), self.folder / name

    def _best_name(self) -> str:
        marker = self.folder / "best"
        return marker.read_text() if marker.is_file() else ""

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


class Items:
    """Which items of an item-wise stage are finished; survives a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A last line that a kill cut short goes: that item is done again.
        drop_torn_line(path)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self._done = {json.loads(line) for line in text.splitlines()}

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def add(self, key: str) -> None:
        """Record an item as finished, once what it made is on disk."""
        self._done.add(key)
        with self.path.open("a") as file:
            file.write(json.dumps(key) + "\n")


@dataclass
class Context:
    """What a stage is handed: where to write, whom to tell, and whether to stop.

    `Context.local(stage, config, folder)` gives one without a run around it, for tests and
    notebooks.
    """

    stage: Stage
    config: Config
    folder: Path
    """The stage's own folder; kept after an interruption."""
    device: str = "cpu"
    """`cpu` or `cuda:0`, chosen by the run."""
    seed: int = 0
    emit: Callable[[Event], None] = field(default=lambda event: None)
    asked_to_stop: Callable[[], bool] = field(default=lambda: False)

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(self.folder / "ckpt")
        self.items = Items(self.folder / "items.jsonl")
        self.problems: list[str] = []

    @classmethod
    def local(cls, stage: Stage, config: Config, folder: Path, **rest: Any) -> Context:
        """A context without a run around it."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(stage, config, folder, **rest)

    @property
    def out(self) -> Path:
        """Where outputs are written; it becomes the stage's `out/` when the stage is done."""
        return self.folder / "tmp" / "out"

    def output(self, name: str) -> Path:
        """The path at which the declared output `name` is to be written."""
        path = self.out / self.stage.outputs[name].path
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, step: int, metrics: Mapping[str, float], *, epoch: float | None = None) -> None:
        """Record metrics at a step. Names are `split/name`: `train/loss`, `test/psnr`."""
        self.emit(
            {"kind": "metric", "step": step, "epoch": epoch}
            | {"metrics": {name: float(value) for name, value in metrics.items()}}
        )

    def picture(self, step: int, name: str, image: np.ndarray) -> Path:
        """Keep a picture, [height, width, 3] of uint8, for the page and the trackers."""
        import numpy as np
        from PIL import Image

        if image.dtype != np.uint8 or image.ndim != 3:
            raise DataError(
                f"a picture is [height, width, 3] of uint8; '{name}' is {image.shape} of "
                f"{image.dtype}"
            )
        path = self.folder / "pictures" / f"{name}-{step:07d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        relative = path.relative_to(self.folder).as_posix()
        self.emit({"kind": "picture", "step": step, "name": name, "path": relative})
        return path

    def progress(self, done: int, total: int, unit: str, **shown: float) -> None:
        """Say how far the stage is. `shown` are a few numbers to print beside it, `psnr=27.1`."""
        self.emit({"kind": "progress", "done": done, "total": total, "unit": unit, "shown": shown})

    def note(self, message: str, *, level: Literal["info", "warning"] = "info") -> None:
        """Say something to whoever watches, once."""
        self.emit({"kind": "log", "level": level, "message": message})

    def partly(self, problems: Iterable[str]) -> None:
        """Say what could not be done while the rest was, a sentence each.

        The stage is done and its outputs appear; the run leaves with status 4 and the sentences.
        """
        self.problems += problems

    def resumed(self, step: int) -> None:
        """Say that the stage goes on from `step`: metrics logged beyond it are void."""
        self.emit({"kind": "rewind", "step": step})

    def should_stop(self) -> bool:
        """Whether to save and leave. Ask at every step; it costs nothing."""
        return self.asked_to_stop()

    def stop(self) -> None:
        """Leave as asked, after saving.

        Raises:
            StoppedError: always.
        """
        raise StoppedError(f"{self.stage.name} was stopped. Run the same command to go on.")

    def each(self, keys: Iterable[str]) -> Iterable[str]:
        """Go through the items not finished yet; each counts as finished afterwards."""
        keys = list(keys)
        for number, key in enumerate(keys):
            if self.should_stop():
                self.stop()
            if key not in self.items:
                yield key
                self.items.add(key)
            self.progress(number + 1, len(keys), "items")

    def rng(self, name: str) -> np.random.Generator:
        """A random generator of its own for each purpose, the same in every run of one seed."""
        import numpy as np

        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little"))
