"""Optuna's storages by address: SQLite, PostgreSQL, MySQL, a journal, a proxy."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from filelock import FileLock

from fovea.tuning import heartbeat
from fovea.tuning.address import Address

BUSY_TIMEOUT_S = 60
"""How long a write waits for another process's, before SQLite gives up."""
CONNECT_TIMEOUT_S = 10


def open_backend(address: Address, *, is_new: bool) -> Any:
    """Optuna's storage at an address; its tables are made where `is_new`."""
    from optuna import storages

    if address.kind == "journal":
        from optuna.storages.journal import JournalFileBackend

        path = str(address.path)
        return storages.JournalStorage(JournalFileBackend(path, lock_obj=_journal_lock(path)))
    if address.kind == "grpc":
        host, port = address.host
        with heartbeat.quiet():
            proxy = storages.GrpcStorageProxy(host=host, port=port)
        proxy.wait_server_ready(timeout=CONNECT_TIMEOUT_S)
        return proxy
    url = address.url.render_as_string(hide_password=False)
    if address.kind == "sqlite":
        waits = {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
        storage = storages.RDBStorage(
            url, engine_kwargs=waits, skip_table_creation=not is_new, **heartbeat.NONE
        )
        if is_new:
            _write_ahead(storage.engine)
        return storage
    calls: dict[str, Any] = {"connect_args": {"connect_timeout": CONNECT_TIMEOUT_S}}
    calls |= {"pool_pre_ping": True, "pool_size": 2}
    with heartbeat.quiet():
        return storages.RDBStorage(
            url, engine_kwargs=calls, skip_table_creation=not is_new, **heartbeat.options()
        )


def _write_ahead(engine: Any) -> None:
    """Have commits wait for the disk once and not thrice; the file remembers it.

    A worker that reads at this moment keeps the file as it is: the next start changes it then.
    """
    from sqlalchemy.exc import OperationalError

    with suppress(OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def _journal_lock(path: str) -> Any:
    """The lock of a journal; unlike Optuna's own, the kernel lets it go when its holder dies."""
    from optuna.storages.journal._file import BaseJournalFileLock

    class JournalLock(BaseJournalFileLock):
        def __init__(self) -> None:
            self._lock = FileLock(f"{path}.lock", thread_local=False, poll_interval=0.005)

        def acquire(self) -> bool:
            self._lock.acquire()
            return True

        def release(self) -> None:
            self._lock.release()

    return JournalLock()
