"""Where tests find reference answers and real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# As stages' own processes have it: threads that spin while they wait take the time of all others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
pytest_plugins = ["servers", "browser"]
"""Redis, PostgreSQL and MariaDB (tests/servers.py); Chromium (tests/browser.py)."""


@pytest.fixture(scope="session")
def goldens() -> Path:
    """The folder of reference answers; FOVEA_GOLDENS names another set of the same shape."""
    return Path(os.environ.get("FOVEA_GOLDENS", ROOT / "tests" / "goldens"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real recordings and photographs, which the repository does not carry."""
    folder = Path(os.environ.get("FOVEA_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets: no folder {folder}. Name it by FOVEA_DATA.")
    return folder
