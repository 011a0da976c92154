"""What operators close reaches the gateway, from a real broker."""

import asyncio
from pathlib import Path

import pytest

from schemas.steps import StepTaken, Took
from schemas.topics import STEPS
from streams.gateway.closes import follow_closes
from tests.streams.gateway.parts import SCHOOL, until
from tests.streams.transport.broker import Broker
from tests.streams.workers import Lane, settings_for, uuid7

pytestmark = pytest.mark.broker


async def test_only_a_close_is_one(lane_broker: Broker, tmp_path: Path) -> None:
    async with Lane(settings_for(lane_broker, tmp_path)) as lane:
        closed: list[str] = []
        following = asyncio.create_task(follow_closes(lane.kafka, closed.append))
        await lane.send(STEPS.name, SCHOOL, b"\xff no step")
        for alert, took in (("a", Took.ACKNOWLEDGED), ("b", Took.CLOSED), ("c", Took.CLOSED)):
            step = StepTaken(
                id=uuid7(), alert=alert, school=SCHOOL, took=took, actor="op-1", time_ms=1
            )
            await lane.send(STEPS.name, SCHOOL, step.model_dump_json().encode())
        await until(lambda: closed == ["b", "c"])
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
