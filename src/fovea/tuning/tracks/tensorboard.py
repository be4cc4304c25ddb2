"""TensorBoard: scalars in a trial's `tb/`, and a line in the table of hyperparameters.

A line of that table is two records of the hparams plug-in, which must stand in the same folder as
the scalars: in a folder of their own the trial would be listed twice. What each parameter may be
stands once a study, in the study's `tb/`; without it TensorBoard would guess from what was tried.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from fovea.tuning.tracks.card import Card, Domain, End, Point, scalar

SUFFIX = ".fovea"
"""Ends the names of our event files, so that a trainer's own beside them are left alone."""
PLUGIN = "hparams"


class TensorBoard:
    """The event file of one trial."""

    name = "tensorboard"

    def __init__(self, card: Card, *, with_points: bool = True) -> None:
        """Begin anew; `with_points` is false where the trainer writes its scalars there itself."""
        self.card, self.with_points = card, with_points
        folder = card.folder / "tb"
        for former in folder.glob(f"*{SUFFIX}"):
            former.unlink()
        write_domains(card)
        self._writer = _writer(folder)
        self._last = 0
        self._summary("session_start_info", _start(card))

    def take(self, point: Point) -> None:
        """Use the numbers of a step."""
        self._last = max(self._last, point.step)
        if not self.with_points:
            return
        for name, value in point.metrics.items():
            self._writer.add_scalar(name, value, point.step, point.time)
        if point.epoch is not None:
            self._writer.add_scalar("epoch", point.epoch, point.step, point.time)

    def close(self, end: End) -> None:
        """Note how it ended: the values of its goals, its pictures, and its state."""
        for goal, value in zip(self.card.goals, end.values, strict=False):
            self._writer.add_scalar(f"objective/{goal}", value, self._last)
        for name, step, path in _pictures(self.card.folder):
            self._writer.add_image(name, _pixels(path), step, dataformats="HWC")
        self._summary("session_end_info", _end(end))
        self._writer.close()

    def _summary(self, kind: str, content: Any) -> None:
        self._writer.file_writer.add_summary(_record(kind, content), 0)


def _pictures(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """The pictures that a stage made, with their names and steps."""
    for path in sorted(folder.glob("run/stages/*/pictures/*.png")):
        name, _, step = path.stem.rpartition("-")
        if name and step.isdigit():
            yield name, int(step), path


def _pixels(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write_domains(card: Card) -> None:
    """Say once a study what its parameters may be, and which metrics are its goals."""
    folder = card.study_folder / "tb"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "domains.lock"):
        if any(folder.glob(f"*{SUFFIX}")):
            return
        writer = _writer(folder)
        writer.file_writer.add_summary(_record("experiment", _experiment(card)), 0)
        writer.close()


def _writer(folder: Path) -> Any:
    from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingTypeStubs]

    return SummaryWriter(str(folder), filename_suffix=f".{time.time_ns()}{SUFFIX}")


def _messages(module: str) -> Any:
    """The classes of messages that tensorboardX carries."""
    return importlib.import_module(f"tensorboardX.proto.{module}")


def _record(kind: str, content: Any) -> Any:
    """A message of the plug-in as a summary."""
    summary = _messages("summary_pb2")
    data = _messages("plugin_hparams_pb2").HParamsPluginData(version=0, **{kind: content})
    plugin = summary.SummaryMetadata.PluginData(
        plugin_name=PLUGIN, content=data.SerializeToString()
    )
    about = summary.SummaryMetadata(plugin_data=plugin)
    return summary.Summary(value=[summary.Summary.Value(tag=f"_hparams_/{kind}", metadata=about)])


def _start(card: Card) -> Any:
    info = _messages("plugin_hparams_pb2").SessionStartInfo(
        group_name=card.id, start_time_secs=time.time(), model_uri=str(card.folder)
    )
    for name, value in card.parameters.items():
        _set(info.hparams[name], scalar(value))
    return info


def _end(end: End) -> Any:
    api, plugin = _messages("api_pb2"), _messages("plugin_hparams_pb2")

    word = "STATUS_SUCCESS" if end.exit_code == 0 else "STATUS_FAILURE"
    return plugin.SessionEndInfo(status=api.Status.Value(word), end_time_secs=time.time())


def _experiment(card: Card) -> Any:
    api = _messages("api_pb2")

    return api.Experiment(
        name=card.study,
        description=f"study {card.study_id}",
        time_created_secs=time.time(),
        hparam_infos=[_parameter(name, domain) for name, domain in card.domains.items()],
        metric_infos=[
            api.MetricInfo(name=api.MetricName(tag=f"objective/{goal}"), display_name=goal)
            for goal in card.goals
        ],
    )


def _parameter(name: str, domain: Domain) -> Any:
    api = _messages("api_pb2")
    values = [scalar(value) for value in domain.values]
    kinds: Mapping[type, str] = {bool: "BOOL", float: "FLOAT64", str: "STRING"}
    same = {type(value) for value in values} or {float}
    kind = kinds[same.pop()] if len(same) == 1 else "STRING"
    info = api.HParamInfo(name=name, type=api.DataType.Value(f"DATA_TYPE_{kind}"))
    if domain.low is not None:
        info.domain_interval.min_value = domain.low
        info.domain_interval.max_value = domain.high
    for value in values:
        _set(info.domain_discrete.values.add(), value if kind != "STRING" else str(value))
    return info


def _set(value: Any, content: bool | float | str) -> None:
    kinds: Mapping[type, str] = {bool: "bool_value", float: "number_value", str: "string_value"}
    setattr(value, kinds[type(content)], content)
