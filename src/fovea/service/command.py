"""`fovea serve`: the service, until Ctrl-C."""

from __future__ import annotations

import os
import platform
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from fovea import console
from fovea.config import Resolved, resolve
from fovea.errors import BusyError, ConfigError
from fovea.service.settings import ServeConfig
from fovea.service.settings.files import NAME, configuration
from fovea.service.settings.flags import environment, spoken
from fovea.service.settings.help import help_text

OPEN_AFTER_S = 2.0
SWITCH_S = 0.0005
"""How long a thread at work may keep the event loop waiting; Python's own 5 ms add up."""


def main(arguments: list[str]) -> int:
    """Serve every stage over HTTP, with a page for people."""
    if any(word in ("-h", "--help") for word in arguments):
        console.answer(help_text(main.__doc__ or ""), ServeConfig.model_json_schema())
        return 0
    resolved = settings_of(arguments)
    for note in resolved.notes:
        console.warn(note)
    problem = resolved.config.refuse_open_address()
    if problem:
        raise ConfigError(f"{problem.message}.", (problem,))
    return serve(resolved.config, file=Path(spoken(arguments).config or NAME).absolute())


def settings_of(
    arguments: list[str],
    *,
    variables: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Resolved[ServeConfig]:
    """The settings of a command line: words over variables over the file over the defaults.

    Args:
        arguments: the words after `fovea serve`.
        variables: the environment.
        folder: where `config.yaml` is looked for; the current one.

    Raises:
        ConfigError: settings are not valid, or the file that was named cannot be had.
    """
    words = spoken(arguments)
    makes_one = "auto_tune.enabled=true" in words.words
    file = configuration(words.config, folder or Path.cwd(), may_miss=makes_one)
    found = resolve(
        ServeConfig,
        name="serve",
        files=[file.document] if file.document else [],
        environment=environment(variables),
        arguments=words.words,
    )
    return Resolved(found.config, found.sources, (*file.notes, *found.notes))


def serve(settings: ServeConfig, *, file: Path | None = None) -> int:
    """Serve until somebody asks for the end; jobs at work are saved and go on at the next start.

    Args:
        settings: of the service.
        file: of the settings; what auto-tune finds is written into it.

    Raises:
        BusyError: somebody else listens on that port.
    """
    import uvicorn

    from fovea.service import logs
    from fovea.service.app import create_app
    from fovea.service.patience import patient_for

    logs.begin(settings.logging)
    sys.setswitchinterval(SWITCH_S)
    served = create_app(settings, file)
    here = served.app.state.service
    here.gate.refuse_without_keys(settings.runs)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            here.closing.set()
            super().handle_exit(sig, frame)

    with _listen(settings) as listening:
        address = f"http://{_shown(settings.server.host)}:{listening.getsockname()[1]}/"
        console.answer(address, {"url": address, "runs": str(settings.runs.absolute())})
        console.say(f"Runs are kept in {settings.runs}. Ctrl-C ends it.")
        config = uvicorn.Config(
            served,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            http=patient_for(settings.uploads.idle_s),
            proxy_headers=bool(settings.access.trusted_proxies),
            forwarded_allow_ips=settings.access.trusted_proxies,
            timeout_keep_alive=settings.performance.timeout_keep_alive,
            limit_max_requests=settings.performance.max_requests or None,
            timeout_graceful_shutdown=5,
        )
        if settings.browser.auto_open and _has_screen():
            threading.Timer(OPEN_AFTER_S, webbrowser.open, [address]).start()
        Server(config).run(sockets=[listening])
    logs.end()
    return 0


def _has_screen() -> bool:
    """Whether a browser could be seen here."""
    is_desktop = platform.system() in ("Darwin", "Windows")
    return is_desktop or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


def _listen(settings: ServeConfig) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise BusyError(
            f"the service needs port {port} of {host}, and it cannot be had: "
            f"{error.strerror}. Give another --port, or --port 0 for a free one."
        ) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
