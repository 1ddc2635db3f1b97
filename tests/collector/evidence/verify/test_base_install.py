"""The verifier runs where only the base install is: on Windows and macOS too, with no compiler and no broker."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[4]
ONE_SYSTEM_ONLY = {
    "fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "posix", "spwd", "crypt", "nis", "curses",
    "readline", "msvcrt", "winreg", "winsound", "_winapi",
}  # fmt: skip
CODE = """
import json, pkgutil, sys
before = set(sys.modules)
import collector.evidence.verify as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    __import__(module.name)
own = sorted(set(sys.modules) - before)
print(json.dumps(own))
"""


def loaded() -> set[str]:
    """Modules that a fresh interpreter loads for every module of the verifier."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def base_modules() -> set[str]:
    """Top-level modules of the base install: ours, and those of the distributions it requires, and theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [re.match(r"[\w.-]+", line).group().lower() for line in project["dependencies"]]  # type: ignore[union-attr]
    by_name: dict[str, set[str]] = {}
    for module, names in importlib.metadata.packages_distributions().items():
        for name in names:
            by_name.setdefault(_plain(name), set()).add(module)
    seen: set[str] = set()
    while waiting:
        name = _plain(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, such as tzdata for Windows
        waiting += [re.match(r"[\w.-]+", line).group() for line in required if "extra ==" not in line]  # type: ignore[union-attr]
    return {module for name in seen for module in by_name.get(name, ())}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_only_the_base_install_is_loaded() -> None:
    """Nothing but the standard library, ours, numpy, cbor2, cryptography, pydantic, and what these require."""
    ours = {"collector", "protocols", "calibration"}
    tops = {name.partition(".")[0] for name in loaded()}
    strange = {
        name
        for name in tops - ours - base_modules() - set(sys.stdlib_module_names)
        if not name.startswith(("_", "cython_runtime", "pydantic"))
    }

    assert {"numpy", "cbor2", "cryptography", "pydantic"} <= tops
    assert set() == strange


def test_no_module_of_one_system_is_imported() -> None:
    """No source on the verifier's path imports what Windows or macOS does not have; tests of Linux alone would not."""
    modules = [name for name in loaded() if name.partition(".")[0] in {"collector", "protocols", "calibration"}]
    found = {}
    for name in modules:
        path = ROOT / (name.replace(".", "/") + ".py")
        path = path if path.exists() else ROOT / name.replace(".", "/") / "__init__.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if foreign := {one.partition(".")[0] for one in names} & ONE_SYSTEM_ONLY:
            found[name] = foreign

    assert len(modules) > 40
    assert {} == found
