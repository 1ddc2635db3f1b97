from __future__ import annotations

import json

import pytest

from protocols.logline import Redactor, line

LEAKS = [
    ("url", "cannot reach postgresql://books:hunter2@db.example/emitrace", "postgresql://books:***@db.example/emitrace"),
    ("url with an at sign", "postgresql://books:hun@ter2@db.example/x", "postgresql://books:***@db.example/x"),
    ("basic", "header b'Basic YWRtaW46aHVudGVyMg=='", "header b'Basic ***'"),
    ("bearer", "Bearer eyJhbGciOi.hunter2.x", "Bearer ***"),
    ("header", "Authorization: Digest hunter2, nonce=1", "Authorization: ***"),
    ("cookie", "Cookie: emitrace_session=hunter2; a=b", "Cookie: ***"),
    ("query", "GET /login?token=hunter2&lang=en", "GET /login?token=***&lang=en"),
    ("keyword", "connect(password='hunter2 and more', port=1)", "connect(password=***, port=1)"),
    ("mapping", "{'password': 'hunter2', 'port': 1}", "{'password': ***, 'port': 1}"),
    ("json", '{"api_key": "hunter2", "port": 1}', '{"api_key": ***, "port": 1}'),
    ("session", "emitrace_session=hunter2.sig", "emitrace_session=***"),
]  # fmt: skip
HARMLESS = [
    "password_file=/etc/emitrace/broker.password",
    "password: 5 characters. Take at least 10.",
    "session_hours=12",
    "account-signed-out sessions_ended=2",
    "basic authentication is required",
    "see http://127.0.0.1:8080/login",
    "mqtt://broker.example:1883",
    "name and password do not fit",
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in LEAKS], ids=[case[0] for case in LEAKS])
def test_a_secret_is_known_by_its_form(text: str, expected: str) -> None:
    """What stands where a secret stands is hidden, though nobody named it; the rest stays readable."""
    cleaned = Redactor().clean(text)

    assert cleaned.endswith(expected)
    assert "hunter2" not in cleaned


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    """A message that only speaks of secrets keeps every word."""
    assert text == Redactor().clean(text)


def test_a_named_secret_is_hidden_in_every_form() -> None:
    """As it is, percent-encoded, in base64, and escaped as in a repr or in JSON."""
    secret = 'p@ss "wörd"\n'
    redactor = Redactor()
    redactor.keep(secret)
    forms = [
        secret, "p%40ss%20%22w%C3%B6rd%22%0A", "cEBzcyAid8O2cmQiCg==", repr(secret), json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
    ]  # fmt: skip

    assert ["***"] * 6 == [redactor.clean(form).strip("'\"") for form in forms]


def test_text_is_one_line_per_event() -> None:
    """Values with spaces are quoted, fields with telling names hidden, and a line break in a value forges nothing."""
    said = Redactor().text_line("HEAD", line("gone", why="no route", n=3, empty="", token="abc", seen="a\nb"))

    assert "HEAD gone why='no route' n=3 empty='' token=*** seen='a\\nb'" == said
    assert r"HEAD first\nsecond" == Redactor().text_line("HEAD", "first\nsecond")


def test_json_keeps_numbers_and_names_the_event() -> None:
    """One object per line; the words of a library, which has no event, are its text; nothing of the head is lost."""
    redactor = Redactor()
    redactor.keep("hunter2")
    said = redactor.json_line({"level": "info"}, line("seen", n=3, ok=True, x=None, level=2, to="hunter2", pin=0.5))
    foreign = redactor.json_line({"level": "warning"}, 'login "hunter2" failed\nhere', "Traceback: hunter2")

    assert {
        "level": "info", "event": "seen", "n": 3, "ok": True, "x": None, "level_": 2, "to": "***", "pin": 0.5
    } == json.loads(said)  # fmt: skip
    assert {
        "level": "warning", "event": "message", "text": 'login "***" failed\nhere', "traceback": "Traceback: ***"
    } == json.loads(foreign)  # fmt: skip
    assert "\n" not in foreign
