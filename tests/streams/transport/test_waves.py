"""A topic that is gathered: one wave of all its partitions, then a rest, unless we are behind."""

import pytest

from streams.transport import Batch
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker

FOR_EVER_S = 3_600.0


async def test_what_comes_after_a_batch_waits_and_other_topics_do_not(cluster: Cluster) -> None:
    gathered, urgent = await cluster.topic(partitions=2), await cluster.topic()
    got: dict[str, int] = {gathered: 0, urgent: 0}

    async def handle(batch: Batch) -> None:
        got[batch.tp.topic] += len(batch)
        batch.done()

    rests = {gathered: FOR_EVER_S}
    async with cluster.running([gathered, urgent], handle, gather_s=rests):
        await cluster.produce(gathered, [b"first"], 0)
        await eventually(lambda: got[gathered] == 1)
        await cluster.produce(gathered, [b"x"], 0)
        await cluster.produce(gathered, [b"x"], 1)  # of one that had no batch: all rest together
        for n in range(1, 4):
            await cluster.produce(urgent, [b"y"])
            await eventually(lambda n=n: got[urgent] == n)  # type: ignore[misc]
    assert got[gathered] == 1


async def test_the_next_wave_brings_what_has_come_to_all_partitions(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=3)
    got = {0: 0, 1: 0, 2: 0}

    async def handle(batch: Batch) -> None:
        got[batch.tp.partition] += len(batch)
        batch.done()

    async with cluster.running([topic], handle, gather_s={topic: 0.3}):
        for n in range(1, 4):
            for partition in got:
                await cluster.produce(topic, [b"x"] * 5, partition)
            await eventually(lambda n=n: set(got.values()) == {5 * n})  # type: ignore[misc]


async def test_who_is_behind_does_not_rest(cluster: Cluster) -> None:
    topic = await cluster.topic()
    count = 0

    async def handle(batch: Batch) -> None:
        nonlocal count
        count += len(batch)
        batch.done()

    await cluster.produce(topic, [b"x"] * 100)
    async with cluster.running([topic], handle, max_records=10, gather_s={topic: FOR_EVER_S}):
        await eventually(lambda: count == 100)


async def test_a_rest_does_not_outlast_an_assignment(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=2)
    got: list[bytes | None] = []

    async def handle(batch: Batch) -> None:
        got.extend(record.value for record in batch.records)
        await batch.commit()

    await cluster.produce(topic, [b"1"], 0)
    rests = {topic: FOR_EVER_S}
    async with cluster.running([topic], handle, group="rests", gather_s=rests):
        await eventually(lambda: got == [b"1"])
        await cluster.produce(topic, [b"2"], 0)
        await cluster.produce(topic, [b"3"], 1)
        async with cluster.running([topic], handle, group="rests", gather_s=rests):
            await eventually(lambda: sorted(map(bytes, filter(None, got))) == [b"1", b"2", b"3"])
