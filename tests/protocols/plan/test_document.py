import hashlib
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import EmitraceError, InputError, InputErrors
from protocols.modbus.maps import load_map, parse_map
from protocols.plan.document import (
    MAX_BYTES,
    DocumentError,
    decode_document,
    document_digest,
    encode_document,
    make_document,
    open_document,
)
from protocols.plan.load import parse_plan
from tests.protocols.plan.site import TEXT, bound_site, changed

MODELS = sorted({instrument.map for instrument in parse_plan(TEXT, "plan.toml").instruments})
MAPS = {model: load_map(model)[1] for model in MODELS}


def test_a_document_opens_to_the_plan_it_was_made_from() -> None:
    """Texts come back to the byte, and the bound plan is that of the files."""
    data = encode_document(TEXT, MAPS)
    bound = open_document(data)

    assert (TEXT, MAPS) == decode_document(data)
    assert hashlib.sha256(data).digest() == document_digest(data) == bound.digest
    assert (bound_site().points, bound_site().sources) == (bound.points, bound.sources)


def test_equal_texts_give_equal_bytes() -> None:
    """The order in which maps are given leaves no trace."""
    assert encode_document(TEXT, MAPS) == encode_document(TEXT, dict(reversed(MAPS.items())))


def test_the_document_of_a_file_holds_the_maps_it_names(tmp_path: Path) -> None:
    """Only the packaged maps that are used travel."""
    path = tmp_path / "plan.toml"
    path.write_text(TEXT, encoding="utf-8")

    assert encode_document(TEXT, MAPS) == make_document(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'map = "sim-boiler-plc"',
            'map = "sim-boiler-plk"',
            ':73: instruments[5].map: no register map "sim-boiler-plk".',
        ),
        ('register = "state"', 'register = "stat"', ':158: points[11].register: no register "stat" in sim-boiler-plc.'),
    ],
)
def test_a_file_that_makes_no_document_names_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Rules that need the register maps are reported with the plan's own lines too."""
    path = tmp_path / "plan.toml"
    path.write_text(changed(old, new), encoding="utf-8")

    with pytest.raises(InputErrors) as caught:
        make_document(path)

    assert str(caught.value).startswith(str(path) + message)


def test_a_map_beside_the_plan_travels_with_it(tmp_path: Path) -> None:
    """A model that is not packaged is read from ``maps`` beside the plan; one that hides a packaged map is refused."""
    path, folder = tmp_path / "plan.toml", tmp_path / "maps"
    path.write_text(changed('map = "sim-boiler-plc"', 'map = "own-plc"'), encoding="utf-8")
    folder.mkdir()
    (folder / "own-plc.toml").write_text(MAPS["sim-boiler-plc"].replace("sim-boiler-plc", "own-plc", 1), "utf-8")
    (folder / "broken.toml").write_text("not TOML", encoding="utf-8")

    assert "own-plc" in decode_document(make_document(path))[1]

    (folder / "sim-stack-flow.toml").write_text(MAPS["sim-stack-flow"], encoding="utf-8")
    with pytest.raises(InputErrors, match=r"sim-stack-flow.toml: a packaged register map has this name"):
        make_document(path)
    (folder / "sim-stack-flow.toml").unlink()
    (folder / "own-plc.toml").write_text(MAPS["sim-boiler-plc"], encoding="utf-8")
    with pytest.raises(InputErrors, match=r'model: "sim-boiler-plc"\. a map.s file is named after its model'):
        make_document(path)


def test_mistakes_with_and_without_register_maps_come_at_once(tmp_path: Path) -> None:
    """A wrong bus, which the plan alone shows, hides no wrong register, which only the map shows."""
    path = tmp_path / "plan.toml"
    path.write_text(changed('bus = "line-a"', 'bus = "line-x"', changed('"state"', '"stat"')), encoding="utf-8")

    with pytest.raises(InputErrors) as caught:
        make_document(path)

    assert [17, 158] == [error.line for error in caught.value.errors]


@pytest.mark.parametrize(
    "content",
    [
        {1: 1, 2: TEXT},
        {1: 2, 2: TEXT, 3: {}},
        {1: True, 2: TEXT, 3: {}},
        {1: 1, 2: b"text", 3: {}},
        {1: 1, 2: TEXT, 3: []},
        {1: 1, 2: TEXT, 3: {"model": 1}},
        {1: 1, 2: TEXT, 3: {"": "text"}},
        {1: 1, 2: TEXT, 3: {"m" * 65: "text"}},
        {1: 1, 2: TEXT, 3: {}, 4: 0},
        [1, TEXT, {}],
    ],
)
def test_another_structure_is_refused(content: object) -> None:
    """Exactly three keys, of exactly these types."""
    with pytest.raises(DocumentError):
        decode_document(cbor2.dumps(content, canonical=True))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode_document(TEXT, MAPS) + b"\x00",
        encode_document(TEXT, MAPS)[:-1],
        b"\xbf" + encode_document(TEXT, MAPS)[1:] + b"\xff",
        b"\xa3\x01\x01\x01\x01\x03\xa0",
        b"\xa3\x02\x60\x01\x01\x03\xa0",
        b"\x81" * 100_000,
        bytes(MAX_BYTES + 1),
    ],
    ids=["empty", "trailing", "cut", "indefinite", "duplicate", "order", "deep", "large"],
)
def test_bytes_that_are_not_the_one_encoding_are_refused(data: bytes) -> None:
    """Whatever is wrong, it is this project's own error and never a crash."""
    with pytest.raises(EmitraceError):
        decode_document(data)


def test_a_document_holds_the_maps_used_and_no_others() -> None:
    """A missing map is named with the plan's line; a spare one is refused: it would change the digest."""
    less = {model: text for model, text in MAPS.items() if model != "sim-boiler-plc"}

    with pytest.raises(InputErrors, match=r'plan.toml:73: instruments\[5\].map: no register map "sim-boiler-plc"'):
        open_document(encode_document(TEXT, less))
    with pytest.raises(DocumentError, match="used by no instrument"):
        open_document(encode_document(changed('map = "sim-boiler-plc"', 'map = "sim-stack-flow"'), MAPS))


def test_a_signed_document_opens_whatever_its_maps_claim() -> None:
    """A stricter rule for what a map may claim does not close the evidence made before it."""
    model = "eastron-sdm630"
    text = MAPS[model][: MAPS[model].index("[[examples]]")]

    with pytest.raises(InputErrors, match="no example of"):
        parse_map(text, "map.toml")
    assert open_document(encode_document(TEXT, MAPS | {model: text})).points


def test_a_map_under_a_foreign_name_is_refused() -> None:
    """A document cannot pass one model off as another."""
    with pytest.raises(InputErrors, match="the document calls it"):
        open_document(encode_document(TEXT, {**MAPS, "sim-boiler-plc": MAPS["sim-stack-flow"]}))


def test_a_plan_too_large_to_travel_is_refused_where_it_is_made() -> None:
    """The bound holds on both ends."""
    with pytest.raises(DocumentError, match="at most"):
        encode_document("#" * MAX_BYTES, {})


LINES = TEXT.splitlines()
WRONG = [
    "",
    "x",
    "1",
    "-1",
    "1e40",
    "true",
    "[]",
    "{}",
    '""',
    "[[1]]",
    "{ a = 1 }",
    "2024-01-01",
    "nan",
    '"em-1"',
    "[true]",
]


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_plan_is_an_input_error_and_never_a_crash(data: st.DataObject) -> None:
    """Lines lost, repeated, or with another value: the plan opens or says what is wrong."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition(" = ")
        change = data.draw(st.sampled_from(["drop", "repeat", "value", "cut"]))
        if change == "drop":
            lines[at] = ""
        elif change == "repeat":
            lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1))])
        elif change == "value" and equals:
            lines[at] = f"{key} = {data.draw(st.sampled_from(WRONG))}"
        else:
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
    problems: tuple[EmitraceError, ...] = ()
    try:
        open_document(cbor2.dumps({1: 1, 2: "\n".join(lines), 3: MAPS}, canonical=True))
    except InputErrors as errors:
        problems = errors.errors
    except DocumentError as error:
        problems = (error,)

    assert all(problem.seen for problem in problems)
    assert all("." not in p.field and "[" not in p.field for p in problems if isinstance(p, InputError) and p.line == 0)
