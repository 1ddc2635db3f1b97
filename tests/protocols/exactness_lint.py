"""A reader of source trees that finds arithmetic which differs between machines, array orders or Python versions.

It sees names, not types: whoever proves a use to be exact writes it into the allow-list with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

MATH_ALLOWED = frozenset({
    "fsum", "sqrt", "isqrt", "gcd", "lcm", "floor", "ceil", "trunc", "isfinite", "isinf", "isnan", "inf", "nan",
    "fabs", "copysign", "comb", "perm", "ulp", "nextafter",
})  # fmt: skip
"""All of ``math`` that is exact or correctly rounded everywhere."""

NUMERIC_BANNED = frozenset({
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "power", "pow", "float_power",
    "cbrt", "hypot", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "asin", "acos", "atan", "atan2",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sinc", "i0",
    "dot", "vdot", "vecdot", "inner", "matmul", "matvec", "vecmat", "einsum", "einsum_path", "tensordot", "interp",
    "sum", "nansum", "prod", "nanprod", "cumsum", "nancumsum", "cumprod", "nancumprod", "cumulative_sum",
    "cumulative_prod", "mean", "nanmean", "average", "median", "nanmedian", "percentile", "nanpercentile", "quantile",
    "nanquantile", "std", "nanstd", "var", "nanvar", "cov", "corrcoef", "trapezoid", "trapz", "convolve", "correlate",
    "histogram", "histogram2d", "histogramdd", "bincount", "polyfit", "polyval", "polynomial", "poly1d", "linalg",
    "fft", "random", "round", "around", "round_", "reduce", "reduceat", "accumulate", "at",
    "float32", "float16", "single", "half", "longdouble", "clongdouble", "complex64", "complex128", "csingle",
})  # fmt: skip
"""Banned as an attribute of numpy or operator, or imported from them."""

METHODS_BANNED = frozenset({
    "sum", "prod", "cumsum", "cumprod", "mean", "std", "var", "dot", "round", "trace", "reduce", "reduceat",
    "accumulate", "exp", "pow", "__pow__", "__rpow__", "__ipow__", "__matmul__", "__rmatmul__", "__imatmul__",
    "__round__",
})  # fmt: skip
"""Banned as a method of anything."""

CALLS_BANNED = frozenset({"sum", "pow", "round"})
"""Banned builtins; passing one on, as in ``map(round, ...)``, counts too."""

MODULES_BANNED = frozenset({"statistics", "cmath", "scipy", "pandas", "random"})
NUMERIC_MODULES = frozenset({"numpy", "math", "operator"})
SHORT_FLOAT = re.compile(r"[<>=|]?f[24]|float(16|32)|single|half|complex64")
SQL = re.compile(r"\b(round|avg|total)\s*\(.*\bfrom\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One use of something banned: in which function (qualified), what, and at which line."""

    function: str
    what: str
    line: int


def banned_uses(source: str) -> list[Use]:
    """Every banned use in a module's source."""
    visitor = _Visitor()
    visitor.visit(ast.parse(source))
    return sorted(visitor.found)


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Use] = []
        self._where: list[str] = []
        self._modules: dict[str, str] = {}
        self._docstrings: set[int] = set()

    def _report(self, node: ast.AST, what: str) -> None:
        self.found.append(Use(".".join(self._where) or "module", what, getattr(node, "lineno", 0)))

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._where.append(node.name)
        self._statements(node.body)
        self._where.pop()
        if not isinstance(node, ast.ClassDef):
            for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
                self.visit(default)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _scope  # noqa: N815 - the visitor's names

    def visit_Module(self, node: ast.Module) -> None:
        self._statements(node.body)

    def _statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.split(".")[0]
            if root in MODULES_BANNED:
                self._report(node, f"import {root}")
            self._modules[alias.asname or root] = root

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root = (node.module or "").split(".")[0]
        if root in MODULES_BANNED:
            self._report(node, f"import {root}")
        for alias in node.names:
            if (root == "math" and alias.name not in MATH_ALLOWED) or (
                root in NUMERIC_MODULES - {"math"} and alias.name in NUMERIC_BANNED
            ):
                self._report(node, alias.name)
            if root == "functools" and alias.name == "reduce":
                self._report(node, "reduce")

    def _root(self, node: ast.expr) -> str:
        while isinstance(node, ast.Attribute):
            node = node.value
        return self._modules.get(node.id, "") if isinstance(node, ast.Name) else ""

    def visit_Attribute(self, node: ast.Attribute) -> None:
        root = self._root(node)
        if root == "math":
            if node.attr not in MATH_ALLOWED:
                self._report(node, node.attr)
        elif root in NUMERIC_MODULES:
            if node.attr in NUMERIC_BANNED:
                self._report(node, node.attr)
        elif root == "functools" and node.attr == "reduce":
            self._report(node, "reduce")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in CALLS_BANNED:
            self._report(node, node.id)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        is_method = isinstance(function, ast.Attribute) and self._root(function) not in NUMERIC_MODULES
        if is_method and isinstance(function, ast.Attribute) and function.attr in METHODS_BANNED:
            self._report(node, function.attr)
        by_name = isinstance(function, ast.Name) and function.id == "getattr" and bool(node.args)
        if by_name and self._root(node.args[0]) in NUMERIC_MODULES:
            self._report(node, "getattr")
        for value in (*node.args, *(k.value for k in node.keywords)):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and SHORT_FLOAT.fullmatch(value.value):
                self._report(node, value.value)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and SQL.search(node.value):
            self._report(node, "rounding in SQL")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._operator(node, node.op, node.left, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._operator(node, node.op, node.target, node.value)
        self.generic_visit(node)

    def _operator(self, node: ast.AST, op: ast.operator, left: ast.expr, right: ast.expr) -> None:
        if isinstance(op, ast.MatMult):
            self._report(node, "@")
        elif isinstance(op, ast.Pow) and not _is_exact_power(left, right):
            self._report(node, "**")


def _is_exact_power(base: ast.expr, exponent: ast.expr) -> bool:
    """Whether literals whose power is exact: an integer to a natural number, or two to any whole number."""
    negative = isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub)
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    if not (isinstance(base, ast.Constant) and isinstance(exponent, ast.Constant) and type(exponent.value) is int):
        return False
    return base.value == 2 or (type(base.value) is int and not negative)


def in_order(uses: list[Use]) -> Iterator[str]:
    """Uses as lines of a report."""
    return (f"line {use.line}, {use.function}: {use.what}" for use in sorted(uses, key=lambda u: u.line))
