from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from collector.web.language import LANGUAGES, messages
from collector.web.pages.account import browser_name
from tests.collector.running import PASSWORD, Collector, hidden, sign_in

OWN = "three old boilers"


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """The answer to a form of this browser's session."""
    csrf = hidden(client.get("/account").text)["csrf"]
    return client.post(path, data={"csrf": csrf, **fields}, follow_redirects=True)


def said(answer: httpx.Response) -> str:
    """What the page says went wrong."""
    return unescape(re.findall(r'role="alert">([^<]*)', answer.text)[0])


def test_a_new_colleague_chooses_a_password_before_anything_else(running: Collector) -> None:
    """The one-time password is shown once, opens the own account only, and ends when another is chosen."""
    with running.browser() as admin:
        made = send(admin, "/accounts", name="Zhao", role="manager")
        once = re.findall(r'translate="no">([^<]+)<', made.text)[0]
        again = admin.get("/accounts").text + admin.get("/accounts/zhao").text
    with httpx.Client(base_url=running.address) as client:
        first = sign_in(client, "zhao", once)
        closed = [client.get(path).status_code for path in ("/", "/inventory/1", "/account", "/api/v1/log")]
        script = httpx.get(f"{running.address}/api/v1/log", auth=("zhao", once))
        chosen = send(client, "/account/password", current=once, new=OWN, again=OWN)
        opened = [client.get(path).status_code for path in ("/", "/account", "/api/v1/log", "/accounts")]
        old = sign_in(httpx.Client(base_url=running.address), "zhao", once)

    assert (201, False, 303) == (made.status_code, once in again, first.status_code)
    assert ([303, 303, 200, 403], 403) == (closed, script.status_code)
    assert (200, [200, 200, 200, 403], 401) == (chosen.status_code, opened, old.status_code)


def test_a_password_that_is_not_taken_is_said_in_the_pages_language(running: Collector) -> None:
    """Each reason has its words in both languages; the password stays."""
    cases = [
        ({"current": PASSWORD, "new": OWN, "again": "something else"}, "password.again"),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "password.short"),
        ({"current": PASSWORD, "new": "x" * 1025, "again": "x" * 1025}, "password.long"),
        ({"current": PASSWORD, "new": "manager2026", "again": "manager2026"}, "password.name"),
        ({"current": PASSWORD, "new": "password2026", "again": "password2026"}, "password.obvious"),
        ({"current": PASSWORD, "new": PASSWORD, "again": PASSWORD}, "password.same"),
        ({"current": "not the password", "new": OWN, "again": OWN}, "password.wrong"),
    ]
    with running.browser("manager") as client:
        for language in LANGUAGES:
            client.get("/account", params={"lang": language})
            for fields, key in cases:
                answer = send(client, "/account/password", **fields)

                assert (422, messages()[language][key].format(shortest=10)) == (answer.status_code, said(answer))
        assert 200 == client.get("/api/v1/log").status_code
    with running.browser("manager"):
        pass


def test_one_sees_and_ends_ones_own_sessions_only(running: Collector) -> None:
    """Each browser is in the list; one, or all, can be signed out; another user's cannot, and nothing is told of it."""
    with running.browser("manager") as here, running.browser("manager") as there, running.browser() as admin:
        page = here.get("/account", params={"lang": "en"}).text
        numbers = re.findall(r"/account/sessions/(\d+)/end", page)
        other = re.findall(r"/account/sessions/(\d+)/end", there.get("/account").text)
        assert (2, 1) == (page.count("<code>127.0.0.1</code>"), len(numbers))

        send(admin, f"/account/sessions/{numbers[0]}/end")
        assert 200 == there.get("/api/v1/log").status_code

        ended = send(here, f"/account/sessions/{numbers[0]}/end")
        assert (200, 401, 200) == tuple(
            code.status_code for code in (ended, there.get("/api/v1/log"), here.get("/api/v1/log"))
        )
        assert other != numbers
        everywhere = send(here, "/account/sign-out-everywhere")
        assert ("/login", 401) == (everywhere.url.path, here.get("/api/v1/log").status_code)
        assert 200 == admin.get("/api/v1/log").status_code


def test_an_administrator_changes_accounts_on_the_pages(running: Collector) -> None:
    """Role, disabling, enabling, signing out, resetting and removing each do what they say, at once."""
    with running.browser() as admin, running.browser("manager") as manager:
        role = send(admin, "/accounts/manager/role", role="verifier")
        assert (200, 401) == (role.status_code, manager.get("/api/v1/log").status_code)

        sign_in(manager, "manager")
        assert 403 == manager.post("/api/v1/inventories", json={}, auth=("manager", PASSWORD)).status_code
        send(admin, "/accounts/manager/sign-out")
        assert 401 == manager.get("/api/v1/log").status_code

        send(admin, "/accounts/manager/disable")
        assert 401 == sign_in(manager, "manager").status_code
        send(admin, "/accounts/manager/enable")
        assert 303 == sign_in(manager, "manager").status_code

        reset = send(admin, "/accounts/manager/password")
        once = re.findall(r'translate="no">([^<]+)<', reset.text)[0]
        assert (401, 401) == (manager.get("/api/v1/log").status_code, sign_in(manager, "manager").status_code)
        assert (303, "/account") == ((found := sign_in(manager, "manager", once)).status_code, to_from(manager, found))

        removed = send(admin, "/accounts/manager/remove")
        assert (200, "/accounts", 401) == (
            removed.status_code, removed.url.path, manager.get("/api/v1/log").status_code
        )  # fmt: skip


def to_from(client: httpx.Client, answer: httpx.Response) -> str:
    """Where a browser ends up after a redirect."""
    return client.get(answer.headers["Location"], follow_redirects=True).url.path


@pytest.mark.parametrize(
    ("path", "fields", "key", "name"),
    [
        ("/accounts", {"name": "manager", "role": "verifier"}, "account.taken", "manager"),
        ("/accounts", {"name": "a b", "role": "verifier"}, "account.name", "a b"),
        ("/accounts", {"name": "li", "role": "chief"}, "account.role-missing", ""),
        ("/accounts/admin/disable", {}, "account.last-admin", "admin"),
        ("/accounts/admin/remove", {}, "account.last-admin", "admin"),
        ("/accounts/admin/role", {"role": "verifier"}, "account.last-admin", "admin"),
        ("/accounts/nobody/role", {"role": "verifier"}, "account.unknown", "nobody"),
        ("/accounts/nobody/password", {}, "account.unknown", "nobody"),
    ],
)
def test_what_cannot_be_done_is_said(
    shared: Collector, path: str, fields: dict[str, str], key: str, name: str
) -> None:  # fmt: skip
    """On the page, in its language, with what to do; the accounts stay as they are."""
    with shared.browser() as admin:
        admin.get("/", params={"lang": "zh-CN"})
        answer = send(admin, path, **fields)
        page = admin.get("/accounts").text

    assert (answer.status_code in {404, 422}, messages()["zh-CN"][key].format(name=name)) == (True, said(answer))
    assert ["admin", "manager"] == re.findall(r'href="/accounts/([^"]+)"', page)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 Chrome/138.0 Mobile Safari/537.36", "Chrome · Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari · iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/138.0 Safari/537.36 Edg/138.0", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130 Mobile Safari/537.36 MicroMessenger/8.0", "WeChat · Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_a_browser_is_known_by_its_name(agent: str, name: str) -> None:
    """Two words for what people use, the beginning of what it says for anything else."""
    assert name == browser_name(agent)
