"""Two dispatch processes: one tells the police, the other knows as much, and is there when it is gone."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from loadtest.simulator.police import Police
from schemas.steps import StepTaken, Took
from schemas.topics import STEPS
from streams.dispatch.leader_lock import LeaderLock
from tests.streams.dispatch.stories import SCHOOL, pressed
from tests.streams.dispatch.test_process import (
    SECRET,
    health,
    now_ms,
    raise_,
    register,
    settled,
    started,
    took,
)
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane, settings_for


async def test_one_has_its_turn_and_the_next_when_it_is_gone(tmp_path: Path) -> None:
    first, second = LeaderLock(tmp_path / "d" / "lock"), LeaderLock(tmp_path / "d" / "lock")
    await first.acquired()
    waiting = asyncio.create_task(second.acquired())
    await asyncio.sleep(0.2)  # that nothing happens takes time to see
    assert (first.ours, second.ours) == (True, False)
    assert first._file is not None
    first._file.close()  # as the kernel does for who dies
    async with asyncio.timeout(60):
        await waiting
    assert second.ours


async def test_without_a_disk_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for lock in [LeaderLock(tmp_path / "taken" / "lock") for _ in range(2)]:
        async with asyncio.timeout(60):
            await lock.acquired()


async def tell(lane: Lane, step: StepTaken) -> dict[str, Any]:
    url = f"http://127.0.0.1:{lane.settings.worker.health_port}/direct"
    headers = {"X-Saqshy-Direct": SECRET}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=step.model_dump_json(), headers=headers) as answer,
    ):
        said: dict[str, Any] = await answer.json()
        return said


async def acts(lane: Lane) -> None:
    """A process is ready, too, before it has asked for the lock."""
    async with asyncio.timeout(60):
        while not (await health(lane.settings) or {}).get("acts"):
            await asyncio.sleep(0.05)


@pytest.mark.broker
async def test_when_the_one_dies_the_other_goes_on_and_nothing_is_said_twice(
    lane_broker: Broker, tmp_path: Path
) -> None:
    police = Police(late_s=1.0)
    address = f"127.0.0.1:{await police.start()}"
    settings = settled(settings_for(lane_broker, tmp_path), tmp_path, address)
    worker = settings.worker.model_copy(update={"health_port": free_port()})
    try:
        async with (
            Lane(settings) as one,
            Lane(settings.model_copy(update={"worker": worker})) as other,
            one.heard(STEPS.name) as heard,
        ):
            await register(one, SCHOOL)
            acting = await started(one)
            await acts(one)
            await started(other)
            states = [await health(lane.settings) for lane in (one, other)]
            assert [state and state["acts"] for state in states] == [True, False]
            before = pressed(at_ms=now_ms(), first=f"before-{now_ms()}")
            await raise_(one, before)
            await eventually(lambda: took(heard, before.id) == ["sent", "delivered"])
            noted = StepTaken(
                id=f"noted-{now_ms()}", alert=before.id, school=SCHOOL, took=Took.NOTED,
                actor="aigerim", time_ms=now_ms(), note="told to who stands by",
            )  # fmt: skip
            assert await tell(other, noted) == {"kept": False}

            acting.kill()
            after = pressed("KZ-75-00077", now_ms(), first=f"after-{now_ms()}")
            await register(one, after.school)
            await raise_(one, after)
            await eventually(lambda: "delivered" in took(heard, after.id))
            state = await health(other.settings)
            assert state is not None and state["acts"]
            await eventually(lambda: bool(heard.of(id=noted.id)))
            # Who comes back stands by.
            await started(one)
            state = await health(one.settings)
            assert state is not None and not state["acts"]
            alarms = [alarm.alert for alarm in police.alarms()]
            assert alarms.count(before.id) == alarms.count(after.id) == 1
    finally:
        await police.stop()
