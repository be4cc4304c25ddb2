"""Event cameras and what follows from one: sizes, classes, and the rules its labels are held to.

`gen1` and `gen4` are the two cameras of the published data sets; any other is a `Sensor` of its
own. A data set on disk names its sensor in `sensor.json` beside its splits; one without that file
is of the sensor that its user names.

Notation: sizes are (height, width) in pixels. The network sees the sensor at full or half size,
padded with zeros at the bottom and the right.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fovea.errors import ConfigError, DataError

FILE_NAME = "sensor.json"
STRIDE = 32
"""The coarsest stride of the network; padded sides are multiples of it."""


@dataclass(frozen=True)
class LabelRules:
    """Which boxes of a data set are kept, in sensor pixels."""

    most_classes: int | None = None
    """Boxes of this class id and above are dropped before anything else."""
    min_diagonal_px: float = 0.0
    min_side_px: float = 0.0
    step_us: int | None = None
    """Time between two labelled moments; None takes it from the labels, for 30 or 60 Hz."""
    evaluation_diagonal_px: float = 0.0
    evaluation_side_px: float = 0.0


@dataclass(frozen=True)
class Sensor:
    """One event camera, as a data set and a network see it."""

    name: str
    height: int
    width: int
    classes: tuple[str, ...]
    """Names by class id."""
    halved: bool = False
    """Whether histograms are stored at half size."""
    partition_split: Literal[1, 2, 4] = 1
    """Attention windows a side beyond one for each 32 pixels; the paper's `partition_split_32`."""
    time_flip_offset: int = -1
    """By how many histograms labels move when a recording is read backwards."""
    rules: LabelRules = LabelRules()
    period_us: int | None = None
    """Between the ends of two histograms, where it is not half the step between labels."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or not self.classes:
            raise ConfigError(
                f"a sensor needs a size and classes; {self.name} has {self.height} x {self.width}"
                f" pixels and classes {self.classes}."
            )

    @property
    def network_height(self) -> int:
        """Height of the histograms that the network is given, before padding."""
        return self.height // 2 if self.halved else self.height

    @property
    def network_width(self) -> int:
        """Width of the histograms that the network is given, before padding."""
        return self.width // 2 if self.halved else self.width

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width with the zeros at the bottom and the right."""
        unit = STRIDE * self.partition_split
        return _up(self.network_height, unit), _up(self.network_width, unit)

    @property
    def partition(self) -> tuple[int, int]:
        """Attention window, (height, width) in tokens, the same at every stage of the network."""
        unit = STRIDE * self.partition_split
        return self.padded[0] // unit, self.padded[1] // unit

    def write(self, dataset: Path) -> None:
        """Note the sensor in the folder of a data set."""
        text = json.dumps(dataclasses.asdict(self), indent=2)
        (dataset / FILE_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def of(cls, dataset: Path, name: str = "auto") -> Sensor:
        """The sensor of a data set: the named one, or for `auto` the one noted in its folder.

        Raises:
            DataError: nothing is noted, or what is noted cannot be read.
            ConfigError: there is no sensor of that name.
        """
        if name != "auto":
            return preset(name)
        path = dataset / FILE_NAME
        if not path.is_file():
            raise DataError(
                f"{dataset} does not say which sensor it is from: it has no {FILE_NAME}. Give"
                f" sensor=NAME, one of {', '.join(PRESETS)}."
            )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            rules = LabelRules(**found.pop("rules"))
            return cls(**found | {"classes": tuple(found["classes"]), "rules": rules})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} cannot be read as a sensor: {error}. Write it again with the stage that"
                " made the data set, or give sensor=NAME."
            ) from error


def _up(side: int, unit: int) -> int:
    return -(-side // unit) * unit


GEN1 = Sensor(
    "gen1", 240, 304, ("car", "pedestrian"),
    rules=LabelRules(
        min_diagonal_px=30, min_side_px=10, step_us=250_000,
        evaluation_diagonal_px=30, evaluation_side_px=10,
    ),
)  # fmt: skip
GEN4 = Sensor(
    "gen4", 720, 1280, ("pedestrian", "two-wheeler", "car"),
    halved=True, partition_split=2, time_flip_offset=-2,
    rules=LabelRules(
        most_classes=3, min_side_px=5, evaluation_diagonal_px=60, evaluation_side_px=20
    ),
)  # fmt: skip
PRESETS: dict[str, Sensor] = {sensor.name: sensor for sensor in (GEN1, GEN4)}
"""The sensors of the published data sets."""


def preset(name: str) -> Sensor:
    """The published sensor of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no sensor '{name}'. Known: {', '.join(PRESETS)}.")
    return PRESETS[name]
