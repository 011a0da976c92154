"""The one place where aiokafka's clients are made, and where its private parts are reached.

Of what stands under an underscore in aiokafka 0.14 we need the metadata of topics that nobody is subscribed
to, and in the batch transport the fetcher, the coordinator and the subscription.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.settings import KafkaSettings


def consumer(kafka: KafkaSettings, **options: Any) -> AIOKafkaConsumer:
    """Not started. Without "none", a topic that was made anew would be read on from offsets of the old one,
    and a position that is set while aiokafka looks for one may be lost."""
    return AIOKafkaConsumer(
        **{"auto_offset_reset": "none", "enable_auto_commit": False}
        | kafka.aiokafka_kwargs()
        | options
    )


def producer(kafka: KafkaSettings, **options: Any) -> AIOKafkaProducer:
    """Not started; idempotent, acknowledged by all replicas in sync, and it does not linger."""
    return AIOKafkaProducer(
        **{"enable_idempotence": True, "acks": "all", "linger_ms": 0}
        | kafka.aiokafka_kwargs()
        | options
    )


def client(kafka: KafkaSettings, **options: Any) -> AIOKafkaClient:
    """For requests that have no consumer or producer. Not bootstrapped."""
    return AIOKafkaClient(**kafka.aiokafka_kwargs() | options)


def client_of(of: AIOKafkaConsumer) -> AIOKafkaClient:
    """The connections of a consumer."""
    return of._client


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
