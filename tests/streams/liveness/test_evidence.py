"""Whether silence is ours: a liveness worker, a real broker and a canary that goes missing."""

import asyncio

import pytest

from schemas.topics import ALERTS
from tests.streams.liveness.test_worker import (
    TIMEOUT_S,
    accused,
    country,
    found,
    name_the_worker,
)
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane

pytestmark = pytest.mark.broker


async def test_a_mass_silence_with_its_canary_is_ours_and_a_successor_ends_the_alert(
    lane: Lane,
) -> None:
    """In a file, and so with a broker, of its own: what others leave behind would not be a mass fall."""
    name_the_worker(lane)
    # All of one partition, so that nobody else's canary speaks for them.
    schools = [f"KZ-24-{4 * number + 1:05}" for number in range(15)]
    there_and_canary = [*schools, "KZ-00-90001"]
    elsewhere = "KZ-24-00002"  # it shows that the worker judges
    async with (
        lane.heard(ALERTS.name) as heard,
        country(lane, "24", [*there_and_canary, elsewhere]) as there,
    ):
        worker = await lane.start("liveness")
        await asyncio.sleep(TIMEOUT_S)
        await found(lane, heard, there, elsewhere, 40)
        there.silent.update(there_and_canary)
        impaired = "monitoring_impaired"
        await eventually(lambda: bool(heard.of(kind=impaired, action="opened")), 20)
        [opened] = heard.of(kind=impaired, action="opened")
        worker.kill()
        await lane.start("liveness")
        await asyncio.sleep(2 * TIMEOUT_S)
        there.silent.clear()
        await eventually(lambda: bool(heard.of(kind=impaired, action="resolved")), 40)
        [resolved] = heard.of(kind=impaired, action="resolved")
        assert resolved["id"] == opened["id"]
        assert accused(heard, there) == {elsewhere}
