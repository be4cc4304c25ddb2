"""Where trials are stored: addresses, files, databases, and what happens when they go away."""

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from fovea.errors import ArtifactError, BackendError, ConfigError
from fovea.runs.environment import without_password
from fovea.tuning import outage, recovery
from fovea.tuning.address import PASSWORD, Address, filesystem
from fovea.tuning.outage import Line, Reports, StorageLostError, is_outage
from fovea.tuning.plan import load
from fovea.tuning.study import Ending, Study

StudyFile = Callable[..., Path]
HERE = Path("studies/s")
SECRET = "hunter2-is-no-password"


def run(path: Path, *changes: str) -> tuple[Ending, list[Any]]:
    plan = load(path, changes)
    with Study.create(plan) as study:
        return study.run(plan), study.records


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("sqlite:///a/b.db", "sqlite", "sqlite:///{here}/a/b.db"),
        ("journal:a.log", "journal", "journal:{here}/a.log"),
        ("grpc://box:13000", "grpc", "grpc://box:13000"),
        ("postgresql://me:pw@box/db", "postgresql", "postgresql+psycopg://me@box/db"),
        ("postgres://me@box:99/db", "postgresql", "postgresql+psycopg://me@box:99/db"),
        ("mysql://me:pw@box/db?charset=utf8", "mysql", "mysql+pymysql://me@box/db?charset=utf8"),
        ("mariadb://box/db?password=pw", "mysql", "mysql+pymysql://box/db"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, kind: str, shown: str) -> None:
    address = Address.read(text, HERE)
    assert (address.kind, address.text) == (kind, shown.format(here=Path.cwd()))
    assert "pw" not in f"{address} {address!r}"
    if "pw" in text:
        assert address.url.password == "pw"


def test_the_password_may_stand_in_the_environment_and_is_taken_out_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    assert Address.read("mysql://me@elsewhere/db", HERE).url.password == SECRET
    assert PASSWORD not in os.environ
    assert Address.read("mysql://me@elsewhere/db", HERE).url.password == SECRET


@pytest.mark.parametrize("text", ["oracle://me:pw@box/db", "nonsense", "grpc://box", "sqlite://"])
def test_another_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Address.read(text, HERE)
    assert "storage" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_lines_lose_their_passwords() -> None:
    line = "connect postgresql://me:p@ss@box/db?password=abc&x=1 and http://plain/a"
    assert without_password(line) == (
        "connect postgresql://me:***@box/db?password=***&x=1 and http://plain/a"
    )


def test_sqlite_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / {tmp_path}/shared rw - nfs4 box:/home rw\n"
    )
    assert filesystem(tmp_path / "shared/a/study.db", mounts) == "nfs4"
    assert filesystem(tmp_path / "local.db", mounts) == "ext4"
    monkeypatch.setattr("fovea.tuning.address.filesystem", lambda path: "nfs4")
    with pytest.raises(ConfigError, match=r"network file system \(nfs4\).*postgresql://"):
        Address.read("auto", tmp_path)


@pytest.mark.parametrize("storage", ["sqlite:///elsewhere.db", "journal:trials.log"])
def test_a_study_lives_in_another_file(
    quick_study: StudyFile, tmp_path: Path, storage: str
) -> None:
    ending, records = run(quick_study(storage=storage, budget={"trials": 3}))
    assert ending == Ending("all 3 trials are done")
    with Study.open(tmp_path / "studies/quick") as study:
        assert [one.values for one in study.records] == [one.values for one in records]
        best = study.best
    assert best is not None
    assert best.values[0] == min(one.values[0] for one in records)
    assert sorted(best.points) == [1, 2, 3]
    assert not (tmp_path / "studies/quick/study.db").exists()


def with_account(url: URL) -> URL:
    """The address for an account of MariaDB that has a password; that of PostgreSQL asks none."""
    import pymysql

    assert url.host is not None
    assert url.port is not None
    root = pymysql.connect(host=url.host, port=url.port, user="root")
    with root, root.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER keeper@'%' IDENTIFIED BY '{SECRET}'")
        cursor.execute(f"GRANT ALL ON {url.database}.* TO keeper@'%'")
    return url.set(username="keeper")


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
@pytest.mark.acceptance(10)
def test_a_study_lives_in_a_database_and_its_password_nowhere(
    quick_study: StudyFile, tmp_path: Path, server: str, request: pytest.FixtureRequest
) -> None:
    url = make_url(request.getfixturevalue(server))
    if server == "mariadb_url":
        url = with_account(url)
    whole = url.set(password=SECRET).render_as_string(hide_password=False)
    path = quick_study(budget={"trials": 2}, resources={"workers": 2})
    ending, records = run(path, f"storage={whole}")
    assert ending == Ending("all 2 trials are done")
    assert [one.state for one in records] == ["complete"] * 2
    for file in (tmp_path / "studies").rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file
    joined = Study.join("quick", whole, tmp_path / "elsewhere")
    with joined as study:
        assert len(study.records) == 2
        assert load(tmp_path / "elsewhere/study.yaml").file.study == "quick"
    assert SECRET not in (tmp_path / "elsewhere/study.yaml").read_text()


def test_a_study_lives_behind_a_proxy(quick_study: StudyFile, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="needs the package grpcio")
    import subprocess

    import servers

    port = servers.free_port()
    script = (
        "import optuna, sys\n"
        f"storage = optuna.storages.RDBStorage('sqlite:///{tmp_path}/behind.db')\n"
        f"optuna.storages.run_grpc_proxy_server(storage, host='localhost', port={port})\n"
    )
    call = [sys.executable, "-W", "ignore", "-c", script]
    proxy = subprocess.Popen([*servers.dying_with_us(), *call])
    try:
        path = quick_study(storage=f"grpc://localhost:{port}", budget={"trials": 2})
        assert run(path)[0] == Ending("all 2 trials are done")
    finally:
        proxy.kill()
        proxy.wait()


def test_a_storage_that_is_not_there_costs_no_trial(quick_study: StudyFile) -> None:
    plan = load(quick_study(storage="postgresql://me:pw@127.0.0.1:1/db"))
    with pytest.raises(StorageLostError) as caught:
        Study.create(plan)
    assert caught.value.exit_code == 75
    assert "postgresql+psycopg://me@127.0.0.1:1/db cannot be used" in str(caught.value)
    Study.create(load(quick_study(storage="sqlite:///there.db"))).close()
    with pytest.raises(ArtifactError, match="has no study 'nobody'"):
        Study.join("nobody", "sqlite:///there.db")


def test_a_driver_that_is_missing_is_named(
    quick_study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    plan = load(quick_study(storage="mysql://me@127.0.0.1:1/db"))
    with pytest.raises(BackendError, match=r"needs the package pymysql.*fovea-vision\[mysql\]"):
        Study.create(plan)


def test_while_a_database_is_away_the_trial_goes_on_and_loses_nothing(
    quick_study: StudyFile, caplog: pytest.LogCaptureFixture
) -> None:
    import servers

    over = threading.Event()
    with servers.PostgresServer() as server:
        plan = load(quick_study(pause=3.0, storage=server.make("away"), budget={"trials": 1}))
        with Study.create(plan) as study:

            def cut() -> None:
                while not list(study.folder.glob("trials/*/log.jsonl")):
                    time.sleep(0.02)
                server.kill()
                time.sleep(3.5)
                server.start()
                over.wait(60)  # the server dies with the thread that started it

            cutter = threading.Thread(target=cut)
            cutter.start()
            ending = study.run(plan)
            (record,) = study.records
            over.set()
            cutter.join()
        assert ending == Ending("all 1 trials are done")
        assert sorted(record.points) == [1, 2, 3]
        assert "does not answer" in caplog.text
        assert "answers again" in caplog.text


def test_where_a_database_stays_away_the_worker_leaves_and_goes_on_later(
    quick_study: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    import servers

    monkeypatch.setattr(outage, "GIVE_UP_S", 2.0)
    with servers.PostgresServer() as server:
        address = server.make("away")
        plan = load(quick_study(pause=60.0, storage=address, budget={"trials": 1}))
        study = Study.create(plan)

        def cut() -> None:
            while not list(study.folder.glob("trials/*/log.jsonl")):
                time.sleep(0.02)
            server.kill()

        cutter = threading.Thread(target=cut)
        cutter.start()
        with pytest.raises(StorageLostError) as caught:
            study.run(plan)
        cutter.join()
        assert caught.value.exit_code == 75
        study.close()
        server.start()
        monkeypatch.setattr("fovea.tuning.owners.is_gone", lambda owner, on_one_machine: True)
        with Study.open(study.folder) as again:
            recovery.recover(again)
            states = [(one.state, one.failure) for one in again.records]
    assert states == [("failed", "worker_lost"), ("waiting", "")]


class Away:
    """Stands for a trial whose storage fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.told: list[int] = []

    def report(self, value: float, step: int) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        self.told.append(step)

    def should_prune(self) -> bool:
        return True


def test_reports_wait_for_the_storage_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.01)
    trial = Away(failures=2)
    reports = Reports(trial, Line("there"))
    reports.report(1.0, 1)
    assert not reports.should_prune()
    reports.report(2.0, 2)
    while not reports.hand_on():
        time.sleep(0.01)
    assert trial.told == [1, 2]
    assert reports.should_prune()


def test_after_a_quarter_of_an_hour_the_worker_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(outage, "GIVE_UP_S", 0.1)
    line, tries = Line("there"), list[float]()

    def fail() -> None:
        tries.append(time.monotonic())
        raise ConnectionError("gone")

    with pytest.raises(StorageLostError, match="the storage there has not answered"):
        line.call(fail)
    pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
    assert len(tries) > 2
    assert pauses[1] > 1.2 * pauses[0]


def test_misuse_is_no_outage() -> None:
    assert not is_outage(ValueError("no"))
    assert is_outage(ConnectionResetError())
    with pytest.raises(ZeroDivisionError):
        Line("there").call(lambda: 1 / 0)
