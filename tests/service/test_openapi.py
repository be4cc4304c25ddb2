"""The description of the API is in the repository, and is the one that is served."""

import json
from pathlib import Path
from typing import Any

import pytest

from fovea.service import openapi
from fovea.service.routes.reference import VENDOR

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
ASKED = {
    "/v1/predict": "post", "/v1/predict/batch": "post", "/v1/tasks": "post",
    "/v1/tasks/{id}": "delete", "/v1/batch/{id}": "get", "/v1/batch/{id}/download": "get",
    "/files/{id}/{name}": "get", "/v1/health": "get", "/v1/stats": "get", "/v1/cache": "get",
    "/v1/cache/clear": "post", "/v1/plugins": "get", "/metrics": "get", "/v1/webhooks": "post",
    "/v1/webhooks/{event_type}": "delete", "/v1/auth/token": "post", "/v1/keys": "post",
    "/v1/jobs/{kind}": "post",
}  # fmt: skip


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    return json.loads(openapi.text())


def test_the_file_is_what_is_served(served: dict[str, Any]) -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == served, (
        "run: python -m fovea.service.openapi docs/openapi.json"
    )


def test_it_is_of_version_3_1_and_has_every_route_of_the_manual(served: dict[str, Any]) -> None:
    assert served["openapi"].startswith("3.1")
    for path, method in ASKED.items():
        assert method in served["paths"].get(path, {}), f"{method} {path}"


def test_every_operation_has_a_summary_and_says_its_problems(served: dict[str, Any]) -> None:
    for path, operations in served["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path}"
            content = operation["responses"].get("default", {}).get("content", {})
            assert "application/json" not in content, f"{method} {path}"


def test_what_belongs_together_is_described_together(served: dict[str, Any]) -> None:
    used = {
        tag for path in served["paths"].values() for one in path.values() for tag in one["tags"]
    }
    assert used == {tag["name"] for tag in served["tags"]}


def test_what_the_pages_need_is_served_from_here() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    import hashlib

    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert b"cdn.redoc.ly" not in (VENDOR / "redoc.standalone.js").read_bytes()
