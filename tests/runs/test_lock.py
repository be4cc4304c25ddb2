"""Locks: one owner, let go at its death, with what it left running ended."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fovea.errors import BusyError
from fovea.runs import processes
from fovea.runs.lock import TOKEN, RunLock, is_held, owner

HOLDER = """
import subprocess, sys, os, time
from pathlib import Path
from fovea.runs.lock import RunLock, TOKEN
with RunLock(Path(sys.argv[1])) as lock:
    environment = os.environ | {TOKEN: f"outer:{lock.token}"}
    child = subprocess.Popen(
        ["sleep", "60"], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    print(child.pid, flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with RunLock(tmp_path), pytest.raises(BusyError) as caught, RunLock(tmp_path):
        pass
    assert f"process {os.getpid()} on " in str(caught.value)
    assert caught.value.exit_code == 75
    assert not is_held(tmp_path)
    assert owner(tmp_path) == {}


def test_the_lock_of_a_killed_owner_is_free_and_its_leftovers_are_ended(tmp_path: Path) -> None:
    process, grandchild = holder(tmp_path)
    try:
        assert is_held(tmp_path)
        with pytest.raises(BusyError, match=f"process {process.pid} on"), RunLock(tmp_path):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert _lives(grandchild), "it has a session of its own, and lives on"
    assert not is_held(tmp_path)
    with RunLock(tmp_path) as lock:
        assert not _lives(grandchild)
        assert owner(tmp_path)["token"] == lock.token


def test_a_process_that_is_only_being_started_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = os.environ | {TOKEN: "just-now"}
    for _ in range(20):
        with subprocess.Popen(["sleep", "60"], env=environment) as child:
            # A whole look begins with older processes, and would give it time.
            monkeypatch.setattr(psutil, "pids", only(child.pid))
            found = [process.pid for process in processes.carrying(TOKEN, "just-now")]
            child.kill()
        assert found == [child.pid]


def test_who_only_asks_whether_a_run_is_held_turns_nobody_away(tmp_path: Path) -> None:
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            is_held(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            with RunLock(tmp_path):
                pass
    finally:
        ended.set()
        asking.join()


def test_this_process_is_never_taken_for_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunLock(tmp_path) as lock:
        monkeypatch.setenv(TOKEN, lock.token)
    with RunLock(tmp_path):
        pass


def only(pid: int) -> Callable[[], list[int]]:
    return lambda: [pid]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
