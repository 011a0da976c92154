"""The steps that say what was paged, from the outbox to Kafka, until it has them all."""

import asyncio
import sqlite3
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.settings import KafkaSettings
from schemas.topics import STEPS
from streams.notify.disk import Disk
from streams.notify.outbox import Outbox

log = structlog.get_logger(__name__)

AT_MOST: Final = 200
AGAIN_AFTER_S: Final = 1.0


async def say_steps(
    settings: KafkaSettings, outbox: Outbox, disk: Disk, to_say: asyncio.Event
) -> None:
    """Until cancelled. ``to_say``: there is something new."""
    while True:
        try:
            await _say_by(await _producer(settings), outbox, disk, to_say)
        except KafkaError as trouble:
            log.warning("steps wait for Kafka", trouble=str(trouble)[:300])
        await asyncio.sleep(AGAIN_AFTER_S)


async def _producer(settings: KafkaSettings) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(**settings.aiokafka_kwargs(), enable_idempotence=True, acks="all")
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def _say_by(
    producer: AIOKafkaProducer, outbox: Outbox, disk: Disk, to_say: asyncio.Event
) -> None:
    try:
        while True:
            to_say.clear()
            unsaid = await disk(outbox.to_say, AT_MOST)
            sent = [
                await producer.send(
                    STEPS.name,
                    one.step.model_dump_json().encode(),
                    key=one.step.school.encode(),
                    partition=one.partition,
                )
                for one in unsaid
            ]
            await asyncio.gather(*sent)
            if unsaid:
                await disk(outbox.said, [one.number for one in unsaid])
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_AFTER_S):
                    await to_say.wait()
    except sqlite3.Error as trouble:
        log.error("the outbox can't be read", why=str(trouble))
    finally:
        await producer.stop()
