"""Partitions change hands: nothing is lost, and nothing is committed by who no longer owns it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import psutil
import pytest
from faust.types import TP

from streams.transport import Abandoned, Batch, Committed
from tests.streams.transport.cluster import Cluster, eventually

pytestmark = pytest.mark.broker
MEMBERSHIP_S = 6.0
"""Ends sooner than a test that outlives it, and not because a busy machine held one heartbeat back."""


async def test_a_batch_in_flight_finishes_before_its_partition_is_given_away(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)
    taken = asyncio.Event()
    go_on = asyncio.Event()
    got: list[int] = []

    async def handle(batch: Batch) -> None:
        taken.set()
        await go_on.wait()
        await batch.commit()
        got.extend(record.offset for record in batch.records)

    async with cluster.running([topic], handle, group="in-time") as one:
        one.grace_s = 30.0
        await asyncio.wait_for(taken.wait(), 60)
        async with asyncio.TaskGroup() as tasks:
            joining = cluster.app("in-time", [topic], handle)
            tasks.create_task(joining.start())
            await eventually(lambda: one._closing)
            assert await cluster.committed("in-time") == {}
            go_on.set()
        await cluster.produce(topic, [b"y"])
        await eventually(lambda: len(got) == 4)
        assert one.metrics.abandoned == 0
        await joining.stop()
    assert got == [0, 1, 2, 3]


async def test_a_batch_that_hangs_is_abandoned_and_comes_again_only_when_its_agent_is_through(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)
    batches: list[Batch] = []
    at_work: dict[int, int] = {0: 0, 1: 0}
    most = 0
    go_on = asyncio.Event()
    refused = 0

    async def handle(batch: Batch) -> None:
        nonlocal most, refused
        batches.append(batch)
        at_work[batch.tp.partition] += 1
        most = max(most, *at_work.values())
        if batch is batches[0]:
            await go_on.wait()
        try:
            await batch.commit()
        except Abandoned:
            refused += 1
        finally:
            at_work[batch.tp.partition] -= 1

    # An added partition makes the only worker lose everything and get it back.
    async with cluster.running([topic], handle, group="hangs") as consumer:
        consumer.grace_s = 0.3
        await eventually(lambda: len(batches) == 1)
        await cluster.add_partitions(topic, 2)
        await eventually(lambda: batches[0].abandoned.is_set())
        await eventually(lambda: len(consumer.metrics.progress) == 2)
        await cluster.produce(topic, [b"other"], partition=1)
        await eventually(lambda: len(batches) == 2)
        assert batches[1].tp.partition == 1
        assert batches[1].generation > batches[0].generation
        with pytest.raises(Abandoned):
            await consumer.commit_at(batches[0].tp, 3, "", batches[0].generation)
        go_on.set()
        await eventually(lambda: len(batches) == 3)
        await eventually(lambda: consumer.metrics.in_flight == 0)
        assert refused == 1
        assert batches[2].records[0].offset == 0
        assert consumer.metrics.abandoned == 1
    assert most == 1
    committed = await cluster.committed("hangs")
    assert {tp.partition: at.offset for tp, at in committed.items()} == {0: 3, 1: 1}


async def test_a_hung_insert_keeps_the_membership_and_memory_is_bounded(cluster: Cluster) -> None:
    topic = await cluster.topic(partitions=2)
    value = os.urandom(10_000)
    for partition in (0, 1):
        for _ in range(4):
            await cluster.produce(topic, [value] * 1000, partition)  # 80 MB in all
    go_on = asyncio.Event()
    taken: list[Batch] = []
    refused = 0

    async def handle(batch: Batch) -> None:
        nonlocal refused
        taken.append(batch)
        await go_on.wait()
        try:
            await batch.commit()
        except Abandoned:
            refused += 1

    before = psutil.Process().memory_info().rss
    async with cluster.running(
        [topic],
        handle,
        broker_session_timeout=MEMBERSHIP_S,
        broker_max_poll_interval=MEMBERSHIP_S,
        consumer_max_fetch_size=1 << 20,
    ) as consumer:
        await eventually(lambda: len(taken) == 2)
        until = time.monotonic() + 1.2 * MEMBERSHIP_S
        peak = 0
        while time.monotonic() < until:
            peak = max(peak, psutil.Process().memory_info().rss)
            await asyncio.sleep(0.1)
        assert len(taken) == 2
        assert consumer.metrics.progress[TP(topic, 0)].lag == 4000
        go_on.set()
        await eventually(lambda: consumer.metrics.records == 8000)
        assert consumer.metrics.rebalances == 1
    assert refused == 0
    # 2 partitions x (a response of 1 MiB out, one waiting), and what a second app takes.
    assert peak - before < 25_000_000


async def test_a_hook_that_hangs_is_cancelled_on_revocation_and_called_for_the_next_generation(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"])
    calls: list[set[int]] = []
    got: list[int] = []

    async def on_assigned(committed: Mapping[TP, Committed]) -> None:
        calls.append({tp.partition for tp in committed})
        if len(calls) == 1:
            await asyncio.Event().wait()

    async def handle(batch: Batch) -> None:
        got.append(batch.tp.partition)
        await batch.commit()

    async with cluster.running([topic], handle, on_assigned=on_assigned) as consumer:
        consumer.grace_s = 0.3
        await eventually(lambda: calls == [{0}])
        await cluster.add_partitions(topic, 2)
        await eventually(lambda: calls == [{0}, {0, 1}])
        await eventually(lambda: got == [0])


async def test_a_worker_whose_event_loop_is_stuck_leaves_and_comes_back_fenced(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic()
    await cluster.produce(topic, [b"x"] * 3)
    outcomes: list[str] = []

    async def handle(batch: Batch) -> None:
        if not outcomes:
            time.sleep(3)
        try:
            await batch.commit()
            outcomes.append("committed")
        except Abandoned:
            outcomes.append("abandoned")

    async with cluster.running(
        [topic], handle, group="stuck", broker_max_poll_interval=1.5
    ) as consumer:
        await eventually(lambda: "committed" in outcomes)
        assert consumer.metrics.rebalances >= 2
    # On a busy machine it may be stuck once more.
    assert outcomes[0] == "abandoned" and outcomes[1:].count("committed") == 1
    assert [at.offset for at in (await cluster.committed("stuck")).values()] == [3]


async def test_a_static_member_that_comes_back_in_time_causes_no_rebalance(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic(partitions=2)
    got: list[int] = []

    async def handle(batch: Batch) -> None:
        got.append(batch.tp.partition)
        await batch.commit()

    def member(name: str) -> object:
        patient = {"consumer_group_instance_id": name, "broker_session_timeout": 60.0}
        return cluster.running([topic], handle, group="static", **patient)

    async with member("a") as a:  # type: ignore[attr-defined]
        async with member("b") as b:  # type: ignore[attr-defined]
            await eventually(lambda: len(a.metrics.progress) == len(b.metrics.progress) == 1)
            owned = set(b.metrics.progress)
            rebalances = a.metrics.rebalances
        async with member("b") as b:  # type: ignore[attr-defined]
            await eventually(lambda: set(b.metrics.progress) == owned)
            await cluster.produce(topic, [b"x"], partition=0)
            await cluster.produce(topic, [b"x"], partition=1)
            await eventually(lambda: sorted(got) == [0, 1])
            assert a.metrics.rebalances == rebalances


PARTITIONS = 4
SESSION_S = 2.0


class Workers:
    """Worker processes of one group, and what they have stored together."""

    def __init__(self, cluster: Cluster, group: str, topic: str) -> None:
        self._cluster = cluster
        self._order = json.dumps(
            {
                "kafka": cluster.kafka.model_dump(mode="json")
                | {"password": cluster.kafka.secret()},
                "group": group,
                "topic": topic,
                "folder": str(cluster.folder),
                "session_s": SESSION_S,
            }
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.streams.transport.worker", self._order],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def stored(self) -> dict[int, set[int]]:
        offsets: dict[int, set[int]] = {partition: set() for partition in range(PARTITIONS)}
        for file in self._cluster.folder.glob("stored-*"):
            for line in file.read_text().splitlines():
                partition, offset = line.split()
                offsets[int(partition)].add(int(offset))
        return offsets


@contextmanager
def workers_of(cluster: Cluster, group: str, topic: str) -> Iterator[Workers]:
    workers = Workers(cluster, group, topic)
    try:
        yield workers
    finally:
        for process in workers.processes:
            process.kill()
            process.wait()


@asynccontextmanager
async def load(cluster: Cluster, topic: str) -> AsyncIterator[list[int]]:
    """Some 1,000 records a second until the block ends; yields how many each partition got."""
    produced = [0] * PARTITIONS
    enough = asyncio.Event()

    async def produce() -> None:
        while not enough.is_set():
            for partition in range(PARTITIONS):
                await cluster.produce(topic, [b"x"] * 10, partition)
                produced[partition] += 10
            await asyncio.sleep(0.04)

    task = asyncio.create_task(produce())
    yield produced
    enough.set()
    await task


async def committed_offsets(cluster: Cluster, group: str) -> dict[int, int]:
    committed = await cluster.committed(group)
    return {tp.partition: at.offset for tp, at in committed.items()}


async def prefixes_are_stored(cluster: Cluster, group: str, workers: Workers) -> None:
    """Raises AssertionError when something was committed before it was stored, or taken back."""
    before: dict[int, int] = {}
    while True:
        committed = await committed_offsets(cluster, group)
        stored = workers.stored()
        for partition, offset in committed.items():
            missing = set(range(offset)) - stored[partition]
            assert not missing, f"committed {offset} of {partition} without {missing}"
            assert offset >= before.get(partition, 0), f"{partition} went back to {offset}"
        before = committed
        await asyncio.sleep(0.2)


async def test_nothing_is_lost_while_workers_join_leave_freeze_and_are_killed(
    cluster: Cluster,
) -> None:
    topic = await cluster.topic(partitions=PARTITIONS)
    group = f"group-of-{topic}"

    async def stored_past(produced: list[int]) -> None:
        goal = list(produced)
        await eventually(
            lambda: all(len(workers.stored()[p]) >= goal[p] for p in range(PARTITIONS)), 120
        )

    with workers_of(cluster, group, topic) as workers:
        watch = asyncio.create_task(prefixes_are_stored(cluster, group, workers))
        async with load(cluster, topic) as produced:
            first, second = workers.start(), workers.start()
            await asyncio.sleep(0.1)
            await stored_past(produced)
            first.kill()
            third = workers.start()
            await stored_past(produced)
            second.send_signal(signal.SIGSTOP)  # the group takes it for dead
            await stored_past(produced)
            second.send_signal(signal.SIGCONT)  # it wakes as a zombie, and has to join again
            third.terminate()
            await stored_past(produced)
            await asyncio.to_thread(third.wait, 60)
            fourth = workers.start()
            await stored_past(produced)
        await stored_past(produced)
        ends = dict(enumerate(produced))
        async with asyncio.timeout(60):
            while await committed_offsets(cluster, group) != ends:
                await asyncio.sleep(0.1)
        assert not watch.done(), watch.exception()
        watch.cancel()
        assert second.poll() is None
        assert fourth.poll() is None
        assert workers.stored() == {p: set(range(n)) for p, n in ends.items()}
