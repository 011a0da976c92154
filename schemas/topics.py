"""Kafka topics as data. Every record is keyed by its school: one partition holds its truth."""

from dataclasses import dataclass
from typing import Final, Literal

Lane = Literal["panic", "liveness", "flow", "incident", "operations"]

DAY_MS: Final = 86_400_000
MAX_MESSAGE_BYTES: Final = 3 * 1024 * 1024
MAX_LETTER_BYTES: Final = 4 * 1024 * 1024
"""A dead letter carries a record of any topic, and says why on top."""
WITHOUT_BYTES_HEADER: Final = "saqshy-without-bytes"
"""On a dead letter whose record is too large for it: the record's own topic has the bytes."""
REPLAY_OF_HEADER: Final = "saqshy-replay-of"
"""On a record that was sent again from the dead letters: ``topic/partition/offset`` of the first."""
MIN_INSYNC: Final = "min.insync.replicas"


def min_insync(replication: int) -> int:
    """How many replicas must have a record before Kafka acknowledges it (acks=all).

    Of three or more, two: one disk may be lost after an acknowledgement, and one broker may be away. Of
    fewer, one: with two replicas every restart of a broker would stop what is written. Kafka's own default
    is one, with which an acknowledgement may mean one disk.
    """
    return 2 if replication >= 3 else 1


@dataclass(frozen=True, slots=True)
class Topic:
    """One declared topic.

    ``types``: the event types it may carry. ``co_read``: shares the partition count of the others,
    so that one worker reads a school's whole truth. ``retention_ms`` is None for compacted topics.
    ``duplicate_horizon_ms``: how far back a (device, boot, seq) is remembered as seen.
    ``max_message_bytes``: of a batch of records as the broker takes it, compressed if it is.
    """

    name: str
    lane: Lane
    types: tuple[str, ...]
    retention_ms: int | None
    co_read: bool = True
    duplicate_horizon_ms: int = DAY_MS
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def compacted(self) -> bool:
        return self.retention_ms is None

    def configs(self, replication: int = 1) -> dict[str, str]:
        """Topic configuration as the broker wants it. Kafka's own clock stamps every record."""
        kept = (
            {"cleanup.policy": "compact"}
            if self.compacted
            else {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}
        )
        return {
            **kept,
            "message.timestamp.type": "LogAppendTime",
            MIN_INSYNC: str(min_insync(replication)),
            "max.message.bytes": str(self.max_message_bytes),
        }


PASSES: Final = Topic("saqshy.passes", "flow", ("pass",), 7 * DAY_MS)
HEARTBEATS: Final = Topic(
    "saqshy.heartbeats", "liveness", ("heartbeat",), 2 * DAY_MS, duplicate_horizon_ms=DAY_MS // 12
)
PANICS: Final = Topic(
    "saqshy.panics",
    "panic",
    ("panic.pressed", "panic.cancelled", "panic.test", "drill.declared"),
    90 * DAY_MS,
)
INCIDENTS: Final = Topic(
    "saqshy.incidents",
    "incident",
    ("incident.reported", "incident.registered", "help.requested"),
    30 * DAY_MS,
    duplicate_horizon_ms=7 * DAY_MS,
)
FACILITIES: Final = Topic(
    "saqshy.facilities",
    "incident",
    ("equipment.changed", "inspection.completed"),
    90 * DAY_MS,
    duplicate_horizon_ms=7 * DAY_MS,
)
REGISTRY: Final = Topic("saqshy.registry", "incident", ("school.registered",), None)
STATUS: Final = Topic("saqshy.status", "liveness", ("status.changed",), None)
ALERTS: Final = Topic("saqshy.alerts", "panic", ("alert.changed",), 90 * DAY_MS)
STEPS: Final = Topic("saqshy.steps", "operations", ("alert.step",), 90 * DAY_MS)
AUDIT_HEADS: Final = Topic(
    "saqshy.audit-heads", "operations", ("audit.head",), 400 * DAY_MS, co_read=False
)
DEAD_LETTERS: Final = Topic(
    "saqshy.dead-letters",
    "operations",
    (),
    14 * DAY_MS,
    co_read=False,
    max_message_bytes=MAX_LETTER_BYTES,
)

TOPICS: Final = (
    PASSES,
    HEARTBEATS,
    PANICS,
    INCIDENTS,
    FACILITIES,
    REGISTRY,
    STATUS,
    ALERTS,
    STEPS,
    AUDIT_HEADS,
    DEAD_LETTERS,
)
EVENT_TOPICS: Final = (PASSES, HEARTBEATS, PANICS, INCIDENTS, FACILITIES, REGISTRY)
BY_NAME: Final = {topic.name: topic for topic in TOPICS}
TOPIC_OF_TYPE: Final = {kind: topic for topic in TOPICS for kind in topic.types}
