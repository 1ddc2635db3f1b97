"""The demo's MQTT broker: mosquitto where it is installed, else the embedded one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simulators.demo.programs import Child, DemoError, command_line, wait_for

LOOPBACK = "127.0.0.1"
BrokerChoice = Literal["auto", "mosquitto", "embedded"]


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether somebody listens on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def find_program(name: str) -> str | None:
    """Full path of a program; Debian keeps daemons in /usr/sbin, which is not on every PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def write_secret(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the broker; ``password_file`` holds the password alone."""

    username: str
    password: str
    password_file: Path


def choose(choice: BrokerChoice) -> str | None:
    """Path of mosquitto, or None for the embedded broker; DemoError if mosquitto is asked for and absent."""
    if choice == "embedded":
        return None
    found = find_program("mosquitto")
    if found is not None and find_program("mosquitto_passwd") is None:
        found = None
    if found is None and choice == "mosquitto":
        raise DemoError("mosquitto is not installed. Debian: apt-get install mosquitto; or use --broker embedded")
    return found


def start_mosquitto(program: str, folder: Path, port: int, agent_id: str, agent: Login, collector: Login) -> Child:
    """Start mosquitto with a password file and an ACL: the agent may only use its own topics."""
    passwords = write_secret(
        folder / "mosquitto.passwd",
        f"{agent.username}:{agent.password}\n{collector.username}:{collector.password}\n",
    )
    subprocess.run([find_program("mosquitto_passwd") or "mosquitto_passwd", "-U", str(passwords)], check=True)
    own = f"emitrace/v1/{agent_id}"
    rules = write_secret(
        folder / "mosquitto.acl",
        f"user {agent.username}\n"
        f"topic write {own}/up/#\ntopic write {own}/status\ntopic write {own}/live\n"
        f"topic read {own}/down/#\ntopic read emitrace/v1/collector/key\n\n"
        f"user {collector.username}\ntopic readwrite emitrace/v1/#\n",
    )
    lines = [
        f"listener {port} {LOOPBACK}",
        "allow_anonymous false",
        f"password_file {passwords}",
        f"acl_file {rules}",
        "persistence false",
        "max_queued_messages 0",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it gives up root and cannot read its own password file
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    child = Child("broker", [program, "-c", str(config)], folder / "broker.log").start()
    wait_for(lambda: accepts(port), 10, "mosquitto to listen", [child])
    return child


def start_embedded(folder: Path, port: int, login: Login) -> Child:
    """Start the broker that comes with the simulators."""
    command = command_line(
        "emitrace-simulate", "broker", "--port", str(port), "--username", login.username,
        "--password-file", login.password_file,
    )  # fmt: skip
    child = Child("broker", command, folder / "broker.log").start()
    wait_for(lambda: accepts(port), 30, "the embedded broker to listen", [child])
    return child
