"""Dead letters with their bytes to the restricted topic."""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from schemas.settings import KafkaSettings
from schemas.topics import DEAD_LETTERS
from streams.store.block import Letter

MAX_REQUEST_BYTES = 4 * 1024 * 1024


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
                enable_idempotence=True,
                acks="all",
                max_request_size=MAX_REQUEST_BYTES,
            )
            await producer.start()
            self._producer = producer

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, letters: Sequence[Letter]) -> None:
        """Return when the broker has acknowledged all. Raises aiokafka's KafkaError."""
        assert self._producer is not None
        sent = [
            await self._producer.send(
                DEAD_LETTERS.name,
                value,
                key=f"{letter.topic}/{letter.partition}/{letter.offset}".encode(),
                headers=[
                    ("saqshy", letter.model_dump_json().encode()),
                    ("saqshy-key", key or b""),
                ],
            )
            for letter, key, value in letters
        ]
        for acknowledgement in sent:
            await acknowledgement
