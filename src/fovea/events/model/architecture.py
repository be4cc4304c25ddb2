"""What a detector is made of: the numbers that fix the names and shapes of all its weights.

Source: Gehrig and Scaramuzza, "Recurrent Vision Transformers for Object Detection with Event
Cameras" (2023): the sizes tiny, small and base. `nano` is ours, for rehearsal on a CPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from fovea.errors import ConfigError
from fovea.events.sensor import STRIDE, Sensor

Size = Literal["nano", "tiny", "small", "base"]
BINS = 20
"""Channels of a histogram: ten time bins of each polarity."""
STRIDES = (8, 16, 32)
"""Of the levels at which boxes are predicted."""


@dataclass(frozen=True)
class Architecture:
    """The sizes of one detector."""

    size: str
    embed: int
    """Channels of the first stage; each further one has twice as many as the one before."""
    head_dim: int
    """Channels of an attention head."""
    bottlenecks: int
    """In each block of the feature pyramid."""
    classes: int
    partition: tuple[int, int]
    """Attention window, (height, width) in tokens, the same at all four stages."""
    layer_scale: float = 1e-5
    """How loud each attention block speaks before training."""
    token_mask: bool = False
    """Whether tokens of the first stage may be hidden behind a learned one."""
    depthwise_memory: bool = False
    """Whether the memory's last output passes a depthwise 3x3 convolution."""

    def __post_init__(self) -> None:
        if self.embed % self.head_dim:
            raise ConfigError(
                f"the channels of the first stage are cut into heads: embed {self.embed} is not a"
                f" multiple of head_dim {self.head_dim}. Change one of them."
            )

    @classmethod
    def of(cls, size: str, sensor: Sensor) -> Architecture:
        """The detector of that size for a sensor.

        Raises:
            ConfigError: there is no such size.
        """
        if size not in SIZES:
            raise ConfigError(f"there is no detector size '{size}'. Known: {', '.join(SIZES)}.")
        return cls(size, **SIZES[size], classes=len(sensor.classes), partition=sensor.partition)

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """Channels of the four stages, at strides 4, 8, 16 and 32."""
        return self.embed, 2 * self.embed, 4 * self.embed, 8 * self.embed

    @property
    def hidden(self) -> int:
        """Channels inside the head."""
        return self.dims[3] // 4

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The size to which an input grows so that every stage is cut into whole windows."""
        rows, columns = (STRIDE * tokens for tokens in self.partition)
        return -(-height // rows) * rows, -(-width // columns) * columns

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self) | {"partition": list(self.partition)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The architecture of which `to_dict` gave the values."""
        rows, columns = values["partition"]
        changed: dict[str, Any] = values | {"partition": (int(rows), int(columns))}
        return cls(**changed)


SIZES: dict[str, dict[str, Any]] = {
    "nano": {"embed": 16, "head_dim": 16, "bottlenecks": 1, "layer_scale": 0.1},
    "tiny": {"embed": 32, "head_dim": 32, "bottlenecks": 1},
    "small": {"embed": 48, "head_dim": 24, "bottlenecks": 1},
    "base": {"embed": 64, "head_dim": 32, "bottlenecks": 2},
}
"""What makes each size; short trainings of nano begin with louder attention than the paper's."""
