"""A teacher labels recordings: it looks, its views are merged, and ground truth takes its place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from fovea.events.dataset import Recording
from fovea.events.labelling.frames import FrameLabels
from fovea.events.labelling.merge import merge_views, with_truth
from fovea.events.labelling.prediction import Thresholds, pseudo_labels
from fovea.events.labelling.quality import Quality
from fovea.events.labelling.views import Looking, Seen, look
from fovea.events.labels import Labels
from fovea.events.model.detector import Detector
from fovea.events.sampling import stream_batches
from fovea.events.sensor import Sensor
from fovea.events.settings.label import LabelConfig


@dataclass(frozen=True)
class Truth:
    """The ground truth of one recording, in sensor pixels."""

    visible: FrameLabels
    """What the labels keep."""
    hidden: FrameLabels
    """What they are only measured by."""


@dataclass(frozen=True)
class Teacher:
    """A detector with the settings by which it labels."""

    detector: Detector
    sensor: Sensor
    config: LabelConfig
    device: torch.device

    @property
    def least(self) -> Thresholds:
        """How sure it must be, by class."""
        config, classes = self.config, len(self.sensor.classes)
        return Thresholds.of(config.obj_thresh, config.cls_thresh, classes=classes)

    def label(
        self,
        recordings: Sequence[Recording],
        truth: Mapping[str, Truth],
        judged: Quality,
        *,
        watch: Callable[[int], None] = lambda steps: None,
    ) -> dict[str, FrameLabels]:
        """The labels of recordings, by name, before the filter.

        Args:
            recordings: that are read side by side.
            truth: theirs, by name.
            judged: is told how good each view is where truth is hidden.
            watch: told after every batch how many histograms were read.
        """
        names = {str(recording.folder): recording.name for recording in recordings}
        hidden = {name: dict(each.hidden) for name, each in truth.items()}
        found: dict[str, list[tuple[int, Labels]]] = defaultdict(list)
        for seen, steps in self._looks(recordings, truth):
            for each in seen:
                name = names[each.path]
                frame, labels = self._labels(each)
                found[name].append((frame, labels))
                if frame in hidden[name]:
                    judged.update(labels, hidden[name][frame])
            watch(steps)
        return {
            recording.name: with_truth(
                merge_views(
                    found[recording.name],
                    self.sensor,
                    n_frames=recording.n_histograms,
                    confidence=self.config.confidence,
                    iou=self.config.nms,
                    suppress=self.config.tta,
                ),
                truth[recording.name].visible,
            )
            for recording in recordings
        }

    def _looks(
        self, recordings: Sequence[Recording], truth: Mapping[str, Truth]
    ) -> Iterator[tuple[list[Seen], int]]:
        """What is seen in each batch, and how many histograms were read for it."""
        config = self.config
        batches = stream_batches(
            recordings,
            self.sensor,
            batch=config.batch,
            length=config.length,
            double_with_reversed=config.tta,
            threads=config.threads,
        )
        looking = Looking(config.confidence, config.nms, config.tta, config.skip_first_t)
        known = {
            str(each.folder): frozenset(truth[each.name].visible.numbers.tolist())
            for each in recordings
        }
        for batch, seen in look(
            self.detector, batches, self.sensor, looking, known=known, device=self.device
        ):
            yield seen, int((~batch.is_padded).sum())

    def _labels(self, seen: Seen) -> tuple[int, Labels]:
        """The labels that a view gives, where they belong."""
        height, width = self.sensor.network_height, self.sensor.network_width
        labels = pseudo_labels(seen.predictions, self.least, height=height, width=width)
        return seen.view.undo(seen.frame, labels, self.sensor)
