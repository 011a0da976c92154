"""Which partitions may be handed their next batch: bookkeeping without I/O."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

P = TypeVar("P")


class Gate(Generic[P]):
    """At most one batch in flight per partition, and none outside of a generation.

    A partition is closed when assigned and opened once its start is known. A batch that is in
    flight when its generation ends keeps the partition shut until it is released, also if the
    partition comes back in the next generation: the same records are never handled twice at the
    same time by one process.
    """

    def __init__(self) -> None:
        self.generation = -1
        self._assigned: set[P] = set()
        self._open: set[P] = set()
        self._in_flight: dict[P, int] = {}

    def assign(self, partitions: Iterable[P], generation: int) -> None:
        self.generation = generation
        self._assigned = set(partitions)
        self._open.clear()

    def close(self) -> None:
        """Hand out nothing more in this generation, which goes on: commits are still allowed."""
        self._open.clear()

    def revoke(self) -> None:
        """End the generation. What is in flight stays so until released."""
        self.generation = -1
        self._assigned.clear()
        self._open.clear()

    def holds(self, partition: P, generation: int) -> bool:
        return generation == self.generation and partition in self._assigned

    def open(self, partition: P, generation: int) -> bool:
        """Allow batches of the partition; False when the generation is over."""
        if not self.holds(partition, generation):
            return False
        self._open.add(partition)
        return True

    def shut(self, partition: P) -> None:
        """Hand out no more batches of this partition until it is opened again."""
        self._open.discard(partition)

    def is_open(self, partition: P) -> bool:
        return partition in self._open

    def all_open(self) -> bool:
        """Whether nothing assigned is still closed; so also when nothing is assigned."""
        return self.generation >= 0 and self._open >= self._assigned

    def idle(self) -> Iterator[P]:
        """Partitions that may be handed a batch now."""
        return (p for p in self._open if p not in self._in_flight)

    def hand_out(self, partition: P, first_offset: int) -> None:
        """Raises ValueError when the partition isn't idle."""
        if partition not in self._open or partition in self._in_flight:
            raise ValueError(f"{partition} isn't idle")
        self._in_flight[partition] = first_offset

    def release(self, partition: P) -> None:
        self._in_flight.pop(partition, None)

    def in_flight_from(self, partition: P) -> int | None:
        """First offset of the batch in flight, None when there is none."""
        return self._in_flight.get(partition)
