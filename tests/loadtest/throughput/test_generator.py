import asyncio
from typing import Any

from aiokafka.record.memory_records import MemoryRecords

from loadtest.throughput.generator import RECORDS_PER_BATCH, Sender, Task, laid_out, packed, written
from loadtest.throughput.passes import Crowd, registrations

CROWD = Crowd(schools=40, devices=2, partitions=4)


def values_of(buffer: bytes) -> list[bytes]:
    records, found = MemoryRecords(bytes(buffer)), []
    while records.has_next():
        found += [record.value for record in records.next_batch()]
    return found


def test_batches_hold_every_record_of_their_partition_in_order() -> None:
    records = list(written(Task(CROWD, "t", 3 * RECORDS_PER_BATCH)))
    packed_values: dict[int, list[bytes]] = {}
    for partition, builder in packed(records):
        packed_values.setdefault(partition, []).extend(values_of(builder._build()))
    for number in range(4):
        assert packed_values[number] == [value for p, _, value in records if p == number]


def test_a_batch_that_is_full_by_its_bytes_drops_nothing() -> None:
    many = list(registrations(Crowd(schools=6_000, devices=10, partitions=1), 1_790_000_000_000))
    sent = [value for _, builder in packed(many) for value in values_of(builder._build())]
    assert sent == [value for _, _, value in many]


def test_a_rate_is_laid_out_evenly() -> None:
    ticks = laid_out(Task(CROWD, "t", 1_000, rate=2_000))
    sizes = [sum(builder.record_count() for _, builder in tick) for tick in ticks]
    assert sizes == [100] * 10


def test_every_device_comes_once_before_the_drawn_ones() -> None:
    records = list(written(Task(CROWD, "t", 200, each_first=True)))
    assert len(records) == 200
    assert all(b'"seq":0,' in value for _, _, value in records[:80])


class Broker:
    """Answers when told to."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    async def send_batch(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


async def test_only_what_the_broker_acknowledged_counts_as_sent() -> None:
    broker = Broker()
    sender = Sender(broker, "t")
    (partition, builder), *_ = packed(written(Task(CROWD, "t", 40)))
    await sender.send(partition, builder)
    assert sender.sent == 0
    broker.answers[0].set_result(None)
    await sender.flush()
    assert sender.sent == builder.record_count()
