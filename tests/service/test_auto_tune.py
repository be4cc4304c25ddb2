"""Auto-tune: what is timed is the network, what was found is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fovea.service.command import settings_of
from fovea.service.photo import tuning
from fovea.service.photo.desk import PhotoDesk
from fovea.service.photo.devices import Chosen, choose

CARD = Chosen("cuda", "NVIDIA", "RTX", is_gpu=True, capability=86)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def found(**changes: object) -> tuning.Found:
    way = next(way for way in tuning.WAYS if way.name == "AMP")
    return replace(tuning.Found(way, NOW, tuning.device_facts(CARD)), **changes)


def kept(file: Path, what: tuning.Found) -> tuning.Found | None:
    from fovea.service.settings.section import write_section

    write_section(file, "performance_cache", what.as_data())
    settings = settings_of(["-c", str(file)], variables={}).config
    return tuning.known(settings, CARD, NOW + timedelta(hours=1))


def test_a_result_counts_for_seven_days_and_the_same_card(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    assert kept(file, found()) == found()
    assert kept(file, found(when=NOW - timedelta(days=6))) is not None
    assert kept(file, found(when=NOW - timedelta(days=7))) is None
    assert kept(file, found(gpu={"name": "another", "vendor": "NVIDIA"})) is None


def test_what_was_found_is_applied(tmp_path: Path) -> None:
    applied = found().applied(replace(CARD, cudnn_benchmark=True, tf32=True))
    assert (applied.amp, applied.cudnn_benchmark, applied.tf32) == (True, False, False)


def test_where_all_fails_the_first_way_is_taken() -> None:
    settings = settings_of(["model.checkpoint=nowhere.pt"], variables={}).config
    result = tuning.search(settings, choose("cpu", cards=[], torch=""))
    assert result.way.name == "none"
    assert all(one.seconds is None and "nowhere.pt" in one.trouble for one in result.timed)


def test_the_real_network_is_timed_once_and_the_file_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    words = ["-c", str(file), "-m", "cpu", "--enable-auto-tune", "--no-preload"]
    words += ["auto_tune.test_size=64", "auto_tune.warmup_runs=0", "auto_tune.test_runs=1"]
    first = PhotoDesk(settings_of(words, variables={}).config, None, file)
    first._tune()
    made = settings_of(["-c", str(file)], variables={}).config.performance_cache
    assert made.best_config["name"] in ("none", "AMP")
    assert set(made.best_config) == {"name", "amp", "cudnn_benchmark", "tf32", "description"}
    assert set(made.gpu) == {"name", "vendor", "compute_capability"}
    assert made.last_test is not None
    assert abs(made.last_test - datetime.now(UTC)) < timedelta(minutes=2)

    def searched(*_: object) -> tuning.Found:
        raise AssertionError("it was known")

    monkeypatch.setattr(tuning, "search", searched)
    second = PhotoDesk(settings_of(words, variables={}).config, None, file)
    second._tune()
    assert second.chosen.amp == made.best_config["amp"]
