"""Every operation of the API as its own description has it, and as it has it not: no crash, and what was promised."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.app import create_app
from collector.books import Books
from tests.collector.edge import Edge, stream
from tests.collector.running import PASSWORD

AUTHORIZATION = f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}"
EXAMPLES = 20
CHECKS = [not_a_server_error, response_schema_conformance]


@pytest.fixture
def described(books: Books, register: Callable[[Edge], None], ingest: Callable[..., object]) -> Any:
    """The API's own description, over books that hold something."""
    edge = stream(6)
    register(edge)
    ingest(edge, 0, 1, 2, 3, 5)
    Register(books.database).add("admin", Role.ADMIN, PASSWORD, by="test")
    return schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", create_app(books), headers={"Authorization": AUTHORIZATION}
    )


def test_nothing_crashes_it(described: Any) -> None:
    """An answer below 500 to whatever is sent to any operation, and one that promises a shape has it."""
    answered: dict[str, Counter[int]] = {}
    for found in described.get_all_operations():
        operation = found.ok()

        @given(
            case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
            | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        )
        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def try_it(case: schemathesis.Case[Any]) -> None:
            response = case.call_and_validate(checks=CHECKS, headers={"Authorization": AUTHORIZATION})
            answered.setdefault(case.operation.label, Counter())[response.status_code] += 1

        try_it()
    statuses = sum(answered.values(), Counter())

    assert len(answered) > 10
    assert statuses[200] > len(answered)
    enrolling = answered.pop("POST /api/v1/enrolments")  # a stranger's rubbish is braked, see test_enrolments
    assert {400, 422, 429} >= set(enrolling)
    assert not {401, 403, 429} & set(sum(answered.values(), Counter()))
