"""Real worker processes of a lane against a broker of the tests' own."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.topics import ensure_topics
from schemas.settings import KafkaSettings, LivenessSettings, Settings
from tests.streams.transport.broker import Broker

PARTITIONS = 4
STOP_WITHIN_S = 30.0


def uuid7() -> str:
    random = uuid.uuid4().int & (1 << 62) - 1
    return str(uuid.UUID(int=time.time_ns() // 10**6 << 80 | 7 << 76 | 2 << 62 | random))


def partition_of(school: str) -> int:
    """Any partition will do as long as a school keeps to it."""
    return int(school[-5:]) % PARTITIONS


def settings_for(broker: Broker, folder: Path) -> Settings:
    """A device is offline 4 s after its last heartbeat, one a second."""
    kafka = broker.settings.model_copy(update={"partitions": PARTITIONS})
    return Settings(var=folder, kafka=kafka, liveness=LivenessSettings(misses=3, grace_s=1.0))


@dataclass
class Heard:
    """The notices on a topic, as they came: (monotonic seconds, notice)."""

    notices: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, **fields: object) -> list[dict[str, Any]]:
        return [n for _, n in self.notices if all(n.get(k) == v for k, v in fields.items())]


class Lane:
    """Topics, a producer, and the worker processes that a test starts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kafka: KafkaSettings = settings.kafka
        self.processes: list[asyncio.subprocess.Process] = []
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(ensure_topics, self.settings)
        self.producer = AIOKafkaProducer(**self.kafka.aiokafka_kwargs(), acks="all")
        await self.producer.start()
        self._closing.push_async_callback(self.producer.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()  # it leaves its group, for the next test to join at once
                try:
                    await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()
        await self._closing.aclose()

    async def send(self, topic: str, school: str, value: bytes) -> None:
        await self.producer.send_and_wait(
            topic, value, key=school.encode(), partition=partition_of(school)
        )

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """At least PARTITIONS: another test on this broker may have given the topic more."""
        return [TopicPartition(topic, n) for n in await self.producer.partitions_for(topic)]

    async def start(self, *arguments: str, module: str = "streams") -> asyncio.subprocess.Process:
        self.settings.var.mkdir(parents=True, exist_ok=True)
        with (self.settings.var / f"log-{'-'.join(arguments)}").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                env={**os.environ, **self.settings.environment()},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    @asynccontextmanager
    async def heard(self, topic: str) -> AsyncIterator[Heard]:
        """What comes on a topic from now on."""
        heard = Heard()
        consumer = AIOKafkaConsumer(**self.kafka.aiokafka_kwargs(), fetch_max_wait_ms=20)
        await consumer.start()
        tps = await self.partitions(topic)
        ends = await consumer.end_offsets(tps)
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, ends[tp])

        async def follow() -> None:
            async for record in consumer:
                # The tests of other rooms share the broker, and left some that can't be read.
                with suppress(ValueError, TypeError):
                    heard.notices.append((time.monotonic(), json.loads(record.value)))

        task = asyncio.create_task(follow())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await consumer.stop()
