"""Nothing on the exact path computes in a way that differs between machines (the rules: ``exactness_lint``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.protocols.exactness_lint import banned_uses, in_order

ROOT = Path(__file__).resolve().parents[2]

EXACT_PATH = (
    "protocols/exact.py",
    "protocols/windows",
    "protocols/ghg",
    "protocols/modbus/decode.py",
    "collector/hours",
    "collector/inventory",
)

ALLOWED = {
    ("protocols/exact.py", "sum_by_group", "cumsum"): "int64 with dtype stated, bounded below 2**62 before it runs",
    ("protocols/modbus/decode.py", "_floats", "float32"): "words seen as float32, made float64 before any arithmetic",
    ("protocols/windows/counters.py", "_split", "cumsum"): "int64 growths of an index",
}
"""(file, function, what): why it is exact all the same. An entry that no longer meets anything fails."""


def _modules() -> list[Path]:
    found: list[Path] = []
    for name in EXACT_PATH:
        place = ROOT / name
        found.extend(sorted(place.rglob("*.py")) if place.is_dir() else [place])
    return found


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_the_exact_path_uses_only_exact_arithmetic(path: Path) -> None:
    """A module of the exact path has no banned use outside the allow-list."""
    uses = banned_uses(path.read_text(encoding="utf-8"))
    left = [use for use in uses if (_name(path), use.function, use.what) not in ALLOWED]

    assert [] == list(in_order(left)), "sum integers with protocols.exact.sum_exact or sum_by_group, floats with fsum"


def test_the_exact_path_is_all_there() -> None:
    """Every place the rules are for exists and holds code."""
    for name in EXACT_PATH:
        place = ROOT / name
        assert place.is_file() or any(place.rglob("*.py")), name


def test_every_exception_is_still_needed() -> None:
    """An entry of the allow-list that nothing uses any more has to go."""
    used = {(_name(p), u.function, u.what) for p in _modules() for u in banned_uses(p.read_text(encoding="utf-8"))}

    assert set() == ALLOWED.keys() - used


PLANTED = {
    "power operator": ("def f(x): return x ** 2", "**"),
    "power of a literal by a name": ("def f(n): return 10 ** n", "**"),
    "power in place": ("def f(x):\n    x **= 2", "**"),
    "float literal power": ("def f(): return 3.0 ** 2", "**"),
    "negative literal power": ("def f(): return 10 ** -3", "**"),
    "matrix product": ("def f(a, b): return a @ b", "@"),
    "matrix product in place": ("def f(a, b):\n    a @= b", "@"),
    "numpy exp": ("import numpy as np\ndef f(x): return np.exp(x)", "exp"),
    "numpy under another name": ("import numpy as xp\ndef f(x): return xp.log(x)", "log"),
    "numpy power": ("import numpy as np\ndef f(x): return np.power(x, 2)", "power"),
    "numpy dot": ("import numpy as np\ndef f(a, b): return np.dot(a, b)", "dot"),
    "method dot": ("def f(a, b): return a.dot(b)", "dot"),
    "matmul": ("import numpy as np\ndef f(a, b): return np.matmul(a, b)", "matmul"),
    "einsum": ("import numpy as np\ndef f(a): return np.einsum('ij->i', a)", "einsum"),
    "interp": ("import numpy as np\ndef f(a): return np.interp(a, a, a)", "interp"),
    "builtin sum": ("def f(a): return sum(a)", "sum"),
    "builtin sum handed on": ("def f(a): return list(map(sum, a))", "sum"),
    "numpy sum": ("import numpy as np\ndef f(a): return np.sum(a)", "sum"),
    "method sum": ("def f(a): return a.sum()", "sum"),
    "numpy mean": ("import numpy as np\ndef f(a): return np.mean(a)", "mean"),
    "method mean": ("def f(a): return a.mean()", "mean"),
    "cumsum": ("import numpy as np\ndef f(a): return np.cumsum(a)", "cumsum"),
    "reduceat": ("import numpy as np\ndef f(a): return np.add.reduceat(a, [0])", "reduceat"),
    "reduce": ("import numpy as np\ndef f(a): return np.add.reduce(a)", "reduce"),
    "add at": ("import numpy as np\ndef f(a, i): np.add.at(a, i, 1.0)", "at"),
    "std": ("import numpy as np\ndef f(a): return np.std(a)", "std"),
    "method var": ("def f(a): return a.var()", "var"),
    "trapezoid": ("import numpy as np\ndef f(a): return np.trapezoid(a)", "trapezoid"),
    "bincount": ("import numpy as np\ndef f(a, w): return np.bincount(a, w)", "bincount"),
    "float32": ("import numpy as np\ndef f(a): return a.astype(np.float32)", "float32"),
    "float32 as text": ("def f(a): return a.astype('float32')", "float32"),
    "float32 as dtype": ("import numpy as np\ndef f(n): return np.zeros(n, dtype='<f4')", "<f4"),
    "builtin round": ("def f(x): return round(x, 3)", "round"),
    "numpy round": ("import numpy as np\ndef f(x): return np.round(x)", "round"),
    "method round": ("def f(x): return x.round()", "round"),
    "builtin pow": ("def f(x): return pow(x, 2)", "pow"),
    "math exp": ("import math\ndef f(x): return math.exp(x)", "exp"),
    "math beyond the list": ("import math\ndef f(a, b): return math.hypot(a, b)", "hypot"),
    "from math": ("from math import log10", "log10"),
    "from numpy": ("from numpy import einsum", "einsum"),
    "functools reduce": ("from functools import reduce", "reduce"),
    "statistics": ("import statistics", "import statistics"),
    "by name at run time": ("import numpy as np\ndef f(n): return getattr(np, n)", "getattr"),
    "dunder": ("def f(x): return x.__pow__(2)", "__pow__"),
    "rounding in SQL": ("Q = 'SELECT ROUND(SUM(mass_mg) / 3) FROM window'", "rounding in SQL"),
    "mean in SQL": ("def f(c): return c.execute('select avg(mass) from window')", "rounding in SQL"),
    "inside a class": ("class A:\n    def f(self, x): return x ** 2", "**"),
    "in a default": ("def f(x=sum([0.1, 0.2])): return x", "sum"),
}


@pytest.mark.parametrize(("source", "what"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(source: str, what: str) -> None:
    """Each banned way is seen, once, and named."""
    assert [what] == [use.what for use in banned_uses(source)]


@pytest.mark.parametrize(
    "source",
    [
        "LIMIT = 2**53",
        "HALF_STEP = 2.0**-51",
        "import math\ndef f(x): return math.sqrt(math.fsum(x))",
        "import numpy as np\ndef f(a, b): return np.rint(a * b / 3.0 - np.sqrt(b)).astype(np.int64)",
        'def f(x):\n    """Sum of x ** 2, as np.sum would; select round(x) from y."""\n    return x * x',
        "def f(kind): return kind == 'float32'",
        "def f(log): log.info('taken')",
    ],
)
def test_exact_arithmetic_is_left_alone(source: str) -> None:
    """The lint does not cry out at what is exact, or at words in texts."""
    assert [] == banned_uses(source)
