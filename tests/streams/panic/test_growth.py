"""More partitions while a panic is open: what comes next in another partition is of the same alarm.

In test_shell.py by other numbers, and with a worker that does not run meanwhile.
"""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.topics import PANICS
from tests.streams.growing import alerts, grow, home, movers, until
from tests.streams.panic.test_worker import press
from tests.streams.transport.broker import Broker
from tests.streams.workers import PARTITIONS, Lane, settings_for, uuid7

pytestmark = pytest.mark.broker

AFTER = 2 * PARTITIONS
[SCHOOL] = movers("40", PARTITIONS, AFTER, 1)


@pytest.fixture
async def lane(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(settings_for(lane_broker, tmp_path)) as lane:
        yield lane


def cancel(school: str, pressed: str) -> bytes:
    fields: dict[str, object] = {"type": "panic.cancelled", "school": school, "press": pressed}
    fields |= {"id": uuid7(), "device": "button-1", "time_ms": int(time.time() * 1000)}
    return json.dumps(fields | {"boot": 1, "seq": 2, "v": 1}).encode()


async def test_a_press_before_and_one_after_are_one_alarm(lane: Lane) -> None:
    school = SCHOOL

    async def sends(value: bytes, partitions: int) -> None:
        at = home(school, partitions)
        key = school.encode()
        await lane.producer.send_and_wait(PANICS.name, value, key=key, partition=at)

    async def are_said(count: int) -> None:
        async def is_so() -> bool:
            return len(await alerts(lane, [school])) == count

        await until(is_so, 90.0)

    await lane.start("panic", "--replica", "a")
    first, value = press(school)
    await sends(value, PARTITIONS)
    await are_said(1)
    count = len((await lane.producer.partitions_for(PANICS.name)) or ())
    after = max(count, AFTER) + 4 * (count >= AFTER)
    await grow(lane, after)
    await sends(value, AFTER)  # sent once more
    await sends(press(school)[1], AFTER)
    await sends(cancel(school, first), AFTER)
    await are_said(3)
    said = await alerts(lane, [school])
    assert len({one["id"] for one in said}) == 1
    assert sorted((one["number"], one["count"]) for one in said) == [(0, 1), (1, 2), (2, 2)]
