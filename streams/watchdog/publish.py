"""The watchdog's alerts to Kafka, and back after a restart.

All on one partition, so that a restarted watchdog reads no more than that one.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka import TopicPartition
from pydantic import ValidationError

from schemas.alerts import AlertChanged, AlertKind
from schemas.settings import KafkaSettings
from schemas.topics import ALERTS
from streams.runtime.kafka.bounded import everything
from streams.runtime.kafka.writer import Message, Writer
from streams.watchdog.alerts import Alerts

PLACE: Final = TopicPartition(ALERTS.name, 0)
_OURS: Final = str(AlertKind.PIPELINE_SILENT).encode()


async def restore(
    settings: KafkaSettings, alerts: Alerts, adopt: Callable[[Mapping[str, str]], None]
) -> None:
    """Read what was said before; ``adopt`` gets the findings that are open there, and their notes.

    Raises aiokafka's KafkaError.
    """
    said = await said_before(settings)
    adopt(alerts.restored(said))


async def said_before(settings: KafkaSettings) -> list[AlertChanged]:
    """Every transition of the watchdog that the topic still has. Raises aiokafka's KafkaError."""
    topic, number = PLACE
    return [
        one
        async for record in everything(settings, topic, [number], {})
        if _OURS in (record.value or b"") and (one := _read(record.value)) is not None
    ]


def _read(value: bytes) -> AlertChanged | None:
    try:
        said = AlertChanged.model_validate_json(value)
    except ValidationError:
        return None
    return said if said.kind is AlertKind.PIPELINE_SILENT else None


async def publish(settings: KafkaSettings, alerts: Alerts, news: asyncio.Event) -> None:
    """Until cancelled, what is owed; ``news`` says that there is more. Raises aiokafka's KafkaError:
    then what was not taken is still owed."""
    writer = Writer(settings, client_id="saqshy-watchdog")
    try:
        while True:
            news.clear()
            while due := alerts.next():
                await writer.send_all([_message(one) for one in due])
                alerts.taken(due)
            await news.wait()
    finally:
        await writer.stop()


def _message(one: AlertChanged) -> Message:
    value = one.model_dump_json().encode()
    return Message(PLACE.topic, one.school.encode(), value, PLACE.partition)
