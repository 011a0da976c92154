"""Which log the offsets of a partition belong to.

An offset alone names no record. A topic may be deleted and made anew: it then has another id
(KIP-516). And an election that was not clean may take a log's end back, so that other records come to
stand at the same offsets: its leader then has a later epoch (KIP-320). aiokafka asks for neither, so
the request stands here: Metadata in version 10, which Kafka answers since 2.8.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    LeaderNotAvailableError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from aiokafka.structs import TopicPartition
from faust.types import TP

NO_ID: Final = "0" * 32


@dataclass(frozen=True, slots=True)
class Timeline:
    """``topic_id``: 32 hexadecimal digits, empty when the broker tells none. ``leader_epoch``: -1
    when it tells none."""

    topic_id: str = ""
    leader_epoch: int = -1

    def is_other_topic_than(self, topic_id: str) -> bool:
        """Whether both are known, and differ."""
        return bool(self.topic_id and topic_id) and self.topic_id != topic_id


UNKNOWN: Final = Timeline()


@dataclass(frozen=True, slots=True)
class LogState:
    """What a partition's log is now: its first offset is ``begin``, ``end`` the one after its last.

    What is read after the timeline was asked for, and before it was asked for again with the same
    answer, is of this log: ids never come back, and epochs only rise.
    """

    timeline: Timeline
    begin: int
    end: int


class _Uuid(AbstractType[str]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: str) -> bytes:
        return bytes.fromhex(value)

    @classmethod
    def decode(cls, data: Any) -> str:
        raw: bytes = data.read(16)
        return raw.hex()


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[Any] = [(NO_ID, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return request_struct_class(self._topics, False, False, False, {})


async def timelines(
    client: AIOKafkaClient, node: int, topics: Iterable[str]
) -> dict[tuple[str, int], Timeline] | None:
    """Timelines by (topic, partition), as this broker knows them; None when it is too old to tell.

    What it doesn't know isn't among them. Asked on the coordinator's connection: on the other one a
    fetch holds up what comes after it. Raises aiokafka's KafkaError.
    """
    try:
        answer = await client.send(
            node, _MetadataRequest(topics), group=ConnectionGroup.COORDINATION
        )
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    return {
        (topic, partition): Timeline("" if topic_id == NO_ID else topic_id, epoch)
        for error, topic, topic_id, _, partitions, _, _ in answer.topics
        if not error
        for _, partition, _, epoch, *_ in partitions
    }


async def timelines_of(client: AIOKafkaClient, tps: Iterable[TP]) -> dict[TP, Timeline]:
    """Of these partitions, each as its leader knows it; without those that nobody can tell of.

    Raises aiokafka's KafkaError.
    """
    by_node: dict[int, list[TP]] = {}
    for tp in tps:
        node = client.cluster.leader_for_partition(TopicPartition(tp.topic, tp.partition))
        if node is not None and node >= 0:
            by_node.setdefault(node, []).append(tp)
    there: dict[TP, Timeline] = {}
    for node, led in by_node.items():
        found = await timelines(client, node, {tp.topic for tp in led}) or {}
        there |= {tp: found[tp] for tp in led if tp in found}
    return there


async def timeline(client: AIOKafkaClient, topic: str, partition: int) -> Timeline:
    """Of one partition, as its leader knows it: it is the one that gives its records.

    Raises aiokafka's KafkaError.
    """
    tp = TopicPartition(topic, partition)
    node = client.cluster.leader_for_partition(tp)
    if node is None or node < 0:
        await client.add_topic(topic)  # a topic that is only assigned may not be asked for yet
        await client.force_metadata_update()
        node = client.cluster.leader_for_partition(tp)
    if node is None or node < 0:
        raise LeaderNotAvailableError(f"{topic}-{partition} has no leader")
    found = await timelines(client, node, [topic])
    if found is None:
        return UNKNOWN
    if (topic, partition) not in found:
        await client.force_metadata_update()
        raise UnknownTopicOrPartitionError(f"{topic}-{partition}")
    return found[topic, partition]
