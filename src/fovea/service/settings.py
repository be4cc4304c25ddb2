"""Settings of `fovea serve`: one Config, hence flags, file and environment like any stage's."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from fovea.config import Config, setting
from fovea.errors import Problem

MEGABYTE = 1_000_000


class ServeConfig(Config):
    """Where the service listens, where runs are kept, and how much it takes in."""

    host: str = setting(
        "127.0.0.1", "address to listen on; loopback only, as there are no keys yet"
    )
    port: int = setting(8000, "port to listen on; 0 takes a free one", ge=0, le=65_535)
    runs: Path = setting(Path("runs"), "folder of the runs; jobs and uploads are kept in it, too")
    workers: int = setting(1, "jobs at the same time", ge=0, le=64)
    device: str = setting("auto", "device the jobs run on: auto, cpu or cuda:N")
    database: str = setting("", "address of the job table; empty is a SQLite file among the runs")
    upload_mb: int = setting(200, "largest request in MB", ge=1)
    unpacked_mb: int = setting(2000, "largest archive once unpacked in MB", ge=1)
    archive_entries: int = setting(10_000, "most files in one archive or request", ge=1)
    archive_ratio: int = setting(200, "most bytes of one archived file for each byte packed", ge=1)
    lease_s: float = setting(60.0, "how long a worker may be silent in s", gt=0, advanced=True)
    grace_s: float = setting(10.0, "how long a job may take to stop in s", ge=0, advanced=True)
    attempts: int = setting(3, "times a job whose process was lost is started", ge=1, advanced=True)

    @property
    def state_folder(self) -> Path:
        """What the service keeps beside the runs: its table, uploads, recipes, consoles."""
        return self.runs / ".service"

    @property
    def database_url(self) -> str:
        """The job table as SQLAlchemy wants it named."""
        return self.database or f"sqlite:///{self.state_folder / 'jobs.sqlite'}"

    def refuse_open_address(self) -> Problem | None:
        """What is wrong with the address, if people on other machines could reach it."""
        if is_loopback(self.host):
            return None
        return Problem(
            loc="host",
            code="not_loopback",
            message=f"{self.host} can be reached from other machines, and this service does not ask"
            " who calls. Listen on 127.0.0.1 and put an authenticating proxy or an ssh tunnel"
            " (ssh -L 8000:127.0.0.1:8000 HOST) before it",
            input=self.host,
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
