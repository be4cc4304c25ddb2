"""What a run was made with: `env.json`, so that somebody else can have the same."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from fovea.runs import device
from fovea.runs.record import package_version


def environment() -> dict[str, Any]:
    """Versions, machine, GPUs, the state of the source and the command; no values of variables."""
    return {
        "fovea": package_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "gpus": [f"{gpu.name} {gpu.total_mb} MB" for gpu in device.gpus()],
        "argv": [without_password(word) for word in sys.argv],
        "source": _source_state(Path(__file__).parent),
        "packages": dict(
            sorted((d.name, d.version) for d in importlib.metadata.distributions() if d.name)
        ),
    }


def without_password(text: str) -> str:
    """A line with the passwords of its addresses blotted out."""
    text = re.sub(r"(://[^:/@\s]*):[^\s/]*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&](?:password|passwd|pwd)=)[^&\s]*", r"\1***", text)


def _source_state(folder: Path) -> str:
    """The commit of the source tree this package runs from; empty for an installed package."""
    if not any((parent / ".git").exists() for parent in folder.parents[:4]):
        return ""
    told = subprocess.run(
        ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()
