"""Two panic workers against a real broker."""

import asyncio
import json
import random
import time

import pytest

from schemas.topics import ALERTS, PANICS
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Heard, Lane, uuid7

SESSION_S = 10.0
"""A group of two would stand still for so long when one of them is killed (streams.transport.app)."""

pytestmark = pytest.mark.broker


def press(school: str) -> tuple[str, bytes]:
    id_ = uuid7()
    fields: dict[str, object] = {
        "id": id_,
        "type": "panic.pressed",
        "school": school,
        "device": "button-1",
    }
    fields |= {"time_ms": int(time.time() * 1000), "boot": 1, "seq": 1, "v": 1}
    return id_, json.dumps(fields).encode()


def raised(heard: Heard, id_: str) -> list[float]:
    return [at for at, notice in heard.notices if notice["event"] == id_]


async def both_are_up(lane: Lane, heard: Heard) -> None:
    """Each has raised a press of its own time: a press is said once by each."""
    id_, value = press("KZ-99-00000")
    await lane.send(PANICS.name, "KZ-99-00000", value)
    await eventually(lambda: len(raised(heard, id_)) == 2)


async def test_presses_wait_for_no_session_though_a_worker_is_killed(lane: Lane) -> None:
    async with lane.heard(ALERTS.name) as heard:
        first = await lane.start("panic", "--replica", "a")
        await lane.start("panic", "--replica", "b")
        await both_are_up(lane, heard)
        pressed: dict[str, float] = {}
        rng = random.Random(1)
        for number in range(150):
            if number == 75:
                first.kill()
            id_, value = press(f"KZ-10-{number:05}")
            pressed[id_] = time.monotonic()
            await lane.send(PANICS.name, f"KZ-10-{number:05}", value)
            await asyncio.sleep(rng.uniform(0, 0.05))
        await eventually(lambda: all(raised(heard, id_) for id_ in pressed))
        delays_s = sorted(min(raised(heard, id_)) - at_s for id_, at_s in pressed.items())
        print(f"p50 {delays_s[75] * 1000:.0f} ms, p99 {delays_s[148] * 1000:.0f} ms")
        # How fast is measured by `loadtest panic`.
        assert delays_s[148] < SESSION_S
