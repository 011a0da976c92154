"""More partitions, against a real broker: nobody who moves is accused, and who falls silent is found."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.topics import ALERTS, HEARTBEATS, STATUS
from tests.streams.growing import (
    CO_READ,
    alerts,
    grow,
    home,
    make_anew,
    movers,
    stayers,
    until,
    whole,
)
from tests.streams.liveness.test_worker import heartbeat, wrongly_accused
from tests.streams.transport.broker import Broker, started
from tests.streams.workers import Lane, settings_for

pytestmark = pytest.mark.broker

TIMEOUT_S = 4.0
FOUND_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def growing_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.fixture
async def lane(growing_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    settings = settings_for(growing_broker, tmp_path)
    kafka = settings.kafka.model_copy(update={"partitions": 2})
    async with Lane(settings.model_copy(update={"kafka": kafka})) as lane:
        yield lane


@pytest.fixture
async def shared_lane(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(settings_for(lane_broker, tmp_path)) as lane:
        yield lane


class Producers:
    """Gateways that beat once a second, each by the number of partitions that it knows of."""

    def __init__(self, lane: Lane, schools: list[str], partitions: int) -> None:
        self.lane = lane
        self.silent: set[str] = set()
        self.knows = dict.fromkeys(schools, partitions)
        self.seq = 0

    async def beat(self) -> None:
        while True:
            self.seq += 1
            await asyncio.gather(*map(self._say, set(self.knows) - self.silent))
            await asyncio.sleep(1.0)

    async def _say(self, school: str) -> None:
        number = home(school, self.knows[school])
        value = heartbeat(school, self.seq)
        send = self.lane.producer.send_and_wait
        await send(HEARTBEATS.name, value, key=school.encode(), partition=number)


@asynccontextmanager
async def beating(lane: Lane, schools: list[str], partitions: int) -> AsyncIterator[Producers]:
    there = Producers(lane, schools, partitions)
    task = asyncio.create_task(there.beat())
    try:
        yield there
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def found(there: Producers, school: str, action: str = "opened") -> None:
    async def is_said() -> bool:
        return bool(await alerts(there.lane, [school], kind="school_offline", action=action))

    if action == "opened":
        there.silent.add(school)
    await until(is_said, FOUND_WITHIN_S)


async def accused(there: Producers) -> set[str]:
    return {alert["school"] for alert in await alerts(there.lane, there.knows)}


async def all_online(there: Producers) -> None:
    async def are() -> bool:
        said = [one for _, one in await whole(there.lane, STATUS.name)]
        online = {one["school"] for one in said if one["status"] == "online" and not one["device"]}
        return set(there.knows) - there.silent <= online

    await until(are, FOUND_WITHIN_S)


async def stop(lane: Lane) -> None:
    for process in lane.processes:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@pytest.mark.faults
async def test_while_topics_differ_nobody_is_judged_and_it_is_said(lane: Lane) -> None:
    before, after = 2, 3
    schools = stayers("32", before, after, 4)
    async with beating(lane, schools, before) as there:
        await lane.start("liveness")
        await all_online(there)
        await grow(lane, after, [STATUS.name])

        async def says(action: str) -> bool:
            said = [one for _, one in await whole(lane, ALERTS.name)]
            of = [s for s in said if s["kind"] == "monitoring_impaired" and s["action"] == action]
            noted = [s for s in said if "saqshy.status 3" in s["note"]]
            return bool(of and noted)

        there.silent.add(schools[0])
        await until(lambda: says("opened"), FOUND_WITHIN_S)
        await asyncio.sleep(TIMEOUT_S)
        assert await accused(there) == set()
        await grow(lane, after, [t for t in CO_READ if t != STATUS.name])
        await until(lambda: says("resolved"), FOUND_WITHIN_S)
        await found(there, schools[0])
        assert await accused(there) == set(schools[:1])


@pytest.mark.faults
@pytest.mark.parametrize(("before", "after"), [(3, 4)])
async def test_who_moved_while_no_worker_ran_is_not_accused(
    lane: Lane, before: int, after: int
) -> None:
    await grow(lane, before)
    schools = movers("30", before, after, 5) + stayers("30", before, after, 2)
    async with beating(lane, schools, before) as there:
        await lane.start("liveness")
        await all_online(there)
        await found(there, schools[0])
        await stop(lane)
        await grow(lane, after)
        there.knows = dict.fromkeys(schools, after)
        await asyncio.sleep(2 * TIMEOUT_S)
        await lane.start("liveness")
        there.silent.discard(schools[0])
        await found(there, schools[0], "resolved")
        await found(there, schools[1])
        await asyncio.sleep(TIMEOUT_S)
        assert await accused(there) == set(schools[:2])
        [opened] = await alerts(lane, schools[:1], kind="school_offline", action="opened")
        [resolved] = await alerts(lane, schools[:1], kind="school_offline", action="resolved")
        assert opened["id"] == resolved["id"]


async def test_who_moves_under_a_running_worker_is_not_accused(shared_lane: Lane) -> None:
    """The others of this file, on a log in memory and with more workers, are in test_shell.py."""
    lane = shared_lane
    before = len((await lane.producer.partitions_for(HEARTBEATS.name)) or ())
    after = before + 4
    schools = movers("31", before, after, 4)
    async with beating(lane, schools, before) as there:
        await lane.start("liveness")
        await all_online(there)
        await grow(lane, after)
        there.knows |= dict.fromkeys(schools[:2], after)
        await found(there, schools[0])
        await found(there, schools[2])
        said = await alerts(lane, schools)
        assert await wrongly_accused(lane.kafka, schools, said) == set(), schools


@pytest.mark.faults
@pytest.mark.parametrize(("before", "after"), [(4, 12)])
async def test_who_moves_under_running_workers_is_not_accused(
    lane: Lane, before: int, after: int
) -> None:
    """Some producers learn of the new partitions at once, some much later, one never."""
    await grow(lane, before)
    schools = movers("31", before, after, 7) + stayers("31", before, after, 2)
    async with beating(lane, schools, before) as there:
        await lane.start("liveness")
        await lane.start("liveness")
        await all_online(there)
        await found(there, schools[0])
        await grow(lane, after)
        there.knows |= dict.fromkeys([*schools[:3], *schools[6:]], after)
        await asyncio.sleep(3 * TIMEOUT_S)
        there.knows |= dict.fromkeys(schools[3:5], after)
        there.silent.discard(schools[0])
        await found(there, schools[0], "resolved")
        await found(there, schools[1])
        await found(there, schools[3])
        await found(there, schools[5])
        await asyncio.sleep(TIMEOUT_S)
        assert await accused(there) == {schools[n] for n in (0, 1, 3, 5)}, schools


@pytest.mark.faults
async def test_topics_made_anew_with_fewer_partitions_are_judged_by_what_they_hold(
    lane: Lane,
) -> None:
    before, after = 12, 2
    await grow(lane, before)
    schools = movers("33", before, after, 5)
    async with beating(lane, schools, before) as there:
        await lane.start("liveness")
        await all_online(there)
        await stop(lane)
    await make_anew(lane, after)
    async with beating(lane, schools, after) as there:
        await lane.start("liveness")
        await all_online(there)
        await found(there, schools[0])
        there.silent.discard(schools[0])
        await found(there, schools[0], "resolved")
        assert await accused(there) == {schools[0]}
