"""`fovea serve`: the service, until Ctrl-C."""

from __future__ import annotations

import socket
from types import FrameType

from fovea import console
from fovea.config import resolve
from fovea.errors import BusyError, ConfigError
from fovea.service.settings import ServeConfig


def main(arguments: list[str]) -> int:
    """Serve every stage over HTTP, with a page for people."""
    if any(word in ("-h", "--help") for word in arguments):
        return _help()
    settings = resolve(ServeConfig, name="serve", arguments=arguments).config
    problem = settings.refuse_open_address()
    if problem:
        raise ConfigError(f"{problem.message}.", (problem,))
    return serve(settings)


def serve(settings: ServeConfig) -> int:
    """Serve until somebody asks for the end; jobs at work are saved and go on at the next start.

    Raises:
        BusyError: somebody else listens on that port.
    """
    import uvicorn

    from fovea.service.app import create_app

    served = create_app(settings)
    here = served.app.state.service

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            here.closing.set()
            super().handle_exit(sig, frame)

    with _listen(settings) as listening:
        address = f"http://{_shown(settings.host)}:{listening.getsockname()[1]}/"
        console.answer(address, {"url": address, "runs": str(settings.runs.absolute())})
        console.say(f"Runs are kept in {settings.runs}. Ctrl-C ends it.")
        config = uvicorn.Config(
            served,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        Server(config).run(sockets=[listening])
    return 0


def _listen(settings: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        raise BusyError(
            f"the service needs port {settings.port} of {settings.host}, and it cannot be had: "
            f"{error.strerror}. Give another --port, or --port 0 for a free one."
        ) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _help() -> int:
    rows = {
        f"--{name.replace('_', '-')}": f"{info.description} ({_default(info.default)})"
        for name, info in ServeConfig.model_fields.items()
    }
    text = f"fovea serve: {main.__doc__}\n\n{console.pairs(rows)}"
    console.answer(text, ServeConfig.model_json_schema())
    return 0


def _default(value: object) -> str:
    return str(value) or "empty"
