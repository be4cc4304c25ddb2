"""The tiny capture of the relight tests."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ball_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten RGBA photographs of 24x24 px of coloured balls, with poses."""
    path = Path(__file__).parents[1] / "relight/conftest.py"
    spec = importlib.util.spec_from_file_location("relight_captures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_capture(tmp_path_factory.mktemp("flows") / "balls")
