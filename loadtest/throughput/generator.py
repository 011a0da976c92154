"""`python -m loadtest.throughput.generator`: sends passes that were written and compressed beforehand.

On a machine that also runs broker, engine and worker the generator must cost next to nothing, so
whole record batches are made first, while nothing is measured, and only handed over on schedule.
The task stands in GENERATOR_TASK; "ready" on stdout says that the batches are made, a line on stdin
starts, the report is the last line.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from loadtest.throughput.passes import Crowd, Keyed, Passes
from schemas.private import keep_private
from schemas.settings import configured_var
from streams.runtime.kafka import clients

BATCH_BYTES: Final = 1 << 20
RECORDS_PER_BATCH: Final = 2_000
LZ4: Final = 3
"""Its number in a record batch's attributes."""
TICK_S: Final = 0.05
MAX_UNANSWERED: Final = 64
"""Batches: bounds the memory of client and broker."""

Prepared = list[tuple[int, BatchBuilder]]


@dataclass(frozen=True, slots=True)
class Task:
    """``rate`` 0: as fast as the broker takes them. ``each_first``: every device once, before the
    others. ``outage_ms``: out of order, with event times up to so old, else of now."""

    crowd: Crowd
    topic: str
    records: int
    rate: int = 0
    each_first: bool = False
    outage_ms: int = 0

    def environment(self, kafka: dict[str, Any]) -> dict[str, str]:
        return {**os.environ, "GENERATOR_TASK": json.dumps({"kafka": kafka, **asdict(self)})}


def packed(records: Iterable[Keyed]) -> Iterator[tuple[int, BatchBuilder]]:
    """The records as compressed batches of their partitions, in order of each partition."""
    builders: dict[int, BatchBuilder] = {}
    for partition, key, value in records:
        builder = builders.get(partition) or BatchBuilder(BATCH_BYTES, LZ4)
        if builder.append(timestamp=None, key=key, value=value) is None:  # full
            builder._build()
            yield partition, builder
            builder = BatchBuilder(BATCH_BYTES, LZ4)
            builder.append(timestamp=None, key=key, value=value)
        builders[partition] = builder
        if builder.record_count() >= RECORDS_PER_BATCH:
            builder._build()
            yield partition, builders.pop(partition)
    for partition, builder in builders.items():
        builder._build()
        yield partition, builder


def written(task: Task) -> Iterator[Keyed]:
    """All records of a task that has no rate."""
    now_ms, passes = time.time_ns() // 1_000_000, Passes(task.crowd)
    if task.outage_ms:
        each = task.records // task.crowd.schools
        yield from passes.recovered(each, now_ms, task.outage_ms)
        return
    first: Iterator[Keyed] = iter(())
    left = task.records
    if task.each_first:
        first = passes.each_device_once(now_ms)
        left -= task.crowd.schools * task.crowd.devices
    drawn = (passes.draw([now_ms] * min(50_000, left - at)) for at in range(0, left, 50_000))
    yield from chain(first, chain.from_iterable(drawn))


def laid_out(task: Task) -> list[Prepared]:
    """The batches of each tick of a task with a rate."""
    passes = Passes(task.crowd)
    start_ms = time.time_ns() // 1_000_000
    ticks: list[Prepared] = []
    done = 0
    while done < task.records:
        until = min(task.records, round((len(ticks) + 1) * TICK_S * task.rate))
        times = [start_ms + (done + n) * 1000 // task.rate for n in range(until - done)]
        ticks.append(list(packed(passes.draw(times))))
        done = until
    return ticks


class Sender:
    """Hands batches to the broker; ``sent`` counts records that it has acknowledged."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._unanswered: set[asyncio.Future[Any]] = set()
        self.sent = 0

    async def send(self, partition: int, builder: BatchBuilder) -> None:
        while len(self._unanswered) >= MAX_UNANSWERED:
            await asyncio.wait(self._unanswered, return_when=asyncio.FIRST_COMPLETED)
        count = builder.record_count()
        answer = await self._producer.send_batch(builder, self._topic, partition=partition)
        self._unanswered.add(answer)
        answer.add_done_callback(lambda done: self._answered(done, count))

    def _answered(self, answer: "asyncio.Future[Any]", count: int) -> None:
        self._unanswered.discard(answer)
        answer.result()
        self.sent += count

    async def flush(self) -> None:
        """Raises aiokafka's KafkaError when the broker didn't take one."""
        while self._unanswered:
            await asyncio.gather(*self._unanswered)


async def on_schedule(ticks: list[Prepared], sender: Sender) -> float:
    """Send each tick at its time, late ones at once; the worst lateness in seconds."""
    began = time.perf_counter()
    worst = 0.0
    for number, batches in enumerate(ticks):
        late = time.perf_counter() - began - number * TICK_S
        if late < 0:
            await asyncio.sleep(-late)
        worst = max(worst, late)
        for partition, builder in batches:
            await sender.send(partition, builder)
        batches.clear()
    return worst


async def run(task: Task, kafka: dict[str, Any]) -> dict[str, Any]:
    ticks = laid_out(task) if task.rate else []
    # Held only when somebody waits for the start; a preload streams.
    held = list(packed(written(task))) if task.outage_ms else None
    producer = clients.producer(kafka, max_request_size=4 * BATCH_BYTES)
    await producer.start()
    try:
        if task.rate or task.outage_ms:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)
        sender = Sender(producer, task.topic)
        began, began_ms, cpu = time.perf_counter(), time.time() * 1000, time.process_time()
        worst = 0.0
        if task.rate:
            worst = await on_schedule(ticks, sender)
        else:
            source = iter(held if held is not None else packed(written(task)))
            while some := list(islice(source, MAX_UNANSWERED)):
                for partition, builder in some:
                    await sender.send(partition, builder)
        await sender.flush()
        return {
            "sent": sender.sent,
            "began_ms": began_ms,
            "seconds": time.perf_counter() - began,
            "behind_ms": round(worst * 1000, 1),
            "cpu_s": time.process_time() - cpu,
        }
    finally:
        await producer.stop()


def main() -> None:
    task = json.loads(os.environ["GENERATOR_TASK"])
    kafka, crowd = task.pop("kafka"), task.pop("crowd")
    report = asyncio.run(run(Task(crowd=Crowd(**crowd), **task), kafka))
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    keep_private(configured_var())
    main()
