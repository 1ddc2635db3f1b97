"""The house: who may import whom, and that the generic package names are ours."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "calibration", "collector", "protocols", "simulators")
WEB_STACK = ("fastapi", "starlette", "uvicorn", "jinja2", "sqlalchemy")
VERIFIER_MAY_USE = ("collector.hours", "collector.inventory", "collector.evidence")
LARGEST_MODULE = 400


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """The import graph of the five packages."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def run_python(code: str) -> str:
    """What a fresh interpreter prints for the code; AssertionError with its error text if it fails."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_contracts_hold() -> None:
    """The contracts in pyproject.toml hold: direction of the folders, lean Pi, own encoder, pure agreements."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_verifier_uses_only_the_pure_parts_of_the_collector(graph: grimp.ImportGraph) -> None:
    """`emitrace-verify` reaches no module of the collector that a base install could not load."""
    roots = {"collector.evidence.verify", *graph.find_descendants("collector.evidence.verify")}
    reached = set(roots)
    for root in roots:
        reached |= graph.find_upstream_modules(root)
    packages = {module.rpartition(".")[0] for module in reached}
    allowed = {"collector", *(name for name in reached if name.startswith(VERIFIER_MAY_USE))}

    assert len(roots) > 1
    assert "agent" not in {name.partition(".")[0] for name in reached | packages}
    assert {name for name in reached if name.partition(".")[0] == "collector"} - allowed == set()


def test_no_import_cycles_between_modules(graph: grimp.ImportGraph) -> None:
    """No module imports itself through others."""
    cycles = {
        module: chain
        for module in graph.modules
        for target in graph.find_modules_directly_imported_by(module)
        if (chain := graph.find_shortest_chain(importer=target, imported=module)) is not None
    }

    assert cycles == {}


def test_generic_package_names_resolve_inside_the_project() -> None:
    """`agent`, `collector` and the rest are ours and not some foreign package of the same name."""
    places = {name: importlib.util.find_spec(name) for name in PACKAGES}

    for name, spec in places.items():
        assert spec is not None, f"package {name} cannot be imported"
        assert spec.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("module", ["agent.__main__", "collector.evidence.verify.__main__", "protocols.windows"])
def test_the_edge_and_the_verifier_load_no_web_stack(module: str) -> None:
    """Importing the program in a fresh interpreter loads neither a web framework nor SQLAlchemy."""
    loaded = run_python(f"import sys, {module}; print(*sorted(n for n in {WEB_STACK!r} if n in sys.modules))")

    assert loaded == ""


def test_the_collectors_commands_load_no_web_stack() -> None:
    """A command that serves no page answers without waiting for what serves pages."""
    web = ("fastapi", "starlette", "uvicorn", "jinja2")
    loaded = run_python(f"import sys, collector.commands; print(*sorted(n for n in {web!r} if n in sys.modules))")

    assert loaded == ""


def test_every_package_tells_its_story() -> None:
    """Each package's `__init__.py` opens with a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in sorted((ROOT / name).rglob("__init__.py"))
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]

    assert silent == []


def test_every_test_says_the_behaviour() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_modules_stay_small() -> None:
    """No module grows past what one can read in one go."""
    large = {
        str(path.relative_to(ROOT)): lines
        for name in PACKAGES
        for path in sorted((ROOT / name).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LARGEST_MODULE
    }

    assert large == {}


def test_no_empty_rooms_for_what_comes_later() -> None:
    """No package holds nothing but its own docstring."""
    empty = [
        str(opening.parent.relative_to(ROOT))
        for name in PACKAGES
        for opening in sorted((ROOT / name).rglob("__init__.py"))
        if not any(p.is_file() and p != opening and "__pycache__" not in p.parts for p in opening.parent.rglob("*"))
    ]

    assert empty == []
