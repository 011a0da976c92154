"""The DC-09 client against receivers over real TCP: one that follows the standard, and a foreign one."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pysiaalarm.account import SIAAccount
from pysiaalarm.event import SIAEvent

from loadtest.simulator.police import Fault, Police
from streams.dc09 import crc16, format_frame, read_key
from streams.dispatch.alarm import Alarm
from streams.dispatch.dc09 import Dc09, account_of, frame_of, zone_of
from streams.dispatch.decide import Kind
from tests.streams.dispatch.stories import SCHOOL, T0, center

KEY = "0123456789abcdef0123456789abcdef"


def alarm(**fields: Any) -> Alarm:
    said = {
        "message": "m", "kind": Kind.ALERT, "alert": "a" * 32, "seq": 7, "sent_ms": T0,
        "school": SCHOOL, "school_name": "School No. 42", "district": "Almaty [x]|y",
        "latitude": 43.2, "longitude": 76.9, "device": "button-3", "pressed_ms": T0,
        "score": 1, "why": ("one press",),
    }  # fmt: skip
    return Alarm.model_validate(said | fields)


@pytest.fixture
async def police() -> AsyncIterator[Police]:
    police = Police(late_s=0.6)
    yield police
    await police.stop()


async def client(police: Police, **fields: Any) -> Dc09:
    port = await police.start()
    return Dc09(center("own", f"127.0.0.1:{port}", **{"ack_timeout_s": 60} | fields))


async def test_an_alarm_is_acknowledged_and_arrives_whole(police: Police) -> None:
    receipt = await (await client(police)).send(alarm(), 0)
    assert receipt.taken, receipt
    [there] = police.alarms()
    assert (there.account, there.seq, there.event, there.zone) == ("7500042", 7, "120", "003")
    assert there.alert == "a" * 32


@pytest.mark.parametrize(
    ("fields", "event", "qualifier"),
    [
        ({"duress": True}, "121", 1),
        ({"kind": Kind.UPDATE}, "120", 6),
        ({"kind": Kind.CANCEL}, "406", 1),
    ],
)
async def test_kinds_have_their_contact_id(
    police: Police, fields: dict[str, Any], event: str, qualifier: int
) -> None:
    assert (await (await client(police)).send(alarm(**fields), 0)).taken
    assert [(a.event, a.qualifier) for a in police.alarms()] == [(event, qualifier)]


async def test_encrypted_with_the_centers_key(police: Police, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    police.key = read_key(KEY)
    there = await client(police, key_file=file)
    assert (await there.send(alarm(), 0)).taken and len(police.alarms()) == 1


@pytest.mark.parametrize("fault", ["silence", "duh", "garbage", "hang_up", "late"])
async def test_a_fault_is_a_failed_attempt_and_the_repeat_is_one_alarm(
    police: Police, fault: Fault
) -> None:
    impatient = await client(police, ack_timeout_s=0.3)
    police.faults.append(fault)
    assert not (await impatient.send(alarm(), 0)).taken
    patient = Dc09(impatient._center.model_copy(update={"ack_timeout_s": 60}))
    assert (await patient.send(alarm(), 0)).taken
    assert len(police.alarms()) == 1


ANSWERS = [
    b'"ACK"0007R0L0#7500042[]',
    b'"ack"0007R0L0#7500042[]',
    b'"ACK"0007L#7500042[]',
    b'"ACK"0007R000001L000000#000000[]',
    b'"ACK"0007R1L0#007500042[]',
    b'"ACK"0007L0R0A0[]',
    b'"ACK"0007L0#7500042[]_14:13:20,00-21-2026',
    b'"ACK"0007L0#7500042',
]


@pytest.mark.parametrize("body", ANSWERS)
@pytest.mark.parametrize("raw_crc", [False, True])
async def test_an_ack_in_another_dialect_is_one(body: bytes, raw_crc: bool) -> None:
    """The dialects that panels send come back from receivers, which are made by the same people."""
    crc = crc16(body).to_bytes(2, "big") if raw_crc else b"%04X" % crc16(body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r")
        writer.write(b"\n%b0%03X%b\r" % (crc, len(body), body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = Dc09(center("own", f"127.0.0.1:{port}", ack_timeout_s=60))
        receipt = await there.send(alarm(), 0)
        assert receipt.taken, receipt
        await there.close()


@pytest.mark.parametrize("body", [b'"ACK"0008R0L0#7500042[]', b'"ACK"0007R0L0#7500043[]', b'"ACK'])
async def test_an_ack_to_another_frame_is_none_to_this_one(body: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r")
        writer.write(b"\n%04X0%03X%b\r" % (crc16(body), len(body), body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = Dc09(center("own", f"127.0.0.1:{port}", ack_timeout_s=0.2))
        assert not (await there.send(alarm(), 0)).taken
        await there.close()


async def test_a_receiver_whose_clock_is_off_is_told_by_its_clock(police: Police) -> None:
    police.wall_s = lambda: time.time() + 3_600
    there = await client(police)
    assert (await there.send(alarm(), 0)).taken
    assert (await there.send(alarm(seq=8), 0)).taken


async def test_a_nak_is_answered_by_the_same_sequence_number(police: Police) -> None:
    police.faults.append("nak")
    assert (await (await client(police)).send(alarm(), 0)).taken
    assert [a.seq for a in police.alarms()] == [7]


async def test_a_connection_that_the_receiver_closed_is_replaced(police: Police) -> None:
    there = await client(police)
    assert (await there.send(alarm(), 0)).taken
    for writer in list(police._open):
        writer.close()
    await asyncio.sleep(0)
    assert (await there.send(alarm(seq=8), 0)).taken


async def test_the_link_is_tested_with_a_null_message(police: Police) -> None:
    there = await client(police)
    assert (await there.check(0)).taken
    assert police.received[0].token == "NULL" and police.alarms() == []
    await police.stop()
    assert not (await there.check(0)).taken


async def test_nobody_there_is_a_failed_attempt_and_the_secondary_has_it(police: Police) -> None:
    port = await police.start()
    there = Dc09(center("own", "127.0.0.1:1", f"127.0.0.1:{port}", ack_timeout_s=60))
    assert not (await there.send(alarm(), 0)).taken
    assert (await there.send(alarm(), 1)).taken


async def test_many_at_once_are_all_acknowledged_once(police: Police) -> None:
    there = await client(police, ack_timeout_s=60)
    sent = [there.send(alarm(seq=n + 1), 0) for n in range(200)]
    assert all(receipt.taken for receipt in await asyncio.gather(*sent))
    assert sorted(a.seq for a in police.alarms()) == list(range(1, 201))


def test_a_foreign_receiver_understands_the_frame() -> None:
    """It reads no more than one field behind the data, though the standard has several."""
    frame = replace(frame_of(alarm(), center(fields="I")), time_s=int(time.time()))
    line = format_frame(frame).decode("ascii").strip()
    event = SIAEvent.from_line(line, {"7500042": SIAAccount("7500042")})
    assert event.valid_message and (event.code, event.account) == ("PA", "7500042")
    assert "a" * 32 in str(event.extended_data)


def test_the_fields_behind_the_data_are_the_centers_choice() -> None:
    assert [x[0] for x in frame_of(alarm(), center()).extended] == ["H", "I", "L", "S"]
    assert frame_of(alarm(), center(fields="")).extended == ()


def test_accounts_and_zones() -> None:
    assert account_of("KZ-10-00001") == "1000001"
    assert [zone_of(d) for d in ("button-14", "", "button", "button-1000")] == [
        "014", "000", "000", "000",
    ]  # fmt: skip
