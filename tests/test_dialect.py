"""The dialect of YAML: scalars, lines, files over files."""

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fovea import dialect
from fovea.errors import ConfigError


def written(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-3", -3),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("-.inf", -math.inf),
        ("true", True),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-11-21", "2026-11-21"),
        ("'1e-4'", "1e-4"),
        ("!!str 3", "3"),
        ("[1, 2", "[1, 2"),
        ("{a: 1e3}", {"a": 1000.0}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = dialect.parse(text)
    assert found == value
    assert type(found) is type(value)


def test_every_value_keeps_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\nb:\n  c: 2\n  d: [3,\n    4]\n")
    document = dialect.load(path)
    assert document.where(("b", "c")) == f"{path}:3"
    assert document.where(("b", "d", 1)) == f"{path}:5"
    assert document.at("b").where(("c",)) == f"{path}:3"
    assert document.at("a", "nothing").data == {}


def test_a_key_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\nb: 2\na: 3\n")
    with pytest.raises(ConfigError, match=r"'a' is given twice, in lines 1 and 3"):
        dialect.load(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\nb: 2\n", "a.yaml:2 is not valid YAML"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"a: \x07", "is not valid YAML"),
        (b"- 1\n- 2\n", "holds a list, and `key: value` lines are wanted"),
        (b"iterations=5\n", "holds only 'iterations=5', and `key: value` lines are wanted"),
        (b"? [1, 2]\n: 3\n", "a key must be one word"),
        (b"a: !!python/object:os.system ls\n", "is not understood here"),
        (b"a: &x [*x]\n", "this anchor holds itself"),
        (b"a: ${env:SURELY_NOT_SET}\n", "SURELY_NOT_SET is not set"),
        (b"extends: missing.yaml\n", "there is no file"),
        (b"extends: a.yaml\n", "extends or includes itself"),
        (b"a: {include: a.yaml}\n", "extends or includes itself"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        dialect.load(path)


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        dialect.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        dialect.load(tmp_path)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert dialect.load(written(tmp_path, "# only a comment\n")).data == {}


def test_a_file_lies_over_what_it_extends_and_each_value_knows_its_file(tmp_path: Path) -> None:
    written(tmp_path, "a: 1\ngroup: {x: 1, y: 2}\nitems: [1, 2]\n", "parts/base.yaml")
    top = written(tmp_path, "extends: parts/base.yaml\ngroup: {y: 3}\nitems: [9]\n", "top.yaml")
    document = dialect.load(top)
    assert document.data == {"a": 1, "group": {"x": 1, "y": 3}, "items": [9]}
    assert document.where(("group", "x")) == f"{tmp_path / 'parts' / 'base.yaml'}:2"
    assert document.where(("group", "y")) == f"{top}:2"
    assert [layer.data for layer in dialect.layers(top)][1] == {"group": {"y": 3}, "items": [9]}


def test_of_several_bases_the_later_lies_over_the_earlier(tmp_path: Path) -> None:
    written(tmp_path, "a: 1\nb: 1\n", "one.yaml")
    written(tmp_path, "b: 2\n", "two.yaml")
    top = written(tmp_path, "extends: [one.yaml, two.yaml]\n", "top.yaml")
    assert dialect.load(top).data == {"a": 1, "b": 2}


def test_a_mapping_takes_in_another_file(tmp_path: Path) -> None:
    written(tmp_path, "kind: adam\nrate: 1e-3\n", "adam.yaml")
    top = written(tmp_path, "optimizer:\n  include: adam.yaml\n  rate: 2e-3\n", "top.yaml")
    document = dialect.load(top)
    assert document.data == {"optimizer": {"kind": "adam", "rate": 2e-3}}
    assert document.where(("optimizer", "kind")).endswith("adam.yaml:1")
    assert document.where(("optimizer", "rate")) == f"{top}:3"


def test_a_key_called_include_may_hold_anything_but_a_yaml_file(tmp_path: Path) -> None:
    assert dialect.load(written(tmp_path, "include: '*.jpg'\n")).data == {"include": "*.jpg"}


def test_a_group_of_another_kind_replaces(tmp_path: Path) -> None:
    below = {"o": {"kind": "adam", "beta": 0.9}}
    assert dialect.merge(below, {"o": {"kind": "sgd"}}) == {"o": {"kind": "sgd"}}
    assert dialect.merge(below, {"o": {"beta": 0.5}}) == {"o": {"kind": "adam", "beta": 0.5}}
    assert below == {"o": {"kind": "adam", "beta": 0.9}}


def test_variables_and_samples_are_filled_in_and_other_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEAR", "/data/bear")
    path = written(
        tmp_path,
        "a: ${env:BEAR}/images\nb: ${env:NO_BEAR:-none}\nc: ${samples}/x\n"
        "d: $${samples}\ne: ${fit.out.scene}\n",
    )
    assert dialect.load(path).data == {
        "a": "/data/bear/images",
        "b": "none",
        "c": f"{dialect.SAMPLES}/x",
        "d": "${samples}",
        "e": "${fit.out.scene}",
    }


texts = st.text(max_size=12) | st.sampled_from(
    ["1e-4", "on", "null", "~", "0x1", ".inf", "1:30", "", " a", "a: b", "#1", "$${samples}",
     "${env:A:-b}", "$$${samples}", "'", "-", "true", "\n", "a\n\nb", "\u2028", "\x85"]
)  # fmt: skip
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.dictionaries(st.text("abc", min_size=1), plain, max_size=4))
def test_what_is_dumped_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    path = tmp_path_factory.mktemp("dump") / "a.yaml"
    path.write_bytes(dialect.dump(data).encode())
    assert dialect.load(path).data == data
    assert dialect.dump(dialect.load(path).data) == dialect.dump(data)


@pytest.mark.parametrize("value", [1e-05, "1e-05", [1, 2.5], {"a": None}, "on", True])
def test_one_value_fits_on_one_line_and_is_read_back(value: object) -> None:
    assert "\n" not in dialect.line(value)
    assert dialect.parse(dialect.line(value)) == value
