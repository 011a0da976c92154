"""What a storing lane writes beside each committed offset: which log it is of, and what is pending. Pure.

Three things make an offset one of this log and no other: the topic's id, its leader's epoch, and
Kafka's time of the record before it.
"""

import json
from array import array
from base64 import b85decode, b85encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from streams.transport import Record, Timeline
from streams.transport.timeline import UNKNOWN

LOWEST_KAFKA_MS: Final = 1_577_836_800_000
"""2020-01-01."""
HIGHEST_KAFKA_MS: Final = 4_102_444_800_000
"""2100-01-01: ClickHouse's TTLs reckon in seconds of 32 bits, which end in 2106."""


_timestamp = attrgetter("timestamp")


def kafka_ms(timestamp: int) -> int:
    """Kafka's time of a record, 0 for one that can't be: then a producer set it, and not the broker."""
    return timestamp if LOWEST_KAFKA_MS <= timestamp < HIGHEST_KAFKA_MS else 0


@dataclass(frozen=True, slots=True)
class Span:
    """What names a run of records: offsets, their least Kafka's time, and a hash of all their times.

    Other records at the same offsets were taken at other times.
    """

    first: int
    last: int
    first_ms: int
    times: str

    @classmethod
    def of(cls, records: Sequence[Record], first: int, last: int) -> "Span":
        stamps = array("q", map(_timestamp, records))
        least = min(map(kafka_ms, (min(stamps), max(stamps)))) if stamps else 0
        return cls(first, last, least, sha256(stamps).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Pending:
    """A block that is being inserted.

    ``decisions``: their version. ``since_ms``: from which of Kafka's times on duplicates are known.
    ``named_ms``: when it was named, by our clock; 0 for one of which some was stored before.
    ``unknown``: which of the records' keys are no schools (``Keys``).
    """

    decisions: int
    span: Span
    since_ms: int
    named_ms: int
    unknown: str = ""

    def token(self, topic: str, partition: int) -> str:
        span = self.span
        return f"{topic}/{partition}/{span.first}-{span.last}/{span.times}/v{self.decisions}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Beside a committed offset. ``last_ms``: Kafka's time of the record before it, None if unknown."""

    timeline: Timeline = UNKNOWN
    last_ms: int | None = None
    pending: Pending | None = None

    def metadata(self) -> str:
        said: dict[str, Any] = {
            "topic": self.timeline.topic_id,
            "epoch": self.timeline.leader_epoch,
            "last_ms": self.last_ms,
        }
        if (it := self.pending) is not None:
            span = it.span
            said["pending"] = [
                *(it.decisions, span.first, span.last, span.first_ms, span.times),
                *(it.since_ms, it.named_ms, it.unknown),
            ]
        return json.dumps(said, separators=(",", ":"))


def mark_of(metadata: str) -> Mark:
    """What a commit says. Raises ValueError when it can't be read.

    Before version 3 of the decisions there was a list: decisions, first, last, and two of no use now.
    """
    if not metadata:
        return Mark()
    said = json.loads(metadata)
    if isinstance(said, list):
        decisions, first, last, *_ = said
        return Mark(pending=Pending(decisions, Span(first, last, 0, ""), 0, 0))
    try:
        timeline = Timeline(said["topic"], said["epoch"])
        pending = None
        if "pending" in said:
            decisions, first, last, first_ms, times, since_ms, named_ms, unknown = said["pending"]
            pending = Pending(
                decisions, Span(first, last, first_ms, times), since_ms, named_ms, unknown
            )
        return Mark(timeline, said["last_ms"], pending)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a commit's metadata can't be read: {metadata[:200]}") from error


class Keys:
    """The keys of a block's records in their order, and those among them that name no school.

    A compacted registry can't say later what it said then, so the pending block does: one bit per
    key, at most 3,125 characters for 20,000 of them. Kafka takes 4,096.
    """

    def __init__(self, keys: Iterable[bytes | None]) -> None:
        self.names = sorted({(key or b"").decode(errors="replace") for key in keys})

    def without(self, unknown: str) -> frozenset[str]:
        """All but those that ``marked`` has marked."""
        bits = int.from_bytes(b85decode(unknown)) if unknown else 0
        return frozenset(name for at, name in enumerate(self.names) if not bits >> at & 1)

    def marked(self, unknown: Iterable[str]) -> str:
        which = set(unknown)
        bits = sum(1 << at for at, name in enumerate(self.names) if name in which)
        return b85encode(bits.to_bytes((len(self.names) + 7) // 8)).decode() if bits else ""
