"""`fovea tune dashboard`: optuna-dashboard on this machine's loopback, for who wants to click."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from fovea import console
from fovea.errors import BackendError
from fovea.tuning.verbs import VERBS, words


def main(arguments: list[str]) -> int:
    """Start it on the study's storage, until Ctrl-C."""
    parser = words.parser("dashboard", VERBS["dashboard"].summary)
    words.add_study(parser, changes=False)
    parser.add_argument("--port", type=int, default=8081, help="on 127.0.0.1")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise BackendError(
            "the dashboard needs the package optuna-dashboard, which is not installed. "
            "Run: pip install optuna-dashboard; 'fovea tune report' works without."
        )
    with words.open_study(options) as study:
        address = study.store.address
    if address.kind in ("journal", "grpc"):
        raise BackendError(
            f"the dashboard reads databases, and this study's storage is {address.text}. "
            "'fovea tune report' works without it."
        )
    storage = address.url.render_as_string(hide_password=False)
    console.say(f"http://127.0.0.1:{options.port}/ until Ctrl-C")
    # Its address may hold a password, hence goes by the environment and not by the command's words.
    start = (
        "import os, optuna_dashboard as d, optuna; "
        "optuna.logging.set_verbosity(optuna.logging.WARNING); "
        "d.run_server(os.environ['FOVEA_STORAGE'], host='127.0.0.1', "
        "port=int(os.environ['FOVEA_PORT']))"
    )
    added = {"FOVEA_STORAGE": storage, "FOVEA_PORT": str(options.port)}
    try:
        return subprocess.run(
            [sys.executable, "-c", start], env=os.environ | added, check=False
        ).returncode
    except KeyboardInterrupt:
        return 0
