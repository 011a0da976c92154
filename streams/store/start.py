"""Where a partition begins, by what the group has committed and what its log is now. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.store.mark import Mark, Pending
from streams.transport import LogState

UNTIL_ITS_END: Final = None


class Why(StrEnum):
    """How records were lost to us, or why the group went back."""

    RETENTION = "retention"
    RECREATED = "recreated"
    TRUNCATED = "truncated"
    OFFSETS_GONE = "offsets_gone"


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets that can be read no more, some of which may be stored. ``last`` is None when nobody
    knows where that log ended."""

    why: Why
    first: int
    last: int | None
    topic_id: str
    since_ms: int
    """Rows of these records have a Kafka's time at or after it."""


@dataclass(frozen=True, slots=True)
class Start:
    """``pending`` is to be finished first, with what is left of it; then it goes on at ``offset``.

    ``back``: why records come again that may be stored, None if none do.
    """

    offset: int
    pending: Pending | None = None
    lost: tuple[Lost, ...] = ()
    back: Why | None = None


def start(offset: int | None, mark: Mark, log: LogState, last_ms: int | None) -> Start:
    """``last_ms``: Kafka's time of the record before ``offset``, None if that can't be read."""
    if offset is None:
        return Start(log.begin, back=Why.OFFSETS_GONE)
    other = _another_log(offset, mark, log, last_ms)
    if other is not None:
        # What was stored of the old log, and is in this one too, is known when it comes.
        lost = Lost(other, offset, None, mark.timeline.topic_id, mark.last_ms or 0)
        return Start(log.begin, lost=(lost,), back=other)
    pending = mark.pending
    lost_: list[Lost] = []
    if pending is not None and pending.span.last >= log.end:
        id_, since_ms = mark.timeline.topic_id, pending.span.first_ms
        first = max(pending.span.first, log.end)
        lost_.append(Lost(Why.TRUNCATED, first, None, id_, since_ms))
    if offset < log.begin:
        id_ = log.timeline.topic_id
        lost_.append(Lost(Why.RETENTION, offset, log.begin - 1, id_, mark.last_ms or 0))
    if pending is not None:
        after = min(pending.span.last + 1, log.end)
        return Start(max(after, log.begin), pending, tuple(lost_))
    return Start(max(offset, log.begin), lost=tuple(lost_))


def needs_last(offset: int | None, mark: Mark, log: LogState) -> bool:
    """Whether the record before ``offset`` must be looked at: nothing else tells that the log is the
    same one after an election, or when the broker tells neither ids nor epochs."""
    return (
        offset is not None
        and mark.last_ms is not None
        and log.begin < offset <= log.end
        and (mark.timeline != log.timeline or not log.timeline.topic_id)
    )


def _another_log(offset: int, mark: Mark, log: LogState, last_ms: int | None) -> Why | None:
    if log.timeline.is_other_topic_than(mark.timeline.topic_id):
        return Why.RECREATED
    if offset > log.end or (
        last_ms is not None and mark.last_ms is not None and last_ms != mark.last_ms
    ):
        return Why.TRUNCATED
    return None
