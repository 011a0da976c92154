"""What the gateway knows of open alarms, so that what it says directly has the ids that the panic
workers will say: the same decisions over the same topic, and over its own presses at once.
"""

import asyncio
import time
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.alerts import AlertChanged
from schemas.settings import KafkaSettings
from schemas.topics import PANICS, REPLAY_OF_HEADER
from streams.panic.decide import REBUILD_MS, PanicState, decide

log = structlog.get_logger(__name__)

RETRY_EVERY_S: Final = 1.0
AT_ONCE: Final = 200


class Known:
    """Presses are decided on what is known so far; how it was before is read beside that."""

    def __init__(self) -> None:
        self._state = PanicState()
        self._rebuilding: PanicState | None = PanicState()
        self._meanwhile: list[tuple[bytes, bytes, int]] = []

    @property
    def caught_up(self) -> bool:
        return self._rebuilding is None

    def press(self, key: bytes, value: bytes, now_ms: int) -> list[AlertChanged]:
        """The transitions of a press of our own; none when it was known already."""
        if self._rebuilding is not None:
            self._meanwhile.append((key, value, now_ms))
        return decide(self._state, key, value, now_ms)

    def record(
        self, key: bytes | None, value: bytes | None, kafka_ms: int, *, replayed: bool
    ) -> None:
        """What the topic says; the panic workers speak of it."""
        state = self._state if self._rebuilding is None else self._rebuilding
        decide(state, key, value, kafka_ms, replayed=replayed)

    def rebuilt(self) -> None:
        """The past is read: our own presses of the meantime come after it."""
        if self._rebuilding is None:
            return
        for key, value, now_ms in self._meanwhile:
            decide(self._rebuilding, key, value, now_ms)
        self._state, self._rebuilding, self._meanwhile = self._rebuilding, None, []


async def follow(settings: KafkaSettings, known: Known) -> None:
    """Feed the panic topic to ``known`` until cancelled, from days before now on."""
    consumer: AIOKafkaConsumer | None = None
    while True:
        try:
            if consumer is None:
                consumer, ends = await _started(settings)
            batches = await consumer.getmany(timeout_ms=1_000, max_records=AT_ONCE)
            for records in batches.values():
                for record in records:
                    replayed = any(name == REPLAY_OF_HEADER for name, _ in record.headers)
                    known.record(record.key, record.value, record.timestamp, replayed=replayed)
            await asyncio.sleep(0)
            if not known.caught_up and await _past(consumer, ends):
                known.rebuilt()
        except (KafkaError, OSError) as error:
            # Once positions are held the consumer comes back by itself.
            log.warning("panic topic unread", error=repr(error))
            await asyncio.sleep(RETRY_EVERY_S)
        except asyncio.CancelledError:
            if consumer is not None:
                await consumer.stop()
            raise


async def _started(
    settings: KafkaSettings,
) -> tuple[AIOKafkaConsumer, dict[TopicPartition, int]]:
    consumer = AIOKafkaConsumer(
        **settings.aiokafka_kwargs(), fetch_max_wait_ms=100, request_timeout_ms=10_000
    )
    try:
        await consumer.start()
        tps = [TopicPartition(PANICS.name, number) for number in await _partitions(consumer)]
        consumer.assign(tps)
        since_ms = int(time.time() * 1000) - REBUILD_MS
        found = await consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
        for tp, at in found.items():
            consumer.seek(tp, ends[tp] if at is None else at.offset)
    except BaseException:
        await consumer.stop()
        raise
    return consumer, ends


async def _partitions(consumer: AIOKafkaConsumer) -> set[int]:
    metadata = await consumer._client.fetch_all_metadata()
    found: set[int] | None = metadata.partitions_for_topic(PANICS.name)
    if not found:
        raise KafkaError("the panic topic is not there yet")
    return found


async def _past(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return all([await consumer.position(tp) >= end for tp, end in ends.items()])
