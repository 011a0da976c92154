"""Topics that get more partitions under a lane, as any admin tool can give them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.partitioner import murmur2

from deploy.topics import ensure_topics
from schemas.topics import ALERTS, TOPICS
from streams.runtime.kafka.bounded import everything, partitions_of
from tests.streams.workers import Lane

CO_READ = [topic.name for topic in TOPICS if topic.co_read]


def home(school: str, partitions: int) -> int:
    """Where a producer that knows of so many partitions sends a school's records."""
    hashed: int = murmur2(school.encode())
    return (hashed & 0x7FFFFFFF) % partitions


def movers(region: str, before: int, after: int, count: int) -> list[str]:
    """Schools that such a growth moves to another partition."""
    names = (f"KZ-{region}-{number:05}" for number in range(1, 10_000))
    moving = [name for name in names if home(name, before) != home(name, after)]
    return moving[:count]


def stayers(region: str, before: int, after: int, count: int) -> list[str]:
    names = (f"KZ-{region}-{number:05}" for number in range(1, 10_000))
    return [name for name in names if home(name, before) == home(name, after)][:count]


async def grow(lane: Lane, to: int, topics: list[str] | None = None) -> None:
    """Return when the broker says so."""
    admin = AIOKafkaAdminClient(**lane.kafka.aiokafka_kwargs())
    await admin.start()
    try:
        wanted = topics or CO_READ
        there = await partitions_of(lane.kafka, wanted)
        fewer = [name for name in wanted if len(there[name]) < to]
        await admin.create_partitions({name: NewPartitions(to) for name in fewer})
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer(**lane.kafka.aiokafka_kwargs())
    await consumer.start()
    try:

        async def has_grown() -> bool:
            metadata = await consumer._client.fetch_all_metadata()
            return all(len(metadata.partitions_for_topic(name) or ()) == to for name in wanted)

        await until(has_grown, 60.0)
        await lane.producer.client.force_metadata_update()
    finally:
        await consumer.stop()


async def make_anew(lane: Lane, partitions: int) -> None:
    """Topics of the same names, without their records; the groups keep what they have committed."""
    admin = AIOKafkaAdminClient(**lane.kafka.aiokafka_kwargs())
    await admin.start()
    try:
        await admin.delete_topics(CO_READ)
        await until(lambda: _are_gone(lane), 60.0)
    finally:
        await admin.close()
    kafka = lane.kafka.model_copy(update={"partitions": partitions})
    await asyncio.to_thread(ensure_topics, lane.settings.model_copy(update={"kafka": kafka}))
    await lane.producer.client.force_metadata_update()


async def _are_gone(lane: Lane) -> bool:
    return not any((await partitions_of(lane.kafka, CO_READ)).values())


async def whole(lane: Lane, topic: str) -> list[tuple[int, dict[str, Any]]]:
    """Each record's partition and what it says, of all partitions that there are now."""
    kafka = lane.kafka
    partitions = (await partitions_of(kafka, [topic]))[topic]
    found = []
    async for record in everything(kafka, topic, partitions, {}):
        # The tests of other rooms share the broker, and left some that can't be read.
        with suppress(ValueError, TypeError):
            found.append((record.partition, json.loads(record.value)))
    return found


async def alerts(lane: Lane, schools: Iterable[str], **fields: object) -> list[dict[str, Any]]:
    """The transitions of these schools that have these fields; the first of equal ones."""
    of, found = set(schools), dict[tuple[str, int], dict[str, Any]]()
    for _, said in await whole(lane, ALERTS.name):
        if said["school"] in of:
            found.setdefault((said["id"], said["number"]), said)
    return [a for a in found.values() if all(a[name] == value for name, value in fields.items())]


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.2)
