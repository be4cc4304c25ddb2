"""The description of the API, OpenAPI 3.1: what `/openapi.json` says, and the file in docs.

`python -m fovea.service.openapi docs/openapi.json` writes it; a test compares.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fovea.runs.durable import write_text

PROBLEM = "#/components/schemas/ProblemBody"
TAGS = {
    "photographs": "A photograph becomes a scene: at once, as a task, several in a batch.",
    "jobs": "Any stage or recipe, by the schema of its settings.",
    "uploads": "Files that jobs work on.",
    "catalog": "What can be asked for.",
    "studies": "Searches for better settings.",
    "system": "The device, the cache, the plugins, the figures.",
    "health": "For whoever looks after the service.",
    "access": "Keys and tokens.",
    "webhooks": "Who is told when a job ends.",
}
SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of an application; problems have the media type of RFC 9457."""
    if app.openapi_schema:
        return app.openapi_schema
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description="`/api/...` answers as `/v1/...` does; it is deprecated, and says so in a"
        " header.",
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for path in found["paths"].values():
        for operation in path.values():
            first, _, rest = operation.get("description", "").partition("\n")
            operation["summary"] = first.rstrip(".") or operation["summary"]
            operation["description"] = rest.strip() or first
            for answer in operation.get("responses", {}).values():
                _as_problem(answer)
    found["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
    found["components"]["securitySchemes"] = SECURITY
    # Where nobody is asked who calls, none of them is needed.
    found["security"] = [{}, {"key": []}, {"token": []}]
    app.openapi_schema = found
    return found


def text() -> str:
    """The description of the service with its default settings."""
    from fovea.service.app import create_app
    from fovea.service.settings import ServeConfig

    with tempfile.TemporaryDirectory() as folder:
        served = create_app(ServeConfig(runs=Path(folder)))
        app: FastAPI = served.app
        found = describe(app)
        app.state.service.store.close()
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _as_problem(answer: dict[str, Any]) -> None:
    content = answer.get("content", {})
    for kind in list(content):
        if content[kind].get("schema", {}).get("$ref") == PROBLEM:
            content["application/problem+json"] = content.pop(kind)


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that an address answers, for `Allow`; several routes may share one address."""
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            found |= {method.upper() for method in operations}
    return sorted(found)


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), text())
