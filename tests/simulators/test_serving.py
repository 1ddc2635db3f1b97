from __future__ import annotations

import ssl
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient

from simulators.faults.catalogue import parse_fault
from simulators.plant import Plant
from simulators.scenario import ScenarioError
from simulators.serving import Lines, Serving
from tests.simulators.clients import SerialClient, TcpClient

LOOPBACK = "127.0.0.1"
MODEL_CODE = b"\x03\x02\x02\x5c"
READ = struct.pack(">BHH", 3, 0, 1)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost that vouches for itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, secret = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret


async def test_one_plant_on_every_kind_of_line(plant: Plant, tmp_path: Path) -> None:
    """TCP, RTU over TCP and a pseudo-terminal show the same instruments, and each counts its requests."""
    serving = Serving(plant, Lines(LOOPBACK, 0, rtu_over_tcp=0, rtu=tmp_path / "tty", baud=115_200))
    tcp, over, serial = await serving.start()
    socket, port = TcpClient(tcp["port"]), SerialClient(Path(serial["path"]), 115_200)
    library = AsyncModbusTcpClient(LOOPBACK, port=over["port"], framer=FramerType.RTU)
    assert await library.connect()
    for client in (socket, port):
        client.ask(10, READ)
        expected = client.frame(10, MODEL_CODE)
        assert expected == await client.receive(len(expected))
        client.close()
    answer = await library.read_holding_registers(0, count=1, device_id=10)
    library.close()
    report = serving.report()
    await serving.stop()

    assert ["tcp", "rtu-over-tcp", "rtu"] == [tcp["kind"], over["kind"], serial["kind"]]
    assert [604] == answer.registers
    assert "requests answered: 3" == report[0]
    assert f"rtu {tmp_path / 'tty'}, unit 10: 1 requests, 1 registers" in report


async def test_modbus_in_tls(plant: Plant, tmp_path: Path) -> None:
    """A client that trusts the certificate reads; the frames are those of Modbus TCP."""
    certificate, key = make_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    serving = Serving(plant, Lines(LOOPBACK, 0, tls=tls))
    (line,) = await serving.start()
    trusting = ssl.create_default_context(cafile=str(certificate))
    client = AsyncModbusTlsClient("localhost", port=line["port"], sslctx=trusting)
    assert await client.connect()
    answer = await client.read_holding_registers(0, count=1, device_id=10)
    client.close()
    await serving.stop()

    assert ("tls", [604]) == (line["kind"], answer.registers)


async def test_many_devices_on_many_lines(plant: Plant) -> None:
    """250 instruments stand on three ports, each with a bias of its own."""
    serving = Serving(plant, Lines(LOOPBACK, 0, devices=250))
    lines = await serving.start()
    answers = []
    for line in lines[:2]:
        client = TcpClient(line["port"])
        client.ask(line["units"], b"\x11")
        answers.append(await client.receive(30))
        client.close()
    await serving.stop()
    devices = [device for group in serving.groups for device in group]
    meters = [device for device in devices if device.instrument.of == "workshop"]

    assert [100, 100, 50] == [line["units"] for line in lines]
    assert 250 == len({device.instrument.serial for device in devices})
    assert (
        len(meters)
        == len({next(c.bias for c in d.channels if c.register.name == "energy_import") for d in meters})
        == 32
    )
    assert answers[0][-10:] != answers[1][-10:]


def test_a_fault_of_nobody_is_refused(plant: Plant) -> None:
    """A unit id that is not there is named with those that are."""
    busy = parse_fault("busy unit=77", datetime(2026, 1, 1, tzinfo=UTC))
    strange = replace(plant, scenario=plant.scenario.model_copy(update={"faults": (busy,)}))

    with pytest.raises(ScenarioError, match=r"unit 77: no such instrument\. Units: 1, 2"):
        Serving(strange, Lines(LOOPBACK, 0))
