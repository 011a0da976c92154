"""The channel on which an agent receives batches."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from faust.channels import Channel
from faust.types import TP, AppT
from mode.utils.queues import ThrowableQueue

from streams.transport.batch import Batch, Committed

OnAssigned = Callable[[Mapping[TP, Committed]], Awaitable[Mapping[TP, int] | None]]
"""Told what is committed for newly assigned partitions, before any batch of them comes. May use
`commit_at` and `read_range`, and may return other offsets to start from. It is cancelled when
the partitions are revoked before it ends, and called again after a pause when it raises: so it
must bear repetition. A channel that starts partitions ``apart`` calls it for each by itself, also
again when the partition's log has become another one."""


class BatchQueue(ThrowableQueue):  # type: ignore[misc]
    """Batches that no agent has taken yet: at most one per partition, so it needs no bound.

    Faust's flow control doesn't empty it: a batch that vanished would keep its partition shut.
    """

    def _get(self) -> Batch:
        batch: Batch = super()._get()
        batch.task = asyncio.current_task()
        return batch

    def remove_all(self) -> list[Batch]:
        batches = list(self._queue)
        self._queue.clear()
        return batches


class BatchChannel(Channel):  # type: ignore[misc]
    """Batches of some topics, for the actors of one agent.

    Faust's Conductor subscribes to the topics of whatever channels iterate; it asks for the
    attributes below and never sees a record. All clones share one queue, so that each batch
    goes to one actor.
    """

    internal = False
    acks = False
    _queue: BatchQueue | None

    def __init__(
        self,
        app: AppT,
        *,
        topics: Sequence[str],
        max_records: int,
        max_bytes: int,
        on_assigned: OnAssigned | None,
        apart: bool,
        gather_s: Mapping[str, float],
        **kwargs: Any,
    ) -> None:
        super().__init__(app, **kwargs)
        self.topics = tuple(topics)
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.on_assigned = on_assigned
        self.apart = apart
        self.gather_s = gather_s

    @property
    def queue(self) -> BatchQueue:
        if self._queue is None:
            self._queue = (
                self._root.queue
                if self._root is not None
                else BatchQueue(flow_control=self.app.flow_control)
            )
        return self._queue

    def _clone_args(self) -> Mapping[str, Any]:
        return {
            **super()._clone_args(),
            "topics": self.topics,
            "max_records": self.max_records,
            "max_bytes": self.max_bytes,
            "on_assigned": self.on_assigned,
            "apart": self.apart,
            "gather_s": self.gather_s,
        }

    def __aiter__(self) -> "BatchChannel":
        if self.is_iterator:
            return self
        self.app.topics.add(self._root if self._root is not None else self)
        clone: BatchChannel = self.clone(is_iterator=True)
        return clone

    def __str__(self) -> str:
        return ",".join(self.topics)


def batches(
    app: AppT,
    topics: Sequence[str],
    *,
    max_records: int = 10_000,
    max_bytes: int = 8 << 20,
    on_assigned: OnAssigned | None = None,
    apart: bool = False,
    gather_s: Mapping[str, float] | None = None,
) -> BatchChannel:
    """A channel for `@app.agent(...)` that yields a Batch per partition at a time.

    A batch holds what has arrived, at most `max_records` records and about `max_bytes` bytes of
    values. Topics that are co-read must have the same number of partitions: then one worker has
    the same partitions of all of them. A topic belongs to one channel. With ``apart`` each partition
    starts by itself, so that one whose start fails does not hold the others. ``gather_s``: for how long a
    topic rests after its batches (see waves.py), unless they are large: then we are behind.
    """
    return BatchChannel(
        app,
        topics=topics,
        max_records=max_records,
        max_bytes=max_bytes,
        on_assigned=on_assigned,
        apart=apart,
        gather_s=gather_s or {},
    )
