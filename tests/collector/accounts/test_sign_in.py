from __future__ import annotations

import sqlite3
import statistics
import time
from pathlib import Path

import httpx
import pytest

from collector.accounts.roles import Role
from tests.collector.running import PASSWORD, Collector, hidden, sign_in
from tests.services import Spawn, free_port

COOKIE = "emitrace_session"
PERIOD = {"from_ms": 3_600_000, "to_ms": 7_200_000}


def database(collector: Collector) -> sqlite3.Connection:
    """The books of a running collector."""
    return sqlite3.connect(collector.folder / "state" / "books.sqlite", timeout=10, isolation_level=None)


def from_address(collector: Collector, address: str) -> httpx.Client:
    """A browser at another address of this machine."""
    return httpx.Client(
        base_url=collector.address, timeout=10, transport=httpx.HTTPTransport(local_address=address)
    )  # fmt: skip


def status(client: httpx.Client) -> int:
    """How the API answers this browser."""
    return client.get("/api/v1/log").status_code


def test_the_session_cookie_is_strict_and_of_no_use_elsewhere(shared: Collector) -> None:
    """HttpOnly and SameSite=Strict; a changed value is a stranger's; the database holds no value that works."""
    with httpx.Client(base_url=shared.address) as client:
        answer = sign_in(client, "admin")
        value = client.cookies[COOKIE]
        tried = (value, value[:-1] + ("a" if value[-1] != "a" else "b"), "")
        codes = [
            httpx.get(f"{shared.address}/api/v1/log", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code
            for cookie in tried
        ]
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{COOKIE}=")).lower()
    kept = database(shared).execute("SELECT token_digest, address FROM sessions").fetchall()

    assert [] == [part for part in ("httponly", "samesite=strict", "path=/") if part not in cookie]
    assert "secure" not in cookie
    assert [200, 401, 401] == codes
    assert {("127.0.0.1", False)} == {(address, value.encode() in digest) for digest, address in kept}


def test_behind_tls_cookies_are_bound_to_the_host(tmp_path: Path, spawn: Spawn) -> None:
    """With https = true both cookies are Secure and bear the prefix that no other host can set."""
    one = Collector(tmp_path, spawn, free_port())
    one.configure()
    file = tmp_path / "collector.toml"
    file.write_text(file.read_text() + "https = true\n")
    one.start()
    form = httpx.get(f"{one.address}/login")
    token = hidden(form.text)["token"]
    answer = httpx.post(
        f"{one.address}/login",
        data={"username": "admin", "password": PASSWORD, "token": token},
        headers={"Cookie": f"__Host-emitrace_form={token}"},
    )
    cookies = [*form.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]

    assert 303 == answer.status_code
    assert ["__Host-emitrace_form", "__Host-emitrace_form", "__Host-emitrace_session"] == [
        cookie.partition("=")[0] for cookie in cookies
    ]
    assert [] == [c for c in cookies if not all(part in c for part in ("; Secure", "Path=/;", "HttpOnly"))]
    assert [] == [c for c in cookies if "domain" in c.lower()]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_session_is_never_taken_over_from_before(shared: Collector) -> None:
    """A cookie planted before signing in is not adopted; signing in again ends the session the browser had."""
    with httpx.Client(base_url=shared.address) as client:
        client.cookies.set(COOKIE, "planted-by-somebody-else", domain="127.0.0.1")
        sign_in(client, "admin")
        planted = httpx.get(f"{shared.address}/api/v1/log", headers={"Cookie": f"{COOKIE}=planted-by-somebody-else"})
        values = [cookie.value for cookie in client.cookies.jar if cookie.name == COOKIE]
        first = next(value for value in values if value != "planted-by-somebody-else")
        client.cookies.clear()
        client.cookies.set(COOKIE, str(first), domain="127.0.0.1")
        sign_in(client, "admin")
        again = httpx.get(f"{shared.address}/api/v1/log", headers={"Cookie": f"{COOKIE}={first}"})

    assert [401, 401] == [planted.status_code, again.status_code]


def test_signing_out_ends_one_session_here_and_now(shared: Collector) -> None:
    """The value of the cookie is worth nothing afterwards; another browser stays signed in."""
    with shared.browser() as one, shared.browser() as other:
        value = one.cookies[COOKIE]
        csrf = hidden(one.get("/").text)["csrf"]
        out = one.post("/logout", data={"csrf": csrf})
        kept = httpx.get(f"{shared.address}/api/v1/log", headers={"Cookie": f"{COOKIE}={value}"}).status_code

        assert (303, 401, 200) == (out.status_code, kept, status(other))


@pytest.mark.parametrize(
    "words",
    [
        ("user", "sign-out", "manager"),
        ("user", "disable", "manager"),
        ("user", "set-role", "manager", "--role", "verifier"),
        ("user", "remove", "manager"),
        ("user", "set-password", "manager", "--password-file"),
    ],
    ids=lambda words: words[1],
)
def test_a_change_from_the_command_line_holds_at_once(running: Collector, words: tuple[str, ...]) -> None:
    """The very next request of each browser of the account is a stranger's; so is a script's where it may not stay."""
    (running.folder / "new").write_text("another-long-password\n")
    with running.browser("manager") as one, running.browser("manager") as two, running.browser() as other:
        script = httpx.Client(base_url=running.address, auth=("manager", PASSWORD))
        assert [200] * 4 == [status(client) for client in (one, two, other, script)]
        running.run(*words, *([str(running.folder / "new")] if words[-1].startswith("--") else []))

        assert [401, 401, 200] == [status(client) for client in (one, two, other)]
        assert (200 if words[1] in {"sign-out", "set-role"} else 401) == status(script)


def test_a_disabled_account_is_refused_like_a_wrong_password(running: Collector) -> None:
    """The right password of a disabled account tells nothing; enabled again it opens."""
    running.run("user", "disable", "manager")
    with httpx.Client(base_url=running.address) as client:
        disabled = sign_in(client, "manager")
        wrong = sign_in(client, "manager", "not the password")
        running.run("user", "enable", "manager")
        enabled = sign_in(client, "Manager")

    assert [401, 401, 303] == [answer.status_code for answer in (disabled, wrong, enabled)]
    assert disabled.text.count('role="alert"') == 1


@pytest.mark.parametrize(
    "age",
    [
        "UPDATE sessions SET expires_ms = expires_ms - 13 * 3600000",
        "UPDATE sessions SET seen_ms = seen_ms - 13 * 3600000",
    ],
    ids=["age", "idleness"],
)
def test_an_old_session_is_none(running: Collector, age: str) -> None:
    """Past its hours, or unused for too long, it leads to the sign-in page, and from there to where one was going."""
    with running.browser() as client:
        database(running).execute(age)
        answer = client.get("/inventory/7?tz=utc")
        api = status(client)
        page = client.get(answer.headers["Location"])
        form = hidden(page.text) | {"username": "admin", "password": PASSWORD}
        home = client.post("/login", data=form)

    assert (303, 401) == (answer.status_code, api)
    assert (303, "/inventory/7?tz=utc") == (home.status_code, home.headers["Location"])


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "/\\evil.example", "https://evil.example/", "evil", "/login?x=1"]
)
def test_signing_in_leads_nowhere_else(shared: Collector, wanted: str) -> None:
    """An address that is none of this collector's pages is dropped."""
    with httpx.Client(base_url=shared.address) as client:
        form = hidden(client.get("/login", params={"next": wanted}).text)
        answer = client.post("/login", data=form | {"username": "admin", "password": PASSWORD, "next": wanted})

    assert "next" not in form
    assert "/" == answer.headers["Location"]


def test_wrong_passwords_are_refused_and_then_slowed_down(running: Collector) -> None:
    """After a few wrong tries even the right password has to wait; another address does not, nor does a script."""
    with from_address(running, "127.0.0.2") as here, from_address(running, "127.0.0.3") as there:
        codes = [sign_in(here, "admin", "x").status_code for _ in range(5)]
        slowed = sign_in(here, "admin")
        script = here.get("/api/v1/log", auth=("admin", PASSWORD))
        elsewhere = sign_in(there, "admin")

    assert [401] * 5 == codes
    assert (429, True) == (slowed.status_code, int(slowed.headers["Retry-After"]) > 0)
    assert (200, 303) == (script.status_code, elsewhere.status_code)


def test_a_script_is_slowed_down_by_itself(running: Collector) -> None:
    """Wrong passwords of a script make it wait and say how long; the sign-in page of the same address does not."""
    with from_address(running, "127.0.0.2") as client:
        wrong = [client.get("/api/v1/log", auth=("admin", "x")) for _ in range(5)]
        slowed = client.get("/api/v1/log", auth=("admin", PASSWORD))
        page = sign_in(client, "admin")

    assert [401] * 5 == [answer.status_code for answer in wrong]
    assert "do not fit" in wrong[0].json()["error"]
    assert (429, True) == (slowed.status_code, int(slowed.headers["Retry-After"]) > 0)
    assert "Try again in" in slowed.json()["hint"]
    assert 303 == page.status_code


def test_guessing_from_many_addresses_stops_no_one_for_long(running: Collector) -> None:
    """Ten wrong tries slow the account down for new places; where it was signed in before it opens at once."""
    with from_address(running, "127.0.0.9") as home:
        first = sign_in(home, "admin").status_code
        for number in range(10, 21):
            with from_address(running, f"127.0.0.{number}") as stranger:
                sign_in(stranger, "admin", "a guess")
        with from_address(running, "127.0.0.30") as place:
            new = sign_in(place, "admin")
            other = sign_in(place, "manager")
        again = sign_in(home, "admin").status_code

    assert (303, 429, 303, 303) == (first, new.status_code, other.status_code, again)
    assert 1 <= int(new.headers["Retry-After"]) <= 60


def test_an_unknown_name_takes_as_long_as_a_wrong_password(running: Collector) -> None:
    """The time of the answer does not tell which names exist: the same hash is computed for a name that does not."""
    took: dict[str, list[float]] = {"admin": [], "nobody": []}
    for number in range(8):
        for name, times in took.items():
            with from_address(running, f"127.0.1.{number + 1}") as client:
                token = hidden(client.get("/login").text)["token"]
                begun = time.perf_counter()
                answer = client.post("/login", data={"username": name, "password": "a guess", "token": token})
                times.append(time.perf_counter() - begun)
                assert 401 == answer.status_code
    known, unknown = (statistics.median(times) for times in took.values())

    assert 0.5 < unknown / known < 2.0, f"{known:.3f} s against {unknown:.3f} s"


def test_the_sign_in_form_must_come_from_this_browser(shared: Collector) -> None:
    """Without its cookie, or with another value, the form is refused before any password is looked at."""
    with httpx.Client(base_url=shared.address) as client:
        token = hidden(client.get("/login").text)["token"]
        form = {"username": "admin", "password": PASSWORD}
        answers = [
            client.post("/login", data=form),
            client.post("/login", data=form | {"token": "another"}),
            httpx.post(f"{shared.address}/login", data=form | {"token": token}),
            client.post("/login", data=form | {"token": token}, headers={"Sec-Fetch-Site": "cross-site"}),
        ]

    assert [403] * 4 == [answer.status_code for answer in answers]
    assert "Expires" not in str([answer.headers.get_list("set-cookie") for answer in answers if COOKIE in answer.text])


def test_forms_and_scripts_with_a_cookie_need_their_token(shared: Collector) -> None:
    """Without the session's token, with another's, or from another site nothing is done; with it, it is."""
    with shared.browser() as client, shared.browser() as other:
        csrf, foreign = (hidden(browser.get("/").text)["csrf"] for browser in (client, other))
        form = {"from_": "2026-01-01T00:00", "to": "2026-01-02T00:00", "gwp": "AR6"}
        refused = [
            client.post("/inventory/build", data=form),
            client.post("/inventory/build", data=form | {"csrf": foreign}),
            client.post(
                "/inventory/build", data=form | {"csrf": csrf}, headers={"Origin": "https://elsewhere.example"}
            ),
            client.post("/inventory/build", data=form | {"csrf": csrf}, headers={"Sec-Fetch-Site": "same-site"}),
            client.post("/inventory/build", content=b"\xff\xfe", headers={"Content-Type": "multipart/form-data"}),
            client.post("/logout"),
            client.post("/api/v1/inventories", json=PERIOD),
            client.post("/api/v1/inventories", json=PERIOD, headers={"X-CSRF-Token": foreign}),
        ]
        made = client.post("/api/v1/inventories", json=PERIOD, headers={"X-CSRF-Token": csrf})

    assert [403] * 8 == [answer.status_code for answer in refused]
    assert (201, 1) == (made.status_code, made.json()["version"])


def test_people_are_told_on_a_page_what_their_role_may_not(running: Collector) -> None:
    """In the page's language, with the navigation around it; a program gets JSON that names role and permission."""
    running.add_users(Role.VERIFIER)
    with running.browser("verifier") as client:
        page = client.get("/engagement", params={"lang": "zh-CN"}).text
        home = client.get("/")
        csrf = hidden(page)["csrf"]
        form = client.post("/inventory/build", data={"csrf": csrf})
        api = client.post("/api/v1/inventories", json=PERIOD, headers={"X-CSRF-Token": csrf})

    assert (303, "/engagement") == (home.status_code, home.headers["Location"])
    assert "还没有任何核查任务包含此账号" in page
    assert (403, True) == (form.status_code, "您的角色（核查员）" in form.text)
    assert (403, "the role verifier has no permission build") == (api.status_code, api.json()["error"])
