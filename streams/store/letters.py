"""Dead letters with their bytes to the restricted topic."""

from collections.abc import Sequence
from typing import Final

from aiokafka.errors import MessageSizeTooLargeError

from schemas.settings import KafkaSettings
from schemas.topics import DEAD_LETTERS, MAX_LETTER_BYTES, WITHOUT_BYTES_HEADER
from streams.runtime.kafka.writer import Message, Writer
from streams.store.block import Letter

HEADROOM_BYTES: Final = 64 * 1024
"""For what a letter says beside the bytes that it carries, and Kafka's own framing."""
MAX_CARRIED_BYTES: Final = MAX_LETTER_BYTES - HEADROOM_BYTES
MAX_KEY_BYTES: Final = 16 * 1024
"""A longer key isn't a school, and is carried with nothing of the record."""


class DeadLetters:
    """``await start()`` once; then ``send`` until ``stop``."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._writer = Writer(
            settings, client_id="saqshy-letters", max_request_bytes=MAX_LETTER_BYTES
        )

    async def start(self) -> None:
        """Raises aiokafka's KafkaError when the broker can't be reached."""
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def send(self, letters: Sequence[Letter]) -> None:
        """Return when the broker has acknowledged all.

        What is too large for a letter, or for the topic as the broker has it, goes without its bytes:
        hash and origin say which they are, and the record's own topic has them. Raises aiokafka's
        KafkaError.
        """
        left = [(letter, not _carried(letter)) for letter in letters]
        while left:
            outcomes = await self._writer.attempt([_message(*one) for one in left])
            refused = any(isinstance(o, MessageSizeTooLargeError) for o in outcomes)
            again = []
            for (letter, without), outcome in zip(left, outcomes, strict=True):
                if not isinstance(outcome, BaseException):
                    continue
                too_large = isinstance(outcome, MessageSizeTooLargeError)
                # The topic's limit may be an older, smaller one. What came behind is out of sequence.
                if without if too_large else not refused:
                    raise outcome
                again.append((letter, without or too_large))
            left = again


def _message(letter: Letter, without: bool) -> Message:
    said, key, value = letter
    headers = [("saqshy", said.model_dump_json().encode())]
    if without:
        headers.append((WITHOUT_BYTES_HEADER, b"1"))
    if len(key or b"") <= MAX_KEY_BYTES:
        headers.append(("saqshy-key", key or b""))
    origin = f"{said.topic}/{said.partition}/{said.offset}@{said.kafka_time_ms}"
    return Message(DEAD_LETTERS.name, origin.encode(), None if without else value, headers=headers)


def _carried(letter: Letter) -> bool:
    _, key, value = letter
    return len(key or b"") <= MAX_KEY_BYTES and len(value or b"") <= MAX_CARRIED_BYTES
