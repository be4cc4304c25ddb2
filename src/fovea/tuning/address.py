"""Where the trials of a study are stored, and how that is said without its password.

    auto                                SQLite in the study's folder: one machine
    sqlite:///PATH                      SQLite elsewhere
    postgresql://USER@HOST/DATABASE     many machines
    mysql://USER@HOST/DATABASE          many machines
    journal:PATH                        a file of lines: many short trials, one machine
    grpc://HOST:PORT                    Optuna's proxy, in front of one of the databases

A password is never written anywhere: it stands in the address that a person gives, or in the
variable `FOVEA_STORAGE_PASSWORD`, which this process takes out of its environment at once, so that
no trial inherits it. PostgreSQL's own `~/.pgpass` and `PGPASSWORD` work as ever.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fovea.errors import ConfigError, Problem
from fovea.runs.environment import without_password

if TYPE_CHECKING:
    from sqlalchemy import URL

PASSWORD = "FOVEA_STORAGE_PASSWORD"
"""The variable that holds the password of a storage whose address has none."""
DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}
NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "davfs",
}  # fmt: skip
"""File systems on which the locks of SQLite cannot be relied on."""
Kind = Literal["sqlite", "postgresql", "mysql", "journal", "grpc"]
_taken: dict[str, str] = {}


@dataclass(frozen=True)
class Address:
    """The address of a storage. Its text has no password; `url` has, and is for drivers only."""

    kind: Kind
    text: str
    """As it may be shown and written."""
    password: str | None = None
    path: Path | None = None
    """The file, where it is one."""

    def __repr__(self) -> str:
        return f"Address({self.text!r})"

    __str__ = __repr__

    @property
    def is_local(self) -> bool:
        """Whether only processes of one machine can work there."""
        return self.path is not None

    @property
    def url(self) -> URL:
        """What SQLAlchemy connects to."""
        from sqlalchemy import make_url

        return make_url(self.text).set(password=self.password)

    @property
    def host(self) -> tuple[str, int]:
        """Of a proxy, the machine and its port."""
        name, _, port = self.text.removeprefix("grpc://").partition(":")
        return name, int(port)

    @classmethod
    def read(cls, text: str, folder: Path) -> Address:
        """The address that a study file or a command line gives.

        Args:
            text: as described above.
            folder: of the study; paths are relative to where we are.

        Raises:
            ConfigError: it is none, or its file lies on a network file system.
        """
        if text == "auto":
            return _file("sqlite", folder / "study.db")
        if text.startswith("journal:"):
            return _file("journal", Path(text.removeprefix("journal:")))
        if text.startswith("grpc://"):
            if not re.fullmatch(r"grpc://[^:/@\s]+:\d+/?", text):
                raise _refusal("is grpc://HOST:PORT", text)
            return cls("grpc", text.rstrip("/"))
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(text)
        except ArgumentError:
            raise _refusal("is auto, or the address of a database", text) from None
        driver = DRIVERS.get(url.get_backend_name())
        if driver is None:
            known = "auto, sqlite, postgresql, mysql, journal:PATH, grpc://HOST:PORT"
            raise _refusal(f"is one of {known}", text)
        if driver == "sqlite":
            if not url.database:
                raise _refusal("names a file, sqlite:///studies/all.db", text)
            return _file("sqlite", Path(url.database))
        return _server(url.set(drivername=url.drivername if "+" in url.drivername else driver))


def filesystem(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system a path lies on, `ext4` or `nfs4`; empty where that is not known."""
    if not mounts.is_file():
        return ""
    whole, found = path.absolute(), ("", "")
    for line in mounts.read_text().splitlines():
        words = line.split()
        place, kind = words[4].replace("\\040", " "), words[words.index("-") + 1]
        if whole.is_relative_to(place) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


def _file(kind: Literal["sqlite", "journal"], path: Path) -> Address:
    path = path.absolute()
    if kind == "sqlite" and (system := filesystem(path)) in NETWORK:
        text = (
            f"{path} lies on a network file system ({system}), where SQLite's locks do not hold. "
            "Say storage: postgresql://USER@HOST/DATABASE, or another --folder on a local disk"
        )
        raise ConfigError(text + ".", (Problem("storage", "network", text),))
    from sqlalchemy import URL

    text = URL.create("sqlite", database=str(path)).render_as_string()
    return Address(kind, text if kind == "sqlite" else f"journal:{path}", path=path)


def _server(url: URL) -> Address:
    from sqlalchemy import URL

    kind: Kind = "postgresql" if url.get_backend_name() == "postgresql" else "mysql"
    secrets = [name for name in url.query if name.lower() in ("password", "passwd", "pwd")]
    said = url.password or next((str(url.query[name]) for name in secrets), None)
    bare = URL.create(
        url.drivername,
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query={name: value for name, value in url.query.items() if name not in secrets},
    )
    text = bare.render_as_string(hide_password=False)
    if PASSWORD in os.environ:
        _taken[text] = os.environ.pop(PASSWORD)
    if said is not None:
        _taken[text] = str(said)
    return Address(kind, text, _taken.get(text))


def _refusal(wanted: str, text: str) -> ConfigError:
    shown = without_password(text)
    sentence = f"{wanted}; got {shown!r}"
    return ConfigError(f"storage {sentence}.", (Problem("storage", "address", sentence),))
