"""The broker is killed and comes back: the worker goes on without hands."""

import asyncio
from pathlib import Path

import pytest

from streams.transport import Batch
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker


async def test_a_killed_broker_that_comes_back_costs_nothing_but_time(
    broker: Broker, tmp_path: Path
) -> None:
    kafka = broker.settings
    got: list[int] = []
    committing = asyncio.Event()

    async def handle(batch: Batch) -> None:
        got.extend(record.offset for record in batch.records)
        if batch.records[-1].value == b"last before":
            await asyncio.to_thread(broker.kill)
            committing.set()
        await batch.commit()

    async with Cluster(kafka, tmp_path) as cluster:
        topic = await cluster.topic()
        async with cluster.running([topic], handle, group="survives") as consumer:
            await cluster.produce(topic, [b"before", b"last before"])
            await asyncio.wait_for(committing.wait(), 60)
            await asyncio.sleep(1)  # in which the commit is tried in vain
            assert consumer.metrics.in_flight == 1
            await asyncio.to_thread(broker.start)
            await eventually(lambda: consumer.metrics.in_flight == 0)
            await cluster.produce(topic, [b"after"])
            await eventually(lambda: got[-1] == 2)
        committed = await cluster.committed("survives")
    assert set(got) == {0, 1, 2}
    assert [at.offset for at in committed.values()] == [3]


async def test_a_worker_stops_within_its_bound_while_the_broker_is_away(
    broker: Broker, tmp_path: Path
) -> None:
    taken = asyncio.Event()

    async def handle(batch: Batch) -> None:
        await asyncio.to_thread(broker.kill)
        taken.set()
        await batch.commit()

    async with Cluster(broker.settings, tmp_path) as cluster:
        topic = await cluster.topic()
        await cluster.produce(topic, [b"x"])
        async with cluster.running([topic], handle) as consumer:
            consumer.grace_s = 0.5
            await asyncio.wait_for(taken.wait(), 60)
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 30  # not for as long as it is away
        assert consumer.metrics.commits == 0
