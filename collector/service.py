"""The composition root of ``emitrace-collector serve``: web server, ingest and ledger, started and ended here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from collector.alerts.worker import AlertWorker, Watch
from collector.app import create_app
from collector.books import Books, claim_books, open_books
from collector.config import Config
from collector.ingest.broker import Broker
from collector.ingest.worker import IngestWorker
from collector.leader import Leader
from collector.live.hub import Hub
from collector.lock import LockedError, PortError, hold_lock
from collector.log import keep_secret, line, start_logging
from collector.metrics import Metrics
from collector.notify import ALIVE, READY, STOPPING, notify, watchdog_s
from collector.recompute import LedgerWorker
from collector.stamping import Stamper, StampWorker

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_S = 15.0
DRAIN_S = 5

log = logging.getLogger(__name__)


def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; what is in hand is committed, the rest comes again from the broker."""
    start_logging(config.settings.log.level, config.settings.log.format)
    for secret in (config.broker_password(), *config.alert_secrets()):
        keep_secret(secret)
    with open_books(config) as books, hold_lock(config.state_dir), _leading(books) as leads:
        if not leads:
            return
        listener = _listen(config)
        web = config.settings.web
        log.info(line("started", collector=books.collector_id, address=f"{web.host}:{web.port}"))
        broker = Broker(config, books.public_key)
        metrics = Metrics(books, lambda: broker.connected)
        hub = Hub(books, broker.publish)
        metrics.show_live(hub)
        broker.on_live = hub.take
        ingest = IngestWorker(books, broker, metrics)
        ledger = LedgerWorker(books, ingest.committed)
        alerts = AlertWorker(Watch(books, lambda: broker.connected))
        stamps = StampWorker(Stamper(books))
        ingest.start()
        ledger.start()
        alerts.start()
        stamps.start()
        broker.start()
        try:
            _serve_pages(books, hub, listener, metrics, lambda: all(one.is_alive() for one in (ingest, ledger, alerts)))
        finally:
            notify(STOPPING)
            broker.stop()
            ingest.stop()
            ledger.stop()
            alerts.stop()
            stamps.stop()
            for worker in (ingest, ledger, alerts, stamps):
                worker.join(STOP_S)
        log.info(line("stopped"))


@contextmanager
def _leading(books: Books) -> Iterator[bool]:
    """Be the one active collector on the books' server, standing by until then; False where the end came before.

    SQLite's one is held by the lock of the state folder. Where another took over, serve ends as by SIGTERM and says so.
    """
    if not books.database.is_postgresql:
        yield True
        return
    stopped, lost = threading.Event(), threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: stopped.set())
    leader = Leader(books.database)

    def end() -> None:
        lost.set()
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        leads = leader.wait(stopped)
        if leads:
            claim_books(books)
            leader.keep(end)
            notify("STATUS=active")
        yield leads
    finally:
        leader.give_up()
    if lost.is_set():
        raise LockedError(
            f"database {books.database.name}", "another collector is active now", "Start this one again: it stands by."
        )


class _Server(uvicorn.Server):
    """Tells the service manager that the pages are served, and from then on that loop and workers go on.

    At its end the streams of live values end first: they would keep it waiting.
    """

    def __init__(
        self, config: uvicorn.Config, all_well: Callable[[], bool], end_streams: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._all_well = all_well
        self._end_streams = end_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then be ready."""
        await super().startup(sockets)
        if not self.started:
            return
        notify(READY)
        every_s = watchdog_s()
        if every_s is not None:
            self._watchdog = asyncio.create_task(self._stay_alive(every_s), name="watchdog")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the answers under way."""
        self._end_streams()
        await super().shutdown(sockets)

    async def _stay_alive(self, every_s: float) -> None:
        while not self.should_exit:
            if self._all_well():
                notify(ALIVE)
            else:  # restarted by the manager once it has waited in vain
                log.critical(line("worker-ended", hint="the service manager restarts the service"))
            await asyncio.sleep(every_s)


def _serve_pages(
    books: Books, hub: Hub, listener: socket.socket, metrics: Metrics, all_well: Callable[[], bool]
) -> None:
    """Serve until a signal; uvicorn's own handling of signals ends it gracefully."""
    server = _Server(
        uvicorn.Config(
            create_app(books, metrics, hub), log_config=None, access_log=False, server_header=False,
            proxy_headers=books.config.settings.web.https, timeout_graceful_shutdown=DRAIN_S,
        ),
        all_well,
        hub.close,
    )  # fmt: skip
    # uvicorn raises a signal it caught once more when it has ended; here the end is its own return.
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    asyncio.run(server.serve(sockets=[listener]))


def _listen(config: Config) -> socket.socket:
    web = config.settings.web
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((web.host, web.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortError(
            f"[web] {web.host}:{web.port}", str(error.strerror), "End what listens there, or choose another port."
        ) from error
    return listener
