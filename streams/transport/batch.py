"""One batch of one partition, and what may be done with it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from faust.types import TP


class Record(Protocol):
    """What is read of a record of Kafka; topic and partition stand once, on the batch."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds, by the broker's clock."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Located(Record, Protocol):
    """A record that was read past the batches, which says itself where it lies."""

    @property
    def partition(self) -> int: ...


class Abandoned(Exception):
    """The partition was revoked or lost, or its generation is over: nothing was committed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for a partition; `offset` is None before the first commit."""

    offset: int | None
    metadata: str = ""


class Owner(Protocol):
    """What a batch needs of the consumer that handed it out."""

    async def commit_at(self, tp: TP, offset: int, metadata: str, generation: int) -> None: ...

    def finish(self, batch: "Batch") -> None: ...

    def hand_out_again(self, batch: "Batch") -> None: ...


@dataclass(slots=True, eq=False)
class Batch:
    """Records of one partition in offset order, the only ones of it that are out.

    The next batch of the partition comes after `commit()` or `done()`; other partitions don't
    wait for it. As a context manager it is done at the end of the block, and handed out again,
    with the same records, when the block raises. The same happens to the batches of an agent
    that raises. A batch that an agent forgets stays in flight: its partition stands still, which
    `in_flight_since_s` in the consumer's progress shows.
    """

    tp: TP
    records: list[Record]
    first_offset: int
    """The position from which the batch was read: at or before the first record's offset."""
    next_offset: int
    """The position after it, past gaps that compaction or transactions left behind the last
    record, as far as they are known. Committing it covers the whole batch."""
    size_bytes: int
    """Bytes of the values."""
    generation: int
    """The group's generation in which the partition is ours."""
    owner: Owner = field(repr=False)
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the partition is no longer ours: stop early, a commit can only raise."""
    finished: bool = False
    task: asyncio.Task[Any] | None = field(default=None, repr=False)
    """The agent's task that took it."""

    def __len__(self) -> int:
        return len(self.records)

    async def commit(self, metadata: str = "") -> None:
        """Commit `next_offset` with `metadata` in this generation; then the batch is done.

        Waits as long as the broker is away. Raises Abandoned when the partition isn't ours any
        more, and aiokafka's KafkaError when the broker refuses (metadata beyond 4 KiB, no
        permission).
        """
        if self.abandoned.is_set():
            raise Abandoned(f"{self.tp} was revoked")
        await self.owner.commit_at(self.tp, self.next_offset, metadata, self.generation)
        self.done()

    def done(self) -> None:
        """Ask for the partition's next batch, without a commit. Repeating it does nothing."""
        if not self.finished:
            self.finished = True
            self.owner.finish(self)

    def retry(self) -> None:
        """Ask for the same records again after a pause, as a batch of its own."""
        if not self.finished:
            self.finished = True
            self.owner.hand_out_again(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.done()
        else:
            self.retry()


Deliver = Callable[[list[Batch]], None]
