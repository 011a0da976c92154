"""The arrivals lane on a log in memory, which lets the test say when its passes came."""

import asyncio
from typing import Any

import pytest
from faust.types import TP

from schemas.topics import ALERTS, PASSES, REGISTRY, STATUS
from streams.arrivals.agent import ArrivalsLane
from streams.arrivals.turnstile import RUN
from streams.transport import Committed
from tests.streams.arrivals.world import (
    DAY,
    JUDGED,
    MINUTE,
    RUSH,
    alive,
    arriving,
    days_passes,
    passed,
    registered,
    two_school_days,
)
from tests.streams.memory.group import Group
from tests.streams.memory.log import Log
from tests.streams.memory.time import in_moved_time, until

SCHOOLS = tuple(f"KZ-75-{number:05}" for number in (64, 128, 192, 256))
"""All of one partition, whatever their number."""
QUIET, OTHERS = SCHOOLS[0], SCHOOLS[1:]


class Country:
    """On the last of two school days nobody came to one school, which no worker has judged yet."""

    def __init__(self, partitions: int = 4) -> None:
        self.log = Log(partitions)
        self.group = Group(self.log, ArrivalsLane)
        self.before, self.last = two_school_days(self.log.clock.wall_ms)
        for school in SCHOOLS:
            self.log.append(REGISTRY.name, school, registered(school))
            since_ms = RUSH + self.before * DAY - 60 * MINUTE
            for device in ("", "turnstile-1"):
                self.log.append(STATUS.name, school, alive(school, device, since_ms))
        for record in [
            *days_passes(SCHOOLS, self.before, OTHERS[0]),
            *days_passes(OTHERS, self.last, OTHERS[0]),
        ]:
            assert record.key is not None
            key, at_ms = record.key.decode(), record.timestamp
            self.log.append(PASSES.name, key, record.value, at_ms=at_ms)
        for number in range(partitions):
            handled = Committed(0, f"{RUSH + self.before * DAY} {partitions} 0")
            self.log.committed["arrivals", TP(PASSES.name, number)] = handled

    def live(self, school: str, seq: int, partition: int | None = None, **more: Any) -> None:
        value = passed(school, self.log.clock.wall_ms, seq, **more)
        self.log.append(PASSES.name, school, value, partition)

    def said(self, **fields: object) -> list[tuple[str, str, str, int]]:
        found = self.log.said(ALERTS.name, **fields)
        return [(a["kind"], a["school"], a["action"], a["number"]) for a in found]


MISSED = ("no_passes", QUIET, "opened", 0)
CAME = ("no_passes", QUIET, "resolved", 1)
STUCK = ("stuck_open", OTHERS[1], "opened", 0)
FREED = ("stuck_open", OTHERS[1], "resolved", 1)


@pytest.mark.parametrize("workers", [1, 3])
@in_moved_time
async def test_what_is_useless_is_said_once_though_the_worker_is_killed(workers: int) -> None:
    there = Country()
    started = [await there.group.start() for _ in range(workers)]
    await until(lambda: bool(there.said()))
    assert there.said() == [MISSED]
    [missed] = there.log.said(ALERTS.name)
    assert missed["decided_ms"] == JUDGED + there.last * DAY

    await started[0].kill()
    there.live(QUIET, 10**10)
    await there.group.start()
    await until(lambda: CAME in there.said())
    for n in range(RUN + 3):
        there.live(OTHERS[1], 10**10 + n, card=7)
    await until(lambda: STUCK in there.said())
    there.live(OTHERS[1], 10**11, outcome="unknown_card")
    await until(lambda: FREED in there.said())
    assert there.said() == [MISSED, CAME, STUCK, FREED]
    assert len({a["id"] for a in there.log.said(ALERTS.name, kind="no_passes")}) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 12), (8, 64)])
@in_moved_time
async def test_what_is_open_ends_once_though_its_school_moves(
    before: int, after: int, workers: int
) -> None:
    there = Country(before)
    for _ in range(workers):
        await there.group.start()
    await until(lambda: there.said() == [MISSED])
    there.log.grow(after, [PASSES.name, REGISTRY.name, STATUS.name, ALERTS.name])
    for n in range(10):  # the first may come before its partition is found
        there.live(QUIET, 10**10 + n, partition=after - 1)
        await asyncio.sleep(1.0)
    await until(lambda: CAME in there.said())
    assert there.said() == [MISSED, CAME]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 12), (8, 64)])
@in_moved_time
async def test_who_passes_in_another_partition_now_is_not_missed_in_the_old_one(
    before: int, after: int, workers: int
) -> None:
    there = Country(before)
    there.log.grow(after, [PASSES.name, REGISTRY.name, STATUS.name, ALERTS.name])
    for record in [*arriving((QUIET,), there.last), *days_passes((), there.last, OTHERS[0])]:
        assert record.key is not None
        key, at_ms = record.key.decode(), record.timestamp
        there.log.append(PASSES.name, key, record.value, after - 1, at_ms=at_ms)
    for _ in range(workers):
        await there.group.start()
    await asyncio.sleep(60.0)
    assert there.said() == []
    [restarted] = {await worker.replaced() for worker in there.group.members[:1]}
    await asyncio.sleep(60.0)
    assert there.said() == [] and restarted.ended is None
