"""The steps that say what was paged, from the outbox to Kafka, until it has them all."""

import asyncio
import sqlite3
from contextlib import suppress
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from schemas.topics import STEPS
from streams.notify.disk import Disk
from streams.notify.outbox import Outbox
from streams.runtime.kafka.writer import Message, Writer

log = structlog.get_logger(__name__)

AT_MOST: Final = 200
AGAIN_AFTER_S: Final = 1.0


async def say_steps(
    settings: KafkaSettings, outbox: Outbox, disk: Disk, to_say: asyncio.Event
) -> None:
    """Until cancelled. ``to_say``: there is something new."""
    writer = Writer(settings, client_id="saqshy-notify")
    try:
        while True:
            to_say.clear()
            try:
                if await _say(writer, outbox, disk):
                    continue
            except (KafkaError, OSError) as trouble:
                log.warning("steps wait for Kafka", trouble=str(trouble)[:300])
            except sqlite3.Error as trouble:
                log.error("the outbox can't be read", why=str(trouble))
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_AFTER_S):
                    await to_say.wait()
    finally:
        await writer.stop()


async def _say(writer: Writer, outbox: Outbox, disk: Disk) -> bool:
    """Whether there was something to say."""
    unsaid = await disk(outbox.to_say, AT_MOST)
    await writer.send_all(
        [
            Message(
                STEPS.name,
                one.step.school.encode(),
                one.step.model_dump_json().encode(),
                one.partition,
            )
            for one in unsaid
        ]
    )
    if unsaid:
        await disk(outbox.said, [one.number for one in unsaid])
    return bool(unsaid)
