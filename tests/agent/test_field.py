"""The gate of the page for a phone, and what no form may do without its session."""

from __future__ import annotations

import ast
import re
import stat
import tomllib
from pathlib import Path

import httpx
import pytest

from agent.field.app import create_app
from agent.field.pin import FILE, FIRST_PAUSE_S, FREE_TRIES, SESSION_S, Gate, PinError, keep_pin, load_pin
from tests.agent.rig import write_agent
from tests.services import free_port

PIN = "204816"


def test_a_pin_is_kept_as_a_digest_for_its_owner(tmp_path: Path) -> None:
    """The file holds no PIN and is nobody else's to read."""
    keep_pin(tmp_path, PIN)
    path = tmp_path / FILE

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert PIN not in path.read_text()


@pytest.mark.parametrize("pin", ["", "12345", "111111", "abcdef"])
def test_a_weak_pin_is_refused(tmp_path: Path, pin: str) -> None:
    """Too short, one digit only, no digits."""
    with pytest.raises(PinError, match="too weak"):
        keep_pin(tmp_path, pin)


def test_wrong_pins_close_the_gate_longer_and_longer(tmp_path: Path) -> None:
    """After some tries even the right PIN waits; a session ends by itself."""
    keep_pin(tmp_path, PIN)
    gate = Gate(*load_pin(tmp_path))
    tried = [gate.enter("000001", 0.0) for _ in range(FREE_TRIES)]
    first_s = gate.closed_s(0.0)
    while_closed = gate.enter(PIN, 1.0)
    gate.enter("000001", FIRST_PAUSE_S)
    second_s = gate.closed_s(FIRST_PAUSE_S)
    key = gate.enter(PIN, 1_000.0)

    assert [None] * FREE_TRIES == tried
    assert (FIRST_PAUSE_S, None, 2 * FIRST_PAUSE_S) == (first_s, while_closed, second_s)
    assert key is not None
    assert gate.session(key, 1_000.0) is not None
    assert gate.session(key, 1_000.0 + SESSION_S) is None


async def test_no_page_without_a_pin_and_no_form_without_its_mark(tmp_path: Path) -> None:
    """Strangers are sent to the PIN, a form without the session's mark is refused, a stopped agent is said."""
    config = write_agent(tmp_path, free_port(), free_port())
    config.state_dir.mkdir()
    with pytest.raises(PinError, match="field-pin"):
        create_app(config)
    keep_pin(config.state_dir, PIN)
    transport = httpx.ASGITransport(create_app(config))
    async with httpx.AsyncClient(transport=transport, base_url="http://field") as client:
        strangers = [await client.get(path) for path in ("/", "/values", "/report", "/swap", "/stop", "/commission")]
        await client.post("/login", data={"pin": PIN})
        unmarked = await client.post("/stop", data={"subject": "grid", "reason": "x", "by": "y"})
        form = await client.get("/stop?lang=zh")
        mark = re.search(r'name="csrf" value="([^"]+)"', form.text)
        assert mark is not None
        told = await client.post("/stop", data={"csrf": mark[1], "subject": "grid", "reason": '"x"', "by": "Li"})
        stop = {"csrf": mark[1], "subject": "grid", "reason": "x", "by": "Li"}
        english = await client.post("/stop?lang=en", data=stop)
        await client.get("/stop?lang=zh")
        same = {"old_serial": "E1", "new_serial": "E1", "closing_index": "101.5", "opening_index": "0", "unit": "MWh"}
        kept = await client.post("/swap", data={"csrf": mark[1], "subject": "em-1", "load": "on", "by": "Li", **same})

    assert {(303, "/login")} == {(one.status_code, one.headers["location"]) for one in strangers}
    assert 403 == unmarked.status_code
    assert "停运原因" in form.text
    assert "default-src 'none'" in form.headers["content-security-policy"]
    assert 400 == told.status_code
    assert "没有运行" in told.text
    assert "does not run" in english.text
    assert 'name="reason" value="&#34;x&#34;"' in told.text
    assert "新旧表编号相同" in kept.text
    assert 'value="on" checked' in kept.text
    assert all(f'name="{name}" value="{text}"' in kept.text for name, text in same.items())


def test_every_text_is_in_both_languages() -> None:
    """No text lacks its Chinese or its English."""
    path = Path(__file__).parents[2] / "agent" / "field" / "messages.toml"
    texts = tomllib.loads(path.read_text(encoding="utf-8"))

    assert [] == [key for key, both in texts.items() if both.keys() != {"zh", "en"} or not all(both.values())]


@pytest.mark.parametrize("name", ["desk/compare.py", "desk/forms.py", "desk/visit.py", "field/app.py"])
def test_every_refusal_that_a_page_may_show_is_in_both_languages(name: str) -> None:
    """Each DeskError is raised with its Chinese."""
    tree = ast.parse((Path(__file__).parents[2] / "agent" / name).read_text(encoding="utf-8"))
    raised = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "DeskError"
    ]  # fmt: skip

    assert raised
    in_english = [node.lineno for node in raised if not any(word.arg == "zh" for word in node.keywords)]
    assert [node.lineno for node in raised if "photographs" in ast.unparse(node)] == in_english  # a command's alone
