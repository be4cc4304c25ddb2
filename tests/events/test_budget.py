"""Label budgets: what is kept, and published splits."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovea.errors import ConfigError, DataError
from fovea.events.sampling.budget import Budget, evenly, kept_frames, read_split, write_split
from fovea.events.settings.sampling import BudgetConfig


@pytest.fixture
def recordings(made_recording):
    return [made_recording(f"r{n:02}", 90, range(4, 90, 2)) for n in range(10)]


def test_recordings_are_chosen_as_in_the_reference(goldens):
    answers = json.loads((goldens / "events" / "index_rules.json").read_text())
    for key, indices in answers["subsample_sequence_indices"].items():
        n, ratio = (part.split("=")[1] for part in key.split(","))
        assert evenly(range(int(n)), float(ratio)) == indices


def test_all_labels_are_visible_without_a_budget(recordings):
    visible = Budget().visible(recordings)
    assert visible == {r.name: tuple(range(43)) for r in recordings}


def test_of_few_recordings_all_frames_are_kept_and_of_the_others_none(recordings):
    visible = Budget("recordings", 0.2).visible(recordings)
    assert [name for name, kept in visible.items() if kept] == ["r00", "r05"]
    assert len(visible["r00"]) == 43


def test_of_every_recording_a_few_frames_are_kept(recordings):
    visible = Budget("frames", 0.1, length=9).visible(recordings)
    # The first label with nine histograms up to it is the third one, at histogram 8.
    assert set(visible.values()) == {(2, 12, 22, 32, 42)}


def test_other_offsets_keep_other_frames(recordings):
    kept = [set(Budget("frames", 0.1, offset=n).visible(recordings)["r00"]) for n in range(3)]
    assert not kept[0] & kept[1]
    assert not kept[1] & kept[2]


@given(st.integers(1, 500), st.floats(0.001, 0.5), st.integers(0, 20), st.integers(0, 20))
def test_at_least_one_frame_is_kept_and_all_are_of_the_recording(n, ratio, start, offset):
    kept = kept_frames(n, ratio, start=start, offset=offset)
    assert kept
    assert all(0 <= frame < n for frame in kept)


@given(st.integers(1, 200), st.floats(0.001, 1), st.integers(0, 50))
def test_as_many_recordings_are_chosen_as_the_ratio_says(n, ratio, offset):
    chosen = evenly(range(n), ratio, offset=offset)
    assert len(set(chosen)) == len(chosen) == max(round(n * ratio), 1)


def test_a_ratio_below_zero_takes_everything():
    assert evenly(range(5), -1) == [0, 1, 2, 3, 4]


def test_a_ratio_is_refused_that_would_keep_more_than_every_second_frame():
    with pytest.raises(ConfigError, match=r"up to 0\.5, and ratio is 0\.6"):
        Budget("frames", 0.6)


def test_settings_and_the_budget_have_the_same_fields():
    settings = BudgetConfig(keep="frames", ratio=0.05, offset=2, length=10)
    assert Budget.of(settings) == Budget("frames", 0.05, 2, 10)
    assert Budget.of(settings).split_name == "ssod_0.050-off2.pkl"


def test_pseudo_labels_have_no_budget(made_recording):
    recording = made_recording("r", 9, [4, 6], is_pseudo=True)
    with pytest.raises(DataError, match="pseudo labels"):
        Budget("frames", 0.1).visible([recording])
    assert Budget().visible([recording]) == {"r": (0, 1)}


def test_a_split_is_read_as_it_was_written(tmp_path, recordings):
    path = tmp_path / "splits" / Budget("frames", 0.1).split_name
    write_split(path, {r.name: np.array([1, 5]) for r in recordings})
    assert pickle.loads(path.read_bytes())["r00"] == (1, 5)
    assert [entry.name for entry in path.parent.iterdir()] == ["ssod_0.100-off0.pkl"]
    visible = Budget("frames", split=path).visible(recordings)
    assert visible == {r.name: (1, 5) for r in recordings}


@pytest.mark.parametrize("protocol", range(6))
def test_splits_of_any_pickle_protocol_are_read(tmp_path, protocol):
    path = tmp_path / "split.pkl"
    path.write_bytes(pickle.dumps({"a": (0, 300, 70_000), "b": ()}, protocol=protocol))
    assert read_split(path) == {"a": (0, 300, 70_000), "b": ()}


class Harmful:
    def __reduce__(self):
        return (print, ("this must not be run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Harmful()), "asks for builtins.print"),
        (pickle.dumps({"a": (np.int64(3),)}), "asks for numpy"),
        (pickle.dumps({"a": [1, 2]}), "holds a dict of str: list"),
        (pickle.dumps([1, 2]), "holds list"),
        (pickle.dumps({"a": (1,)})[:-4], "cannot be read"),
        (b"", "cannot be read"),
        (b"text", "cannot be read"),
    ],
)
def test_a_file_that_is_no_split_is_refused_and_nothing_of_it_is_run(
    tmp_path, capsys, content, message
):
    path = tmp_path / "split.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_split(path)
    assert not capsys.readouterr().out


def test_a_split_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pkl is missing"):
        read_split(tmp_path / "none.pkl")


def test_a_split_of_other_recordings_is_refused(tmp_path, recordings):
    path = tmp_path / "split.pkl"
    write_split(path, {"r00": (1,)})
    with pytest.raises(DataError, match="and not r01"):
        Budget("frames", split=path).visible(recordings)
    write_split(path, {r.name: (43,) for r in recordings})
    with pytest.raises(DataError, match="keeps frame 43 of r00, which has 43"):
        Budget("frames", split=path).visible(recordings)
