"""Histograms against the reference's own, and what is promised of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.representation import (
    Histogrammer,
    halve,
    mixed_density_stack,
    stacked_histogram,
)
from fovea.events.stream import EventStream

CASES = [
    "basic", "bins5_nocut", "uint8_wrap_fast", "int16_exact_slow", "wrap_257_becomes_1",
    "single_event", "all_same_time", "large_timestamps", "empty", "bin_edges",
]  # fmt: skip


@pytest.fixture(scope="module")
def golden(goldens: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    folder = goldens / "events"
    with np.load(folder / "stacked_histogram.npz") as arrays:
        return json.loads((folder / "stacked_histogram.json").read_text()), dict(arrays)


def window(arrays: dict[str, np.ndarray], name: str, about: dict[str, Any]) -> EventStream:
    t, x, y, p = (arrays[f"{name}_{column}"] for column in "txyp")
    columns = (x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8))
    return EventStream(t, *columns, about["height"], about["width"])


def test_every_case_of_the_reference_is_tried(golden: Any) -> None:
    assert {*CASES, "mixeddensity"} == set(golden[0])


@pytest.mark.parametrize("name", CASES)
def test_histograms_are_the_reference_s(golden: Any, name: str) -> None:
    about, arrays = golden[0][name], golden[1]
    events = window(arrays, name, about)
    choices = {
        "bins": about["bins"], "cutoff": about["count_cutoff"], "exact": not about["fastmode"],
    }  # fmt: skip
    np.testing.assert_array_equal(stacked_histogram(events, **choices), arrays[f"{name}_hist"])
    counts = Histogrammer(events.height, events.width, **choices)
    for _ in range(2):
        found = counts.window(events.t, events.x, events.y, events.p)
        np.testing.assert_array_equal(found, arrays[f"{name}_hist"])


def test_half_size_takes_the_reference_s_pixels(golden: Any) -> None:
    arrays = golden[1]
    np.testing.assert_array_equal(halve(arrays["basic_hist"]), arrays["basic_hist_ds2_nearest"])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (6, 8)])
def test_half_size_is_nearest_exact_for_odd_sizes_too(height: int, width: int) -> None:
    import torch

    counts = np.arange(2 * height * width, dtype=np.uint8).reshape(2, height, width)
    if min(height, width) == 1:
        assert halve(counts).size == 0
        return
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(counts)[None].float(), scale_factor=0.5, mode="nearest-exact"
    )
    np.testing.assert_array_equal(halve(counts), wanted[0].numpy())


def test_the_mixed_density_stack_is_the_reference_s(golden: Any) -> None:
    about, arrays = golden[0]["mixeddensity"], golden[1]
    events = window(arrays, "mixeddensity", about)
    found = mixed_density_stack(events, bins=about["bins"], cutoff=about["count_cutoff"])
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, arrays["mixeddensity_stack"])


def plain(events: EventStream, bins: int, cutoff: int, *, exact: bool) -> np.ndarray:
    """The definition, event by event."""
    counts = np.zeros((2, bins, events.height, events.width), np.int64)
    span = np.float32(max(int(events.t[-1] - events.t[0]), 1)) if len(events) else np.float32(1)
    for t, x, y, p in zip(events.t, events.x, events.y, events.p, strict=True):
        share = np.float32(t - events.t[0]) / span
        counts[p, min(int(np.floor(share * np.float32(bins))), bins - 1), y, x] += 1
    if not exact:
        counts %= 256
    return np.clip(counts, 0, cutoff).reshape(2 * bins, events.height, events.width)


@given(data=st.data(), bins=st.integers(1, 12), exact=st.booleans())
def test_histograms_follow_the_definition(data: st.DataObject, bins: int, exact: bool) -> None:
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    count = data.draw(st.sampled_from([0, 1, 2, 30, 600]))
    latest = data.draw(st.sampled_from([0, 3, 50_000, 2**40]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    cells = data.draw(st.sampled_from([1, 6]))
    events = EventStream(
        np.sort(rng.integers(0, latest + 1, count)) + data.draw(st.integers(0, 2**50)),
        rng.integers(0, min(cells, width), count).astype(np.uint16),
        rng.integers(0, min(cells, height), count).astype(np.uint16),
        rng.integers(0, 2, count).astype(np.uint8),
        height,
        width,
    )
    cutoff = data.draw(st.sampled_from([1, 10, 255]))
    found = stacked_histogram(events, bins=bins, cutoff=cutoff, exact=exact)
    np.testing.assert_array_equal(found, plain(events, bins, cutoff, exact=exact))


@pytest.mark.parametrize("span", [50_000, 16_777_217, 99_999_999, 2**41 + 12_345])
def test_bins_are_parted_in_float32_as_the_reference_does(span: int) -> None:
    near = [span * part // 10 + off for part in range(1, 10) for off in range(-9, 10)]
    t = np.array(sorted({0, *near, span}))
    zeros = np.zeros(len(t), np.uint16)
    events = EventStream(t, zeros, zeros, zeros.astype(np.uint8), 1, 1)
    found = stacked_histogram(events, cutoff=None)
    np.testing.assert_array_equal(found, plain(events, 10, 255, exact=False))


def test_many_events_in_one_cell_stay_many_only_when_asked() -> None:
    zeros = np.zeros(257, np.uint16)
    events = EventStream(np.zeros(257, np.int64), zeros, zeros, zeros.astype(np.uint8), 2, 2)
    assert stacked_histogram(events, cutoff=None).max() == 1
    assert stacked_histogram(events, cutoff=None, exact=True).max() == 255


def test_events_outside_the_window_s_sensor_are_named() -> None:
    t, pixel = np.array([4, 5]), np.array([0, 3], np.uint16)
    with pytest.raises(DataError, match=r"event 1 \(5 µs\) lies at x=3, y=3, outside the sensor"):
        Histogrammer(2, 2).window(t, pixel, pixel, pixel)


def test_times_that_fall_are_named() -> None:
    pixel = np.zeros(3, np.uint16)
    with pytest.raises(DataError, match=r"event 2 .* is at 4 µs after one at 9 µs"):
        Histogrammer(2, 2).window(np.array([1, 9, 4]), pixel, pixel, pixel)
