"""Streams: ranges, shards, and what an evaluation gets to see."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.events.sampling import Budget, stream_batches
from fovea.events.sampling.streaming import guaranteed_ranges, sharded, zigzag


def batches(recordings, **options):
    options = {"batch": 3, "length": 5} | options
    return list(stream_batches(recordings, recordings[0].sensor, **options))


@pytest.fixture
def recordings(made_recording):
    shapes = [(30, [7, 9, 20]), (12, [1, 3, 11]), (41, [12, 40]), (8, [2]), (17, [16]), (6, [0])]
    return [made_recording(f"r{n}", size, at) for n, (size, at) in enumerate(shapes)]


def test_ranges_with_guaranteed_labels_are_those_of_the_reference(goldens):
    answers = json.loads((goldens / "events" / "index_rules.json").read_text())
    for case in answers["guaranteed_ranges"].values():
        found = guaranteed_ranges(np.array(case["indices"]), case["max_len"])
        assert [list(each) for each in found] == case["ranges"]


def test_recordings_are_dealt_to_workers_and_lanes_as_in_the_reference(goldens):
    case = json.loads((goldens / "events" / "index_rules.json").read_text())["eval_sharding"]
    lengths = case["lengths"]
    found = sharded(range(len(lengths)), lengths, workers=case["workers"], batch=case["batch"])
    assert found == case["lanes_per_worker"]
    order = sorted(range(len(lengths)), key=lambda index: lengths[index], reverse=True)
    assert zigzag(order, case["workers"]) == case["per_worker"]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=40, unique=True), st.integers(1, 30))
def test_every_window_of_a_range_shows_a_label_and_every_label_is_in_one(at, length):
    labelled = np.array(sorted(at))
    ranges = guaranteed_ranges(labelled, length)
    for start, stop in ranges:
        for first in range(start, stop, length):
            window = range(first, min(first + length, stop))
            assert any(label in window for label in labelled)
    for label in labelled:
        assert sum(start <= label < stop for start, stop in ranges) >= 1


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("threads", [0, 2])
def test_every_labelled_frame_is_visited_exactly_once(recordings, workers, batch, threads):
    seen = Counter()
    for each in batches(recordings, workers=workers, batch=batch, threads=threads):
        for step, lanes in enumerate(each.labels):
            for lane, labels in enumerate(lanes):
                if labels is not None:
                    seen[each.paths[lane], int(each.frames[step, lane])] += 1
    wanted = {(str(r.folder), int(at)) for r in recordings for at in r.objframe_to_histogram}
    assert seen == Counter(wanted)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_lane_begins_anew_exactly_where_its_recording_does(recordings, reverse):
    for worker in (0, 1):
        own = [b for b in batches(recordings, workers=2, reverse=reverse) if b.worker == worker]
        paths = np.array([[""] * len(own[0]), *(each.paths for each in own)])
        begins = (paths[1:] != paths[:-1]) & (paths[1:] != "")
        np.testing.assert_array_equal(begins, np.array([each.is_first.numpy() for each in own]))
        ends = (paths[1:] != np.vstack([paths[2:], [""] * len(own[0])])) & (paths[1:] != "")
        np.testing.assert_array_equal(ends, np.array([each.is_last.numpy() for each in own]))


def test_steps_of_a_stream_follow_each_other(recordings):
    frames: dict[str, list[int]] = {}
    for each in batches(recordings):
        for lane, path in enumerate(each.paths):
            kept = each.frames[:, lane][~each.is_padded[:, lane]]
            frames.setdefault(path, []).extend(kept.tolist())
    del frames[""]
    for recording in recordings:
        first = max(int(recording.objframe_to_histogram[0]) - 5 + 1, 0)
        assert frames[str(recording.folder)] == list(range(first, recording.n_histograms))


def test_what_is_read_is_the_recording_and_padding_is_zero(recordings):
    for each in batches(recordings, start_from_zero=True):
        values = each.histograms[:, :, 3, 2, 1].long()
        assert (values[~each.is_padded] == each.frames[~each.is_padded]).all()
        assert (each.histograms[each.is_padded] == 0).all()
        assert (each.frames[each.is_padded] == -1).all()


def test_fewer_recordings_than_lanes_get_a_lane_each(recordings):
    found = batches(recordings[:2], batch=16)
    assert {len(each) for each in found} == {2}


def test_recordings_may_be_doubled_by_their_reverse(recordings):
    seen = Counter()
    for each in batches(recordings, double_with_reversed=True):
        for lane, path in enumerate(each.paths):
            seen[path, bool(each.is_reversed[lane])] += int((~each.is_padded[:, lane]).sum())
    assert all(seen[str(r.folder), False] == seen[str(r.folder), True] for r in recordings)


def test_read_backwards_labels_stand_where_their_histogram_begins(recordings):
    for each in batches(recordings, reverse=True):
        for lane, path in enumerate(each.paths):
            for step in range(5):
                labels = each.labels[step][lane]
                if labels is not None:
                    # A made label notes its histogram as its time, counted from 1.
                    assert int(labels.rows[0, 0]) - 1 == int(each.frames[step, lane]) - 1, path


@pytest.mark.parametrize("budget", [Budget("frames", 0.4, length=5), Budget("recordings", 0.4)])
def test_hidden_and_visible_labels_are_all_labels(recordings, budget):
    everything = Counter()
    for each in batches(recordings, budget=budget):
        for found, hidden in zip(each.labels, each.hidden, strict=True):
            for lane, pair in enumerate(zip(found, hidden, strict=True)):
                assert None in pair
                everything[each.paths[lane]] += 2 - pair.count(None)
    for recording in recordings:
        assert everything[str(recording.folder)] == len(recording.objframe_to_histogram)


def test_a_recording_without_labels_is_streamed_from_its_beginning(made_recording):
    found = batches([made_recording("r", 7, [])])
    assert [each.frames[:, 0].tolist() for each in found] == [[0, 1, 2, 3, 4], [5, 6, -1, -1, -1]]


def test_padded_lanes_hold_nothing(recordings):
    ends = [each for each in batches(recordings, batch=6) if "" in each.paths]
    assert ends
    for each, lane in ((each, each.paths.index("")) for each in ends):
        assert each.is_padded[:, lane].all()
        assert not each.is_first[lane]
        assert not each.is_last[lane]


def test_batches_come_from_workers_in_turns(recordings):
    workers = [each.worker for each in batches(recordings, workers=2)]
    both = workers[: 2 * min(workers.count(0), workers.count(1))]
    assert all(a != b for a, b in pairwise(both))
