"""The loader of a training: what it gives, and that it goes on where it was."""

import dataclasses
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from fovea.errors import ArtifactError, ConfigError, DataError
from fovea.events.sampling import Budget, TrainingLoader
from fovea.events.sampling.mixed import shares
from fovea.events.settings.sampling import AugmentConfig, SamplingConfig, StreamAugmentConfig
from fovea.training.checkpoint import load_state, save_state

PLAIN = {
    "random": AugmentConfig(prob_hflip=0, prob_tflip=0, prob_zoom=0),
    "stream": StreamAugmentConfig(prob_hflip=0, prob_tflip=0, prob_zoom=0),
}


@pytest.fixture
def recordings(made_recording):
    shapes = [(30, range(7, 30, 4)), (12, [5, 7, 11]), (25, [6, 12, 24]), (16, range(5, 16, 2))]
    return [made_recording(f"r{n}", size, list(at)) for n, (size, at) in enumerate(shapes)]


@pytest.fixture
def loader_of(recordings):
    made = []

    def make(*, only=recordings, budget=None, rank=0, ranks=1, **chosen):
        size = {"batch": 4, "length": 5, "seed": 3}
        size |= {name: chosen.pop(name) for name in size if name in chosen}
        settings = SamplingConfig(**{"workers": 4, "threads": 0} | chosen)
        rest = {"budget": budget, "rank": rank, "ranks": ranks}
        made.append(TrainingLoader(only, only[0].sensor, settings, **size, **rest))
        return made[-1]

    yield make
    for each in made:
        each.close()


def assert_equal(first, second):
    assert torch.equal(first.histograms, second.histograms)
    for one, other in ((first.labels, second.labels), (first.hidden, second.hidden)):
        rows, others = ([[None if e is None else e.rows.tolist() for e in s] for s in each]
                        for each in (one, other))  # fmt: skip
        assert rows == others
    for name in ("is_first", "is_last", "is_padded", "is_reversed", "frames"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert (first.paths, first.worker) == (second.paths, second.worker)


@pytest.mark.parametrize("sampling", ["mixed", "random", "stream"])
@pytest.mark.parametrize("threads", [0, 3])
def test_after_a_restart_the_same_batches_follow(loader_of, tmp_path, sampling, threads):
    whole = list(islice(loader_of(sampling=sampling), 40))
    for step in np.random.default_rng(0).integers(0, 35, 4).tolist():
        before = loader_of(sampling=sampling, threads=threads)
        list(islice(before, step))
        save_state(tmp_path, {"loader": before.state()})
        after = loader_of(sampling=sampling, threads=threads)
        next(after)
        after.restore(load_state(tmp_path)["loader"])
        for wanted, found in zip(whole[step:], islice(after, 40 - step), strict=True):
            assert_equal(wanted, found)


def test_threads_do_not_change_what_is_read(loader_of):
    for one, other in zip(islice(loader_of(), 20), islice(loader_of(threads=5), 20), strict=True):
        assert_equal(one, other)


def test_another_seed_gives_other_batches(loader_of):
    first, second = (
        [each.frames.tolist() for each in islice(loader_of(seed=seed), 5)] for seed in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize("change", [{"batch": 3}, {"seed": 4}, {"sampling": "random"}])
def test_a_position_of_another_training_is_refused(loader_of, change):
    name, value = next(iter(change.items()))
    with pytest.raises(ArtifactError, match=f"{name} {value}"):
        loader_of().restore(loader_of(**change).state())


def test_an_epoch_of_random_windows_has_each_item_once(loader_of):
    loader = loader_of(sampling="random", batch=3, **PLAIN)
    n = loader.state()["items"]
    for _ in range(2):
        seen = Counter()
        for batch in islice(loader, n // 3):
            for lane, path in enumerate(batch.paths):
                seen[path, int(batch.frames[-1, lane])] += 1
        assert set(seen.values()) == {1}
        assert len(seen) == n // 3 * 3
    assert n % 3 == 0, "so that the epochs of this test begin with a batch"


def test_random_windows_begin_anew_and_show_a_label(loader_of):
    loader = loader_of(sampling="random", random=AugmentConfig(prob_zoom=0))
    for batch in islice(loader, 20):
        assert batch.is_first.all()
        assert not batch.is_last.any()
        assert not batch.is_padded.any()
        assert all(any(s[lane] is not None for s in batch.labels) for lane in range(len(batch)))


@pytest.mark.parametrize("prob_tflip", [0, 1])
@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_random_windows_show_a_visible_label_however_few_there_are(loader_of, prob_tflip, offset):
    loader = loader_of(
        sampling="random",
        budget=Budget("frames", 0.01, length=5, offset=offset),
        random=AugmentConfig(prob_zoom=0, prob_tflip=prob_tflip),
    )
    for batch in islice(loader, 20):
        assert all(any(s[lane] is not None for s in batch.labels) for lane in range(len(batch)))


def test_the_lanes_of_a_worker_are_streams_that_go_on_at_its_next_turn(loader_of):
    loader = loader_of(sampling="stream", workers=3, batch=2, **PLAIN)
    last: dict[tuple[int, int], tuple[str, int]] = {}
    for number, batch in enumerate(islice(loader, 60)):
        assert batch.worker == number % 3
        for lane, path in enumerate(batch.paths):
            kept = batch.frames[:, lane][~batch.is_padded[:, lane]].tolist()
            if not batch.is_first[lane]:
                assert last[batch.worker, lane] == (path, kept[0] - 1)
            last[batch.worker, lane] = path, kept[-1]


def test_a_stream_is_varied_in_one_way_until_it_ends(loader_of):
    ways: dict[tuple[int, int], bool] = {}
    for batch in islice(loader_of(sampling="stream"), 80):
        for lane in range(len(batch)):
            if not batch.is_first[lane]:
                assert ways[batch.worker, lane] == bool(batch.is_reversed[lane])
            ways[batch.worker, lane] = bool(batch.is_reversed[lane])
    assert len(set(ways.values())) == 2


def test_streams_show_a_label_in_every_window_when_labels_are_dense(loader_of):
    for batch in islice(loader_of(sampling="stream", **PLAIN), 40):
        assert all(any(s[lane] is not None for s in batch.labels) for lane in range(len(batch)))


def test_a_mixed_batch_is_streams_and_then_random_windows(loader_of):
    batches = list(islice(loader_of(batch=6, w_stream=2, **PLAIN), 30))
    first = torch.stack([batch.is_first for batch in batches])
    assert first.shape == (30, 6)
    assert first[:, 4:].all()
    assert (~first[:, :4]).any(dim=0).all()


def test_batches_and_workers_are_split_by_weight():
    found = shares(SamplingConfig(), 8)
    assert (found.stream, found.random, found.stream_workers) == (4, 4, 4)
    found = shares(SamplingConfig(w_random=9, workers=2), 4)
    assert (found.stream, found.random, found.stream_workers) == (1, 3, 1)
    found = shares(SamplingConfig(w_stream=0.5, workers=6), 8)
    assert (found.stream, found.random, found.stream_workers) == (3, 5, 2)
    assert shares(SamplingConfig(workers=1), 2).stream_workers == 1


def test_one_lane_cannot_be_mixed(loader_of):
    with pytest.raises(ConfigError, match="batch is 1"):
        loader_of(batch=1)


def test_rare_classes_are_drawn_more_often_when_weighted(made_recording, loader_of):
    recording = made_recording("r", 60, range(5, 60, 6))
    rare = dataclasses.replace(recording, class_ids=(1, *[0] * 9))
    chosen = {"sampling": "random", "only": [rare], **PLAIN}
    share = [
        np.mean([
            (batch.frames[-1] == 5).float().mean().item()
            for batch in islice(loader_of(weighted_sampling=weighted, **chosen), 60)
        ])
        for weighted in (False, True)
    ]  # fmt: skip
    assert share[0] == pytest.approx(0.1, abs=0.02)
    assert share[1] == pytest.approx(0.5, abs=0.1)


def test_recordings_fewer_than_batch_and_workers_are_read_several_times(loader_of, recordings):
    loader = loader_of(batch=16, workers=8, only=recordings[:1])
    assert {len(batch) for batch in islice(loader, 10)} == {16}


def test_recordings_without_visible_labels_are_left_out(loader_of, recordings):
    loader = loader_of(budget=Budget("recordings", 0.25))
    paths = {path for batch in islice(loader, 20) for path in batch.paths}
    assert paths == {str(recordings[0].folder)}


def test_ranks_read_different_items(loader_of):
    seen = [
        [
            (path, int(frame))
            for batch in islice(loader_of(sampling="random", rank=rank, ranks=2, **PLAIN), 2)
            for path, frame in zip(batch.paths, batch.frames[-1], strict=True)
        ]
        for rank in (0, 1)
    ]
    assert not set(seen[0]) & set(seen[1])


def test_a_training_without_labels_is_refused(made_recording, loader_of):
    with pytest.raises(DataError, match="of 1 recordings none has a visible one"):
        loader_of(only=[made_recording("r", 20, [])])


def test_windows_longer_than_all_recordings_are_refused(loader_of):
    with pytest.raises(DataError, match="the longest has 28 up to its last label"):
        loader_of(length=31)


@pytest.mark.parametrize("sampling", ["mixed", "random", "stream"])
def test_the_references_micro_data_is_trained_on(micro_sets, loader_of, sampling):
    for dataset in micro_sets.values():
        only = dataset.split("train")
        for batch in islice(loader_of(only=only, sampling=sampling, length=7), 6):
            height, width = dataset.sensor.network_height, dataset.sensor.network_width
            assert batch.histograms.shape == (7, 4, 20, height, width)
            assert batch.histograms.dtype == torch.uint8


def test_memory_for_histograms_does_not_change_what_is_read(micro_sets, loader_of):
    only = micro_sets["micro_gen1"].split("train")
    for one, other in zip(
        islice(loader_of(only=only, length=7, cache_mib=0), 10),
        islice(loader_of(only=only, length=7, cache_mib=2), 10),
        strict=True,
    ):
        assert_equal(one, other)


def test_pseudo_labels_are_thinned_out_and_ground_truth_is_not(made_recording, loader_of):
    chosen = {"sampling": "stream", "use_label_every": 2, **PLAIN}
    truth = made_recording("truth", 30, range(30))
    pseudo = dataclasses.replace(truth, name="pseudo", is_pseudo=True)
    for recording, steps in ((truth, [0, 1, 2, 3, 4]), (pseudo, [1, 3, 4])):
        batch = next(loader_of(only=[recording], **chosen))
        shown = [step for step, lanes in enumerate(batch.labels) if lanes[0] is not None]
        assert shown == steps
