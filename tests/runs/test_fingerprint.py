"""Fingerprints: what changes them and what does not."""

import os
from pathlib import Path

import pytest

from fovea.runs.cache import Cache
from fovea.runs.fingerprint import differences, digest, identity, plain
from fovea.runs.recipe import Recipe, load


def single(cache: Cache, **settings: object) -> str:
    recipe = Recipe.single("toy_stages:COUNT", settings)
    return digest(identity(recipe.steps[0], {}, cache))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "runs")


def test_a_setting_changes_it_and_one_that_does_not_count_does_not(cache: Cache) -> None:
    assert single(cache, steps=3) != single(cache, steps=4)
    assert single(cache, steps=3) == single(cache, steps=3, pause_s=1.0, every=2)


def test_the_same_number_in_other_words_is_the_same(cache: Cache) -> None:
    assert single(cache, rate="1e-1") == single(cache, rate=0.1) == single(cache)
    assert single(cache, rate=1) == single(cache, rate=1.0)


def test_an_input_counts_by_its_content_and_not_by_its_place(cache: Cache, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text('{"value": 1}')
    second.write_text('{"value": 1}')
    assert single(cache, start=first) == single(cache, start=second)
    second.write_text('{"value": 2}')
    assert single(cache, start=first) != single(cache, start=second)


def test_a_file_is_read_once_and_again_when_it_changes(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(b"a" * 1000)
    before = cache.content(path)
    state = path.stat()
    path.write_bytes(b"b" * 1000)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert cache.content(path) == before, "same size, time and inode: taken from the cache"
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert cache.content(path) != before


def test_a_folder_is_known_by_names_and_contents(cache: Cache, tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(b"1")
    before = cache.content(folder)
    copied = tmp_path / "elsewhere"
    (copied / "images").mkdir(parents=True)
    (copied / "images" / "a.png").write_bytes(b"1")
    assert cache.content(copied) == before
    (folder / "images" / "a.png").rename(folder / "images" / "b.png")
    assert cache.content(folder) != before


def test_a_damaged_cache_is_made_anew(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    before = cache.content(path)
    cache.path.write_bytes(b"this is no data base, but it is long enough to be taken for one" * 20)
    assert cache.content(path) == before


def test_an_earlier_stage_counts_by_its_own_fingerprint(cache: Cache, recipe_file: Path) -> None:
    second = load(recipe_file).step("second")
    one = identity(second, {"first": "aa"}, cache)
    other = identity(second, {"first": "bb"}, cache)
    assert digest(one) != digest(other)
    assert differences(one, other) == ["input start changed"]


def test_differences_name_the_settings(cache: Cache) -> None:
    old, new = (
        identity(Recipe.single("toy_stages:COUNT", {"steps": n}).steps[0], {}, cache)
        for n in (3, 30)
    )
    assert differences(old, new) == ["steps 3 -> 30"]
    assert differences(old, old | {"version": 2}) == ["stage version 1 -> 2"]


def test_numbers_that_are_no_numbers_have_words() -> None:
    assert plain([float("inf"), float("nan"), 0.1]) == ["inf", "nan", 0.1]


def test_a_file_that_may_not_be_read_is_known_by_its_size_and_time(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    closed = tmp_path / "photos" / "closed.jpg"
    closed.write_bytes(b"12")
    monkeypatch.setattr("fovea.runs.cache.sha256", _refuse)
    before = cache.content(tmp_path / "photos")
    assert cache.content(tmp_path / "photos") == before
    closed.write_bytes(b"123")
    assert cache.content(tmp_path / "photos") != before


def _refuse(path: Path) -> str:
    raise PermissionError(13, "Permission denied", str(path))
