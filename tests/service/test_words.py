"""What the API says in other languages: every text is there, and the right language is found."""

import ast
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

import fovea
from fovea.service.words import MESSAGES, language_of, packs, text

if TYPE_CHECKING:
    from conftest import Service

SOURCE = Path(fovea.__file__).parent
ANSWERED = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 503)
"""Statuses with which FastAPI and the envelope answer by themselves."""


def codes() -> set[str]:
    """Every code of a problem that stands in the source."""
    found: set[str] = set()
    for path in [*(SOURCE / "service").rglob("*.py"), SOURCE / "errors.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                words = [one.value for one in node.args if isinstance(one, ast.Constant)]
                if node.func.id in ("RefusedError", "unauthorised", "body"):
                    found |= {one for one in words[:3] if _is_code(one)}
            if isinstance(node, ast.ClassDef):
                for line in node.body:
                    if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
                        found.add(ast.literal_eval(line.value))
    archives = (SOURCE / "service" / "archives.py").read_text()
    found |= {f"archive_{code}" for code in re.findall(r'_refused\(\s*"(\w+)"', archives)}
    phrases = {HTTPStatus(status).phrase.lower().replace(" ", "_") for status in ANSWERED}
    return found | phrases - {"unprocessable_entity", "unprocessable_content", "content_too_large",
                              "request_entity_too_large"}  # fmt: skip


def _is_code(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", value) is not None


def test_every_problem_has_its_text_in_every_language() -> None:
    for language, pack in packs().items():
        missing = sorted(code for code in codes() if f"problem.{code}" not in pack)
        assert not missing, f"{language}.json lacks problem.* of {missing}"


def test_all_languages_have_the_same_texts_with_the_same_places() -> None:
    english = packs()["en"]
    for pack in packs().values():
        assert set(pack) == set(english)
        for key, said in pack.items():
            assert re.findall(r"{\w+}", said) == re.findall(r"{\w+}", english[key]), key
            assert said == said.strip() != ""


def test_the_files_are_sorted_within_their_kinds_so_that_changes_are_easy_to_see() -> None:
    for path in MESSAGES.glob("*.json"):
        keys = list(json.loads(path.read_text(encoding="utf-8")))
        for kind in ("problem", "solution", "done"):
            own = [key for key in keys if key.startswith(f"{kind}.")]
            assert own == sorted(own), path.name


@pytest.mark.parametrize(
    ("header", "query", "language"),
    [
        ("", "", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "", "zh-CN"),
        ("zh-TW", "", "zh-CN"),
        ("fr, zh;q=0.5, en;q=0.4", "", "zh-CN"),
        ("en;q=0.4, zh;q=0.5", "", "zh-CN"),
        ("zh;q=0", "", "en"),
        ("de;q=nonsense, *", "", "en"),
        ("zh-CN", "lang=en", "en"),
        ("en", "lang=zh_CN", "zh-CN"),
        ("zh", "lang=klingon", "en"),
    ],
)
def test_the_language_is_the_one_that_is_asked_for(header: str, query: str, language: str) -> None:
    headers = [(b"accept-language", header.encode())] if header else []
    scope = {"type": "http", "query_string": query.encode(), "headers": headers}
    assert language_of(Request(scope)) == language


def test_values_are_filled_in() -> None:
    assert "3" in text("zh-CN", "done.cache_cleared", count=3)
    assert text("en", "no.such.key") == ""


def test_a_problem_is_told_in_chinese_with_the_original_beside_it(service: "Service") -> None:
    plain = service.client.get("/v1/jobs/none").json()
    said = service.client.get("/v1/jobs/none", headers={"Accept-Language": "zh-CN"})
    assert said.headers["content-language"] == "zh-CN"
    assert said.json()["detail"] == text("zh-CN", "problem.not_found")
    assert said.json()["original"] == plain["detail"]
    assert said.json()["code"] == plain["code"]
    assert "original" not in plain
    cleared = service.client.post("/v1/cache/clear?lang=zh").json()
    assert cleared["message"].startswith("缓存")
