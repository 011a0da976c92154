"""Small topics that are read on through a broker's absence."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.topics import ALERTS
from streams.beside import Following, KafkaTopics
from tests.streams.transport.broker import Broker, started
from tests.streams.transport.cluster import eventually
from tests.streams.workers import PARTITIONS, Lane, settings_for


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    yield from started(tmp_path_factory)


@pytest.mark.broker
async def test_each_record_is_taken_once_also_when_the_broker_goes_and_comes(
    broker: Broker, tmp_path: Any
) -> None:
    taken: list[bytes] = []
    async with Lane(settings_for(broker, tmp_path)) as lane:
        topics = KafkaTopics(lane.kafka)
        following = Following(topics)
        following.begin(
            ALERTS.name, dict.fromkeys(range(PARTITIONS), 0), lambda r: taken.append(r.value)
        )
        try:
            await lane.send(ALERTS.name, "KZ-75-00001", b"before")
            await eventually(lambda: taken == [b"before"])
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            await lane.send(ALERTS.name, "KZ-75-00001", b"after")
            await eventually(lambda: taken == [b"before", b"after"], 60)
        finally:
            await following.stop()
            await topics.stop()
