"""Writes records, each acknowledged by all replicas in sync and written once.

A producer of aiokafka numbers what it hands over; after a record that the broker refused, or that never
got a leader, the number after it is missing, and the broker refuses all that follow in the partition
(aiokafka 0.14, message_accumulator.py ``_pop_batch``). Such a producer is spent. So whenever an
acknowledgement fails, the next record goes by a new producer, while the old one finishes what it still has.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import RecordMetadata

from schemas.settings import KafkaSettings
from streams.runtime.kafka.clients import producer

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5
WARN_EVERY_S: Final = 1.0
STOP_WITHIN_S: Final = 3.0
CLOSE_WITHIN_S: Final = 1.0
# A connection on which nothing comes back is given up after it, and the batch sent anew under the
# same sequence number, so that the broker knows it.
REQUEST_TIMEOUT_MS: Final = 5_000
MAX_REQUEST_BYTES: Final = 1024 * 1024
METADATA_MAX_AGE_MS: Final = 5_000
"""So long after partitions were added, schools are still sent to where they were."""
NEVER_HANDED_OVER: Final = (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
"""Errors of ``AIOKafkaProducer.send`` after which the sequence has no gap."""


@dataclass(frozen=True, slots=True)
class Message:
    """``partition``: None for the one that follows from the key."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class Writer:
    """``client_id`` names it in the broker's log. It starts with the first record, or by ``start``."""

    kafka: KafkaSettings
    client_id: str
    max_request_bytes: int = MAX_REQUEST_BYTES
    request_timeout_ms: int = REQUEST_TIMEOUT_MS
    acknowledged: int = field(default=0, init=False)
    renewals: int = field(default=0, init=False)
    _starting: "asyncio.Task[AIOKafkaProducer] | None" = field(default=None, init=False)
    _warned_s: float = field(default=-WARN_EVERY_S, init=False)
    _spent: "set[asyncio.Task[None]]" = field(default_factory=set, init=False)

    @property
    def connected(self) -> bool:
        """Whether a producer has started that is not spent."""
        task = self._starting
        return task is not None and task.done() and not task.cancelled() and not task.exception()

    async def start(self) -> AIOKafkaProducer:
        """The producer, once it is connected. Raises KafkaError and OSError; the next call tries again.

        Who stops waiting for it does not end the start.
        """
        task = self._starting
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._starting = asyncio.create_task(self._connect())
            task.add_done_callback(_retrieved)
        return await asyncio.shield(task)

    async def send(self, message: Message) -> RecordMetadata:
        """Return when the broker has acknowledged it.

        Raises KafkaError and OSError. Who stops waiting leaves it with the producer, which may still
        write it.
        """
        by = await self.start()
        acknowledgement = await self._hand_over(by, message)
        try:
            at: RecordMetadata = await acknowledgement
        except Exception:
            self._renew(by)
            raise
        self.acknowledged += 1
        return at

    async def attempt(self, messages: Sequence[Message]) -> list[RecordMetadata | BaseException]:
        """Send in this order; return when the fate of each is known: where it is, or why it is not.

        Raises KafkaError and OSError when there is no producer.
        """
        by = await self.start()
        sent: list[Any] = []
        for message in messages:
            try:
                sent.append(await self._hand_over(by, message))
            except KafkaError as refused:
                sent.append(_failed(refused))
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        failures = [o for o in outcomes if isinstance(o, BaseException)]
        if any(not isinstance(o, NEVER_HANDED_OVER) for o in failures):
            self._renew(by)
        self.acknowledged += len(outcomes) - len(failures)
        return outcomes

    async def send_all(self, messages: Sequence[Message]) -> list[RecordMetadata]:
        """Send in this order; return when the broker has acknowledged all. Raises the first error when
        the fate of each is known."""
        outcomes = await self.attempt(messages)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return outcomes

    async def insist(self, message: Message) -> RecordMetadata:
        """Return when the broker has acknowledged it, however long that takes.

        After trouble that spends a producer it may stand twice: readers know the repeat by its id.
        """
        while True:
            try:
                return await self.send(message)
            except Exception as error:  # of any kind: a press may wait here
                if time.monotonic() - self._warned_s > WARN_EVERY_S:  # thousands may wait here
                    self._warned_s = time.monotonic()
                    log.warning("kafka refused", topic=message.topic, error=repr(error))
            await asyncio.sleep(RETRY_S)

    async def partitions(self, topic: str, with_: int | None = None) -> set[int]:
        """Of the topic; asked anew when ``with_`` is not among those that are known."""
        by = await self.start()
        known: set[int] = await by.partitions_for(topic)
        if with_ is not None and with_ not in known:
            await by.client.force_metadata_update()
            known = await by.partitions_for(topic)
        return known

    async def stop(self) -> None:
        """What is under way gets STOP_WITHIN_S to be acknowledged."""
        task, self._starting = self._starting, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S + CLOSE_WITHIN_S)
            if task.done() and not task.cancelled() and not task.exception():
                self._finish(task.result())
        if self._spent:
            await asyncio.wait(self._spent)

    async def _connect(self) -> AIOKafkaProducer:
        new = producer(
            self.kafka,
            client_id=self.client_id,
            request_timeout_ms=self.request_timeout_ms,
            retry_backoff_ms=50,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            max_request_size=self.max_request_bytes,
        )
        try:
            await new.start()
        except BaseException:
            await _stopped(new)
            raise
        return new

    async def _hand_over(self, by: AIOKafkaProducer, message: Message) -> Any:
        try:
            return await by.send(
                message.topic,
                message.value,
                key=message.key,
                partition=message.partition,
                headers=list(message.headers),
            )
        except KafkaError as error:
            if not isinstance(error, NEVER_HANDED_OVER):
                self._renew(by)
            raise

    def _renew(self, by: AIOKafkaProducer) -> None:
        if self.connected and self._starting is not None and self._starting.result() is by:
            self.renewals += 1
            self._starting = None
            self._finish(by)

    def _finish(self, by: AIOKafkaProducer) -> None:
        finishing = asyncio.create_task(_stopped(by))
        self._spent.add(finishing)
        finishing.add_done_callback(self._spent.discard)


def _retrieved(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled():
        task.exception()  # or asyncio logs what every waiter has left


def _failed(error: KafkaError) -> "asyncio.Future[Any]":
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


async def _stopped(by: AIOKafkaProducer) -> None:
    """It would wait for what a broker that is down never acknowledges, and swallows a cancellation."""
    stopping = asyncio.create_task(by.stop())
    stopping.add_done_callback(_retrieved)
    await asyncio.wait({stopping}, timeout=STOP_WITHIN_S)
    if not stopping.done():
        log.warning("a producer is left with what it could not write")
        # Or who awaits their acknowledgement would wait for ever.
        by._message_accumulator.fail_all(KafkaConnectionError("its producer has ended"))
        closing = asyncio.create_task(
            by.client.close()
        )  # what it waits for ends with its connections
        closing.add_done_callback(_retrieved)
        await asyncio.wait({stopping, closing}, timeout=CLOSE_WITHIN_S)
