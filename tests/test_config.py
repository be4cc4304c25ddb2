"""Settings from many places: which one wins, where it came from, what is said when it is wrong."""

import json
from enum import Enum
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from fovea import config as config_module
from fovea.config import (
    Config,
    Resolved,
    artifact,
    fields,
    find,
    nearest,
    presets,
    resolve,
    setting,
    to_yaml,
)
from fovea.dialect import Document
from fovea.errors import ConfigError


class Adam(Config):
    kind: Literal["adam"] = "adam"
    rate: float = setting(1e-3, "learning rate", gt=0)
    beta: float = setting(0.9, "of the mean", ge=0, lt=1)


class Sgd(Config):
    kind: Literal["sgd"] = "sgd"
    rate: float = setting(0.1, "learning rate", gt=0)
    momentum: float = setting(0.0, "of the steps", ge=0, lt=1)


class Data(Config):
    batch_size: int = setting(8, "photographs a step", gt=0)
    names: list[str] = setting([], "folders")


class Shape(Enum):
    ROUND = "round"
    FLAT = "flat"


class Bear(Config):
    """A stage's settings, with a field of every sort."""

    renamed: ClassVar = {"steps": "iterations"}

    photos: Path = artifact("capture", "posed photographs")
    iterations: int = setting(100, "steps", ge=1)
    flip: bool = setting(False, "mirror them")
    note: str = setting("", "a word")
    mode: Literal["auto", "fast"] = setting("auto", "how")
    size: int | Literal["auto"] = setting("auto", "in px")
    up: tuple[float, float, float] = setting((0, 0, 1), "the sky")
    counts: list[int] = setting([1], "how many")
    weights: dict[str, float] = setting({}, "of the losses")
    mask: Path | None = setting(None, "what to leave out")
    shape: Shape = setting(Shape.ROUND, "of the bear")
    data: Data = setting(Data(batch_size=4), "the data")
    optimizer: Adam | Sgd = setting(Adam(beta=0.5), "who steps", discriminator="kind")
    extra: Adam | None = setting(None, "a second one")

    @model_validator(mode="after")
    def _flat_bears_do_not_flip(self) -> "Bear":
        if self.flip and self.shape is Shape.FLAT:
            raise ValueError("a flat bear cannot be flipped")
        return self


def settle(*words: str, **rest) -> Resolved[Bear]:
    rest.setdefault("environment", {})
    return resolve(
        Bear, name="relight.bear", arguments=("photos=p", *words), positional=("photos",), **rest
    )


def refusal(*words: str, **rest) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        settle(*words, **rest)
    return caught.value


def yaml_file(folder: Path, text: str, name: str = "bear.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# Layers


def test_each_layer_wins_over_those_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "RECIPES", tmp_path)
    yaml_file(tmp_path, "iterations: 2\n", "relight.bear.tiny.yaml")
    one, two = (yaml_file(tmp_path, f"iterations: {n}\n", f"{n}.yaml") for n in (3, 4))
    every = {"FOVEA__ITERATIONS": "5"}
    own = every | {"FOVEA_RELIGHT_BEAR__ITERATIONS": "6"}
    steps = [
        ({}, "default"),
        ({"preset": "tiny"}, f"{tmp_path}/relight.bear.tiny.yaml:1"),
        ({"files": [one]}, f"{one}:1"),
        ({"files": [one, two]}, f"{two}:1"),
        ({"environment": every}, "env FOVEA__ITERATIONS"),
        ({"environment": own}, "env FOVEA_RELIGHT_BEAR__ITERATIONS"),
    ]
    given: dict = {}
    for value, (layer, source) in zip((100, 2, 3, 4, 5, 6), steps, strict=True):
        given |= layer
        found = settle(**given)
        assert (found.config.iterations, found.sources["iterations"]) == (value, source)
    assert settle("iterations=7", **given).sources["iterations"] == "iterations=7"
    found = settle(
        "iterations=7", overrides={"iterations": 8}, overrides_source="study lf #7", **given
    )
    assert (found.config.iterations, found.sources["iterations"]) == (8, "study lf #7")


def test_layers_merge_leaf_by_leaf_and_keep_the_defaults_of_a_group(tmp_path: Path) -> None:
    found = settle("data.names=a", files=[yaml_file(tmp_path, "optimizer: {rate: 2e-3}\n")])
    assert found.config.data == Data(batch_size=4, names=["a"])
    assert found.config.optimizer == Adam(rate=2e-3, beta=0.5)
    assert found.sources["optimizer.beta"] == "default"


def test_lists_and_free_maps_replace(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "counts: [7]\nweights: {a: 1}\n")
    assert settle(files=[path]).config.counts == [7]
    found = settle("counts=[2, 3]", "weights={b: 2}", files=[path]).config
    assert (found.counts, found.weights) == ([2, 3], {"b": 2.0})


def test_plus_equals_adds_to_lists_and_maps(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "counts: [7]\nweights: {a: 1}\n")
    found = settle("counts+=8", "counts+=[9]", "weights+={b: 2}", files=[path]).config
    assert (found.counts, found.weights) == ([7, 8, 9], {"a": 1.0, "b": 2.0})


def test_one_key_of_a_free_map_can_be_set(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "weights: {a: 1, b-c: 2}\n")
    found = settle("weights.b-c=3", files=[path]).config
    assert found.weights == {"a": 1.0, "b-c": 3.0}


def test_a_switch_of_kind_drops_what_the_new_kind_does_not_know(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "optimizer:\n  kind: adam\n  rate: 0.5\n  beta: 0.7\n")
    found = settle("optimizer.kind=sgd", files=[path])
    assert found.config.optimizer == Sgd(rate=0.5)
    assert found.notes == (f"optimizer.beta (from {path}:4) is not of kind sgd",)


def test_a_switch_of_kind_takes_the_new_kinds_defaults() -> None:
    assert settle("optimizer.kind=sgd").config.optimizer == Sgd()


@pytest.mark.parametrize("words", [("sgd", "adam"), ("adam", "sgd"), ("sgd", "adam", "sgd")])
def test_the_last_kind_wins_through_any_number_of_switches(words: tuple[str, ...]) -> None:
    files = [Document({"optimizer": {"kind": word}}, {}) for word in words]
    assert settle(files=files).config.optimizer.kind == words[-1]


def test_a_key_given_together_with_the_kind_it_does_not_belong_to_is_an_error() -> None:
    error = refusal("optimizer.beta=0.5", "optimizer.kind=sgd")
    assert [problem.loc for problem in error.problems] == ["optimizer.beta"]


def test_a_group_that_is_off_by_default_is_made_by_setting_something_in_it(tmp_path: Path) -> None:
    assert settle("extra.rate=2").config.extra == Adam(rate=2)
    path = yaml_file(tmp_path, "extra: {rate: 3}\n")
    assert settle("extra=null", files=[path]).config.extra is None
    off = yaml_file(tmp_path, "extra: null\n", "off.yaml")
    found = settle("extra.rate=2", files=[off])
    assert (found.sources["extra.rate"], found.sources["extra.beta"]) == ("extra.rate=2", "default")


def test_what_a_file_extends_lies_below_it_and_switches_kinds_too(tmp_path: Path) -> None:
    yaml_file(tmp_path, "optimizer: {kind: adam, rate: 0.5, beta: 0.7}\n", "base.yaml")
    top = yaml_file(tmp_path, "extends: base.yaml\noptimizer: {kind: sgd}\n", "top.yaml")
    assert settle(files=[top]).config.optimizer == Sgd(rate=0.5)


def test_an_old_name_is_still_read_and_said_to_be_old(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "steps: 5\n")
    found = settle(files=[path])
    assert found.config.iterations == 5
    assert found.notes == (f"steps is now called iterations (from {path}:1)",)


def test_overrides_may_be_nested_or_dotted_and_are_not_read_as_words() -> None:
    nested = settle(overrides={"optimizer": {"rate": 0.5}, "note": "1e-4", "counts": [3]}).config
    dotted = settle(overrides={"optimizer.rate": 0.5, "note": "1e-4", "counts": [3]}).config
    assert nested == dotted
    assert nested.note == "1e-4"


def test_a_variable_for_any_stage_that_this_one_does_not_have_is_reported() -> None:
    found = settle(environment={"FOVEA__ITERATONS": "5"})
    assert found.notes == (
        "env FOVEA__ITERATONS is no setting of relight.bear; did you mean iterations?",
    )


def test_a_variable_for_this_stage_that_it_does_not_have_is_an_error() -> None:
    error = refusal(environment={"FOVEA_RELIGHT_BEAR__OPTIMIZER__RAET": "5"})
    (problem,) = error.problems
    assert problem.loc == "optimizer.raet"
    assert problem.message == "unknown setting; did you mean optimizer.rate?"
    assert problem.source == "env FOVEA_RELIGHT_BEAR__OPTIMIZER__RAET"


# Words


@pytest.mark.parametrize(
    "words",
    [
        ("data.batch_size=3",),
        ("data.batch-size=3",),
        ("--data.batch-size", "3"),
        ("--data.batch_size=3",),
        ("--set", "data.batch_size=3"),
        ("data={batch_size: 3}",),
    ],
)
def test_one_setting_can_be_written_in_many_ways(words: tuple[str, ...]) -> None:
    assert settle(*words).config.data.batch_size == 3


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--flip",), True),
        (("--flip", "--no-flip"), False),
        (("--flip", "false"), False),
        (("flip=true",), True),
        (("--flip=no",), False),
    ],
)
def test_a_flag_is_true_and_its_opposite_false(words: tuple[str, ...], value: bool) -> None:
    assert settle(*words).config.flip is value


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("note=007", "note", "007"),
        ("note=null", "note", "null"),
        ("note='007'", "note", "007"),
        ("note=a #b: c", "note", "a #b: c"),
        ("note=@@home", "note", "@home"),
        ("note=", "note", ""),
        ("note=a=b", "note", "a=b"),
        ("mask=null", "mask", None),
        ("mask=1.5", "mask", Path("1.5")),
        ("size=4", "size", 4),
        ("size=auto", "size", "auto"),
        ("shape=flat", "shape", Shape.FLAT),
        ("up=[1, -2, 1e-3]", "up", (1.0, -2.0, 1e-3)),
    ],
)
def test_a_word_is_read_as_its_field_wants_it(word: str, name: str, value: object) -> None:
    assert getattr(settle(word).config, name) == value


def test_negative_numbers_need_no_quotes() -> None:
    assert settle("--up", "[0, -1, 0]", "--weights.a", "-3").config.weights == {"a": -3.0}


def test_a_repeated_flag_makes_a_list() -> None:
    assert settle("--data.names", "a", "--data.names", "1").config.data.names == ["a", "1"]


def test_of_a_repeated_plain_setting_the_last_counts() -> None:
    assert settle("iterations=3", "--iterations", "4").config.iterations == 4


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("two\nlines\n")
    assert settle(f"note=@{note}").config.note == "two\nlines"
    error = refusal(f"note=@{tmp_path}/none.txt")
    assert "cannot read the file" in str(error)


def test_bare_words_fill_the_positional_settings_in_order() -> None:
    found = resolve(
        Bear,
        name="b.b",
        arguments=("p", "m", "iterations=3"),
        positional=("photos", "mask"),
        environment={},
    )
    assert (found.config.photos, found.config.mask) == (Path("p"), Path("m"))
    assert found.sources["mask"] == "argument m"


def test_names_are_not_completed() -> None:
    (problem,) = refusal("--iteration", "3").problems
    assert problem.message == "unknown setting; did you mean iterations?"


# Refusals


def test_all_problems_come_in_one_block_with_their_sources(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "note: x\ndata:\n  batch_siz: 3\nmode: fst\n")
    error = refusal(
        "--data.batch-size", "-1", files=[path], environment={"FOVEA__SIZE": "huge"}
    )  # fmt: skip
    assert str(error).splitlines() == [
        "4 settings of relight.bear are not valid",
        f"  mode              must be 'auto' or 'fast'; got 'fst'              from {path}:4",
        "  size              must be a whole number or 'auto'; got 'huge'     from env FOVEA__SIZE",
        "  data.batch_size   must be greater than 0; got -1                   "
        "from --data.batch-size",
        f"  data.batch_siz    unknown setting; did you mean data.batch_size?   from {path}:3",
        "Every setting with its bounds: fovea relight bear --help",
    ]
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("word", "loc", "message"),
    [
        ("iterations=many", "iterations", "must be a whole number; got 'many'"),
        ("iterations=1.5", "iterations", "must be a whole number; got 1.5"),
        ("iterations=", "iterations", "must be a whole number; got null"),
        ("flip=perhaps", "flip", "must be true or false; got 'perhaps'"),
        ("optimizer.rate=fast", "optimizer.rate", "must be a number; got 'fast'"),
        ("optimizer.kind=adm", "optimizer.kind", "must be one of 'adam', 'sgd'; got 'adm'"),
        ("optimizer=3", "optimizer", "must be a group of settings; got 3"),
        ("data=3", "data", "must be a group of settings; got 3"),
        ("counts=[1, x]", "counts.1", "must be a whole number; got 'x'"),
        ("weights=3", "weights", "must be a mapping; got 3"),
        ("weights.a=x", "weights.a", "must be a number; got 'x'"),
        ("shape=square", "shape", "must be 'round' or 'flat'; got 'square'"),
        ("optimzer.rate=3", "optimzer", "unknown setting; did you mean optimizer?"),
        ("batch_size=3", "batch_size", "unknown setting; did you mean data.batch_size?"),
        ("qqq=3", "qqq", "unknown setting"),
        ("iterations.x=3", "iterations", "must be a whole number; got {x: 3}"),
        ("--iterations", "iterations", "needs a value after it"),
        ("stray", "stray", "a value without its name; write NAME=stray"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_wanted(word: str, loc: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Bear, name="b.b", arguments=("photos=p", word), environment={})
    found = {problem.loc: problem.message for problem in caught.value.problems}
    assert found.get(loc) == message


def test_a_number_where_text_is_wanted_is_told_to_be_quoted(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "note: 7\n")
    (problem,) = refusal(files=[path]).problems
    assert problem.message == "must be text (put it in quotes); got 7"


def test_a_required_setting_that_is_missing_says_what_it_is_for() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Bear, name="b.b", environment={})
    (problem,) = caught.value.problems
    assert (problem.loc, problem.message) == ("photos", "is required: posed photographs")
    assert problem.source == ""


def test_two_settings_that_exclude_each_other_are_answered_in_the_models_words() -> None:
    (problem,) = refusal("shape=flat", "--flip").problems
    assert problem.message.startswith("a flat bear cannot be flipped")


def test_problems_can_be_sent_as_json() -> None:
    error = refusal("optimzer.rate=3", "data={batch_size: [1, 2]}", "up=[a, b, c]")
    json.dumps([vars(problem) for problem in error.problems])


def test_a_preset_that_does_not_exist_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "RECIPES", tmp_path)
    yaml_file(tmp_path, "iterations: 2\n", "relight.bear.tiny.yaml")
    assert list(presets("relight.bear")) == ["tiny"]
    with pytest.raises(ConfigError, match=r"no preset 'tinny'. Did you mean 'tiny'\?"):
        settle(preset="tinny")


# The record


def test_the_record_has_equal_bytes_for_equal_settings_from_every_door(tmp_path: Path) -> None:
    path = yaml_file(tmp_path, "optimizer: {kind: sgd, rate: 1e-5}\nup: [1, 0, 0]\nnote: '1e-5'\n")
    doors = [
        settle(files=[path]),
        settle("optimizer.kind=sgd", "optimizer.rate=0.00001", "up=[1, 0, 0]", "note=1e-5"),
        settle(
            environment={
                "FOVEA_RELIGHT_BEAR__OPTIMIZER__KIND": "sgd",
                "FOVEA__OPTIMIZER__RATE": "1e-5",
                "FOVEA__UP": "[1,0,0]",
                "FOVEA__NOTE": "1e-5",
            }
        ),
        settle(
            overrides={
                "optimizer": {"kind": "sgd", "rate": 1e-5},
                "up": [1, 0, 0],
                "note": "1e-5",
            }
        ),
    ]
    assert len({to_yaml(found.config) for found in doors}) == 1


@settings(max_examples=60, deadline=None)
@given(
    note=st.text(max_size=10),
    rate=st.floats(1e-300, 1e300),
    up=st.tuples(*[st.floats(allow_nan=False)] * 3),
    weights=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=3),
    mask=st.none() | st.just(Path("null")) | st.just(Path("1e-4")),
)
def test_the_record_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, note, rate, up, weights, mask
) -> None:
    bear = Bear(
        photos=Path("${samples}/x"),
        note=note,
        up=up,
        weights=weights,
        mask=mask,
        optimizer=Sgd(rate=rate),
    )
    path = tmp_path_factory.mktemp("record") / "config.yaml"
    path.write_bytes(to_yaml(bear).encode())
    found = resolve(Bear, name="relight.bear", files=[path], environment={}).config
    assert found == bear
    assert to_yaml(found) == to_yaml(bear)


# The declaration


def test_a_config_is_frozen_and_refuses_unknown_keys() -> None:
    bear = Bear(photos=Path("p"))
    with pytest.raises(ValidationError):
        bear.iterations = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Bear(photos=Path("p"), qqq=3)  # type: ignore[call-arg]


def test_artifact_fields_are_told_from_settings() -> None:
    assert Bear.artifact_fields() == {"photos": "capture"}


def test_every_field_is_found_with_its_path() -> None:
    paths = [".".join(map(str, path)) for path, _ in fields(Bear)]
    assert "data.batch_size" in paths
    assert {"optimizer.beta", "optimizer.momentum", "extra.beta"} <= set(paths)
    for path in paths:
        found, field, below = find(Bear, path.split("."))
        assert (".".join(map(str, found)), below) == (path, ())
        assert field is not None


def test_the_nearest_setting_is_looked_for_beside_first() -> None:
    assert nearest(Bear, ("optimizer", "raet")) == "did you mean optimizer.rate?"
    assert nearest(Bear, ("momentun",)) == "did you mean optimizer.momentum?"
    assert nearest(Bear, ("zzz",)) == ""
