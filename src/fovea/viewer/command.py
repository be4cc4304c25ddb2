"""`fovea view PATH`: look at a scene or a run in the browser."""

from __future__ import annotations

import argparse
import threading
import webbrowser
from pathlib import Path

from fovea import console


def main(arguments: list[str]) -> int:
    """Show a scene file or a run's folder until Ctrl-C, or write its page as one file."""
    parser = argparse.ArgumentParser(
        prog="fovea view",
        description="Walk in a scene (.ply, .spz), or look at a run while it goes.",
    )
    parser.add_argument("path", type=Path, help="a scene file, or the folder of a run")
    parser.add_argument(
        "--port", type=int, default=0, help="of this machine; a free one if left out"
    )
    parser.add_argument("--no-open", action="store_true", help="only print the address")
    parser.add_argument(
        "--export", action="store_true", help="write the page as one file that needs no server"
    )
    options = parser.parse_args(arguments)
    if options.export:
        from fovea.viewer.page import export

        target = export(options.path)
        console.answer(str(target), {"page": str(target)})
        return 0
    return _serve(options.path, options.port, is_opened=not options.no_open)


def _serve(path: Path, port: int, *, is_opened: bool) -> int:
    from fovea.viewer.server import Server

    with Server(path, port=port) as server:
        console.answer(server.url, {"url": server.url})
        console.say("Ctrl-C ends it.")
        if is_opened:
            webbrowser.open(server.url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.say()
    return 0
