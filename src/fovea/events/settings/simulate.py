"""Settings of `events.simulate`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import field_validator, model_validator

from fovea.config import Config, Path, artifact, setting

Figure = Literal["car", "pedestrian", "two-wheeler"]
PHOTOGRAPHS = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
    "immunohistochemistry", "moon", "retina", "rocket",
)  # fmt: skip
"""Those that come with scikit-image, in the public domain or CC0."""


class PixelConfig(Config):
    """What the pixels of the camera are like; brightness is the logarithm of light."""

    threshold_on: float = setting(
        0.2, "rise of brightness that makes an event", gt=0.01, tunable=(0.1, 0.5)
    )
    threshold_off: float = setting(
        0.2, "fall of brightness that makes an event", gt=0.01, tunable=(0.1, 0.5)
    )
    threshold_sigma: float = setting(
        0.03, "spread of both from pixel to pixel, one standard deviation", ge=0
    )
    refractory_us: int = setting(500, "time for which a pixel is blind after an event", ge=0)
    leak_hz: float = setting(0.1, "rate at which a pixel that sees no change says brighter", ge=0)
    shot_noise_hz: float = setting(
        0.5, "rate of events by shot noise in the dark; a quarter of it in full light", ge=0
    )
    cutoff_hz: float = setting(
        300.0, "bandwidth of a pixel in full light, less in the dark; 0 has no limit", ge=0
    )
    knee: float = setting(
        0.02, "light, as a part of white, below which the response is linear", gt=0, lt=1
    )


class SceneConfig(Config):
    """What goes on before the camera."""

    objects: tuple[int, int] = setting((2, 4), "objects at a time, fewest and most")
    size: tuple[float, float] = setting(
        (0.24, 0.46), "height of a person, far and near, as a part of the sensor's height"
    )
    speed: tuple[float, float] = setting(
        (0.15, 0.5), "speed of a near car, in sensor widths a second, slowest and fastest"
    )
    whims: float = setting(
        0.25, "chance, at each change of speed, to stand still or to turn back", ge=0, le=1
    )
    pan: float = setting(
        0.05, "fastest drift of the background, in sensor widths a second", ge=0, le=2
    )
    shake: float = setting(0.003, "shaking of the camera, in sensor widths", ge=0, le=0.1)
    zoom: float = setting(0.03, "how far the background comes and goes, as a part", ge=0, le=0.5)
    photographs: tuple[str, ...] = setting(
        (), "photographs of scikit-image behind the objects and on them; none stands for all"
    )

    @field_validator("photographs")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(PHOTOGRAPHS)):
            raise ValueError(f"{unknown[0]} is not one of {', '.join(PHOTOGRAPHS)}")
        return value

    @field_validator("objects", "size", "speed")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be two numbers above 0, the lower one first")
        return value


class RenderConfig(Config):
    """How often brightness is computed; in between it is a straight line."""

    shift_px: float = setting(
        0.5, "farthest that anything moves from one moment to the next", gt=0, le=4
    )
    least_hz: float = setting(100.0, "fewest moments a second", ge=1, le=10_000)
    most_hz: float = setting(2000.0, "most moments a second, no fewer than least_hz", ge=1, le=1e5)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.most_hz < self.least_hz:
            raise ValueError(f"most_hz={self.most_hz:g} is below least_hz={self.least_hz:g}")
        return self


class SimulateConfig(Config):
    """Made scenes become a data set with exact boxes; or a video becomes a recording."""

    sensor: Literal["simulated", "gen1", "gen4"] = setting(
        "simulated",
        "the camera: one of your own size and classes, or one of the published data sets",
    )
    height: int = setting(
        0, "of the sensor; 0 is 96, the named sensor's, or the video's", ge=0, le=4096
    )
    width: int = setting(
        0, "of the sensor; 0 is 128, the named sensor's, or the video's", ge=0, le=4096
    )
    classes: tuple[Figure, ...] = setting(
        ("car", "pedestrian"), "kinds of objects, in the order of their ids", min_length=1
    )
    train: int = setting(32, "recordings to learn from", ge=0)
    val: int = setting(6, "recordings to choose a checkpoint by", ge=0)
    test: int = setting(10, "recordings for the end", ge=0)
    seconds: float = setting(5.0, "length of a recording", ge=0.2, le=3600)
    label_step_ms: int = setting(
        100, "time between two labelled moments, in steps of 50", ge=50, multiple_of=50
    )
    min_visible: float = setting(
        0.35, "part of an object that must be seen for it to have a box", gt=0, le=1
    )
    scene: SceneConfig = setting(SceneConfig(), "what goes on before the camera")
    pixel: PixelConfig = setting(PixelConfig(), "what the pixels of the camera are like")
    render: RenderConfig = setting(RenderConfig(), "how often brightness is computed")
    keep_raw: bool = setting(False, "keep the recordings themselves too, with *_bbox.npy beside")
    video: Path | None = artifact("file", "a video to see in place of made scenes", optional=True)
    boxes: Path | None = artifact(
        "boxes", "boxes of the video in its own pixels, *.npy, to go with it", optional=True
    )
    clip_s: float = setting(0.0, "part of the video, from its start; 0 takes all", ge=0)
    interpolate: bool = setting(
        True, "fill in moments between the frames of a video by optical flow"
    )
    seed: int = setting(0, "of scenes and noise", ge=0)
