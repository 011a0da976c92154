"""Panic workers on a log in memory: presses are said once by each, with the same bytes, come what may."""

import asyncio
import itertools
import json
from functools import partial

import pytest
from aiokafka.errors import ProducerFenced

from schemas.topics import ALERTS, PANICS
from streams.beside import Topics
from streams.lane import Group as Membership
from streams.lane import Lane
from streams.panic.agent import PanicLane
from streams.panic.decide import ALARM_LASTS_MS
from streams.runtime.clock import Clock
from tests.streams.growing import home
from tests.streams.memory.group import Group
from tests.streams.memory.log import Log
from tests.streams.memory.time import in_moved_time, until
from tests.streams.workers import uuid7

SCHOOL = "KZ-11-00001"
GROWTHS = [(1, 3), (4, 12), (8, 64)]


def panic(replica: str, topics: Topics, clock: Clock) -> Lane[Membership]:
    return PanicLane(topics, replica, clock)


class Country:
    def __init__(self, partitions: int = 4) -> None:
        self.log = Log(partitions)
        self.a, self.b = (Group(self.log, partial(panic, replica)) for replica in "ab")
        self._seq = itertools.count(1)

    def press(self, school: str = SCHOOL, partition: int | None = None) -> str:
        return self.send("panic.pressed", school, partition)

    def send(self, kind: str, school: str, partition: int | None = None, **more: object) -> str:
        fields: dict[str, object] = {"id": uuid7(), "type": kind, "school": school, "v": 1}
        fields |= {"device": "button-1", "time_ms": self.log.clock.wall_ms, "boot": 1}
        fields |= {"seq": next(self._seq)} | more
        self.log.append(PANICS.name, school, json.dumps(fields).encode(), partition)
        return str(fields["id"])

    def said(self, school: str = SCHOOL) -> list[str]:
        return [json.dumps(one) for one in self.log.said(ALERTS.name, school=school)]


@in_moved_time
async def test_both_workers_and_a_restarted_one_say_the_same_bytes() -> None:
    there = Country()
    first = await there.a.start()
    await there.b.start()
    there.press()
    there.log.append(PANICS.name, SCHOOL, b"garbage")
    there.press()
    await until(lambda: len(there.said()) == 6)
    await first.terminate()
    await there.a.start()
    there.press()
    await until(lambda: len(there.said()) == 8)
    assert len(set(there.said())) == 4
    assert sorted(json.loads(one)["number"] for one in set(there.said())) == [0, 1, 2, 3]


@pytest.mark.parametrize("how", ["killed", "replaced", "paused", "away", "refused"])
@in_moved_time
async def test_no_press_is_lost_and_none_is_another_alarm_when_a_worker_is(how: str) -> None:
    there = Country()
    worker = await there.a.start()
    there.press()
    await until(lambda: len(there.said()) == 1)
    match how:
        case "killed":
            await worker.kill()
            there.press()
            await there.a.start()
        case "replaced":
            there.press()
            await worker.replaced()
        case "paused":
            there.press()
            await worker.pause(30.0)
        case "away":
            there.log.away = True
            there.press()
            await asyncio.sleep(60.0)
            there.log.away = False
        case "refused":
            there.log.refuses = ProducerFenced()
            there.press()
            await until(lambda: worker.ended is not None)
            there.log.refuses = None
            await there.a.start()
    there.press()
    await until(lambda: len(set(there.said())) == 3)
    said = [json.loads(one) for one in set(there.said())]
    assert len({one["id"] for one in said}) == 1
    assert sorted(one["number"] for one in said) == [0, 1, 2]


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize(("before", "after"), GROWTHS)
@in_moved_time
async def test_a_press_before_and_one_after_are_one_alarm(
    before: int, after: int, runs: bool
) -> None:
    there = Country(before)
    worker = await there.a.start()
    first = there.press(partition=home(SCHOOL, before))
    await until(lambda: len(there.said()) == 1)
    if not runs:
        await worker.terminate()
    there.log.grow(after, [PANICS.name])
    again = there.log.rows_of(PANICS.name)[0]
    if not runs:
        await there.a.start()
    there.log.append(PANICS.name, SCHOOL, again.value, after - 1)  # sent once more
    there.press(partition=after - 1)
    there.send("panic.cancelled", SCHOOL, after - 1, press=first)
    await until(lambda: len(set(there.said())) == 3)
    said = [json.loads(one) for one in set(there.said())]
    assert len({one["id"] for one in said}) == 1
    assert sorted((one["number"], one["count"]) for one in said) == [(0, 1), (1, 2), (2, 2)]


@in_moved_time
async def test_a_press_long_after_is_another_alarm() -> None:
    there = Country()
    await there.a.start()
    there.press()
    await asyncio.sleep(ALARM_LASTS_MS / 1000 + 1)
    there.press()
    await until(lambda: len(there.said()) == 2)
    assert len({json.loads(one)["id"] for one in there.said()}) == 2
