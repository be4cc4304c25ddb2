"""Optuna's heartbeat, which it may change: these fail when it does."""

import inspect
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import TrialState

from fovea.tuning import heartbeat


def storage(folder: Path, every_s: int, grace_s: int) -> Any:
    with heartbeat.quiet():
        return RDBStorage(
            f"sqlite:///{folder}/beats.db", **heartbeat.options(every_s=every_s, grace_s=grace_s)
        )


def test_optuna_still_takes_the_calls_that_we_make() -> None:
    made = inspect.signature(RDBStorage.__init__).parameters
    assert set(heartbeat.options()) <= set(made)
    assert set(heartbeat.NONE) <= set(made)
    assert list(inspect.signature(fail_stale_trials).parameters) == ["study"]
    assert list(inspect.signature(RDBStorage.record_heartbeat).parameters) == ["self", "trial_id"]
    assert "get_heartbeat_interval" in dir(RDBStorage)


def test_a_trial_that_says_nothing_for_the_grace_is_failed(tmp_path: Path) -> None:
    backend = storage(tmp_path, 1, 1)
    study = optuna.create_study(storage=backend)
    with heartbeat.quiet():
        lives, dies, silent = (study.ask() for _ in range(3))
    with heartbeat.Heartbeat(backend, dies._trial_id):
        time.sleep(0.2)
    with heartbeat.Heartbeat(backend, lives._trial_id):
        deadline = time.monotonic() + 120
        while study.trials[dies.number].state != TrialState.FAIL:
            assert time.monotonic() < deadline, "waited in vain"
            heartbeat.fail_stale(study)
            time.sleep(0.2)
    assert study.trials[lives.number].state == TrialState.RUNNING
    assert study.trials[silent.number].state == TrialState.RUNNING  # it never had a heartbeat
    backend.engine.dispose()


def test_a_storage_without_heartbeat_is_left_alone(tmp_path: Path) -> None:
    study = optuna.create_study()
    assert not heartbeat.has_heartbeat(study._storage)
    with heartbeat.Heartbeat(study._storage, 0):
        pass
    assert heartbeat.has_heartbeat(storage(tmp_path, 1, 2))


def test_optuna_still_calls_it_an_experiment(tmp_path: Path) -> None:
    """When this fails, the calls in heartbeat.py need no silence any more."""
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        RDBStorage(f"sqlite:///{tmp_path}/a.db", heartbeat_interval=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storage(tmp_path, 1, 2)
