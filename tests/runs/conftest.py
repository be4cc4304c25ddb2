"""Lets tests and the child processes they start import the toy stages."""

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _toy_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [HERE, before])))
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "toys.yaml"
    path.write_text(
        """\
name: toys
vars: {steps: 12}
stages:
  first: {use: "toy_stages:COUNT", with: {steps: "${vars.steps}"}}
  second: {use: "toy_stages:COUNT", with: {steps: 6, start: "${first.out.number}"}}
  third: {use: "toy_stages:SPREAD", with: {items: 5}}
"""
    )
    return path
