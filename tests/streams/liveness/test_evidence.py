"""Whether silence is ours: a liveness worker, a real broker and a canary that goes missing."""

import asyncio
from collections.abc import Iterator

import pytest

from schemas.topics import ALERTS
from tests.streams.liveness.test_worker import (
    TIMEOUT_S,
    accused,
    country,
    found,
    name_the_worker,
)
from tests.streams.transport.broker import Broker, started
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane

pytestmark = pytest.mark.broker

SCHOOLS = 40


@pytest.fixture(scope="module")
def lane_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Of its own: among the schools that other tests leave behind, the fall would be no mass fall."""
    yield from started(tmp_path_factory)


async def test_a_mass_silence_with_its_canary_is_ours_and_a_successor_ends_the_alert(
    lane: Lane,
) -> None:
    name_the_worker(lane)
    # All of one partition, so that nobody else's canary speaks for them.
    schools = [f"KZ-24-{4 * number + 1:05}" for number in range(SCHOOLS)]
    there_and_canary = [*schools, "KZ-00-90001"]
    elsewhere = "KZ-24-00002"  # it shows that the worker judges
    async with (
        lane.heard(ALERTS.name) as heard,
        country(lane, "24", [*there_and_canary, elsewhere]) as there,
    ):
        worker = await lane.start("liveness")
        await asyncio.sleep(TIMEOUT_S)
        await found(lane, heard, there, elsewhere, 60)
        there.silent.update(there_and_canary)
        impaired = "monitoring_impaired"
        await eventually(lambda: bool(heard.of(kind=impaired, action="opened")), 60)
        [opened] = heard.of(kind=impaired, action="opened")
        worker.kill()
        await lane.start("liveness")
        await asyncio.sleep(2 * TIMEOUT_S)
        # They return one by one, the canary in their midst: who is yet to come is not accused.
        for school in there_and_canary[1:] + there_and_canary[:1]:
            there.silent.discard(school)
            await asyncio.sleep(0.1)
        await eventually(lambda: bool(heard.of(kind=impaired, action="resolved")), 60)
        [resolved] = heard.of(kind=impaired, action="resolved")
        assert resolved["id"] == opened["id"]
        await found(lane, heard, there, schools[0], 60)
        assert accused(heard, there) == {elsewhere, schools[0]}
