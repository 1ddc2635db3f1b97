"""Books put back from before: noticed by what we signed, nothing signed meanwhile, whole again or a loss admitted."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from sqlalchemy import select

from agent.held_log import Held
from agent.witness import Judged, judge
from collector.accepting import accept_loss
from collector.accounts.register import Register
from collector.accounts.roles import Role
from collector.alerts.conditions import conditions
from collector.alerts.model import Kind
from collector.app import create_app
from collector.books import Books, open_books
from collector.config import AlertsTable, Config
from collector.doctor.books import look_at_books
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.ingest.healing import HealingKeeper
from collector.ingest.signing import LogSigner
from collector.ingest.statuses import Status, read_status
from collector.ingest.witnesses import Witnesses
from collector.ingest.worker import take_group
from collector.metrics import Metrics
from collector.sealing import seal
from collector.store.agents import add_agent, all_agents
from collector.store.checkpoints import GROWN, Stored, all_origins, list_checkpoints, make_checkpoint, newest_checkpoint
from collector.store.endings import Ending, end_service
from collector.store.healing import lacking
from collector.store.healings import Healing, HealingError, current_healing
from collector.store.inventories import build_inventory
from collector.store.origins import leads_to
from collector.store.schema import healings, signed_heads
from protocols.errors import EmitraceError
from protocols.messages import Ack
from protocols.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from protocols.transparency.succession import decode_succession
from protocols.wire.codec import read_ack, seal_ack
from protocols.wire.keys import public_bytes
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.running import PASSWORD, hidden


def enrol(books: Books, edge: Edge, name: str = "boiler house") -> None:
    with books.database.writing() as connection:
        add_agent(connection, edge.public, name, START_MS)


def take(books: Books, edge: Edge, *sequences: int) -> None:
    take_group(books, [edge.message(one) for one in sequences], START_MS)


def signed(books: Books) -> Stored:
    with books.database.writing() as connection:
        made = make_checkpoint(connection, books.log_key, START_MS, GROWN)
    books.anchor.hold(made)
    return made


def status(edge: Edge, head: int, note: bytes = b"") -> Status:
    told = {"stream": edge.stream_id.hex(), "acknowledged": head, "log_checkpoint": note.decode(), "log_successions": 0}
    found = read_status(json.dumps(told).encode())
    assert found is not None
    return found


def save(books: Books, to: Path) -> None:
    """A copy of the database alone, as somebody who puts it back has it."""
    source, target = sqlite3.connect(books.database.file or ""), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def put_back(config: Config, copy: Path) -> None:
    for name in ("books.sqlite-wal", "books.sqlite-shm"):
        (config.state_dir / name).unlink(missing_ok=True)
    shutil.copy(copy, config.state_dir / "books.sqlite")


def going(books: Books) -> Healing | None:
    with books.database.reading() as connection:
        return current_healing(connection)


def look(books: Books) -> None:
    HealingKeeper(books, lambda: 0.0, lambda: START_MS + 9).look()


def origins_of(books: Books) -> list[str]:
    with books.database.reading() as connection:
        return [one.name for one in all_origins(connection)]


@pytest.fixture
def rolled_back(config: Config, tmp_path: Path) -> tuple[Edge, Stored, Stored]:
    """Books saved at item 2, that went on to item 6 and signed that, put back: (the agent, both checkpoints)."""
    edge = stream(6)
    with open_books(config) as books:
        enrol(books, edge)
        take(books, edge, 0, 1, 2)
        first = signed(books)
        save(books, tmp_path / "copy.sqlite")
        take(books, edge, 3, 4, 5, 6)
        later = signed(books)
    put_back(config, tmp_path / "copy.sqlite")
    return edge, first, later


def test_a_database_put_back_is_noticed_by_the_file_beside_it(
    config: Config, rolled_back: tuple[Edge, Stored, Stored]
) -> None:
    """Whatever opens the books: they lack what was signed last, and say how much; opened again it is the same one."""
    _, _, later = rolled_back
    with open_books(config) as books:
        healing = going(books)
        with books.database.reading() as connection:
            missing = lacking(connection, healing)
    with open_books(config) as books:
        again = going(books)

    assert healing is not None
    assert ("anchor", True) == (healing.cause, healing.head_known)
    assert later.head.size - healing.kept == missing.leaves
    assert ["boiler house"] == [one.name for one in missing.silent]
    assert healing == again


def test_nothing_is_signed_sealed_or_exported_meanwhile(
    config: Config, rolled_back: tuple[Edge, Stored, Stored], tmp_path: Path
) -> None:
    """Items are taken in; a checkpoint, a seal, a bundle are refused with what to do, and no witness gets one."""
    edge, first, later = rolled_back
    with open_books(config) as books:
        take(books, edge, 3, 4)
        witnesses = Witnesses(books, lambda: START_MS)
        witnesses.note(edge.agent_id, status(edge, 6, b""))
        signer = LogSigner(books, lambda: 1e6, lambda: START_MS + 10**9)
        signer.look()
        with pytest.raises(HealingError), books.database.writing() as connection:
            make_checkpoint(connection, books.log_key, 1, GROWN)
        built = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", START_MS)
        with pytest.raises(HealingError):
            seal(books, built.version, START_MS)
        with pytest.raises(HealingError, match="emitrace-collector healing show"):
            export_bundle(books, START_MS, START_MS + HOUR_MS, tmp_path / "x.bundle")

        with books.database.reading() as connection:
            assert [first] == list_checkpoints(connection, 10)
        assert signer.newest is None
        assert Ack(edge.stream_id, 4) == witnesses.dress(edge.agent_id, Ack(edge.stream_id, 4))
        held = books.anchor.read(public_bytes(books.log_key))
        assert held is not None
        assert later.head == held[0]


def test_books_heal_by_what_agents_hold_and_go_on_under_a_new_origin(
    config: Config, rolled_back: tuple[Edge, Stored, Stored]
) -> None:
    """It ends only when every agent has spoken, all of it is here, and the log is as long as it was."""
    edge, first, later = rolled_back
    with open_books(config) as books:
        keeper = HealingKeeper(books, lambda: 0.0, lambda: START_MS)
        keeper.note({edge.agent_id: status(edge, 6, later.note)})
        look(books)
        assert going(books) is not None
        take(books, edge, 6, 5, 4, 3)
        look(books)
        assert going(books) is None
        old, new = origins_of(books)
        with books.database.reading() as connection:
            newest, origin = newest_checkpoint(connection), all_origins(connection)[-1]
            assert newest is not None
            assert leads_to(connection, first.head)
            assert leads_to(connection, later.head)
            assert not leads_to(connection, Checkpoint(old, later.head.size + 1, bytes(32)))
        witnesses = Witnesses(books, lambda: START_MS)
        plain = Ack(edge.stream_id, 6)
        told = {}
        for name, held in (("behind", first), ("lost", later)):
            witnesses.note(edge.agent_id, status(edge, 6, held.note))
            told[name] = read_ack(seal_ack(witnesses.dress(edge.agent_id, plain), books.key), books.public_key)
        key = public_bytes(books.log_key)
        with books.database.reading() as connection:
            assert "origin" == list_checkpoints(connection, 1)[0].why

        assert (later.head.origin, new) == (old, newest.head.origin)
        assert Judged(newer=True, renamed=True) == judge(Held(key, first.note, 1), told["behind"])
        lost = Judged(newer=True, renamed=True, unproven=later.head.size - first.head.size)
        assert lost == judge(Held(key, later.note, 1), told["lost"])
        named = decode_succession(origin.record or b"").before(old)
        assert named is not None
        assert (later.head, first.head.size) == (named.head, named.kept)
        held_file = books.anchor.read(key)
        assert held_file is not None
        assert newest.head == held_file[0]
    with open_books(config) as books:
        assert going(books) is None


def test_a_log_that_came_to_be_the_same_again_keeps_its_origin(
    config: Config, rolled_back: tuple[Edge, Stored, Stored]
) -> None:
    """Where the same leaves came in the same order nothing is lost, and nobody need hear of another origin."""
    edge, _, later = rolled_back
    with open_books(config) as books:
        HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: status(edge, 6, later.note)})
        take(books, edge, 3, 4, 5, 6)
        look(books)

        assert going(books) is None
        assert [later.head.origin] == origins_of(books)


def test_a_longer_checkpoint_than_the_one_admitted_is_an_alarm(
    config: Config, rolled_back: tuple[Edge, Stored, Stored]
) -> None:
    """An agent that holds more of the old log than the new origin admits does not take it; shown, it heals again."""
    edge, _, later = rolled_back
    with open_books(config) as books:
        keeper = HealingKeeper(books, lambda: 0.0, lambda: START_MS)
        take(books, edge, 6, 5, 4, 3)
        keeper.note({edge.agent_id: status(edge, 6)})
        look(books)
        longer = sign_checkpoint(Checkpoint(later.head.origin, 500, bytes(32)), books.log_key)
        witnesses = Witnesses(books, lambda: START_MS)
        witnesses.note(edge.agent_id, status(edge, 6, later.note))
        told = witnesses.dress(edge.agent_id, Ack(edge.stream_id, 6))
        key = public_bytes(books.log_key)
        assert "a new origin that admits" in judge(Held(key, longer, 1), replace(told, base=500)).alarm
        witnesses.note(edge.agent_id, status(edge, 6, longer))
        healing = going(books)

        assert healing is not None
        assert "checkpoint" == healing.cause


@pytest.mark.backends
def test_our_own_signature_shown_by_an_agent_opens_a_healing(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """On a server nothing beside the books knows; what was signed of another tree needs a person's word."""
    edge = stream(3)
    register(edge)
    ingest(edge, 0, 1, 2, 3)
    now = signed(books)
    foreign = sign_checkpoint(Checkpoint(now.head.origin, now.head.size - 1, bytes(32)), books.log_key)
    witnesses = Witnesses(books, lambda: START_MS)
    witnesses.note(edge.agent_id, status(edge, 3, foreign))
    witnesses.note(edge.agent_id, status(edge, 3, foreign))
    HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: status(edge, 3, foreign)})
    look(books)
    with books.database.reading() as connection:
        healing = current_healing(connection)
        missing = lacking(connection, healing)
        shown = connection.execute(select(signed_heads)).all()
    done = accept_loss(books, "li", "somebody changed a row", START_MS)

    assert healing is not None
    assert (True, (), ()) == (missing.rewritten, missing.silent, missing.gaps)
    assert [(edge.agent_id, foreign)] == [(row.source, row.note) for row in shown]
    assert done.renamed is not None
    with books.database.reading() as connection:
        record = decode_succession(all_origins(connection)[-1].record or b"")
        assert 0 == record.predecessors[0].kept, "nothing is promised of a log that was changed"
        assert ("li", "somebody changed a row") == tuple(
            connection.execute(select(healings.c.ended_by, healings.c.reason)).one()
        )


def test_unsigned_words_open_nothing(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None]
) -> None:
    """A status that claims more, or a checkpoint that another key signed, is no evidence."""
    edge, other = stream(3), stream(1, seed=bytes(range(1, 33)))
    register(edge)
    ingest(edge, 0, 1)
    head = Checkpoint("emitrace/x", 99, bytes(32))
    witnesses = Witnesses(books, lambda: START_MS)
    witnesses.note(edge.agent_id, status(edge, 2**40, sign_checkpoint(head, other.key)))

    assert going(books) is None


def test_what_nobody_holds_is_accepted_as_lost_by_a_person(
    config: Config, rolled_back: tuple[Edge, Stored, Stored]
) -> None:
    """Without who and why nothing; then the stream goes on behind the range, and the origin's record stands."""
    edge, _, _ = rolled_back
    with open_books(config) as books:
        HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: status(edge, 6)})
        take(books, edge, 5, 6)
        look(books)
        with pytest.raises(EmitraceError, match="no reason"):
            accept_loss(books, "li", " ", START_MS)
        done = accept_loss(books, "li", "evicted before the restore", START_MS)
        with pytest.raises(EmitraceError, match="nothing is missing"):
            accept_loss(books, "li", "again", START_MS)

        assert [((3, 4),)] == [gap.ranges for gap in done.lacking.gaps]
        assert done.renamed is not None
        assert going(books) is None
        told = take_group(books, [edge.message(6)], START_MS).acks
        assert [Ack(edge.stream_id, 6)] == list(told[edge.agent_id])


def test_agents_out_of_service_are_not_waited_for(config: Config, rolled_back: tuple[Edge, Stored, Stored]) -> None:
    """One that is retired or was replaced will not speak again."""
    assert rolled_back
    others = [stream(1, seed=bytes([number] * 32)) for number in (1, 2, 3)]
    with open_books(config) as books:
        for number, other in enumerate(others):
            enrol(books, other, f"other {number}")
        with books.database.writing() as connection:
            known = {one.name: one for one in all_agents(connection)}
            end_service(connection, known["other 0"], Ending.RETIRED, "sold", "li", START_MS)
            add_agent(connection, others[1].public, "", START_MS, replaces=known["other 2"])
        healing = going(books)
        with books.database.reading() as connection:
            assert ["boiler house", "other 1"] == [one.name for one in lacking(connection, healing).silent]


def test_where_nothing_was_signed_beyond_the_old_origin_goes_on(config: Config, tmp_path: Path) -> None:
    """Restored with the file that says what was signed last: once nothing is missing, the log keeps its name."""
    edge = stream(3)
    with open_books(config) as books:
        enrol(books, edge)
        take(books, edge, 0, 1)
        signed(books)
        books.anchor.restored.touch()
    with open_books(config) as books:
        healing = going(books)
        HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: status(edge, 3)})
        look(books)
        assert going(books) is not None
        take(books, edge, 2, 3)
        look(books)

        assert healing is not None
        assert "restored" == healing.cause
        assert going(books) is None
        assert 1 == len(origins_of(books))
        assert not books.anchor.restored.exists()


def test_restored_without_that_file_the_log_takes_a_new_origin(config: Config) -> None:
    """Nobody knows what was signed meanwhile: silence is no proof."""
    with open_books(config) as books:
        signed(books)
        books.anchor.restored.touch()
        books.anchor.path.unlink()
    with open_books(config) as books:
        look(books)

        assert 2 == len(origins_of(books))


def test_put_back_twice_every_origin_is_named(config: Config, tmp_path: Path) -> None:
    """The second time the first new origin is lost as well: the third one names both, and promises nothing of it."""
    edge = stream(8)
    with open_books(config) as books:
        enrol(books, edge)
        take(books, edge, 0, 1)
        save(books, tmp_path / "copy.sqlite")
        take(books, edge, 2, 3)
        signed(books)
    for round_ in range(2):
        put_back(config, tmp_path / "copy.sqlite")
        with open_books(config) as books:
            HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: status(edge, 3)})
            take(books, edge, *reversed(range(2, 5 + 2 * round_)))
            look(books)
            assert going(books) is None
            newest = origins_of(books)[-1]
            with books.database.reading() as connection:
                record = decode_succession(all_origins(connection)[-1].record or b"")
            first = origins_of(books)[0]
            if round_ == 0:
                second = newest
                assert [first] == [one.head.origin for one in record.predecessors]
    kept = {one.head.origin: one.kept for one in record.predecessors}

    assert {second: 0} == {name: size for name, size in kept.items() if name == second}
    assert {first, second} == kept.keys()


def test_the_file_never_goes_back(books: Books) -> None:
    """Held twice or out of order, the newest stays."""
    edge = stream(2)
    enrol(books, edge)
    first = signed(books)
    take(books, edge, 0, 1)
    second = signed(books)
    books.anchor.hold(first)
    key = public_bytes(books.log_key)

    assert second.head == open_checkpoint(books.anchor.path.read_bytes(), key)


def receipt(books: Books, edge: Edge, contiguous: int, key: object = None) -> Status:
    """A status with an acknowledgement of so much, signed by us or by another key."""
    sealed = seal_ack(Ack(edge.stream_id, contiguous), key or books.key)  # type: ignore[arg-type]
    told = {"stream": edge.stream_id.hex(), "acknowledged": contiguous, "receipt": base64.b64encode(sealed).decode()}
    found = read_status(json.dumps(told).encode())
    assert found is not None
    return found


def test_our_own_acknowledgement_of_more_than_is_here_opens_a_healing(config: Config, tmp_path: Path) -> None:
    """Between two checkpoints only agents know; nothing was signed beyond, so the log keeps its name."""
    edge = stream(4)
    with open_books(config) as books:
        enrol(books, edge)
        take(books, edge, 0, 1, 2)
        signed(books)
        keeper = HealingKeeper(books, lambda: 0.0, lambda: START_MS)
        keeper.note({edge.agent_id: receipt(books, edge, 2)})
        keeper.note({edge.agent_id: receipt(books, edge, 4, edge.key)})
        assert going(books) is None
        keeper.note({edge.agent_id: receipt(books, edge, 4)})
        healing = going(books)
        look(books)
        assert going(books) is not None
        take(books, edge, 3, 4)
        look(books)

        assert healing is not None
        assert ("acknowledged", True) == (healing.cause, healing.head_known)
        assert going(books) is None
        assert 1 == len(origins_of(books))


def test_what_was_accepted_as_lost_is_no_evidence_again(config: Config) -> None:
    """An old acknowledgement of items at the stream's end, since written down as lost, opens nothing."""
    edge = stream(4)
    with open_books(config) as books:
        enrol(books, edge)
        take(books, edge, 0, 1, 2)
        signed(books)
        HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: receipt(books, edge, 4)})
        done = accept_loss(books, "li", "the outbox burnt too", START_MS)
        HealingKeeper(books, lambda: 0.0, lambda: START_MS).note({edge.agent_id: receipt(books, edge, 4)})

        assert [((3, 4),)] == [gap.ranges for gap in done.lacking.gaps]
        assert done.renamed is None
        assert going(books) is None


async def test_every_page_the_api_and_an_alert_say_so(config: Config, rolled_back: tuple[Edge, Stored, Stored]) -> None:
    """In both languages, with what to do; a seal is refused as a conflict that passes, not as a wrong request."""
    edge, _, _ = rolled_back
    with open_books(config) as books:
        Register(books.database).add("admin", Role.ADMIN, PASSWORD, by="test")
        take(books, edge, 3)
        built = build_inventory(books.database, books.plans, START_MS, START_MS + HOUR_MS, "AR6", START_MS)
        transport = httpx.ASGITransport(app=create_app(books))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            token = hidden((await client.get("/login")).text)["token"]
            await client.post("/login", data={"username": "admin", "password": PASSWORD, "token": token})
            page = {one: (await client.get("/", params={"lang": one})).text for one in ("en", "zh-CN")}
            form = hidden((await client.get(f"/inventory/{built.version}")).text)
            said = await client.post(f"/inventory/{built.version}/seal", data={**form, "checked": "yes"})
        script = httpx.AsyncClient(transport=transport, base_url="http://localhost", auth=("admin", PASSWORD))
        async with script as client:
            log = (await client.get("/api/v1/log")).json()
            sealed = await client.post(f"/api/v1/inventories/{built.version}/seal")
        with books.database.reading() as connection:
            held = [one.kind for one in conditions(connection, AlertsTable(), START_MS)]
        (looked,) = [one for one in look_at_books(config, START_MS, deep=False) if one.check == "healing"]
        metrics = generate_latest(Metrics(books).registry).decode()

    assert "These books are being healed since" in page["en"]
    assert "the database is older than the newest checkpoint kept beside it" in page["en"]
    assert "账本正在恢复" in page["zh-CN"]
    assert "anchor" == log["healing"]["cause"]
    assert 409 == sealed.status_code
    assert "healing show" in sealed.text
    assert (409, True) == (said.status_code, "账本正在恢复" in said.text)
    assert Kind.HEALING in held
    assert looked.is_finding
    assert "emitrace_collector_healing 1.0" in metrics
