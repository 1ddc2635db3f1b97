from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from collector.accounts.reach import Limit
from collector.accounts.roles import MATRIX, Permission, Role, may
from collector.api.gate import limit_of, permission_of
from collector.app import gated
from collector.books import open_books
from collector.web.language import LANGUAGES, messages
from tests.collector.running import PASSWORD, Collector
from tests.services import Spawn, free_port

PAGE = Path(__file__).parents[3] / "docs" / "central-team.md"
PUBLIC = {
    ("GET", "/login"), ("POST", "/login"), ("GET", "/api/v1/health"), ("GET", "/static/{digest}/{name}"),
    ("POST", "/api/v1/enrolments"),
}  # fmt: skip
Route = tuple[str, str, Permission, Limit]


@pytest.fixture
def serving(tmp_path: Path, spawn: Spawn) -> tuple[Collector, list[Route]]:
    """A running collector with an account per role, and every route it has with what the route asks for."""
    one = Collector(tmp_path, spawn, free_port())
    config = one.configure()
    one.add_users(Role.TECHNICIAN, Role.MANAGER, Role.VERIFIER)
    routes: list[Route] = []
    with open_books(config) as books:
        for route in gated(books).routes:
            permission = permission_of(route)
            assert permission is not None, f"{route} declares no permission"
            limit = limit_of(route)
            routes += [(method, route.path, permission, limit) for method in route.methods]  # type: ignore[attr-defined]
    one.start()
    return one, routes


def ask(client: httpx.Client, method: str, path: str) -> httpx.Response:
    """The head of the answer; a stream is left at once."""
    with client.stream(method, re.sub(r"\{\w+(:\w+)?\}", "1", path)) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
        return answer


def test_every_route_keeps_to_the_matrix(serving: tuple[Collector, list[Route]]) -> None:
    """Each route of the running program answers each role as the matrix says, and strangers not at all."""
    collector, routes = serving
    assert PUBLIC == {(method, path) for method, path, permission, _ in routes if permission is Permission.PUBLIC}
    guarded = [route for route in routes if route[2] is not Permission.PUBLIC]
    wrong: list[str] = []
    for role in Role:
        with httpx.Client(base_url=collector.address, auth=(role.value, PASSWORD), timeout=10) as client:
            for method, path, permission, limit in guarded:
                answer = ask(client, method, path)
                refused = answer.status_code == 403
                if role is Role.VERIFIER and may(role, permission) and limit is not Limit.NEEDLESS:
                    continue  # without an engagement it sees nothing: test_reach.py
                if refused == may(role, permission) or answer.status_code in {401, 500}:
                    wrong.append(f"{role} {method} {path}: {answer.status_code}, needs {permission}")
                if refused and f"no permission {permission}" not in answer.json()["error"]:
                    wrong.append(f"{role} {method} {path}: {answer.text}")
    with httpx.Client(base_url=collector.address) as stranger:
        for method, path, _, _ in guarded:
            answer = ask(stranger, method, path)
            if answer.status_code != (401 if path.startswith(("/api/", "/metrics")) else 303):
                wrong.append(f"stranger {method} {path}: {answer.status_code}")

    assert [] == wrong
    assert {Permission.READ, Permission.EVIDENCE, Permission.BUILD, Permission.SEAL, Permission.OWN} <= {
        permission for _, _, permission, _ in routes
    }


def test_the_documentation_shows_the_matrix() -> None:
    """The table in docs/central-team.md has a row per permission and says of each role what the code says."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|((?: *(?:yes|–) *\|){4})$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    heads = re.findall(r"^\| permission \|[^|]*\| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    written = {
        (name, role.value): cell.strip() == "yes"
        for name, cells in rows
        for role, cell in zip(Role, cells.strip("|").split("|"), strict=True)
    }

    assert [" | ".join(role.value for role in Role)] == heads
    assert {(p.value, role.value): may(role, p) for p in MATRIX for role in Role} == written


def test_the_matrix_knows_every_permission() -> None:
    """Every permission but the public one has its roles; an administrator has all but writing a verifier's findings."""
    assert set(Permission) - {Permission.PUBLIC} == set(MATRIX)
    assert {Permission.FINDINGS} == {permission for permission in Permission if not may(Role.ADMIN, permission)}


def test_every_permission_and_role_has_words() -> None:
    """In both languages."""
    keys = {f"permission.{one.value}" for one in MATRIX} | {f"role.{one.value}" for one in Role}

    assert {language: set() for language in LANGUAGES} == {
        language: keys - texts.keys() for language, texts in messages().items()
    }
