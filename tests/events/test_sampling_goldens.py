"""Windows of recordings, held against what the reference's own data sets gave."""

import json

import numpy as np
import pytest

from fovea.events.sampling.budget import kept_frames
from fovea.events.sampling.random_access import RandomAccess, first_item
from fovea.events.sampling.streaming import guaranteed, whole
from fovea.events.sampling.window import Source, label_steps


@pytest.fixture(scope="module")
def cases(goldens, micro_sets):
    """For each recording and length: (source, length, answers)."""
    answers = json.loads((goldens / "events" / "sequence_sampling.json").read_text())
    found = []
    for key, answer in answers.items():
        path, length = key.split("|L=")
        dataset, split, name = path.split("/")
        recording = next(r for r in micro_sets[dataset].split(split) if r.name == name)
        found.append((recording, int(length), answer))
    assert found
    return found


def source_of(recording, visible=None):
    return Source(recording, recording.sensor, visible=visible)


def assert_same(sample, item):
    assert sample.frames.tolist() == item["ev_idx"]
    assert sample.is_padded.tolist() == item["padded"]
    assert (sample.is_first, sample.is_last) == (item["is_first"], item["is_last"])
    assert sample.is_reversed == item["is_reversed"]
    sums = sample.histograms.sum(axis=(1, 2, 3), dtype=np.int64)
    assert sums.tolist() == item["frame_sums"]
    first_channel = sample.histograms[:, 0].sum(axis=(1, 2), dtype=np.int64)
    assert first_channel.tolist() == item["frame_channel0_sum"]
    for found, wanted in ((sample.labels, item["labels"]), (sample.hidden, item["skipped"])):
        for labels, rows in zip(found, wanted, strict=True):
            assert (labels is None) == (rows is None)
            if rows is not None:
                np.testing.assert_allclose(labels.rows, rows, atol=1e-3, rtol=0)


def test_random_access_has_the_references_items(cases):
    for recording, length, answers in cases:
        answer = answers["random_ratio=-1.0"]
        access = RandomAccess(source_of(recording), length)
        assert len(access) == answer["length"]
        assert access.first == answer["start_idx_offset"]
        for number, item in enumerate(answer.get("items", [])):
            assert_same(access.source.read(access.window(number), length), item)


def test_random_access_backwards_has_the_references_items(cases):
    count = 0
    for recording, length, answers in cases:
        access = RandomAccess(source_of(recording), length)
        for number, item in answers["random_ratio=-1.0"].get("items_time_flipped", {}).items():
            window = access.window(int(number), is_reversed=True)
            assert_same(access.source.read(window, length), item)
            count += 1
    assert count


@pytest.mark.parametrize("ratio", [0.5, 0.1])
def test_sparse_frames_are_those_the_reference_keeps(cases, ratio):
    for recording, length, answers in cases:
        labelled = recording.objframe_to_histogram
        start = first_item(labelled, length) or 0
        kept = kept_frames(len(labelled), ratio, start=start)
        assert list(kept) == answers[f"random_ratio={ratio}"]["all_objframe_idx"]


@pytest.mark.parametrize("is_reversed", [False, True])
def test_streams_are_cut_and_read_as_in_the_reference(cases, is_reversed):
    for recording, length, answers in cases:
        answer = answers["stream_full"]
        stream = whole(source_of(recording), length)
        windows = stream.windows(length, is_reversed=is_reversed)
        prefix = "tflip_" if is_reversed else ""
        assert [window.start for window in windows] == answer[f"{prefix}start"]
        assert [window.stop for window in windows] == answer[f"{prefix}stop"]
        items = answer["items_time_flipped" if is_reversed else "items"]
        for window, item in zip(windows, items, strict=True):
            assert_same(stream.source.read(window, length), item)


def test_streams_may_begin_with_the_recording(cases):
    for recording, length, answers in cases:
        windows = whole(source_of(recording), length, start_from_zero=True).windows(length)
        assert [window.start for window in windows] == answers["stream_from_zero"]["start"]
        assert [window.stop for window in windows] == answers["stream_from_zero"]["stop"]


def test_training_streams_have_the_references_ranges(cases):
    for recording, length, answers in cases:
        found = [
            {"start": [w.start for w in windows], "stop": [w.stop for w in windows]}
            for windows in (s.windows(length) for s in guaranteed(source_of(recording), length))
        ]
        assert found == answers["stream_guaranteed_labels"]


def test_labels_that_a_budget_hides_are_kept_apart(cases):
    for recording, length, answers in cases:
        stream = whole(source_of(recording, visible={1}), length)
        items = answers["stream_wsod_keep_objframe_1"]["items"]
        for window, item in zip(stream.windows(length), items, strict=True):
            sample = stream.source.read(window, length)
            assert [labels is not None for labels in sample.labels] == item["labels"]
            assert [labels is not None for labels in sample.hidden] == item["skipped"]


def test_pseudo_labels_are_used_at_the_references_steps(goldens):
    answers = json.loads((goldens / "events" / "pseudo_quality.json").read_text())
    for key, steps in answers["use_label_every"].items():
        length, every = key.removeprefix("L").split("_every")
        assert label_steps(int(length), int(every)) == steps
