"""The flags of `fovea serve`: short words for settings, as people know them.

Every setting can also be given by its full name, `--server.port 8000` or `server.port=8000`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fovea.errors import ConfigError


@dataclass(frozen=True)
class Flag:
    """What a flag stands for."""

    settings: tuple[str, ...]
    """Of one that takes values, the setting they go to and then what is set besides; else
    assignments."""
    values: int = 0
    short: str = ""


def _value(setting: str, *besides: str, values: int = 1, short: str = "") -> Flag:
    return Flag((setting, *besides), values, short)


def _switch(*assignments: str) -> Flag:
    return Flag(assignments)


FLAGS: dict[str, Flag] = {
    "--mode": _value("mode", short="-m"),
    "--port": _value("server.port", short="-p"),
    "--host": _value("server.host"),
    "--insecure": _switch("access.insecure=true"),
    "--runs": _value("runs"),
    "--no-browser": _switch("browser.auto_open=false"),
    "--no-preload": _switch("model.preload=false"),
    "--no-amp": _switch("gpu.enable_amp=false"),
    "--no-cudnn-benchmark": _switch("gpu.enable_cudnn_benchmark=false"),
    "--device": _value("gpu.device"),
    "--input-size": _value("inference.input_size", values=2),
    "--dynamic-input-size": _switch("inference.dynamic_input_size=true"),
    "--min-input-size": _value("inference.min_input_size"),
    "--max-input-size": _value("inference.max_input_size"),
    "--gradient-checkpointing": _switch("optimization.gradient_checkpointing=true"),
    "--checkpoint-segments": _value("optimization.checkpoint_segments"),
    "--enable-cache": _switch("cache.enabled=true"),
    "--no-cache": _switch("cache.enabled=false"),
    "--cache-size": _value("cache.size"),
    "--clear-cache": _switch("cache.clear_at_start=true"),
    "--enable-auto-tune": _switch("auto_tune.enabled=true"),
    "--redis-url": _value("redis.url", "redis.enabled=true"),
    "--enable-webhook": _switch("webhook.enabled=true"),
    "--executor": _value("queue.executor"),
    "--queue": _value("queue.address"),
    "--workers": _value("queue.workers"),
    "--database": _value("queue.database"),
    "--lease-s": _value("queue.lease_s"),
    "--grace-s": _value("queue.grace_s"),
    "--attempts": _value("queue.attempts"),
    "--upload-mb": _value("uploads.upload_mb"),
    "--unpacked-mb": _value("uploads.unpacked_mb"),
    "--archive-entries": _value("uploads.archive_entries"),
    "--archive-ratio": _value("uploads.archive_ratio"),
}
CONFIG = ("-c", "--config")

_SHORT = {flag.short: name for name, flag in FLAGS.items() if flag.short}
_ENVIRONMENT = "FOVEA_SERVE__"


@dataclass(frozen=True)
class Spoken:
    """A command line in full names."""

    words: tuple[str, ...]
    """What `resolve` reads."""
    config: str | None
    """The file that was named."""


def spoken(words: Iterable[str]) -> Spoken:
    """Say flags in full names; what is no flag stays as it is.

    Raises:
        ConfigError: a flag has no value.
    """
    left, found, config = list(words), list[str](), None
    while left:
        name, is_assigned, value = left.pop(0).partition("=")
        typed = _SHORT.get(name, name).replace("_", "-" if name.startswith("-") else "_")
        if typed in CONFIG:
            config = value if is_assigned else _taken(typed, left, 1)[0]
            continue
        flag = FLAGS.get(typed)
        if flag is None:
            found.append(f"{name}{is_assigned}{value}")
        elif not flag.values:
            found += flag.settings
        else:
            given = value.split(",") if is_assigned else _taken(typed, left, flag.values)
            said = given[0] if flag.values == 1 else f"[{', '.join(given)}]"
            found += [f"{flag.settings[0]}={said}", *flag.settings[1:]]
    return Spoken(tuple(found), config)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with flags' names (`FOVEA_SERVE__PORT`) turned into settings' names."""
    full = {
        _ENVIRONMENT + name[2:].replace("-", "_").upper(): flag.settings[0]
        for name, flag in FLAGS.items()
        if flag.values
    }
    return {
        _ENVIRONMENT + full[name].replace(".", "__").upper() if name in full else name: value
        for name, value in variables.items()
    }


def _taken(flag: str, left: list[str], count: int) -> list[str]:
    given = left[:count]
    if len(given) < count or any(word.startswith("--") for word in given):
        wanted = "a value" if count == 1 else f"{count} values"
        raise ConfigError(f"{flag} needs {wanted} after it; `fovea serve --help` shows its use.")
    del left[:count]
    return given
