"""``emitrace-agent enroll``: from an invitation to an agent that the collector believes, with no file carried."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.config import load_config
from agent.console import CONFIG, ConfigPath, say, told
from agent.enrolling import EnrolmentError, ask, identity, keep_settings, put_aside
from agent.log import keep_secret
from agent.service import software
from protocols.enrolment import State, comparison, read_invitation
from protocols.plan.document import make_document, open_document
from protocols.wire.keys import public_bytes

LOOK_S = 2.0


def enroll(
    invitation_file: Annotated[
        Path | None,
        typer.Option("--invitation-file", help="File with the invitation, - for standard input; else you are asked."),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Put the old key and its outbox aside, and begin as another agent.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until somebody confirms.")] = True,
    config: ConfigPath = CONFIG,
) -> None:
    """Make the key, ask the collector of an invitation, and write what it says into agent.toml.

    The invitation is the text of the collector's page, or what its QR code holds. It is good once and never stands on
    the command line, where other users of the machine could read it.
    """
    with told():
        loaded = load_config(config)
        facility = open_document(make_document(loaded.plan), str(loaded.plan)).plan.facility.id
        invitation = read_invitation(_written(invitation_file))
        keep_secret(invitation.secret)
        if new_key:
            for path in put_aside(loaded):
                say(f"kept       {path}")
        who = identity(loaded)
        answer = ask(invitation, who, facility, software())
        keep_settings(loaded, invitation, who, answer)
        say(f"agent      {who.agent_id}")
        say(f"collector  {invitation.collector.hex()}")
        say(f"broker     {answer.broker}:{answer.port}, {'TLS' if answer.authority else 'no TLS'}")
        say(f"wrote      {loaded.file}")
        if answer.state is State.PENDING:
            digits = comparison(public_bytes(who.key), answer.collector_key, answer.nonce)
            say(f"\ncompare    {digits}\n")
            say(f"The page of agents must show the same digits beside '{answer.name}'. Read them to whoever confirms")
            say("there: other digits are another agent, and must be refused.")
        while wait and answer.state is State.PENDING:
            time.sleep(LOOK_S)
            answer = ask(invitation, who, facility, software())
        if answer.state is State.REFUSED:
            hint = "ask the central team why; another invitation is needed"
            raise EnrolmentError(f"agent {who.agent_id[:12]}", "was refused on the page", hint)
        if answer.state is State.CONFIRMED:
            say(f"confirmed as '{answer.name}'. Next: emitrace-agent check-config, then systemctl start emitrace-agent")
        else:
            say("Not confirmed yet. Run the same again to see, with the same invitation.")


def _written(file: Path | None) -> str:
    """The invitation as it was given."""
    if file is not None and str(file) != "-":
        return file.read_text(encoding="utf-8")
    if file is None and sys.stdin.isatty():
        return str(typer.prompt("Invitation", hide_input=True))
    return sys.stdin.read(4096)
