"""The lines of `fovea doctor` about the service: settings, address, device, Redis, plugins."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from fovea.errors import ConfigError, FoveaError
from fovea.runs.doctor import Finding
from fovea.service.plugins.installed import installed, strangers, trouble
from fovea.service.settings import ServeConfig


def findings() -> Iterator[Finding]:
    """What `fovea serve` would find in this folder."""
    from fovea.service.command import settings_of

    try:
        resolved = settings_of([])
    except ConfigError as error:
        first = error.problems[0] if error.problems else None
        said = f"{first.loc}: {first.message}" if first else str(error).splitlines()[0]
        yield Finding("service", False, said, "mend config.yaml; fovea serve says all of it")
        return
    settings = resolved.config
    notes = " ".join(resolved.notes)
    where = "config.yaml" if Path("config.yaml").is_file() else "defaults"
    yield Finding("service", not notes, notes or f"settings of {where} are valid", "mend the file")
    yield _address(settings)
    yield _device(settings)
    yield _place(settings)
    if settings.queue.database:
        yield _table(settings)
    if settings.redis.enabled or settings.queue.executor == "rq":
        yield _redis(settings)
    yield from _plugins(settings)


def _address(settings: ServeConfig) -> Finding:
    host, port = settings.server.host, settings.server.port
    try:
        with socket.create_server((host, port)):
            return Finding("  address", True, f"{host}:{port} is free")
    except OSError as error:
        to_do = "" if error.errno == 98 else "give another server.host or server.port"
        said = f"{host}:{port} cannot be had: {error.strerror}"
        return Finding("  address", False, f"{said}; perhaps the service is at work", to_do)


def _device(settings: ServeConfig) -> Finding:
    from fovea.service.photo.desk import chosen_device

    chosen = chosen_device(settings)
    notes = f"; {' '.join(chosen.notes)}" if chosen.notes else ""
    return Finding("  device", True, f"{chosen.name} ({chosen.device}){notes}")


def _place(settings: ServeConfig) -> Finding:
    folder = settings.runs.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    is_well = os.access(existing, os.W_OK)
    return Finding("  runs", is_well, f"{folder}", "name a folder you may write: runs=FOLDER")


def _table(settings: ServeConfig) -> Finding:
    from sqlalchemy.exc import SQLAlchemyError

    from fovea.logs import without_secrets
    from fovea.service.jobs import JobStore

    try:
        store = JobStore(settings.database_url)
        counts = store.counts()
        store.close()
    except (SQLAlchemyError, FoveaError, ModuleNotFoundError) as error:
        said = without_secrets(str(error).splitlines()[0])
        return Finding("  table", False, said, "start the database, or mend queue.database")
    return Finding("  table", True, f"answers, {sum(counts.values())} jobs in it")


def _redis(settings: ServeConfig) -> Finding:
    from fovea.logs import without_secrets

    url = settings.redis.url
    try:
        import redis
    except ModuleNotFoundError:
        return Finding("  redis", False, "not installed", "pip install redis")
    try:
        redis.Redis.from_url(url, socket_connect_timeout=2).ping()
    except (redis.RedisError, ValueError) as error:
        said = without_secrets(f"{url}: {error}")
        return Finding("  redis", False, said, "start it, or mend redis.url")
    return Finding("  redis", True, f"{without_secrets(url)} answers")


def _plugins(settings: ServeConfig) -> Iterator[Finding]:
    for plugin in installed(settings.plugins):
        wrong = trouble(plugin)
        said = f"{plugin.name} ({plugin.kind}) of {plugin.package} {plugin.version}"
        to_do = "mend or uninstall that package"
        yield Finding("  plugin", not wrong, f"{said}: {wrong}" if wrong else said, to_do)
    for note in strangers(settings.plugins):
        yield Finding("  plugin", False, note, "mend the settings")
