"""Where dead letters first came in, and which of them are meant."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from schemas.alerts import DeadLetter, Reason


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a dead letter first came in; ``kafka_time_ms`` None is any record that ever stood there."""

    topic: str
    partition: int
    offset: int
    kafka_time_ms: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``topic/partition/offset`` or ``topic/partition/offset@ms``. Raises ValueError."""
        place, at, ms = text.partition("@")
        topic, partition, offset = place.split("/")
        return cls(topic, int(partition), int(offset), int(ms) if at else None)

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls(letter.topic, letter.partition, letter.offset, letter.kafka_time_ms)

    @property
    def place(self) -> Self:
        """Of any time."""
        return replace(self, kafka_time_ms=None)

    def is_of(self, letters: Collection["Origin"]) -> bool:
        """Whether it is among them, by its time or as any record of its place."""
        return self in letters or self.place in letters

    def __str__(self) -> str:
        at = "" if self.kafka_time_ms is None else f"@{self.kafka_time_ms}"
        return f"{self.topic}/{self.partition}/{self.offset}{at}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is empty does not narrow."""

    reasons: frozenset[Reason] = frozenset()
    topic: str | None = None
    since_ms: int | None = None
    origins: frozenset[Origin] = frozenset()

    def takes(self, letter: DeadLetter) -> bool:
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.topic is None or letter.topic == self.topic)
            and (self.since_ms is None or letter.kafka_time_ms >= self.since_ms)
            and (not self.origins or Origin.of(letter).is_of(self.origins))
        )
