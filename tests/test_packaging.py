"""One wheel, lean installs: what a machine gets with no extra and with `[agent]` alone."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "calibration", "collector", "protocols", "simulators")
WEB_STACK = {"fastapi", "starlette", "uvicorn", "jinja2", "sqlalchemy"}
COMMANDS = ("emitrace-agent", "emitrace-collector", "emitrace-simulate", "emitrace-verify")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end; whatever it says comes back."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd)


class Environment:
    """A clean virtual environment."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.folder = folder
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")

    def install(self, *what: str) -> None:
        """Install a requirement into it."""
        done = run(self.bin / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *what)

        assert done.returncode == 0, done.stdout + done.stderr

    def installed(self) -> set[str]:
        """Names of the distributions in it, in lower case."""
        listed = run(self.bin / "python", "-m", "pip", "--disable-pip-version-check", "list", "--format=json")
        return {entry["name"].lower() for entry in json.loads(listed.stdout)}

    def program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of our programs in it, away from the source tree."""
        return run(self.bin / name, *arguments, cwd=self.folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps",
               "--wheel-dir", folder, ROOT)  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("emitrace-*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the base install: no extra."""
    environment = Environment(tmp_path_factory.mktemp("base") / "venv")
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="module")
def edge(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with `[agent]` alone, as on a Pi."""
    environment = Environment(tmp_path_factory.mktemp("edge") / "venv")
    environment.install(f"{wheel}[agent]")
    return environment


def test_wheel_holds_the_five_packages_and_no_tests(names: set[str]) -> None:
    """The wheel holds exactly the five packages and its own metadata."""
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}

    assert tops == set(PACKAGES)
    assert not [name for name in names if "test_" in name or "conftest" in name]


def test_wheel_holds_every_data_file_of_the_source(names: set[str]) -> None:
    """Maps, factors, schema, templates and scenarios are in the wheel, file by file as in the source tree."""
    data = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }

    assert data - names == set()
    assert any(name.startswith("protocols/modbus/maps/") and name.endswith(".toml") for name in names)
    assert any(name.startswith("protocols/ghg/data/") and name.endswith(".toml") for name in names)
    assert any(name.startswith("collector/web/templates/") and name.endswith(".html") for name in names)
    assert any(name.startswith("simulators/scenarios/") and name.endswith(".toml") for name in names)
    assert "protocols/wire/schema.cddl" in names
    assert all(f"{package}/py.typed" in names for package in PACKAGES)


def test_wheel_carries_its_licence(names: set[str]) -> None:
    """The licence travels with the wheel."""
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")] != []


def test_base_install_runs_the_verifier(base: Environment) -> None:
    """With no extra at all, `emitrace-verify` runs."""
    done = base.program("emitrace-verify", "--help")

    assert done.returncode == 0, done.stderr
    assert "--trust" in done.stdout
    assert base.installed() & WEB_STACK == set()


@pytest.mark.parametrize(
    ("program", "extra"),
    [("emitrace-agent", "agent"), ("emitrace-collector", "collector"), ("emitrace-simulate", "simulators")],
)
def test_program_without_its_extra_says_what_to_install(base: Environment, program: str, extra: str) -> None:
    """A program whose extra is missing names the extra in one line and exits 3; no traceback."""
    done = base.program(program, "--help")

    assert done.returncode == 3, done.stdout + done.stderr
    assert f"emitrace[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_agent_install_is_lean_and_runs(edge: Environment) -> None:
    """`[agent]` alone runs `emitrace-agent --help` and brings no web stack and no SQLAlchemy."""
    done = edge.program("emitrace-agent", "--help")

    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
    assert edge.installed() & WEB_STACK == set()


def test_agent_install_says_what_the_collector_needs(edge: Environment) -> None:
    """On a Pi, `emitrace-collector` says which extra it needs instead of failing with a traceback."""
    done = edge.program("emitrace-collector", "--help")

    assert done.returncode == 3, done.stdout + done.stderr
    assert "emitrace[collector]" in done.stderr


@pytest.mark.soak
def test_a_machine_without_internet_is_installed_from_a_wheelhouse(tmp_path: Path) -> None:
    """`make wheelhouse` holds all that the edge needs: pip installs it with no index at all, and it runs."""
    wheels = tmp_path / "wheels"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = (f"INTO={wheels}", f"MACHINE={platform.machine()}", f"FOR_PYTHON={python}")
    made = run("make", "wheelhouse", *chosen, cwd=ROOT)
    assert made.returncode == 0, made.stdout + made.stderr
    environment = Environment(tmp_path / "venv")
    environment.install("--no-index", "--find-links", str(wheels), "emitrace[agent,field]")

    assert environment.program("emitrace-agent", "--help").returncode == 0


def test_every_command_is_installed(base: Environment) -> None:
    """The four commands are there."""
    assert [name for name in COMMANDS if not list(base.bin.glob(f"{name}*"))] == []
