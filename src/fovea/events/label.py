"""`events.label`: a detector labels the training recordings, and what no track holds is ignored.

Recordings are gone through in groups. A group is finished or not there, so a run that was ended
goes on with the next one and makes the same files. Another round of self-training is another call,
with the new detector and the original data.

Source: Wu et al., "LEOD: Label-Efficient Object Detection for Event Cameras" (2024).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fovea.errors import ConfigError, DataError
from fovea.events.dataset import EventSet, Recording, link_splits, write_recording
from fovea.events.labelling.filter import Filtered, filter_again, filter_labels
from fovea.events.labelling.frames import FrameLabels, labels_in
from fovea.events.labelling.inspection import CHECKED_SHARE, inspect
from fovea.events.labelling.log import join_parts, read_log, write_part
from fovea.events.labelling.quality import Quality, mean_of, quality
from fovea.events.labelling.teacher import Teacher, Truth
from fovea.events.model.weights import load_detector
from fovea.events.sampling import Budget
from fovea.events.settings.label import LabelConfig
from fovea.runs.durable import write_json
from fovea.runs.stage import Context
from fovea.training.device import torch_device


def label(config: LabelConfig, context: Context) -> dict[str, float]:
    """Make a data set of pseudo labels.

    Raises:
        DataError: the data has pseudo labels where it should have none, or the other way round.
        ArtifactError: the detector is for another sensor.
        ConfigError: a detector is missing, or there are not as many thresholds as classes.
    """
    work = _Work.begin(config, context)
    teacher = None if config.only_tracking else _teacher(config, context, work.data)
    for key, recordings in work.groups().items():
        if key not in context.items:
            for name, boxes in _boxes(work, key, recordings, teacher).items():
                work.write(name, boxes)
            context.items.add(key)
        work.read(recordings)
    return _finish(work)


def _teacher(config: LabelConfig, context: Context, data: EventSet) -> Teacher:
    if config.detector is None:
        raise ConfigError(
            "events.label needs a detector to look with, and none is given. Give detector=PATH, or"
            " only_tracking=true to filter a data set of pseudo labels again."
        )
    device = torch_device(context.device)
    detector, _ = load_detector(config.detector, sensor=data.sensor, device=device)
    return Teacher(detector, data.sensor, config, device)


def _boxes(
    work: _Work, key: str, recordings: Sequence[Recording], teacher: Teacher | None
) -> dict[str, FrameLabels]:
    """The labels of a group before the filter; notes how good its views were."""
    if teacher is None:
        return {recording.name: labels_in(recording) for recording in recordings}
    judged = Quality(work.data.sensor.classes)
    truth = {recording.name: work.truth(recording) for recording in recordings}
    boxes = teacher.label(recordings, truth, judged, watch=work.watch)
    write_json(work.parts / f"{key}.json", judged.frames)
    return boxes


@dataclass
class _Work:
    """What is labelled, where it goes, and how far it is."""

    config: LabelConfig
    context: Context
    data: EventSet
    recordings: Mapping[str, Recording]
    visible: Mapping[str, Sequence[int]]
    """By recording, the labelled moments whose truth may be used."""
    parts: Path
    """Where notes of what is finished are kept until the end."""
    done: int = 0
    """Histograms of finished groups."""
    begun: int = 0
    """Histograms of the group that is being looked at."""

    @classmethod
    def begin(cls, config: LabelConfig, context: Context) -> _Work:
        """Open the data and make an empty data set.

        Raises:
            DataError: it has pseudo labels where it should have none, or the other way round.
        """
        data = EventSet.open(config.data, config.sensor)
        recordings = {recording.name: recording for recording in data.split("train")}
        is_pseudo = any((each.labels["t"] == 0).any() for each in recordings.values())
        if is_pseudo and not config.only_tracking:
            raise DataError(
                f"{data.root} has pseudo labels, and a detector labels the original data in every"
                " round. Give the data set these were made of, or only_tracking=true to filter them"
                " again."
            )
        if config.only_tracking and not is_pseudo:
            raise DataError(
                f"only_tracking filters pseudo labels again, and {data.root} has none. Give a data"
                " set of events.label, or a detector and only_tracking=false."
            )
        budget = Budget() if config.only_tracking else Budget.of(config.budget)
        visible = budget.visible(list(recordings.values()))
        parts = context.folder / "parts"
        parts.mkdir(exist_ok=True)
        work = cls(config, context, data, recordings, visible, parts)
        work.made.mkdir(parents=True, exist_ok=True)
        data.sensor.write(work.made.parent)
        return work

    @property
    def made(self) -> Path:
        """The folder of the recordings that are made."""
        return self.context.output("dataset") / "train"

    def groups(self) -> dict[str, Sequence[Recording]]:
        """Recordings that are looked at together: of like length, the longest first."""
        size = 1 if self.config.only_tracking else self.config.batch
        ordered = sorted(self.recordings.values(), key=self._steps, reverse=True)
        starts = range(0, len(ordered), size)
        return {f"{number:05d}": ordered[at : at + size] for number, at in enumerate(starts)}

    def truth(self, recording: Recording) -> Truth:
        """The ground truth that the labels of a recording keep, and that hidden from them."""
        shown = set(self.visible[recording.name])
        hidden = [at for at in range(len(recording)) if at not in shown]
        kept = sorted(shown) if self.config.use_gt else []
        found = labels_in(recording, kept)
        return Truth(found.where(found.labels.is_truth), labels_in(recording, hidden))

    def write(self, name: str, boxes: FrameLabels) -> None:
        """Filter the labels of a recording and write it, with a line for each box."""
        config = self.config
        run = filter_again if config.only_tracking else filter_labels
        found: Filtered = run(
            boxes,
            min_track_len=config.min_track_len,
            method=config.track_method,
            inpaint=config.inpaint,
            ties=config.track_ties,
        )
        write_recording(
            self.made / name,
            labels=found.boxes.labels.to_structured(),
            objframe_to_label=found.boxes.starts,
            objframe_to_histogram=found.boxes.numbers,
            source=self.recordings[name],
        )
        write_part(self.parts / f"{name}.csv", name, found, self.data.sensor.classes)

    # How far it is

    def watch(self, steps: int) -> None:
        """Histograms of the present group were read.

        Raises:
            StoppedError: somebody asked to stop; the group is done again.
        """
        self.begun += steps
        self._progress()

    def read(self, recordings: Sequence[Recording]) -> None:
        """A group is finished."""
        self.done += sum(map(self._steps, recordings))
        self.begun = 0
        self._progress()

    def _progress(self) -> None:
        total = sum(map(self._steps, self.recordings.values()))
        self.context.progress(self.done + self.begun, total, "histograms")
        if self.context.should_stop() and self.done < total:
            self.context.stop()

    def _steps(self, recording: Recording) -> int:
        """Histograms that are read of a recording."""
        labelled = recording.objframe_to_histogram
        first = int(labelled[0]) if len(labelled) else 0
        steps = recording.n_histograms - max(first - self.config.length + 1, 0)
        return steps * (2 if self.config.tta else 1)


def _finish(work: _Work) -> dict[str, float]:
    """Link the other splits, look through a part of what was made, and say how good it is."""
    context = work.context
    link_splits(work.made.parent, work.data)
    names = sorted(work.recordings)
    join_parts(context.output("log"), [work.parts / f"{name}.csv" for name in names])
    made = EventSet.open(work.made.parent)
    _look_through(work, made)
    fates = Counter(read_log(context.output("log"))["fate"].tolist())
    scores = {name: float(fates[name]) for name in ("truth", "kept", "removed", "inpainted")}
    if work.config.only_tracking:
        return scores
    views = Quality(work.data.sensor.classes)
    for key in work.groups():
        views.add(json.loads((work.parts / f"{key}.json").read_text()))
    found = {"views": views.compute(), "labels": quality(made, work.data, shown=work.visible)}
    write_json(context.output("quality"), found)
    context.log(0, {f"labels/{name}": value for name, value in found["labels"].items()})
    return scores | mean_of(found["labels"])


def _look_through(work: _Work, made: EventSet) -> None:
    """Look through a tenth of the recordings, at least one."""
    recordings = made.split("train")
    count = max(1, math.ceil(CHECKED_SHARE * len(recordings)))
    chosen = work.context.rng("inspection").choice(len(recordings), count, replace=False)
    for number in sorted(chosen.tolist()):
        truth = work.truth(work.recordings[recordings[number].name])
        inspect(recordings[number], truth.visible, truth.hidden.numbers.tolist())
