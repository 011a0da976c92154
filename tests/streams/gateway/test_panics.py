"""A press when Kafka is late, and when the disk is full, too."""

import asyncio
from pathlib import Path

from schemas.alerts import AlertKind
from schemas.ids import uuid7
from schemas.topics import ALERTS, PANICS
from streams.gateway.journal import Journal
from streams.gateway.panics import Kept
from streams.gateway.read import Record, read_press, unread
from streams.panic.decide import PanicState, decide
from tests.streams.gateway.parts import DEVICE, NOW_MS, desk, ear, no_disk, press, sent, until


def pressed(number: int = 1) -> Record:
    (record,) = read_press(DEVICE, sent(press(number)), uuid7(NOW_MS))
    return record


async def test_kafka_in_time_is_all_there_is(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url]) as it:
        taken = await it.panics.take(pressed())
        assert (taken.kept, taken.told, console.heard) == (Kept.KAFKA, 0, [])
        assert len(it.kafka.on(PANICS.name)) == 1


async def test_what_kafka_has_and_no_worker_speaks_of_is_told_directly(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url]) as it:
        taken = await it.panics.take(pressed())
        await until(lambda: bool(console.heard))
        assert [alert["id"] for alert in console.heard] == list(taken.alerts)
        assert it.panics.unheard == 1


async def test_what_a_worker_speaks_of_is_not_told_again(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url]) as it:
        unheard, heard = pressed(1), pressed(2)
        await it.panics.take(heard)
        await asyncio.sleep(0)  # its watch has begun
        it.heard.say(heard.id)
        taken = await it.panics.take(unheard)
        # The later one has been told, so the time of the earlier one is over, too.
        await until(lambda: bool(console.heard))
        assert [alert["event"] for alert in console.heard] == [unheard.id]
        assert taken.kept is Kept.KAFKA


async def test_a_late_kafka_is_not_waited_for(tmp_path: Path) -> None:
    async with (
        ear() as console,
        ear() as police,
        desk(tmp_path, [console.url, police.url], open_=False) as it,
    ):
        taken = await it.panics.take(pressed())  # which is never acknowledged meanwhile
        assert (taken.kept, taken.told) == (Kept.JOURNAL, 2)
        assert console.heard == police.heard
        assert it.keeper.size == 1
        it.kafka.open.set()
        await until(lambda: it.keeper.size == 0)
        assert len(it.kafka.on(PANICS.name)) == 1


async def test_what_is_told_directly_has_the_ids_that_the_panic_workers_will_say(
    tmp_path: Path,
) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        broken = unread(DEVICE, b"\x00", uuid7(NOW_MS))
        for record in (pressed(1), pressed(2), broken):
            await it.panics.take(record)
        it.kafka.open.set()
        await until(lambda: len(it.kafka.records) == 3)
        workers = PanicState()
        said = [
            alert.model_dump(mode="json")
            for _, key, value in it.kafka.records
            for alert in decide(workers, key, value, NOW_MS)
        ]
        assert console.heard == said


async def test_after_one_late_press_the_next_is_told_at_once(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        await it.panics.take(pressed(1))
        it.panics._ack_timeout_s = (
            3_600.0  # who waits for Kafka now waits until pytest's patience ends
        )
        await it.panics.take(pressed(2))
        assert it.keeper.size == 2


async def test_kafka_is_waited_for_again_when_a_worker_has_spoken(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        await it.panics.take(pressed(1))
        it.kafka.open.set()
        await until(lambda: not it.panics.kafka_late)
        # The broker is back, its readers are not.
        back = pressed(2)
        assert (await it.panics.take(back)).told == 1
        await until(lambda: it.heard.say(back.id) or not it.panics.doubted)
        again = await it.panics.take(pressed(3))
        assert (again.kept, again.told) == (Kept.KAFKA, 0)


async def test_after_one_that_no_worker_spoke_of_the_next_is_told_at_once(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url]) as it:
        assert (await it.panics.take(pressed(1))).told == 0
        await until(lambda: it.panics.doubted)
        assert (await it.panics.take(pressed(2))).told == 1


async def test_a_press_sent_again_adds_nothing(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        first, again = await asyncio.gather(it.panics.take(pressed()), it.panics.take(pressed()))
        assert first == again == await it.panics.take(pressed())
        assert len(console.heard) == 1
        it.kafka.open.set()
        await until(lambda: it.keeper.size == 0)
        assert len(it.kafka.records) == 1


async def test_who_did_not_hear_is_told_again(tmp_path: Path) -> None:
    async with ear(deaf=2) as police, desk(tmp_path, [police.url], open_=False) as it:
        assert (await it.panics.take(pressed())).told == 0
        await until(lambda: len(police.heard) == 1)


async def test_a_receiver_that_is_down_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with ear() as console:
        urls = ["http://127.0.0.1:9/direct", console.url]
        async with desk(tmp_path, urls, open_=False) as it:
            assert (await it.panics.take(pressed())).told == 1


async def test_who_is_told_without_the_secret_does_not_believe_it(tmp_path: Path) -> None:
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        (tmp_path / "direct-secret").write_text("another")
        assert (await it.panics.take(pressed())).told == 0
        assert console.heard == []


async def test_with_the_disk_full_it_is_told_directly_and_so_is_that(tmp_path: Path) -> None:

    async with (
        ear() as console,
        desk(tmp_path, [console.url], open_=False, journal=no_disk(tmp_path)) as it,
    ):
        taken = await it.panics.take(pressed())
        assert (taken.kept, taken.told, taken.safe) == (Kept.MEMORY, 1, True)
        await until(lambda: len(console.heard) == 2)
        kinds = {alert["kind"] for alert in console.heard}
        assert kinds == {AlertKind.PANIC, AlertKind.MONITORING_IMPAIRED}
        it.kafka.open.set()
        await until(lambda: len(it.kafka.on(PANICS.name)) == 1)
        await until(lambda: len(it.kafka.on(ALERTS.name)) == 1)


async def test_with_the_disk_full_and_nobody_told_the_device_keeps_it(tmp_path: Path) -> None:
    async with desk(tmp_path, [], open_=False, journal=no_disk(tmp_path)) as it:
        assert not (await it.panics.take(pressed())).safe
        it.kafka.open.set()
        assert (await it.panics.take(pressed())).safe


async def test_a_gateway_that_died_hands_over_what_its_journal_holds(tmp_path: Path) -> None:
    async with ear() as console:
        async with desk(tmp_path, [console.url], open_=False) as it:
            for number in (1, 2, 3):
                await it.panics.take(pressed(number))
        async with desk(tmp_path, [console.url]) as it:
            assert await it.panics.replay() == 3
            await until(lambda: len(it.kafka.records) == 3)
            await until(lambda: it.keeper.size == 0)
            assert [said["seq"] for said in it.kafka.on(PANICS.name)] == [1, 2, 3]
            # Kafka was there in time, so nobody is told a second time.
            assert len(console.heard) == 3
    assert Journal.opened(tmp_path / "presses.journal").pending == {}


async def test_a_gateway_that_died_tells_what_it_may_not_have_told(tmp_path: Path) -> None:
    async with desk(tmp_path, [], open_=False) as it:
        await it.panics.take(pressed())
    async with ear() as console, desk(tmp_path, [console.url], open_=False) as it:
        await it.panics.replay()
        await until(lambda: len(console.heard) == 1)
