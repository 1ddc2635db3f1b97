"""From a table of agent.toml to the bus it describes."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from agent.bus.bus import Bus, Connect
from agent.bus.rtu import Pace, rtu_over_tcp
from agent.bus.serial import Port, serial
from agent.bus.tcp import tcp
from agent.endpoint import AnyBus, RtuBus, RtuOverTcpBus, TlsBus
from protocols.errors import EmitraceError


class TlsFileError(EmitraceError):
    """A file of a TLS bus that cannot be used."""


def bus_of(table: AnyBus, mono_ms: Callable[[], int]) -> Bus:
    """The bus of an endpoint, not open yet.

    Parameters
    ----------
    table : AnyBus
        With every path resolved.
    mono_ms : callable
        The clock that stamps answers. [ms]

    Raises
    ------
    TlsFileError
        A file that TLS needs is not usable.
    """
    return Bus(_connect_of(table, mono_ms), table.timeout_s, mono_ms)


def _connect_of(table: AnyBus, mono_ms: Callable[[], int]) -> Connect:
    if isinstance(table, RtuBus):
        port = Port(table.port, table.baud, table.parity, table.stop_bits)
        return serial(port, _pace(table), mono_ms)
    if isinstance(table, RtuOverTcpBus):
        return rtu_over_tcp(table.host, table.port, _pace(table), mono_ms)
    if isinstance(table, TlsBus):
        return tcp(table.host, table.port, table.timeout_s, mono_ms, tls_context(table), table.server_name)
    return tcp(table.host, table.port, table.timeout_s, mono_ms)


def tls_context(table: TlsBus) -> ssl.SSLContext:
    """What checks the endpoint's certificate, and our own to show.

    Raises
    ------
    TlsFileError
        A file is not there or not what it should be.
    """
    place = f"bus at {table.place}"
    try:
        context = ssl.create_default_context(cafile=table.ca)
    except OSError as error:
        raise TlsFileError(place, f"ca {table.ca} is not usable: {_why(error)}", "name a PEM file") from error
    if table.cert is not None:
        try:
            context.load_cert_chain(table.cert, table.key, password="")  # else OpenSSL asks the terminal for one
        except OSError as error:
            seen = f"cert {table.cert} with key {table.key} is not usable: {_why(error)}"
            raise TlsFileError(place, seen, "name PEM files of one pair, the key without password") from error
    return context


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _pace(table: RtuBus | RtuOverTcpBus) -> Pace:
    late_s = table.timeout_s if table.late_s is None else table.late_s
    echo = isinstance(table, RtuBus) and table.echo
    return Pace(table.line, table.timeout_s, late_s, table.idle_gap_ms / 1000, echo)
