"""Real servers for tests: Redis, PostgreSQL and MariaDB, on free ports, in temporary folders.

A plugin of pytest (tests/conftest.py names it). A server is started when the first test of a
session asks for it, with nothing written through to the disk, and is ended with the session; the
kernel ends it where the session is killed. Where a program is not installed, the tests that need it
are skipped.

    redis_url      redis://...            an empty database
    postgres_url   postgresql+psycopg://  a database of the test's own, dropped afterwards
    mariadb_url    mysql+pymysql://       the same

`RedisServer` can be started by a test itself, to be ended in the middle of it: `with RedisServer()
as server: ...; server.kill(); ...; server.start()`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

PATIENCE_S = 60.0
FOLDERS = ["/usr/lib/postgresql/*/bin", "/usr/sbin", "/usr/local/sbin"]
"""Where Debian puts servers that no user's path names."""


class Server:
    """A server as a child process, listening on a port of this machine."""

    program = ""
    user = ""
    """As whom it runs where the tests run as root: some servers refuse to be root's."""
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.executable = found(self.program)
        self.folder = Path(tempfile.mkdtemp(prefix=f"fovea-{self.program}-"))
        self.port = free_port()
        self.owner = self.user if os.getuid() == 0 and self.user else None
        if self.owner:
            who = pwd.getpwnam(self.owner)
            os.chown(self.folder, who.pw_uid, who.pw_gid)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *ended: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self) -> None:
        """Make what it needs before its first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, also again after `kill`, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*dying_with_us(), *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._as_owner(),
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.program} does not start:\n{self.log.read_text()[-2000:]}"
                )
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it, kindly where that is quick."""
        process = getattr(self, "process", None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def run(self, *words: str) -> None:
        """Run a program as the server's user, in its folder."""
        told = subprocess.run(
            words,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._as_owner(),
        )
        assert told.returncode == 0, f"{words[0]}: {told.stdout[-2000:]}{told.stderr[-2000:]}"

    def _as_owner(self) -> dict[str, Any]:
        if not self.owner:
            return {}
        return {"user": self.owner, "group": pwd.getpwnam(self.owner).pw_gid, "extra_groups": []}

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


class RedisServer(Server):
    program = "redis-server"

    def command(self) -> list[str]:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--daemonize"]
        return [self.executable, *options, "no", "--databases", "16"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class PostgresServer(Server):
    program = "postgres"
    user = "postgres"
    stop_signal = signal.SIGINT

    def prepare(self) -> None:
        initdb = str(Path(self.executable).parent / "initdb")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self.run(initdb, "-D", str(self.folder / "data"), *options)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            # Commits are written at once: a server that is killed must not forget them.
            "synchronous_commit": "on",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "autovacuum": "off",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        data = str(self.folder / "data")
        return [self.executable, "-D", data, "-p", str(self.port), *words]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make(self, database: str) -> str:
        self._execute(f"CREATE DATABASE {database}")
        return self.address(database).replace("://", "+psycopg://")

    def drop(self, database: str) -> None:
        self._execute(f"DROP DATABASE {database} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


class MariadbServer(Server):
    program = "mariadbd"
    user = "mysql"

    def prepare(self) -> None:
        options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        self.run(found("mariadb-install-db"), *options, f"--datadir={self.folder / 'data'}")

    def command(self) -> list[str]:
        return [
            self.executable,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'server.sock'}",
            f"--pid-file={self.folder / 'server.pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--innodb-doublewrite=0",
            "--skip-log-bin",
        ]

    def make(self, database: str) -> str:
        self._execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def drop(self, database: str) -> None:
        self._execute(f"DROP DATABASE {database}")

    def _execute(self, statement: str) -> None:
        import pymysql

        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root")
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis that the session's tests share."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis database."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that the session's tests share."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address, for SQLAlchemy, of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres_server.make(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A MariaDB that the session's tests share."""
    with MariadbServer() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """The address, for SQLAlchemy, of an empty MariaDB database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mariadb_server.make(name)
    mariadb_server.drop(name)


def found(program: str) -> str:
    """Where a program stands; a test that needs a missing one is skipped."""
    known = shutil.which(program)
    for pattern in FOLDERS:
        folders = sorted(Path("/").glob(pattern.lstrip("/")))
        known = known or shutil.which(program, path=os.pathsep.join(map(str, folders[::-1])))
    if known is None:
        pytest.skip(f"needs the program {program}, and it is not installed")
    return known


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dying_with_us() -> list[str]:
    """Words before a command that have the kernel end it with this process, where it can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
