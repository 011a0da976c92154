import asyncio
import json
from pathlib import Path

import pytest

from schemas.alerts import AlertKind
from schemas.topics import ALERTS, PASSES
from streams.gateway.events import ComeAgain
from streams.gateway.read import Record, read_events
from tests.streams.gateway.parts import DEVICE, desk, entry, sent, until


def records(*numbers: int) -> list[Record]:
    body = json.dumps([entry(number) for number in numbers]).encode()
    return read_events(DEVICE, sent(body), "")[0]


async def test_an_event_sent_again_is_known_as_a_repeat(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        assert (await it.events.take(records(1, 2))).accepted == 2
        passed = await it.events.take(records(2, 3))
        assert (passed.accepted, passed.repeated) == (1, 1)
        assert len(it.kafka.on(PASSES.name)) == 3


async def test_while_kafka_is_down_the_device_keeps_its_events(tmp_path: Path) -> None:
    async with desk(tmp_path, open_=False) as it:
        with pytest.raises(ComeAgain) as caught:
            await it.events.take(records(1))
        assert not caught.value.mad
        it.kafka.open.set()
        # The first attempt waits still: the second joins it.
        await it.events.take(records(1))
        await asyncio.sleep(0)
        assert len(it.kafka.on(PASSES.name)) == 1


async def test_a_device_that_sends_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.events.admit(DEVICE, 200)
        with pytest.raises(ComeAgain) as caught:
            it.events.admit(DEVICE, 50)
        assert caught.value.mad
        assert 40 < caught.value.after_s <= 50


async def test_strangers_are_one_finding_an_hour_each_and_not_endless(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        for number in range(1000):
            it.findings.found("wrong device key", f"10.0.0.{number % 200}", DEVICE)
        await until(lambda: len(it.kafka.records) >= 60)
        await asyncio.sleep(0)
        alerts = it.kafka.on(ALERTS.name)
        assert len(alerts) == 60
        assert {alert["kind"] for alert in alerts} == {AlertKind.SECURITY}
        assert {alert["school"] for alert in alerts} == {DEVICE.school}
        assert it.findings.count == 1000
