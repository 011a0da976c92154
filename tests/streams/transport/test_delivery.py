"""What an agent gets, and what its acknowledgements do, on a real broker."""

import asyncio
import time
from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.transport import Batch, Committed, RangeUnavailable
from streams.transport.consumer import RETRY_AFTER_S
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker


async def test_it_delivers_every_record_in_order_and_commits_behind_the_last(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic(partitions=2)
    for partition in (0, 1):
        await cluster.produce(topic, [b"%d" % n for n in range(1000)], partition)
    got: dict[int, list[bytes]] = {0: [], 1: []}
    sizes = []

    async def handle(batch: Batch) -> None:
        got[batch.tp.partition] += [record.value for record in batch.records]
        sizes.append(len(batch))
        await batch.commit()

    async with cluster.running([topic], handle, group="in-order", max_records=300):
        await eventually(lambda: sum(map(len, got.values())) == 2000)
    assert got == {partition: [b"%d" % n for n in range(1000)] for partition in (0, 1)}
    assert max(sizes) <= 300
    committed = await cluster.committed("in-order")
    assert {tp.partition: offset.offset for tp, offset in committed.items()} == {0: 1000, 1: 1000}


async def test_it_has_at_most_one_batch_of_a_partition_out(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=2)
    at_work: dict[int, int] = {0: 0, 1: 0}
    most_at_once = 0
    most_in_all = 0
    count = 0

    async def handle(batch: Batch) -> None:
        nonlocal most_at_once, most_in_all, count
        at_work[batch.tp.partition] += 1
        most_at_once = max(most_at_once, *at_work.values())
        most_in_all = max(most_in_all, sum(at_work.values()))
        await asyncio.sleep(0.002)  # so that others would be handed out meanwhile
        at_work[batch.tp.partition] -= 1
        count += len(batch)
        batch.done()

    for partition in (0, 1):
        await cluster.produce(topic, [b"x"] * 500, partition)
    async with cluster.running([topic], handle, max_records=10):
        await eventually(lambda: count == 1000)
    assert most_at_once == 1
    assert most_in_all == 2


async def test_it_serves_other_partitions_while_an_insert_hangs(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=3)
    counts = {0: 0, 1: 0, 2: 0}
    hang = asyncio.Event()

    async def handle(batch: Batch) -> None:
        if batch.tp.partition == 0:
            await hang.wait()
        counts[batch.tp.partition] += len(batch)
        await batch.commit()

    async with cluster.running([topic], handle, max_records=50, concurrency=2) as consumer:
        await cluster.produce(topic, [b"x"] * 500, 0)
        await eventually(lambda: consumer.metrics.in_flight == 1)
        for n in range(1, 21):
            for partition in (1, 2):
                await cluster.produce(topic, [b"y"], partition)
            await eventually(lambda n=n: counts[1] == counts[2] == n)  # type: ignore[misc]
        assert counts[0] == 0
        since = consumer.metrics.progress[TP(topic, 0)].in_flight_since_s
        assert since is not None
        assert since < time.time()
        hang.set()
        await eventually(lambda: counts[0] == 500)


async def test_an_empty_poll_delivers_nothing_and_is_known_as_caught_up(cluster: Cluster) -> None:
    topic = await cluster.topic()
    calls = 0

    async def handle(batch: Batch) -> None:
        nonlocal calls
        calls += 1

    started_s = time.time()
    async with cluster.running([topic], handle) as consumer:
        await eventually(lambda: TP(topic, 0) in consumer.metrics.progress)
        now = consumer.metrics.progress[TP(topic, 0)]
        await eventually(lambda: now.caught_up_at_s is not None)
        assert now.caught_up_at_s is not None
        assert started_s < now.caught_up_at_s <= time.time()
        assert (now.lag, now.handled_timestamp_ms) == (0, None)
    assert calls == 0


async def test_it_is_not_caught_up_before_the_agent_has_finished(cluster: Cluster) -> None:
    topic = await cluster.topic()
    go_on = asyncio.Event()

    async def handle(batch: Batch) -> None:
        await go_on.wait()
        await batch.commit()

    await cluster.produce(topic, [b"x"] * 7)
    async with cluster.running([topic], handle) as consumer:
        await eventually(lambda: consumer.metrics.in_flight == 1)
        progress = consumer.metrics.progress[TP(topic, 0)]
        await eventually(lambda: progress.end_offset == 7)
        assert (progress.caught_up_at_s, progress.lag) == (None, 7)
        go_on.set()
        await eventually(lambda: progress.caught_up_at_s is not None)
        assert progress.lag == 0
        assert progress.handled_timestamp_ms is not None


async def test_a_raising_agent_commits_nothing_and_gets_the_same_records_again(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    began_s = time.time()
    await cluster.produce(topic, [b"a", b"b"])
    tries: list[tuple[int, int, list[bytes]]] = []

    async def handle(batch: Batch) -> None:
        values = [record.value for record in batch.records]
        tries.append((batch.first_offset, batch.next_offset, values))
        if len(tries) < 2:
            raise RuntimeError("no")
        await batch.commit()

    async with cluster.running([topic], handle, group="raises") as consumer:
        await eventually(lambda: len(tries) == 1)
        await cluster.produce(topic, [b"later"])
        assert await cluster.committed("raises") == {}
        await eventually(lambda: len(tries) == 3)
        assert tries[0] == tries[1] == (0, 2, [b"a", b"b"])
        assert tries[2] == (2, 3, [b"later"])
        assert consumer.metrics.retries == 1
        took_s = time.time() - began_s
        await eventually(lambda: consumer.metrics.latency.quantile_s(1.0, time.time()) is not None)
        slowest_s = consumer.metrics.latency.quantile_s(1.0, time.time())
        assert slowest_s is not None and RETRY_AFTER_S < slowest_s < 1.25 * took_s + 1


async def test_an_agent_that_raises_outside_of_the_block_gets_its_batch_again(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"a"])
    seen = []

    async def careless(stream: object) -> None:
        async for batch in stream:  # type: ignore[attr-defined]
            seen.append(batch)
            if len(seen) == 1:
                raise RuntimeError("no")
            await batch.commit()

    async def unused(batch: Batch) -> None: ...

    app = cluster.app("careless", [topic], unused)
    app.agents["agent"].fun = careless
    await app.start()
    try:
        await eventually(lambda: len(seen) == 2)
        assert seen[0].records == seen[1].records
    finally:
        await app.stop()


async def test_metadata_comes_back_as_committed(cluster: Cluster) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 5)
    done = asyncio.Event()
    seen: dict[str, Committed] = {}

    async def handle(batch: Batch) -> None:
        consumer = batch.owner
        await consumer.commit_at(batch.tp, batch.first_offset, '{"last": 4}', batch.generation)
        seen["pending"] = (await app.consumer.committed([batch.tp]))[batch.tp]
        await batch.commit('{"stored": true}')
        seen["stored"] = (await app.consumer.committed([batch.tp]))[batch.tp]
        done.set()

    app = cluster.app("metadata", [topic], handle)
    await app.start()
    try:
        await asyncio.wait_for(done.wait(), 60)
        unknown = await app.consumer.committed([TP(topic, 7)])
    finally:
        await app.stop()
    assert seen == {
        "pending": Committed(0, '{"last": 4}'),
        "stored": Committed(5, '{"stored": true}'),
    }
    assert unknown == {TP(topic, 7): Committed(None)}
    assert (await cluster.committed("metadata"))[TopicPartition(topic, 0)].metadata == (
        '{"stored": true}'
    )


async def test_metadata_beyond_the_brokers_limit_is_an_error_of_that_partition_only(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic(partitions=2)
    errors: list[BaseException | None] = []

    async def handle(batch: Batch) -> None:
        try:
            await batch.commit("x" * 5000 if batch.tp.partition == 0 else "fine")
            errors.append(None)
        except KafkaError as exc:
            errors.append(exc)

    for partition in (0, 1):
        await cluster.produce(topic, [b"x"], partition)
    async with cluster.running([topic], handle, group="too-large"):
        await eventually(lambda: len(errors) == 2)
    assert sorted(type(error).__name__ for error in errors) == [
        "NoneType",
        "OffsetMetadataTooLargeError",
    ]
    assert [tp.partition for tp in await cluster.committed("too-large")] == [1]


async def test_the_hook_sees_what_is_committed_before_the_first_batch_and_says_where_to_start(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic(partitions=2)
    for partition in (0, 1):
        await cluster.produce(topic, [b"%d" % n for n in range(10)], partition)
    log: list[object] = []

    async def handle(batch: Batch) -> None:
        log.append((batch.tp.partition, [record.offset for record in batch.records]))
        await batch.commit("m")

    async def on_assigned(committed: Mapping[TP, Committed]) -> dict[TP, int]:
        log.append({tp.partition: at for tp, at in committed.items()})
        return {TP(topic, 0): 8}

    async with cluster.running([topic], handle, group="hook"):
        await eventually(lambda: len(log) == 2)
    log.clear()
    async with cluster.running([topic], handle, group="hook", on_assigned=on_assigned):
        await eventually(lambda: len(log) == 2)
    assert log == [{0: Committed(10, "m"), 1: Committed(10, "m")}, (0, [8, 9])]


async def test_the_hook_may_commit_and_read_and_is_called_again_when_it_raises(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"%d" % n for n in range(10)])
    tp = TP(topic, 0)
    calls = 0
    got: list[int] = []
    pending: list[bytes] = []

    async def handle(batch: Batch) -> None:
        got.extend(record.offset for record in batch.records)
        await batch.commit()

    async def finish_pending(committed: Mapping[TP, Committed]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("the database is down")
        consumer = app.consumer
        pending.extend(record.value for record in await consumer.read_range(tp, 2, 5))
        await consumer.commit_at(tp, 6, "", consumer.generation)

    app = cluster.app("pending", [topic], handle, on_assigned=finish_pending)
    await app.start()
    try:
        await eventually(lambda: len(got) == 4)
    finally:
        await app.stop()
    assert (calls, pending, got) == (2, [b"2", b"3", b"4", b"5"], [6, 7, 8, 9])


async def test_the_producer_of_the_app_sends_over_the_same_transport(cluster: Cluster) -> None:
    source, target = await cluster.topic(), await cluster.topic()
    await cluster.produce(source, [b"in"])
    got: list[tuple[str, bytes, bytes]] = []

    async def handle(batch: Batch) -> None:
        if batch.tp.topic == source:
            await app.producer.send_and_wait(
                target, b"school", b"out", partition=None, timestamp=None, headers=None
            )
        got.extend((batch.tp.topic, record.key, record.value) for record in batch.records)
        await batch.commit()

    app = cluster.app("forwards", [source, target], handle)
    await app.start()
    try:
        await eventually(lambda: len(got) == 2)
    finally:
        await app.stop()
    assert sorted(got) == sorted([(source, None, b"in"), (target, b"school", b"out")])


async def test_a_range_that_is_not_there_is_refused_in_time(cluster: Cluster) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)

    async def handle(batch: Batch) -> None:
        batch.done()

    async with cluster.running([topic], handle) as consumer:
        with pytest.raises(RangeUnavailable, match="weren't read in"):
            await consumer.read_range(TP(topic, 0), 1, 5, timeout_s=0.5)
        with pytest.raises(RangeUnavailable, match="doesn't exist"):
            await consumer.read_range(TP(topic, 0), 50, 60, timeout_s=60)


async def test_transaction_markers_are_gaps_and_a_trailing_one_is_read_past(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    transactions = AIOKafkaProducer(
        **cluster.kafka.aiokafka_kwargs(), transactional_id=f"tests-{topic}"
    )
    await transactions.start()
    for _ in range(3):
        async with transactions.transaction():
            for n in range(2):
                await transactions.send(topic, b"%d" % n, partition=0)
    await transactions.stop()
    spans = []

    async def handle(batch: Batch) -> None:
        spans.append((batch.first_offset, batch.next_offset))
        await batch.commit()

    async with cluster.running([topic], handle) as consumer:
        # Offsets 2, 5 and 8 are markers.
        records = await consumer.read_range(TP(topic, 0), 1, 8)
        assert [record.offset for record in records] == [1, 3, 4, 6, 7]
        assert [r.offset for r in await consumer.read_range(TP(topic, 0), 5, 5)] == []
        progress = consumer.metrics.progress[TP(topic, 0)]
        await eventually(lambda: progress.caught_up_at_s is not None)
        assert progress.handled_offset == progress.end_offset == 9
    assert spans[0][0] == 0
    assert spans[-1][1] == 9


async def test_gaps_of_a_compacted_topic_are_covered(cluster: Cluster) -> None:
    topic = await cluster.topic(
        cleanup_policy="compact", segment_ms="50", min_cleanable_dirty_ratio="0.01"
    )
    for n in range(6):
        await cluster.produce(topic, [b"%d" % n], key=b"same")
        await asyncio.sleep(0.06)  # so that the next record rolls the segment
    await cluster.produce(topic, [b"last"], key=b"other")
    batches: list[Batch] = []

    async def handle(batch: Batch) -> None:
        batches.append(batch)
        await batch.commit()

    async def offsets() -> tuple[list[int], list[int]]:
        """Of the records in batches, and then of a range."""
        batches.clear()
        async with cluster.running([topic], handle) as consumer:
            await eventually(lambda: bool(batches) and batches[-1].next_offset == 7)
            ranged = await consumer.read_range(TP(topic, 0), 0, 6)
        in_batches = [record.offset for batch in batches for record in batch.records]
        return in_batches, [record.offset for record in ranged]

    async with asyncio.timeout(120):
        while 0 in (both := await offsets())[0]:  # until the broker has begun to compact
            pass
    in_batches, ranged = both
    assert in_batches[-2:] == ranged[-2:] == [5, 6]
    assert set(ranged) <= set(in_batches)
    # Each is covered once, whether there is something or not.
    assert [batch.first_offset for batch in batches] == [
        0,
        *(batch.next_offset for batch in batches[:-1]),
    ]
