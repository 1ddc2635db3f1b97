from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select

from collector.books import Books
from collector.hours.calendar import By, buckets, span_of
from collector.hours.cells import HOUR_MS, cells_between
from collector.hours.model import HourRow
from collector.hours.sums import add_up, sum_of
from collector.inventory.uncertainty import parts_of
from collector.store.database import Database
from collector.store.days import renew_days
from collector.store.hours import read_hours, replace_hours
from collector.store.refresh import refresh_hours
from collector.store.schema import days, hours, items, months, plans
from collector.store.series import SeriesRow, read_extent, read_series, read_whole
from protocols.ghg.uncertainty import Parts, across, combine
from protocols.messages import Ack
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.test_hours import RULE

DAY_MS = 24 * HOUR_MS
AGENTS = ("a" * 64, "b" * 64)
SPRING_MS = 1_774_700_000_000 - 1_774_700_000_000 % HOUR_MS
"""28 March 2026: in the weeks around it Berlin and Lord Howe change their clocks, and a month ends."""

ZONES = ("Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "Australia/Lord_Howe")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Books where two agents have sent a plan."""
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('series') / 'books.sqlite'}")
    with opened.writing() as connection:
        for number, agent in enumerate(AGENTS):
            connection.execute(
                insert(items).values(
                    id=number, agent_id=agent, stream_id=b"", sequence=0, kind="plan", digest=b"", previous=b"",
                    state="placed", received_ms=0, leaf=number, bytes=b"",
                )
            )  # fmt: skip
            connection.execute(
                insert(plans).values(
                    agent_id=agent, digest=b"", item=number, known_ms=0, site=f"org/{agent[0]}", document=b""
                )
            )
    yield opened
    opened.close()


def hour(agent: str, source: str, cell: tuple[int, int], random: Random) -> HourRow:
    """An hour row of any figures, beyond 64 bits too."""
    mass = random.choice((0, random.randrange(-(10**9), 10**12), random.randrange(10**19)))
    status = random.choice(("in-interval", "overdue"))
    long_ms = cell[1] - cell[0]
    causes = random.sample(("factor:f", "instrument:m", "method:x"), random.randrange(3))
    return HourRow(
        agent, source, "CO2", *cell, mass, random.randrange(9), random.randrange(-99, 99), long_ms, long_ms - 1, 1,
        random.choice(("measured", "scaled", "incomplete")), ((status, mass),), ((status, long_ms),),
        random.uniform(0, 1e6), tuple((cause, random.uniform(-1e6, 1e6)) for cause in sorted(causes)),
        random.uniform(0, 1e6), random.uniform(0, 1e6), 60,
    )  # fmt: skip


def write(connection: Connection, zone: ZoneInfo, rows: Sequence[HourRow]) -> None:
    """Put rows in their places, as a refresh does."""
    places: dict[str, dict[int, list[HourRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        places[row.agent][row.from_ms].append(row)
    for agent, cells in places.items():
        replace_hours(connection, agent, cells)
        renew_days(connection, agent, zone, cells)


def weeks(seed: int, zone: ZoneInfo) -> list[HourRow]:
    """Some weeks of two agents with holes of hours and days; the second knows one source only for some days."""
    random = Random(seed)
    rows = []
    for cell in cells_between(SPRING_MS - random.randrange(9) * DAY_MS, SPRING_MS + 9 * DAY_MS, zone):
        for agent, source in ((AGENTS[0], "boiler"), (AGENTS[0], "grid"), (AGENTS[1], "boiler")):
            if random.random() > 0.1 and Random(seed + cell[0] // DAY_MS).random() > 0.2:
                rows.append(hour(agent, source, cell, random))
    return rows


def oracle(rows: Sequence[HourRow]) -> Parts:
    """Uncertainty of hours by its definition: stretches combined, and joined across their holes."""
    stretches: list[list[Parts]] = []
    end_ms = None
    for row in rows:
        if row.from_ms != end_ms:
            stretches.append([])
        stretches[-1].append(parts_of(sum_of(row)))
        end_ms = row.to_ms
    return across(combine(stretch) for stretch in stretches)


def counted(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Amounts by name."""
    totals: dict[str, int] = defaultdict(int)
    for name, amount in pairs:
        totals[name] += amount
    return dict(totals)


def check(found: Sequence[SeriesRow], rows: Sequence[HourRow], spans: Sequence[tuple[int, int]]) -> None:
    """Each row found is the sum of the hours that start in its bucket, and none is missing."""
    wanted: dict[tuple[int, int, str, str], list[HourRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda one: one.from_ms):
        for span in spans:
            if span[0] <= row.from_ms < span[1]:
                wanted[(*span, row.agent, row.source)].append(row)
    assert sorted(wanted) == [(one.from_ms, one.to_ms, one.agent, one.source) for one in found]
    for one in found:
        own = wanted[one.from_ms, one.to_ms, one.agent, one.source]
        for name in ("mass_mg", "added_mg", "activity", "operating_ms", "measured_ms", "stopped_ms"):
            assert sum(getattr(row, name) for row in own) == getattr(one, name)
        assert counted([(row.method, 1) for row in own]) == dict(one.methods)
        assert counted([pair for row in own for pair in row.status_mg]) == dict(one.status_mg)
        assert counted([pair for row in own for pair in row.status_ms]) == dict(one.status_ms)
        parts = oracle(own)
        assert parts.standard == pytest.approx(one.u_mg, rel=1e-9)
        assert dict(parts.shared) == pytest.approx(dict(one.parts.shared), rel=1e-9, abs=1e-3)
        assert parts.end_first == pytest.approx(one.parts.end_first, rel=1e-9)
        assert parts.end_last == pytest.approx(one.parts.end_last, rel=1e-9)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from(ZONES), st.sampled_from(ZONES), st.sampled_from(By),
    st.integers(-12 * 24, 12 * 24), st.integers(1, 24 * 24),
)  # fmt: skip
def test_any_period_is_the_sum_of_its_hours(
    database: Database, seed: int, made: str, asked: str, by: By, first: int, length: int
) -> None:
    """By hour, day, month or year, in the zone the days were made in or another, whole or cut anywhere."""
    rows = weeks(seed, ZoneInfo(made))
    from_ms = SPRING_MS + first * HOUR_MS
    to_ms = from_ms + length * HOUR_MS
    with database.writing() as connection:
        for table in (hours, days, months):
            connection.execute(delete(table))
        write(connection, ZoneInfo(made), rows)
        found = read_series(connection, from_ms, to_ms, by, ZoneInfo(asked))

        check(found, rows, buckets(from_ms, to_ms, by, ZoneInfo(asked)))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(ZONES), st.sampled_from(ZONES), st.sampled_from([By.DAY, By.MONTH]))
def test_hours_made_anew_renew_their_days(database: Database, seed: int, made: str, moved: str, by: By) -> None:
    """After some hours changed, came or went, under a plan of another zone too, no sum is stale or doubled."""
    random = Random(seed)
    rows = {(row.agent, row.from_ms, row.source): row for row in weeks(seed, ZoneInfo(made))}
    with database.writing() as connection:
        for table in (hours, days, months):
            connection.execute(delete(table))
        write(connection, ZoneInfo(made), list(rows.values()))
        cells = sorted({(agent, from_ms) for agent, from_ms, _ in rows})
        for agent, from_ms in random.sample(cells, len(cells) // 8):
            own = [row for key, row in rows.items() if key[:2] == (agent, from_ms)]
            anew = [hour(agent, row.source, (row.from_ms, row.to_ms), random) for row in own if random.random() > 0.2]
            for row in own:
                del rows[agent, from_ms, row.source]
            rows |= {(agent, from_ms, row.source): row for row in anew}
            replace_hours(connection, agent, {from_ms: anew})
            renew_days(connection, agent, ZoneInfo(moved), [from_ms])
        for zone in (made, moved):
            spans = buckets(SPRING_MS - 20 * DAY_MS, SPRING_MS + 20 * DAY_MS, by, ZoneInfo(zone))
            found = read_series(connection, spans[0][0], spans[-1][1], by, ZoneInfo(zone))
            check(found, list(rows.values()), spans)


def test_filters_leave_only_what_was_asked_for(database: Database) -> None:
    """By site, agent, source and gas; the days' rows are those of everything, less what was left out."""
    zone = ZoneInfo("Asia/Kolkata")
    rows = weeks(1, zone)
    period = (SPRING_MS - 9 * DAY_MS, SPRING_MS + 9 * DAY_MS)
    with database.writing() as connection:
        for table in (hours, days, months):
            connection.execute(delete(table))
        write(connection, zone, rows)
        whole = read_series(connection, *period, By.DAY, zone)

        def by(**filters: str) -> list[SeriesRow]:
            return read_series(connection, *period, By.DAY, zone, **filters)  # type: ignore[arg-type]

        assert [one for one in whole if one.agent == AGENTS[1]] == by(site="org/b") == by(agent=AGENTS[1])
        assert [one for one in whole if one.source == "grid"] == by(source="grid") == by(site="org/a", source="grid")
        assert whole == by(gas="CO2")
        assert [] == by(site="org/b", source="grid") == by(gas="CH4") == by(agent="c" * 64)


def test_the_extent_is_from_the_first_to_the_last_hour(database: Database) -> None:
    """Of one site or of all; of a site without hours there is none."""
    zone = ZoneInfo("UTC")
    cells = [(SPRING_MS + n * HOUR_MS, SPRING_MS + (n + 1) * HOUR_MS) for n in (0, 3, 7)]
    random = Random(0)
    with database.writing() as connection:
        for table in (hours, days, months):
            connection.execute(delete(table))
        assert read_extent(connection) is None
        write(connection, zone, [hour(AGENTS[0], "boiler", cell, random) for cell in cells[:2]])
        write(connection, zone, [hour(AGENTS[1], "boiler", cells[2], random)])

        assert (cells[0][0], cells[2][1]) == read_extent(connection)
        assert cells[2] == read_extent(connection, "org/b")
        assert read_extent(connection, "org/c") is None


def test_a_refresh_makes_days_and_months_with_the_hours(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack]
) -> None:
    """The day and the month of a stream's hours add to the hours, and are made anew when a batch comes later."""
    edge = stream(6, window_s=60)
    register(edge)
    for sequences in (range(4), range(4, 7)):
        ingest(edge, *sequences)
        refresh_hours(books.database, books.plans, RULE)
    zone = ZoneInfo(edge.plan.plan.facility.time_zone)
    with books.database.reading() as connection:
        rows = [one.row for one in read_hours(connection, 0, 2**48)]
        for table, by in ((days, By.DAY), (months, By.MONTH)):
            kept = connection.execute(select(table.c.from_ms, table.c.to_ms, table.c.version)).all()
            assert {(*span_of(START_MS, by, zone), 2)} == set(map(tuple, kept))

        assert sum(row.mass_mg for row in rows) == sum(one.mass_mg for one in read_whole(connection, 0, 2**48))


def test_sums_add_in_any_grouping() -> None:
    """A sum of sums is the sum of all: integers to the last digit, uncertainty to the last bits."""
    random = Random(5)
    cells = cells_between(SPRING_MS, SPRING_MS + 3 * DAY_MS, ZoneInfo("UTC"))
    ones = [sum_of(hour(AGENTS[0], "boiler", cell, random)) for cell in cells if random.random() > 0.3]
    whole = add_up(ones)
    grouped = add_up([add_up(ones[:1]), add_up(ones[1:9]), add_up(ones[9:30]), add_up(ones[30:])])

    for name in ("mass_mg", "activity", "methods", "status_mg", "status_ms", "from_ms", "to_ms"):
        assert getattr(whole, name) == getattr(grouped, name)
    assert parts_of(whole).standard == pytest.approx(parts_of(grouped).standard, rel=1e-12)
    assert (whole.u_end_first, whole.u_end_last) == (grouped.u_end_first, grouped.u_end_last)
