"""Dead letters with their bytes to the restricted topic."""

from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from schemas.settings import KafkaSettings
from schemas.topics import DEAD_LETTERS, MAX_LETTER_BYTES, WITHOUT_BYTES_HEADER
from streams.store.block import Letter

HEADROOM_BYTES: Final = 64 * 1024
"""For what a letter says beside the bytes that it carries, and Kafka's own framing."""
MAX_CARRIED_BYTES: Final = MAX_LETTER_BYTES - HEADROOM_BYTES
MAX_KEY_BYTES: Final = 16 * 1024
"""A longer key isn't a school, and is carried with nothing of the record."""


class DeadLetters:
    """``await start()`` once; then ``send`` until ``stop``."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Raises aiokafka's KafkaError when the broker can't be reached."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._settings.aiokafka_kwargs(),
                # Not idempotent: readers know a letter by its origin, and a refused one would leave a
                # gap in the sequence, which no later one gets over.
                acks="all",
                max_request_size=MAX_LETTER_BYTES,
            )
            await producer.start()
            self._producer = producer

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, letters: Sequence[Letter]) -> None:
        """Return when the broker has acknowledged all.

        What is too large for a letter, or for the topic as the broker has it, goes without its bytes:
        hash and origin say which they are, and the record's own topic has them. Raises aiokafka's
        KafkaError.
        """
        refused = []
        sent = []
        for letter in letters:
            try:
                sent.append((letter, await self._send(letter, without=not _carried(letter))))
            except MessageSizeTooLargeError:
                refused.append(letter)
        for letter, acknowledgement in sent:
            try:
                await acknowledgement
            except MessageSizeTooLargeError:  # the topic's limit is an older, smaller one
                refused.append(letter)
        for letter in refused:
            await (await self._send(letter, without=True))

    async def _send(self, letter: Letter, *, without: bool) -> Any:
        """Hand to the producer; what it returns is to be awaited."""
        assert self._producer is not None
        said, key, value = letter
        headers = [("saqshy", said.model_dump_json().encode())]
        if without:
            headers.append((WITHOUT_BYTES_HEADER, b"1"))
        if len(key or b"") <= MAX_KEY_BYTES:
            headers.append(("saqshy-key", key or b""))
        return await self._producer.send(
            DEAD_LETTERS.name,
            None if without else value,
            key=f"{said.topic}/{said.partition}/{said.offset}@{said.kafka_time_ms}".encode(),
            headers=headers,
        )


def _carried(letter: Letter) -> bool:
    _, key, value = letter
    return len(key or b"") <= MAX_KEY_BYTES and len(value or b"") <= MAX_CARRIED_BYTES
