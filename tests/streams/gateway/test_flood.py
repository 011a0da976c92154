"""One button, or who has its key, that presses without end: nobody else notices, and nothing is refused."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.ids import uuid7
from schemas.topics import ALERTS, PANICS
from streams.dc09 import ContactId, Frame, encrypt, format_contact_id, format_frame, parse, read_key
from streams.gateway.accounts import Accounts, read_accounts
from streams.gateway.batch import MAX_PRESSES
from streams.gateway.coalesce import BURST, LATEST_WITHIN_S
from streams.gateway.metrics import Metrics
from streams.gateway.panics import Kept
from streams.gateway.read import MAX_RAW_BYTES, Record, read_press
from streams.gateway.receiver import MAX_AT_ONCE, From, OverUdp, Receiver
from streams.gateway.watched import Watched
from streams.keys import Device
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.parts import (
    BUTTON,
    DEVICE,
    NOW_MS,
    SCHOOL,
    Desk,
    desk,
    ear,
    event,
    no_disk,
    press,
    sent,
    until,
)

MANY = 2 * BURST
OTHER = Device("KZ-75-00002", "button-1")


def pressed(number: int = 1, device: Device = DEVICE, **fields: Any) -> Record:
    said = press(number, school=device.school, device=device.device, **fields)
    (record,) = read_press(device, sent(said), uuid7(NOW_MS))
    return record


def unreadable(number: int) -> Record:
    body = b'{"type": "panic.pressed", ' + str(number).encode() * 20_000
    (record,) = read_press(DEVICE, sent(body), uuid7(NOW_MS))
    return record


def a_button_test(number: int) -> Record:
    said = json.dumps(event("panic.test", number)).encode()
    (record,) = read_press(DEVICE, sent(said), uuid7(NOW_MS))
    return record


def cancelled(number: int) -> Record:
    said = json.dumps(event("panic.cancelled", number, press=event(number=1)["id"])).encode()
    (record,) = read_press(DEVICE, sent(said), uuid7(NOW_MS))
    return record


async def flood(it: Desk, of: Callable[[int], Record], first: int = 1) -> list[Any]:
    return await asyncio.gather(*(it.panics.take(of(first + n)) for n in range(MANY)))


def written(it: Desk, device: str = BUTTON) -> list[dict[str, Any]]:
    return [said for said in it.kafka.on(PANICS.name) if said["device"] == device]


def open_alarms(it: Desk) -> set[str]:
    """Of the panic workers, who have read what is in Kafka."""
    state = PanicState()
    for topic, key, value in it.kafka.records:
        if topic == PANICS.name:
            decide(state, key, value, NOW_MS)
    return {alarm.id for alarm in state.alarms.values()}


@pytest.mark.parametrize("of", [pressed, unreadable, a_button_test, cancelled])
async def test_all_are_answered_and_few_are_written(
    tmp_path: Path, of: Callable[[int], Record]
) -> None:
    async with desk(tmp_path) as it:
        taken = await flood(it, of)
        assert all(one.safe for one in taken)
        assert len(it.kafka.on(PANICS.name)) == BURST
        assert sum(one.kept is Kept.COALESCED for one in taken) == MANY - BURST
        # Every press stands in an alarm that is open.
        assert {id_ for one in taken for id_ in one.alerts} == open_alarms(it)
        assert all(len(value) < 2 * MAX_RAW_BYTES for _, _, value in it.kafka.records)


async def test_without_kafka_the_journal_stays_small_and_others_are_kept(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        taken = await flood(it, pressed)
        other = await it.panics.take(pressed(1, OTHER))
        assert all(one.safe for one in (*taken, other))
        assert (other.kept, other.told, it.keeper.size) == (Kept.JOURNAL, 1, BURST + 1)
        assert len(console.heard) == BURST + 1


async def test_nobody_is_promised_what_nobody_has(tmp_path: Path) -> None:
    async with desk(tmp_path, open_=False, journal=no_disk(tmp_path)) as it:
        taken = await flood(it, pressed)
        assert not any(one.safe for one in taken)
        assert len(it.panics._taking) == 0
        it.kafka.open.set()
        await until(lambda: len(it.kafka.records) > BURST)
        assert len(written(it)) == BURST


@pytest.mark.parametrize(
    "other",
    [
        lambda: pressed(MANY + 1, Device(SCHOOL, "button-2")),
        lambda: pressed(MANY + 1, OTHER),
        lambda: pressed(MANY + 1, duress=True),
        lambda: pressed(MANY + 1, place="room 12"),
        lambda: pressed(MANY + 1, time_ms=NOW_MS - 20 * 60_000),
        lambda: unreadable(MANY + 1),
    ],
    ids=["another button", "another school", "duress", "another place", "late", "unreadable"],
)
async def test_what_must_be_heard_is_written_at_once(
    tmp_path: Path, other: Callable[[], Record]
) -> None:
    async with desk(tmp_path) as it:
        await flood(it, pressed)
        before = len(it.kafka.records)
        record = other()
        assert (await it.panics.take(record)).kept is not Kept.COALESCED
        assert it.kafka.records[before:][-1][2] == record.value


async def test_a_press_after_a_close_is_written_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        *_, last = await flood(it, pressed)
        it.known.closed(last.alerts[0])
        assert (await it.panics.take(pressed(MANY + 1))).kept is not Kept.COALESCED
        assert (await it.panics.take(pressed(MANY + 2))).kept is Kept.COALESCED


async def test_the_last_one_is_written_soon_whatever_the_gateway_knows(tmp_path: Path) -> None:
    now_ms = [NOW_MS]
    async with desk(tmp_path, now_ms=lambda: now_ms[0]) as it:
        taken = [await it.panics.take(pressed(n)) for n in range(1, BURST + 3)]
        assert taken[-1].kept is Kept.COALESCED
        now_ms[0] += round(LATEST_WITHIN_S * 1000)
        await until(lambda: len(written(it)) == BURST + 1)
        assert written(it)[-1]["seq"] == BURST + 2


async def test_it_is_said_once_and_strangers_can_not_hide_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        for number in range(200):
            it.findings.found("no device key", f"10.0.0.{number}", None)
        await flood(it, pressed)
        await until(lambda: any(said["device"] == BUTTON for said in it.kafka.on(ALERTS.name)))
        mad = [said for said in it.kafka.on(ALERTS.name) if said["device"] == BUTTON]
        assert [said["school"] for said in mad] == [SCHOOL]
        assert "mad button" in mad[0]["note"]


@pytest.mark.parametrize("sealed", [True, False])
async def test_a_panel_that_floods_gets_its_acknowledgements(tmp_path: Path, sealed: bool) -> None:
    key = "00112233445566778899AABBCCDDEEFF"
    account = {"school": SCHOOL, "device": BUTTON, "key": key, "addresses": ["10.0.0.0/8"]}
    (tmp_path / "a.json").write_text(json.dumps({"1234": account}))
    accounts: Watched[Accounts] = Watched(tmp_path / "a.json", read_accounts, {})
    async with desk(tmp_path) as it:
        receiver = Receiver(accounts, it.panics, it.events, it.findings, Metrics(), lambda: NOW_MS)
        frame = Frame("ADM-CID", 1, "1234", format_contact_id("1234", ContactId("120")))
        frame = replace(frame, time_s=NOW_MS // 1000)

        async def say(seq: int) -> bytes:
            one = replace(frame, seq=seq)
            raw = format_frame(encrypt(one, read_key(key)) if sealed else one)
            return await receiver.answer(raw, From("10.0.0.1", udp=not sealed))

        answers = [parse(said) for said in await asyncio.gather(*map(say, range(1, MANY)))]
        assert {one.token for one in answers if isinstance(one, Frame)} == {"ACK"}
        assert len(answers) == MANY - 1
        assert len(written(it)) == BURST


async def test_a_panel_that_floods_by_udp_takes_nobodys_place(tmp_path: Path) -> None:
    accounts = {
        "1234": {"school": SCHOOL, "device": BUTTON, "addresses": ["127.0.0.2/32"]},
        "5678": {"school": OTHER.school, "device": BUTTON, "addresses": ["127.0.0.3/32"]},
    }
    (tmp_path / "a.json").write_text(json.dumps(accounts))
    watched: Watched[Accounts] = Watched(tmp_path / "a.json", read_accounts, {})

    def frame(account: str, seq: int) -> bytes:
        data = format_contact_id(account, ContactId("120"))
        return format_frame(Frame("ADM-CID", seq, account, data, time_s=NOW_MS // 1000))

    async with desk(tmp_path) as it:
        udp = OverUdp(
            Receiver(watched, it.panics, it.events, it.findings, Metrics(), lambda: NOW_MS)
        )
        # As the socket would hand them over, faster than any is answered.
        for seq in range(3_000):
            udp.datagram_received(frame("1234", 1 + seq), ("127.0.0.2", 1))
        assert len(udp._open) < MAX_AT_ONCE / 2
        udp.datagram_received(frame("5678", 1), ("127.0.0.3", 1))
        await until(lambda: len(written(it)) > BURST)
        assert OTHER.school in {said["school"] for said in written(it)}
        await udp.stop()
        assert not udp._of


async def test_of_a_batch_so_many_are_read_and_none_says_what_they_do_not() -> None:
    events = [event(number=n) for n in range(1, 900)]
    events[700] |= {"duress": True}
    events[800] |= {"place": "room 12"}
    records = read_press(DEVICE, sent(json.dumps(events).encode()), uuid7(NOW_MS))
    said = [json.loads(record.value) for record in records]
    assert len(said) == MAX_PRESSES
    assert {one["seq"] for one in said} >= {1, 701, 801, 899}
