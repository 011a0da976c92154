"""The outage lane on a log in memory: what is said when workers or brokers go, or topics grow."""

import asyncio
from typing import Any

import pytest

from schemas.alerts import Status, StatusChanged
from schemas.topics import ALERTS, REGISTRY, STATUS
from streams.outage.agent import OutageLane
from tests.streams.memory.group import Group
from tests.streams.memory.log import Log
from tests.streams.memory.time import in_moved_time, until
from tests.streams.outage.schools import registered

SCHOOLS = [f"KZ-31-{number:05}" for number in range(1, 61)]
GONE = SCHOOLS[:20]
SETTLED_S = 4.0
HELD_S = 30.0
"""Longer than an outage may take to be said, or to be ended."""


class Country:
    def __init__(self, partitions: int = 4) -> None:
        self.log = Log(partitions)
        self.group = Group(self.log, OutageLane)
        for school in SCHOOLS:
            provider = "kt" if school in GONE else "alatau"
            self.log.append(REGISTRY.name, school, registered(school, provider))
        self.say(SCHOOLS, Status.ONLINE)

    def say(self, schools: list[str], status: Status) -> None:
        before = Status.ONLINE if status is Status.OFFLINE else Status.OFFLINE
        now_ms = self.log.clock.wall_ms
        for school in schools:
            said = StatusChanged(
                school=school, status=status, previous=before, since_ms=now_ms, decided_ms=now_ms
            )
            self.log.append(STATUS.name, school, said.model_dump_json().encode())

    def outages(self, **fields: object) -> list[dict[str, Any]]:
        return self.log.said(ALERTS.name, kind="outage", **fields)


@in_moved_time
async def test_one_incident_that_a_killed_worker_does_not_double() -> None:
    there = Country()
    worker = await there.group.start()
    await asyncio.sleep(SETTLED_S)
    there.say([*GONE[:15], SCHOOLS[40]], Status.OFFLINE)
    await until(lambda: bool(there.outages()))
    first = there.outages()[0]
    assert first["action"] == "opened" and set(first["members"]) == set(GONE[:15])
    assert first["scope"].startswith("provider:kt")

    await worker.kill()
    there.say(GONE[15:], Status.OFFLINE)
    await there.group.start()
    there.say(GONE[1:], Status.ONLINE)
    await asyncio.sleep(1)
    there.say(GONE[:1], Status.ONLINE)
    await until(lambda: bool(there.outages(action="resolved")))
    said = there.outages()
    assert {a["id"] for a in said} == {first["id"]}
    assert said[-1]["members"] == [] and len({a["number"] for a in said}) <= 3


@pytest.mark.parametrize("after_s", [0.0, 1.0, 5.0, 13.0, 14.0, 15.0, 16.0])
@in_moved_time
async def test_whenever_it_is_killed_it_says_the_same_as_if_it_was_not(after_s: float) -> None:
    async def course(killed: bool) -> list[tuple[str, int, str, tuple[str, ...]]]:
        there = Country()
        worker = await there.group.start()
        await asyncio.sleep(SETTLED_S)
        there.say(GONE, Status.OFFLINE)
        await asyncio.sleep(after_s)
        if killed:
            await worker.kill()
            await there.group.start()
        await asyncio.sleep(HELD_S)
        there.say(GONE, Status.ONLINE)
        await asyncio.sleep(2 * HELD_S)
        said = [(a["scope"], a["number"], a["action"]) for a in there.outages()]
        await there.group.stop()
        return sorted(set(said))

    assert await course(killed=True) == await course(killed=False)


@in_moved_time
async def test_a_broker_that_was_away_loses_no_end() -> None:
    there = Country()
    await there.group.start()
    await asyncio.sleep(SETTLED_S)
    there.say(GONE, Status.OFFLINE)
    await until(lambda: bool(there.outages(action="opened")))
    there.log.away = True
    await asyncio.sleep(300)
    there.say(GONE, Status.ONLINE)
    there.log.away = False
    await until(lambda: bool(there.outages(action="resolved")))
    assert len({a["id"] for a in there.outages()}) == 1


@pytest.mark.parametrize(("before", "after"), [(1, 3), (4, 12), (8, 64)])
@in_moved_time
async def test_more_partitions_neither_end_nor_double_an_outage(before: int, after: int) -> None:
    there = Country(before)
    await there.group.start()
    await asyncio.sleep(SETTLED_S)
    there.say(GONE, Status.OFFLINE)
    await until(lambda: bool(there.outages(action="opened")))
    there.log.grow(after, [STATUS.name, REGISTRY.name, ALERTS.name])
    await asyncio.sleep(HELD_S)
    assert there.outages(action="resolved") == []
    there.say(GONE, Status.ONLINE)
    await until(lambda: bool(there.outages(action="resolved")))
    assert len({a["id"] for a in there.outages()}) == 1


@in_moved_time
async def test_a_worker_beside_it_says_nothing_and_takes_over() -> None:
    there = Country(1)
    worker = await there.group.start()
    await there.group.start()
    await asyncio.sleep(SETTLED_S)
    there.say(GONE, Status.OFFLINE)
    await until(lambda: bool(there.outages()))
    await worker.terminate()
    await asyncio.sleep(HELD_S)
    there.say(GONE, Status.ONLINE)
    await until(lambda: bool(there.outages(action="resolved")))
    said = [(a["id"], a["number"]) for a in there.outages()]
    assert len(set(said)) == len(said) and len({id_ for id_, _ in said}) == 1
