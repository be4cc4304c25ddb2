"""Following a trial into its trackers, in a thread that neither holds up nor fails it.

The thread reads the trial's metrics.jsonl as it grows. A tracker that fails is opened anew after a
while and told all again; one that keeps failing is left, with one warning, and `fovea track sync`
makes its record later.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea import console
from fovea.runs.durable import write_json
from fovea.runs.events import decode
from fovea.tuning.tracks.card import Card, Domain, End, Point, Sink

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan
    from fovea.tuning.tracks.settings import Track

LOOK_EVERY_S = 0.5
WAITS_S = (1.0, 5.0, 25.0)
"""Before a tracker that failed is opened anew; then it is left."""
PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
NOTE = "told.json"
"""In a trial's `trackers/`: which trackers have all of it."""

_at_work: list[Following] = []
_warned: set[str] = set()


class Telling:
    """One tracker of one trial: told what is new, and all of it again after it failed."""

    def __init__(self, name: str, make: Callable[[], Sink]) -> None:
        self.name = name
        self.make = make
        self.is_told = False
        self.trouble = ""
        self._sink: Sink | None = None
        self._at = 0
        self._failures = 0
        self._try_at = 0.0

    def tell(self, points: Sequence[Point], end: End | None) -> None:
        """Tell it what is new, and how the trial ended once it has."""
        if self.is_over or time.monotonic() < self._try_at:
            return
        try:
            self._sink = self._sink or self.make()
            for point in points[self._at :]:
                self._sink.take(point)
                self._at += 1
            if end is not None:
                self._sink.close(end)
                self.is_told = True
        except Exception as error:  # noqa: BLE001, a tracker's fault is not the trial's
            self.trouble = f"{type(error).__name__}: {error}"
            self._sink, self._at = None, 0
            wait = WAITS_S[min(self._failures, len(WAITS_S) - 1)]
            self._failures += 1
            self._try_at = time.monotonic() + wait

    @property
    def is_over(self) -> bool:
        """Whether it has all, or was left."""
        return self.is_told or self._failures > len(WAITS_S)


class Following:
    """A trial that is followed into its trackers, from `with` until `end` or the `with` is left."""

    def __init__(self, card: Card, tellings: Sequence[Telling]) -> None:
        self.card = card
        self.tellings = list(tellings)
        self._end: End | None = None
        self._change = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"track {card.id}", daemon=True)

    def __enter__(self) -> Following:
        if self.tellings:
            _at_work[:] = [one for one in _at_work if one._thread.is_alive()]
            for former in _at_work:  # a trial that is tried again has its folder
                if former.card.folder == self.card.folder:
                    former.settle(WAITS_S[-1])
            _at_work.append(self)
            self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        if self._end is None:
            self.end(End("interrupted", failure="interrupted"))

    def end(self, end: End) -> None:
        """Say how the trial ended; the thread tells it and goes."""
        self._end = end
        self._change.set()

    def settle(self, patience_s: float) -> bool:
        """Wait until all is told."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        lines, points = Lines(self.card.folder / "metrics.jsonl"), list[Point]()
        while True:
            end = self._end  # looked at before the file, whose last line is then not missed
            points += lines.new()
            # Opening a tracker takes a while: the trial's own process shall begin first.
            for telling in self.tellings if points or end else ():
                telling.tell(points, end)
            if end is not None and all(telling.is_over for telling in self.tellings):
                break
            self._change.wait(LOOK_EVERY_S)
            if end is not None:
                time.sleep(LOOK_EVERY_S)
        digest = digest_of(self.card.folder)
        note_told(self.card, {t.name: digest for t in self.tellings if t.is_told})
        for telling in self.tellings:
            if not telling.is_told:
                _warn_once(self.card, telling)


class Lines:
    """The points of a trial's metrics.jsonl; a line still being written is left for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def new(self) -> Iterator[Point]:
        """The points since the last call."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                said = decode(line)
                when = said.get("time") or time.time()
                yield Point(said["step"], said["metrics"], said.get("epoch"), when)


def follow(plan: Plan, folder: Path, about: Mapping[str, Any]) -> Following:
    """Follow a trial into the trackers that its study wants.

    Args:
        plan: the study.
        folder: of the trial; its metrics.jsonl is new.
        about: what is known of it: study_id, number, parameters, settings, baseline.
    """
    from fovea.tuning.tracks.doubles import reported_by_trainer

    card = card_of(plan, folder, about)
    own = reported_by_trainer(plan.target, about.get("settings", {}))
    return Following(card, tellings(plan.file.track, card, own))


def tellings(track: Track, card: Card, own: frozenset[str] = frozenset()) -> list[Telling]:
    """A tracker each; none for one that the trainer reports to itself, or that is not installed."""
    found: list[Telling] = []
    for name in track.wanted:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            continue
        if name in own and name != "tensorboard":
            continue
        found.append(Telling(name, maker(name, track, card, with_points=name not in own)))
    return found


def maker(name: str, track: Track, card: Card, *, with_points: bool = True) -> Callable[[], Sink]:
    """What opens a tracker of that name on a trial."""

    def make() -> Sink:
        if name == "wandb":
            from fovea.tuning.tracks.settings import WandbTrack
            from fovea.tuning.tracks.weights_and_biases import WandB

            return WandB(card, track.wandb or WandbTrack())
        if name == "mlflow":
            from fovea.tuning.tracks.mlflow import MLflow

            return MLflow(card, track.mlflow or "auto")
        from fovea.tuning.tracks.tensorboard import TensorBoard

        return TensorBoard(card, with_points=with_points)

    return make


def settle(patience_s: float = 60.0) -> None:
    """Let the trackers of this process finish what they were handed."""
    end = time.monotonic() + patience_s
    for following in list(_at_work):
        if not following.settle(max(0.0, end - time.monotonic())):
            console.warn(
                f"trackers of trial {following.card.number} had not finished after "
                f"{patience_s:.0f} s and were left behind; 'fovea track sync "
                f"{following.card.study_folder}' makes their records."
            )
    _at_work.clear()


def card_of(plan: Plan, folder: Path, about: Mapping[str, Any]) -> Card:
    """A trial as its trackers know it."""
    from fovea.tuning.parameter import Choice

    domains = {
        p.name: Domain(values=p.domain.values)
        if isinstance(p.domain, Choice)
        else Domain(float(p.domain.low), float(p.domain.high))
        for p in plan.space.parameters
    }
    return Card(
        study=plan.file.study,
        study_id=str(about.get("study_id", "")),
        number=int(about.get("number", 0)),
        folder=folder,
        parameters=about.get("parameters", {}),
        goals=[goal.metric for goal in plan.goals],
        domains=domains,
        is_baseline=bool(about.get("baseline")),
    )


def digest_of(folder: Path) -> str:
    """What tells a trial's record from a later one in the same folder."""
    parts = [folder / "metrics.jsonl", folder / "result.json"]
    found = b"".join(path.read_bytes() for path in parts if path.is_file())
    return hashlib.sha256(found).hexdigest()[:16]


def note_told(card: Card, told: Mapping[str, str]) -> None:
    """Note which trackers have all of a trial, by the digest of what they were told."""
    card.records.mkdir(parents=True, exist_ok=True)
    write_json(card.records / NOTE, told_of(card.folder) | dict(told))


def told_of(folder: Path) -> dict[str, str]:
    """Which trackers have all of the trial in a folder, by the digest of what they were told."""
    path = folder / "trackers" / NOTE
    return json.loads(path.read_text()) if path.is_file() else {}


def _warn_once(card: Card, telling: Telling) -> None:
    """One warning a tracker and process: a broken one breaks for every trial."""
    if telling.name not in _warned:
        _warned.add(telling.name)
        console.warn(
            f"trial {card.number} is not whole in {telling.name} ({telling.trouble}). The trials "
            f"go on; 'fovea track sync {card.study_folder} --to {telling.name}' makes it again."
        )
