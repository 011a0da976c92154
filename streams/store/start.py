"""Where a partition begins, by what the group has committed and what its log is now. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from streams.store.mark import HIGHEST_KAFKA_MS, Mark, Pending
from streams.transport import LogState


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was looked up where a commit alone does not tell which log it is of.

    ``last_ms``: Kafka's time of the record before the committed offset. ``stored``: the offset of the
    newest record that ClickHouse has; ``stored_is_here``: whether this log has it. None: not known.
    """

    last_ms: int | None = None
    stored: int | None = None
    stored_is_here: bool | None = None


def start(offset: int | None, mark: Mark, log: LogState, found: Evidence) -> Start:
    if offset is None:
        return Start(log.begin, lost=_unseen(log, found), back=Why.OFFSETS_GONE)
    other = _another_log(offset, mark, log, found)
    if other is not None:
        # What was stored of the old log, and is in this one too, is known when it comes.
        lost = Lost(other, offset, None, mark.timeline.topic_id, mark.last_ms or 0)
        of_this = _begun_without_us(log) if other is Why.RECREATED else ()
        return Start(log.begin, lost=(lost, *of_this), back=other)
    pending = mark.pending
    losses: list[Lost] = []
    if pending is not None and pending.span.last >= log.end:
        id_, since_ms = mark.timeline.topic_id, pending.span.first_ms
        first = max(pending.span.first, log.end)
        losses.append(Lost(Why.TRUNCATED, first, None, id_, since_ms))
    if offset < log.begin:
        id_ = log.timeline.topic_id
        losses.append(Lost(Why.RETENTION, offset, log.begin - 1, id_, mark.last_ms or 0))
    if pending is not None:
        after = min(pending.span.last + 1, log.end)
        return Start(max(after, log.begin), pending, tuple(losses))
    return Start(max(offset, log.begin), lost=tuple(losses))


def needs_last(offset: int | None, mark: Mark, log: LogState) -> bool:
    """Whether the record before ``offset`` must be looked at: nothing else tells that the log is the
    same one after an election, or when the broker tells neither ids nor epochs."""
    return (
        offset is not None
        and mark.last_ms is not None
        and log.begin < offset <= log.end
        and (mark.timeline != log.timeline or not log.timeline.topic_id)
    )


def needs_stored(offset: int | None, mark: Mark) -> bool:
    """Whether only what is stored tells which log it was: no commit, or one of an earlier version."""
    return offset is None or (not mark.timeline.topic_id and mark.last_ms is None)


def _unseen(log: LogState, found: Evidence) -> tuple[Lost, ...]:
    """Of a log without a commit: what lies between what is stored and what is left."""
    id_ = log.timeline.topic_id
    after = 0 if found.stored is None else found.stored + 1
    if found.stored_is_here is False:
        return (Lost(Why.RECREATED, after, None, id_, 0), *_begun_without_us(log))
    return (Lost(Why.RETENTION, after, log.begin - 1, id_, 0),) if after < log.begin else ()


def _begun_without_us(log: LogState) -> tuple[Lost, ...]:
    """Of a log of which we have nothing: what stands at its offsets in ClickHouse is of another."""
    id_ = log.timeline.topic_id
    gone = Lost(Why.RETENTION, 0, log.begin - 1, id_, HIGHEST_KAFKA_MS)
    return (gone,) if log.begin > 0 else ()


def _another_log(offset: int, mark: Mark, log: LogState, found: Evidence) -> Why | None:
    if log.timeline.is_other_topic_than(mark.timeline.topic_id) or found.stored_is_here is False:
        return Why.RECREATED
    last_differs = None not in (found.last_ms, mark.last_ms) and found.last_ms != mark.last_ms
    return Why.TRUNCATED if offset > log.end or last_differs else None
