"""Our own description of the API is asked at random: no 5xx, no answer that it does not name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

if TYPE_CHECKING:
    from conftest import Service

load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def idle(
    service_type: "type[Service]", tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Service"]:
    """A service in which no job is ever at work."""
    running = service_type(
        tmp_path_factory.mktemp("idle") / "runs", "--workers=0", "--enable-webhook"
    ).start()
    yield running
    running.stop()
    running.client.close()


@pytest.fixture(scope="module")
def description(idle: "Service") -> Any:
    found = schemathesis.openapi.from_url(f"{idle.url}/openapi.json")
    # It waits for the end of a job, and here none ends.
    return found.exclude(path="/v1/predict")


def test_every_answer_is_described(description: Any) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) > 30
    wrong: list[str] = []
    for operation in operations:
        try:
            _asked(operation)
        except FailureGroup as found:
            wrong += [f"{operation.label}: {failure}" for failure in found.exceptions]
    assert not wrong, "\n\n".join(wrong)


def _asked(operation: Any) -> None:
    """Ask one operation some times."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKED, timeout=20)

    ask()
