"""Recordings of one sensor for a detector of another, there and back."""

import dataclasses

import numpy as np
import pytest

from fovea.errors import DataError
from fovea.events.boxes import PSEUDO_DTYPE
from fovea.events.fit import Fit, Fitter
from fovea.events.sensor import GEN1
from fovea.events.stream import EventStream

SENSOR = dataclasses.replace(GEN1, name="small", height=12, width=16)


def events(height: int, width: int, n: int = 4000, seed: int = 0) -> EventStream:
    rng = np.random.default_rng(seed)
    return EventStream(
        t=np.sort(rng.integers(0, 100_000, n)),
        x=rng.integers(0, width, n).astype(np.uint16),
        y=rng.integers(0, height, n).astype(np.uint16),
        p=rng.integers(0, 2, n).astype(np.uint8),
        height=height,
        width=width,
    )


def box(x: float, y: float, w: float, h: float) -> np.ndarray:
    found = np.zeros(1, PSEUDO_DTYPE)
    for name, value in zip(("x", "y", "w", "h"), (x, y, w, h), strict=True):
        found[name] = value
    return found


def sides(boxes: np.ndarray) -> list[float]:
    return [float(boxes[name][0]) for name in ("x", "y", "w", "h")]


def test_a_recording_of_the_detectors_size_stays_as_it_is() -> None:
    fit = Fit.of(12, 16, SENSOR, "refuse")
    some = events(12, 16)
    assert fit.is_identity
    assert fit.describe() == ""
    assert Fitter(fit)(some) is some
    assert fit.back(box(1, 2, 3, 4)) == box(1, 2, 3, 4)


def test_a_smaller_one_stands_in_the_corner_at_its_own_size() -> None:
    fit = Fit.of(8, 10, SENSOR)
    some = events(8, 10)
    seen = Fitter(fit)(some)
    assert (seen.height, seen.width) == (12, 16)
    np.testing.assert_array_equal(seen.x, some.x)
    assert sides(fit.back(box(1, 2, 3, 4))) == [1, 2, 3, 4]
    assert "corner" in fit.describe()


def test_of_a_larger_one_the_middle_can_be_cut() -> None:
    fit = Fit.of(40, 60, SENSOR, "crop")
    some = events(40, 60)
    seen = Fitter(fit)(some)
    inside = (some.x >= 22) & (some.x < 38) & (some.y >= 14) & (some.y < 26)
    np.testing.assert_array_equal(seen.t, some.t[inside])
    assert int(seen.x.max()) < 16
    assert int(seen.y.max()) < 12
    assert sides(fit.back(box(0, 0, 3, 4))) == [22, 14, 3, 4]
    assert "x=22 y=14" in fit.describe()


def test_a_larger_one_is_shrunk_whole_in_its_own_shape() -> None:
    fit = Fit.of(120, 320, SENSOR)
    assert fit.scale == pytest.approx(0.05)
    some = events(120, 320, n=200_000)
    seen = Fitter(fit)(dataclasses.replace(some, p=np.ones(len(some), np.uint8)))
    assert len(seen) == pytest.approx(len(some) / 400, rel=0.1)
    assert int(seen.x.max()) == 15
    assert int(seen.y.max()) == 5, "below it the frame is empty"
    assert sides(fit.back(box(1, 2, 3, 4))) == pytest.approx([20, 40, 60, 80])
    assert "shrunk to 0.05" in fit.describe()


def test_a_coarse_pixel_fires_once_for_the_events_of_its_area() -> None:
    n = 100
    t = np.arange(n, dtype=np.int64)
    x, y = (t % 10).astype(np.uint16), (t // 10).astype(np.uint16)
    brighter = EventStream(t, x, y, np.ones(n, np.uint8), 120, 160)
    fitter = Fitter(Fit.of(120, 160, SENSOR))
    seen = fitter(brighter)
    assert (seen.t.tolist(), seen.x.tolist(), seen.y.tolist()) == ([99], [0], [0])
    both = dataclasses.replace(brighter, p=(t % 2).astype(np.uint8))
    assert len(fitter(both)) == 0, "opposite changes undo each other"


@pytest.mark.parametrize("manner", ["crop", "resize", "auto"])
def test_pieces_do_not_matter(manner: str) -> None:
    some = events(40, 60, n=5000)
    fit = Fit.of(40, 60, SENSOR, manner)
    whole = Fitter(fit)(some)
    fitter = Fitter(fit)
    parts = [fitter(some[a : a + 37]) for a in range(0, 5000, 37)]
    joined = EventStream.joined(parts)
    for name in ("t", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


@pytest.mark.parametrize(("manner", "size"), [("refuse", (8, 10)), ("pad", (40, 60))])
def test_another_size_is_refused_with_what_to_do(manner: str, size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"pixels, and the detector of 12 x 16 .* fit=resize"):
        Fit.of(*size, SENSOR, manner)
