import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from protocols.errors import InputErrors
from protocols.toml import parse_toml, read_toml, validate
from protocols.toml_lines import TomlPath, find_lines

TEXT = '''# heading
title = "a # no comment"
"quoted.key" = 1
dotted.deep.key = 0.10

[table]
multi = """
[not.a.table]
key = 1
"""
after = [
  1, # one ]
  { x = 1, y = { z = 2 } },
  [3, '4,]'],
]

[[list]]
name = 'one'
[list.inner]
figure = 1
[[list.rows]]
a = 1
[[list.rows]]
a = 2

[[list]]
name = 'two'  # [[list]]
[[list.rows]]
a = 3
'''


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    register_name: str = Field(alias="register")
    kind: Literal["input", "holding"] = "input"
    scale: Annotated[Decimal, Field(gt=0)] = Decimal(1)


class Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    rows: tuple[Row, ...] = ()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted.key",), 3),
        (("dotted", "deep", "key"), 4),
        (("dotted",), 4),
        (("table",), 6),
        (("table", "multi"), 7),
        (("table", "after", 0), 12),
        (("table", "after", 1, "y", "z"), 13),
        (("table", "after", 2, 1), 14),
        (("list", 0, "name"), 18),
        (("list", 0, "inner", "figure"), 20),
        (("list", 0, "rows", 0, "a"), 22),
        (("list", 0, "rows", 1, "a"), 24),
        (("list", 1), 26),
        (("list", 1, "name"), 27),
        (("list", 1, "rows", 0, "a"), 29),
        (("list", 1, "rows", 0, "missing"), 28),
        (("list", 1, "missing", "deeper"), 26),
        (("nowhere",), 0),
    ],
)
def test_a_path_finds_its_line_or_that_of_the_nearest_table(path: TomlPath, line: int) -> None:
    """Arrays of tables, inline tables, dotted keys and multi-line strings are followed."""
    assert line == parse_toml(TEXT, "x.toml").locate(path)


def test_the_walk_sees_exactly_the_paths_the_parser_sees() -> None:
    """Every path of the parsed data has a line, and no line is of a path that is not there."""
    assert set(find_lines(TEXT)) == _paths(tomllib.loads(TEXT), ())


def _paths(value: Any, path: TomlPath) -> set[TomlPath]:
    found: set[TomlPath] = {path} if path else set()
    if isinstance(value, dict):
        found = found.union(*(_paths(inner, (*path, key)) for key, inner in value.items()))
    if isinstance(value, list):
        found = found.union(*(_paths(inner, (*path, at)) for at, inner in enumerate(value)))
    return found


_SCALARS = ["1", "-0.5", "true", "1979-05-27 07:32:00", '"#]}"', "'\"'", '"\\""', '"""a\n"b""c"""', "'''\n[x]\n'''"]
_VALUES = st.recursive(
    st.sampled_from([*_SCALARS, '""', "''", '""""q""""', "'''''q'''''"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # ,]\n".join(items) + "]"),
        st.lists(inner.filter(lambda text: "\n" not in text), max_size=3).map(
            lambda items: "{ " + ", ".join(f"k{at} = {item}" for at, item in enumerate(items)) + " }"
        ),
    ),
    max_leaves=8,
)


@given(st.lists(_VALUES, min_size=1, max_size=4), st.booleans())
def test_the_walk_agrees_with_the_parser_on_any_values(values: list[str], windows: bool) -> None:
    """Each key is found on the line it was written on, whatever stands before it."""
    text, lines = "", {}
    for at, value in enumerate(values):
        text += f"[[t]]\n# 'comment\nkey.{at} = {value}\n"
        lines["t", at, "key", str(at)] = text.count("\n", 0, text.rindex(f"key.{at} = {value}")) + 1
    if windows:
        text = text.replace("\n", "\r\n")
    found = find_lines(text)

    assert set(found) == _paths(tomllib.loads(text), ())
    assert lines == {path: found[path] for path in lines}


def test_decimal_figures_stay_exact() -> None:
    """0.10 is the decimal 0.10 and not the nearest float."""
    assert str(parse_toml("x = 0.10", "x.toml").data["x"]) == "0.10"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'title = "a"\nrows = [\n  { register = "a", knd = "input" },\n]\n',
            "x.toml:3: rows[0].knd: unknown key 'knd'. did you mean 'kind'?",
        ),
        (
            'title = "a"\n\n[[rows]]\nregister = "a"\nkind = "hoding"\n',
            "x.toml:5: rows[0].kind: \"hoding\". did you mean 'holding'? one of input, holding.",
        ),
        ('title = "a"\n\n[[rows]]\nkind = "input"\n', "x.toml:3: rows[0].register: the key is missing. add it."),
        ("title = 7\n", "x.toml:1: title: 7. input should be a valid string."),
        (
            'title = "a"\nrows = [{ register = "a", scale = -0.5 }]\n',
            "x.toml:2: rows[0].scale: -0.5. input should be greater than 0.",
        ),
        ('title = "a"\ncolour = "b"\n', "x.toml:2: colour: unknown key 'colour'. known here: title, rows."),
    ],
)
def test_a_wrong_shape_names_line_field_what_was_seen_and_the_nearest_name(text: str, message: str) -> None:
    """Every kind of problem pydantic finds comes out in the words of this project."""
    with pytest.raises(InputErrors) as caught:
        validate(parse_toml(text, "x.toml"), Sheet)

    assert message == str(caught.value)


def test_all_problems_of_a_file_come_at_once() -> None:
    """Three mistakes give three errors."""
    with pytest.raises(InputErrors) as caught:
        validate(parse_toml('[[rows]]\nregistr = "a"\n', "x.toml"), Sheet)

    assert ["title", "rows[0].register", "rows[0].registr"] == [e.field for e in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a = 1\nb 2\n",
            "x.toml:2: not TOML: expected '=' after a key in a key/value pair in \"b 2\". correct the line.",
        ),
        ("a = [1,\n", "x.toml:2: not TOML: invalid value. correct the line."),
        (
            "a = “b”",
            'x.toml:1: not TOML: invalid value in "a = “b”". correct the line; type \'“\' in half width (半角).',
        ),
        ('= "（"', 'x.toml:1: not TOML: invalid statement in "= "（"". correct the line.'),
        ("a = " + "[" * 100_000, "x.toml: tables nested too deep to be read. flatten them."),
    ],
)
def test_what_is_not_toml_names_the_line(text: str, message: str) -> None:
    """A syntax error shows line and content."""
    with pytest.raises(InputErrors) as caught:
        parse_toml(text, "x.toml")

    assert message == str(caught.value)


def test_an_absurd_integer_is_refused_and_not_computed() -> None:
    """Thousands of digits are an input error."""
    with pytest.raises(InputErrors, match="not TOML"):
        parse_toml("a = " + "9" * 10_000, "x.toml")


def test_a_file_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    """A missing file, and a byte that is not UTF-8 with its line."""
    missing, broken = tmp_path / "missing.toml", tmp_path / "broken.toml"
    broken.write_bytes(b'a = 1\nb = "\xff"\n')

    with pytest.raises(InputErrors) as absent:
        read_toml(missing)
    with pytest.raises(InputErrors) as wrong:
        read_toml(broken)

    assert f"{missing}: No such file or directory. check the path and who may read it." == str(absent.value)
    assert f"{broken}:2: byte 0xff is not UTF-8. save the file as UTF-8." == str(wrong.value)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    """Editors that put a mark before the text make readable files."""
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")

    assert {"a": 1} == read_toml(path).data
