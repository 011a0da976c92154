"""The records of all partitions in the order of the broker's stamps. Pure."""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from schemas.alerts import StatusChanged

GATED_MS: Final = 15_000
"""A partition of which nothing was proved for so long is no more waited for."""

Stamped = tuple[int, int, int, StatusChanged | None]
"""Kafka's time, partition, offset, and what the record says of a school."""


class Merge:
    """What was read of each partition waits until all others have come as far."""

    def __init__(self, partitions: Iterable[int] = ()) -> None:
        self._proven_ms = dict.fromkeys(partitions, 0)
        """Everything stamped up to then was put in."""
        self._behind = set(self._proven_ms)
        self._waiting: list[Stamped] = []

    @property
    def is_caught_up(self) -> bool:
        """Whether each partition has been read to what was its end once."""
        return bool(self._proven_ms) and not self._behind

    def put(self, partition: int, offset: int, kafka_ms: int, said: StatusChanged | None) -> None:
        """A record, in its partition's order; None for one that says nothing of a school."""
        heappush(self._waiting, (kafka_ms, partition, offset, said))
        # Another record of the same millisecond may follow.
        self._move(partition, kafka_ms - 1)

    def prove(self, partition: int, until_ms: int) -> None:
        """The broker says that there was nothing more."""
        if partition in self._proven_ms:
            self._behind.discard(partition)
            self._move(partition, until_ms)

    def watermark_ms(self) -> int:
        """How far time has come; 0 while it can't be told."""
        proven = self._proven_ms.values()
        gated_ms = max(proven, default=0) - GATED_MS if self.is_caught_up else 0
        return min((at_ms for at_ms in proven if at_ms >= gated_ms), default=0)

    def take(self, until_ms: int) -> list[Stamped]:
        """What is due by then, in order."""
        due = []
        while self._waiting and self._waiting[0][0] <= until_ms:
            due.append(heappop(self._waiting))
        return due

    def _move(self, partition: int, until_ms: int) -> None:
        self._proven_ms[partition] = max(self._proven_ms[partition], until_ms)
