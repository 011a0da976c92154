"""What deciding lanes share: where a group has come, and small topics read on through a broker's absence."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.topics import ALERTS
from streams.deciding import Following, handled_ms
from streams.transport import Committed
from tests.streams.transport.broker import Broker, started
from tests.streams.transport.cluster import eventually
from tests.streams.workers import PARTITIONS, Lane, settings_for


@pytest.mark.parametrize(
    ("metadata", "expected"), [("", 7), ("1790", 1790), ("1790 22", 1790), ("none", 7), ("-3", 7)]
)
def test_commits_say_in_their_first_word_how_far_the_group_has_spoken(
    metadata: str, expected: int
) -> None:
    assert handled_ms(Committed(5, metadata), 7) == expected


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.mark.broker
async def test_each_record_is_taken_once_also_when_the_broker_goes_and_comes(
    broker: Broker, tmp_path: Any
) -> None:
    taken: list[bytes] = []
    async with Lane(settings_for(broker, tmp_path)) as lane:
        following = Following(lane.kafka)
        following.begin(
            ALERTS.name, dict.fromkeys(range(PARTITIONS), 0), lambda r: taken.append(r.value)
        )
        try:
            await lane.send(ALERTS.name, "KZ-75-00001", b"before")
            await eventually(lambda: taken == [b"before"], 30)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            await lane.send(ALERTS.name, "KZ-75-00001", b"after")
            await eventually(lambda: taken == [b"before", b"after"], 60)
        finally:
            await following.stop()
