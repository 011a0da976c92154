"""The one place where aiokafka's clients are made, and where its private parts are reached.

Of what stands under an underscore in aiokafka 0.14 we need the metadata of topics that nobody is subscribed
to, and in the batch transport the fetcher, the coordinator and the subscription.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from schemas.settings import KafkaSettings

STOP_WITHIN_S: Final = 30.0
_leaving: "set[asyncio.Task[None]]" = set()
"""asyncio itself keeps no reference to a task."""


Connection = KafkaSettings | Mapping[str, Any]
"""Or aiokafka's own options for it, of those who have no settings."""


def consumer(kafka: Connection, **options: Any) -> AIOKafkaConsumer:
    """Not started. Without "none", a topic that was made anew would be read on from offsets of the old one,
    and a position that is set while aiokafka looks for one may be lost."""
    return AIOKafkaConsumer(
        **{"auto_offset_reset": "none", "enable_auto_commit": False} | _options(kafka) | options
    )


def producer(kafka: Connection, **options: Any) -> AIOKafkaProducer:
    """Not started; idempotent, acknowledged by all replicas in sync, and it does not linger."""
    return AIOKafkaProducer(
        **{"enable_idempotence": True, "acks": "all", "linger_ms": 0} | _options(kafka) | options
    )


def client(kafka: Connection, **options: Any) -> AIOKafkaClient:
    """For requests that have no consumer or producer. Not bootstrapped."""
    return AIOKafkaClient(**_options(kafka) | options)


def _options(kafka: Connection) -> dict[str, Any]:
    return kafka.aiokafka_kwargs() if isinstance(kafka, KafkaSettings) else dict(kafka)


def leave(of: AIOKafkaConsumer) -> None:
    """Stop it, without waiting: a consumer may hang even in that, while its broker goes or comes."""
    stopping = asyncio.create_task(_stopped(of))
    _leaving.add(stopping)
    stopping.add_done_callback(_leaving.discard)


async def _stopped(of: AIOKafkaConsumer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(STOP_WITHIN_S):
            await of.stop()


def client_of(of: AIOKafkaConsumer) -> AIOKafkaClient:
    """The connections of a consumer."""
    return of._client


def fetcher_of(of: AIOKafkaConsumer) -> Fetcher:
    """Its responses, before anybody polls them."""
    return of._fetcher


def coordinator_of(of: AIOKafkaConsumer) -> Any:
    """Its place in its group, and that group's offsets."""
    return of._coordinator


def subscription_of(of: AIOKafkaConsumer) -> Any:
    """What it is subscribed to."""
    return of._subscription


def assignment_of(of: AIOKafkaConsumer) -> Any:
    """The state of each partition that is assigned to it, None between two subscriptions."""
    return of._subscription.subscription.assignment


async def counts_of(asked: AIOKafkaClient, topics: Iterable[str]) -> dict[str, int]:
    """How many partitions each topic has now, as the broker says; 0 for one that is not there.

    Raises KafkaError when no broker answers.
    """
    metadata: Any = await asked.fetch_all_metadata()
    return {topic: len(metadata.partitions_for_topic(topic) or ()) for topic in topics}


async def partitions_of(of: AIOKafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of ``topics``, as the broker says now.

    Raises UnknownTopicOrPartitionError for a topic that is not there, KafkaError when no broker answers.
    """
    counts = await counts_of(client_of(of), topics)
    for name, count in counts.items():
        if not count:
            raise UnknownTopicOrPartitionError(
                f"there is no topic {name} yet; `saqshy topics create` makes it"
            )
    return [
        TopicPartition(name, number) for name, count in counts.items() for number in range(count)
    ]
