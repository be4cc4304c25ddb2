"""Settings of `fovea serve`: flags, environment and files, in this order of weight."""

import json
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import ConfigError
from fovea.service.command import settings_of
from fovea.service.settings import ServeConfig
from fovea.service.settings.flags import FLAGS
from fovea.service.settings.help import help_text
from fovea.service.settings.section import write_section


def settings(*words: str, folder: Path = Path(), **variables: str) -> ServeConfig:
    return settings_of(list(words), variables=variables, folder=folder).config


def test_flags_of_one_letter_and_of_two_values() -> None:
    found = settings("-m", "cpu", "-p", "8123", "--input-size", "768", "512", "--no-browser")
    assert (found.mode, found.server.port) == ("cpu", 8123)
    assert found.inference.input_size == (768, 512)
    assert not found.browser.auto_open


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_every_flag_sets_what_it_says(name: str) -> None:
    values = {
        "--workers": "7", "--checkpoint-segments": "7", "--mode": "cpu", "--port": "8001",
        "--host": "127.0.0.2", "--runs": "elsewhere",
        "--device": "cpu", "--redis-url": "redis://other:6379/1", "--database": "sqlite:///x.db",
        "--database-url": "sqlite:///x.db", "--executor": "rq", "--access": "keys",
        "--address": "redis://other:6379/1", "--queue": "redis://other:6379/1",
    }  # fmt: skip
    flag, plain = FLAGS[name], ServeConfig().model_dump()
    given = [values.get(name, "700")] * flag.values
    found = settings(name, *given).model_dump()
    for setting in flag.settings:
        path, assigned, _ = setting.partition("=")
        group, _, key = path.rpartition(".")
        now = found[group][key] if group else found[key]
        before = plain[group][key] if group else plain[key]
        turns_off_nothing = assigned and now == before
        assert now != before or turns_off_nothing, setting


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text(
        "server: {port: 1}\nmode: cpu\ncache: {enabled: false, size: 7}\n"
    )
    assert settings(folder=tmp_path).server.port == 1
    assert settings(folder=tmp_path, FOVEA_SERVE__PORT="2").server.port == 2
    assert settings(folder=tmp_path, FOVEA_SERVE__SERVER__PORT="2").server.port == 2
    assert settings("--port", "3", folder=tmp_path, FOVEA_SERVE__PORT="2").server.port == 3
    # What the file says is not lost to the defaults of flags.
    found = settings("--clear-cache", "--enable-auto-tune", folder=tmp_path)
    assert (found.cache.enabled, found.cache.size) == (False, 7)
    assert found.cache.clear_at_start
    assert found.auto_tune.enabled
    assert settings("--enable-cache", folder=tmp_path).cache.enabled


@pytest.mark.parametrize("name", ["my.yaml", "my.yml", "my.json"])
def test_a_file_is_yaml_or_json(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = {"mode": "cpu", "logging": {"level": "DEBUG"}, "inference": {"input_size": [512, 512]}}
    path.write_text(json.dumps(data))
    for flag in ("-c", "--config"):
        found = settings(flag, str(path))
        assert (found.mode, found.logging.level) == ("cpu", "DEBUG")
        assert found.inference.input_size == (512, 512)


@pytest.mark.parametrize(
    ("name", "words"),
    [("my.toml", r"ending in \.yaml, \.yml, \.json"), ("none.yaml", "there is no such file")],
)
def test_a_file_that_cannot_be_had_is_an_error(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings("--config", str(tmp_path / name))


def test_a_broken_file_is_left_aside_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("server: {port: 1\nmode: [")
    found = settings_of(["-m", "cpu"], variables={}, folder=tmp_path)
    assert (found.config.server.port, found.config.mode) == (8000, "cpu")
    assert "The file is not used" in found.notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"sever": {"port": 1}}, "did you mean server"),
        ({"server": {"prot": 1}}, r"did you mean server\.port"),
        ({"port": 1}, r"did you mean server\.port"),
        ({"server": {"port": 70_000}}, "less than or equal to 65535"),
        ({"inference": {"input_size": [1536]}}, "input_size"),
        ({"inference": {"input_size": ["big", 1]}}, "whole number"),
        ({"inference": {"input_size": [0, 5]}}, "0 x 5 is no size"),
        ({"inference": {"min_input_size": 900, "max_input_size": 600}}, "turn them round"),
        ({"mode": "gup"}, "mode"),
        ({"optimization": {"quantization_mode": "both"}}, "dynamic"),
    ],
)
def test_what_the_file_says_is_checked(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=words):
        settings(folder=tmp_path)


def test_an_unknown_flag_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="unknown setting"):
        settings("--prot", "1")
    with pytest.raises(ConfigError, match="--input-size needs 2 values"):
        settings("--input-size", "512")


def test_the_help_shows_every_flag_and_every_setting() -> None:
    text = help_text("")
    for name in FLAGS:
        assert name in text
    assert "-p, --port" in text
    assert "optimization.max_batch_size" in text


# One section of the file


@pytest.mark.parametrize("name", ["new/folder/config.yaml", "config.json"])
def test_a_missing_file_is_made_with_all_defaults(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_section(path, "performance_cache", {"best_config": {"name": "AMP"}})
    found = settings("-c", str(path))
    assert found.performance_cache.best_config == {"name": "AMP"}
    assert found.model_dump(exclude={"performance_cache"}) == ServeConfig().model_dump(
        exclude={"performance_cache"}
    )


def test_only_the_section_is_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "# mine\nmode: cpu   # for now\nperformance_cache:\n  last_test: null\n\n  gpu:\n    a: 1\n"
        "# about the server\nserver:\n  port: 9\n"
    )
    for number in (1, 2):
        write_section(path, "performance_cache", {"gpu": {"name": f"card {number}"}})
        assert path.read_text() == (
            f"# mine\nmode: cpu   # for now\nperformance_cache:\n  gpu:\n    name: card {number}\n"
            "# about the server\nserver:\n  port: 9\n"
        )
    path.write_text("mode: cpu")
    write_section(path, "performance_cache", {"gpu": {}})
    assert path.read_text() == "mode: cpu\nperformance_cache:\n  gpu: {}\n"
