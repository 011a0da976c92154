"""Which partitions are delivered, and what becomes of a batch when the transport stops."""

import asyncio

import pytest
from faust.types import TP

from streams.transport import Abandoned, Batch
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker


async def test_an_added_partition_is_found_and_read_from_its_beginning(cluster: Cluster) -> None:
    topic = await cluster.topic()
    got: list[bytes] = []

    async def handle(batch: Batch) -> None:
        got.extend(record.value for record in batch.records)
        await batch.commit()

    async with cluster.running([topic], handle) as consumer:
        await cluster.produce(topic, [b"old"])
        await eventually(lambda: got == [b"old"])
        await cluster.add_partitions(topic, 2)
        await cluster.produce(topic, [b"new"], partition=1)
        await eventually(lambda: got == [b"old", b"new"])
        assert set(consumer.metrics.progress) == {TP(topic, 0), TP(topic, 1)}


async def test_co_read_topics_are_assigned_together(cluster: Cluster) -> None:
    topics = [await cluster.topic(partitions=3) for _ in range(2)]

    async def handle(batch: Batch) -> None:
        batch.done()

    async with (
        cluster.running(topics, handle, group="together") as one,
        cluster.running(topics, handle, group="together") as two,
    ):
        await eventually(lambda: {len(c.metrics.progress) for c in (one, two)} == {2, 4})
        for consumer in (one, two):
            by_topic = [
                {tp.partition for tp in consumer.metrics.progress if tp.topic == topic}
                for topic in topics
            ]
            assert by_topic[0] == by_topic[1]


async def test_a_paused_partition_is_not_delivered_until_resumed(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=2)
    got: list[int] = []

    async def handle(batch: Batch) -> None:
        got.append(batch.tp.partition)
        await batch.commit()

    async with cluster.running([topic], handle) as consumer:
        await eventually(lambda: consumer.is_active(TP(topic, 0)))
        consumer.pause_partitions({TP(topic, 0)})
        await cluster.produce(topic, [b"x"], 0)
        await cluster.produce(topic, [b"x"], 1)
        await eventually(lambda: got == [1])
        consumer.resume_partitions({TP(topic, 0)})
        await eventually(lambda: got == [1, 0])


async def test_stopping_lets_the_batch_in_flight_finish_and_leaves_the_group(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)
    taken, stopping = asyncio.Event(), asyncio.Event()

    async def handle(batch: Batch) -> None:
        taken.set()
        await stopping.wait()
        await batch.commit("finished")

    async with cluster.running([topic], handle, group="stops"):
        await asyncio.wait_for(taken.wait(), 60)
        asyncio.get_running_loop().call_later(0.2, stopping.set)  # when it is being stopped
    committed = await cluster.committed("stops")
    assert [(at.offset, at.metadata) for at in committed.values()] == [(3, "finished")]
    [description] = await cluster.admin.describe_consumer_groups(["stops"])
    assert "Empty" in str(description)


async def test_stopping_abandons_what_hangs(cluster: Cluster) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)
    late: list[object] = []
    taken: list[Batch] = []

    async def handle(batch: Batch) -> None:
        taken.append(batch)
        await batch.abandoned.wait()
        try:
            await batch.commit()
        except Abandoned:
            late.append("abandoned")

    async with cluster.running([topic], handle, group="hangs-at-stop") as consumer:
        consumer.grace_s = 0.3
        await eventually(lambda: bool(taken))
    assert late == ["abandoned"]
    assert await cluster.committed("hangs-at-stop") == {}
