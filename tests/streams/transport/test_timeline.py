"""A topic that is deleted and made anew, an election, and a start that fails: on a real broker."""

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka.admin import NewTopic
from faust.types import TP

from streams.transport import Batch, Committed, Timeline
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker


async def made_anew(cluster: Cluster, topic: str) -> None:
    await cluster.admin.delete_topics([topic])
    async with asyncio.timeout(60):
        while topic in await cluster.admin.list_topics():
            await asyncio.sleep(0.05)
    await cluster.admin.create_topics([NewTopic(topic, 1, 1)])


async def test_a_topic_made_anew_starts_its_partition_again_though_nothing_comes_from_it(
    cluster: Cluster,
) -> None:
    """Our position is the end of the new log: only its id tells."""
    topic = await cluster.topic()
    tp = TP(topic, 0)
    await cluster.produce(topic, [b"old"] * 3)
    seen: list[bytes] = []
    logs: list[Timeline] = []

    async def assigned(committed: Mapping[TP, Committed]) -> dict[TP, int]:
        state = await app.consumer.log_state(tp)
        logs.append(state.timeline)
        at = committed[tp].offset
        same = committed[tp].metadata == state.timeline.topic_id
        return {tp: at if at is not None and same else state.begin}

    async def handle(batch: Batch) -> None:
        seen.extend(record.value for record in batch.records)
        await batch.commit(logs[-1].topic_id)

    app = cluster.app("anew", [topic], handle, on_assigned=assigned, apart=True)
    await app.start()
    try:
        await eventually(lambda: seen == [b"old"] * 3)
        await made_anew(cluster, topic)
        await cluster.produce(topic, [b"new"] * 3)
        await eventually(lambda: seen[3:] == [b"new"] * 3)
    finally:
        await app.stop()
    assert len(logs[0].topic_id) == 32
    assert logs[-1].is_other_topic_than(logs[0].topic_id)


async def test_a_partition_whose_start_fails_does_not_hold_the_others(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=2)
    for partition in (0, 1):
        await cluster.produce(topic, [b"x"], partition)
    seen: list[int] = []
    tried: list[int] = []

    async def assigned(committed: Mapping[TP, Committed]) -> None:
        [tp] = committed
        tried.append(tp.partition)
        if tp.partition == 1:
            raise OSError("its pending block can't be read")

    async def handle(batch: Batch) -> None:
        seen.append(batch.tp.partition)
        await batch.commit()

    async with cluster.running([topic], handle, on_assigned=assigned, apart=True):
        await eventually(lambda: seen == [0] and tried.count(1) >= 2)
