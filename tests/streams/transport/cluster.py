"""What the tests do with a broker: topics, records, and Faust apps that read them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.settings import KafkaSettings
from streams.transport import Batch, Consumer, app_settings, batches

Handle = Callable[[Batch], Awaitable[None]]


class Cluster:
    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.producer = AIOKafkaProducer(**self.kafka.aiokafka_kwargs(), enable_idempotence=True)
        await self.producer.start()
        self._closing.push_async_callback(self.producer.stop)
        self.admin = AIOKafkaAdminClient(**self.kafka.aiokafka_kwargs())
        await self.admin.start()
        self._closing.push_async_callback(self.admin.close)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._closing.aclose()

    async def topic(self, partitions: int = 1, **config: str) -> str:
        name = f"topic-{uuid.uuid4().hex[:8]}"
        configs = {"message.timestamp.type": "LogAppendTime"} | {
            key.replace("_", "."): value for key, value in config.items()
        }
        await self.admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        return name

    async def add_partitions(self, topic: str, total: int) -> None:
        """Returns when the producer knows them, too: the broker answers before it says so to all."""
        await self.admin.create_partitions({topic: NewPartitions(total)})
        async with asyncio.timeout(60):
            while len(await self.producer.partitions_for(topic)) < total:
                await self.producer.client.force_metadata_update()

    async def produce(
        self, topic: str, values: list[bytes], partition: int = 0, key: bytes | None = None
    ) -> None:
        sent = [
            await self.producer.send(topic, value, key=key, partition=partition) for value in values
        ]
        await self.producer.flush()
        await asyncio.gather(*sent)

    async def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """What the broker itself says, past our transport."""
        offsets: dict[TopicPartition, OffsetAndMetadata]
        offsets = await self.admin.list_consumer_group_offsets(group)
        return offsets

    def app(
        self,
        group: str,
        topics: list[str],
        handle: Handle,
        *,
        concurrency: int = 4,
        max_records: int = 10_000,
        on_assigned: Any = None,
        apart: bool = False,
        gather_s: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> faust.App:
        """An app whose agent gives each batch to `handle` within `with batch`."""
        app = faust.App(
            group,
            **app_settings(self.kafka, datadir=self.folder)
            | {"consumer_metadata_max_age_ms": 1000, "broker_heartbeat_interval": 0.3}
            | settings,
        )
        channel = batches(
            app,
            topics,
            max_records=max_records,
            on_assigned=on_assigned,
            apart=apart,
            gather_s=gather_s,
        )

        async def agent(stream: Any) -> None:
            async for batch in stream:
                with batch:
                    await handle(batch)

        app.agent(channel, name="agent", concurrency=concurrency)(agent)
        return app

    @asynccontextmanager
    async def running(
        self, topics: list[str], handle: Handle, *, group: str | None = None, **settings: Any
    ) -> AsyncIterator[Consumer]:
        app = self.app(group or f"group-{uuid.uuid4().hex[:8]}", topics, handle, **settings)
        await app.start()
        try:
            yield app.consumer
        finally:
            await app.stop()


async def eventually(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    """Wait until the condition holds, by looking at it often."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
