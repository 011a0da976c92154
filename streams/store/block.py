"""What one batch becomes: rows, dead letters, and the name under which it is inserted. Pure.

A block depends on nothing but the records' bytes, Kafka's timestamps and what its pending block's name
says (mark.py), so that it is formed the same way again after a crash. (ClickHouse drops a block silently
when another one was inserted under its token.)
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from schemas.alerts import DeadLetter, Reason
from schemas.events import is_canary
from schemas.times import IN_FUTURE_MS, TOO_OLD_MS
from schemas.topics import PANICS, Topic
from streams.decode.fast import FastDecoder
from streams.store.judge import (
    NOTICE_TOPICS,
    Rejected,
    check,
    dead_letter,
    judge,
)
from streams.store.mark import HIGHEST_KAFKA_MS, LOWEST_KAFKA_MS
from streams.store.rows import TABLE_OF, Columns
from streams.store.seen import Seen
from streams.transport import Record

DECISIONS: Final = 3
"""Raise it with every change that makes other rows or dead letters of the same records."""

Knows = Callable[[str], bool]
Letter = tuple[DeadLetter, bytes | None, bytes | None]
"""A dead letter with its original key and bytes."""


@dataclass(frozen=True, slots=True)
class Block:
    """``columns`` as the raw table has them, all of one length, in offset order; none when empty.

    Counted and gone nowhere: ``canaries``, records of the watchdog's own, and ``deletions``, by which a
    compacted topic forgets a key. What ClickHouse has of a school stays: it is history.
    """

    columns: Columns
    letters: list[Letter]
    canaries: int = 0
    deletions: int = 0

    @property
    def offsets(self) -> list[int]:
        """Kafka offsets of the rows."""
        return self.columns[1] if self.columns else []

    def fingerprint(self) -> str:
        """Differs for blocks with other offsets."""
        offsets = [self.offsets, [letter.offset for letter, _, _ in self.letters]]
        return sha256(json.dumps(offsets).encode()).hexdigest()[:32]


def form(
    topic: Topic, partition: int, records: Sequence[Record], seen: Seen, knows: Knows
) -> Block:
    """Judge every record. Changes ``seen``."""
    table = TABLE_OF[topic.name]
    canaries = len(records)
    records = [record for record in records if not of_canary(record.key)]
    canaries -= len(records)
    deletions = 0
    if topic.compacted:
        deletions = len(records)
        records = [record for record in records if record.key is None or record.value is not None]
        deletions -= len(records)
    judged = (
        _judged(topic, records, knows)
        if table.fast is None
        else _judged_fast(topic, table.fast, records, knows)
    )
    events: list[Any] = []
    stored: list[Record] = []
    letters: list[Letter] = []
    is_new = _is_new(topic, seen)
    for record, found in zip(records, judged, strict=True):
        if not isinstance(found, Rejected):
            if is_new(found):
                events.append(found)
                stored.append(record)
                continue
            found = Rejected(Reason.DUPLICATE, "/seq", "stored already at a smaller offset")
        letter = dead_letter(
            topic.name, partition, record.offset, record.timestamp, record.value, found
        )
        letters.append((letter, record.key, record.value))
    if not events:
        return Block([], letters, canaries, deletions)
    origin = [
        [partition] * len(stored),
        [record.offset for record in stored],
        [record.timestamp for record in stored],
    ]
    return Block(origin + table.fill(events), letters, canaries, deletions)


def of_canary(key: bytes | None) -> bool:
    """Whether the watchdog sent this to itself. Every record of a school has it as its key."""
    return (
        key is not None and key.startswith(b"KZ-00-9") and is_canary(key.decode(errors="replace"))
    )


def _is_new(topic: Topic, seen: Seen) -> Callable[[Any], bool]:
    if topic.name in NOTICE_TOPICS:
        return lambda _: True
    first_time = seen.first_time
    if topic is PANICS:  # a press is a duplicate by its event id alone
        return lambda event: first_time(event.school, event.id, 0, 0)
    return lambda event: first_time(event.school, event.device, event.boot, event.seq)


def _judged(topic: Topic, records: Sequence[Record], knows: Knows) -> Iterable[Any]:
    return (judge(topic, r.key, r.value, r.timestamp, knows) for r in records)


def _judged_fast(
    topic: Topic, fast: FastDecoder, records: Sequence[Record], knows: Knows
) -> Iterable[Any]:
    """As ``_judged``; what the fast decoder passes over goes to the model."""
    home: dict[bytes | None, str] = {}  # the registered school of a key
    for record, event in zip(records, fast.decode([r.value for r in records]), strict=True):
        key, kafka_ms = record.key, record.timestamp
        if event is None:
            found = judge(topic, key, record.value, kafka_ms, knows)
            yield found if isinstance(found, Rejected) else fast.of(found)  # type: ignore[arg-type]
        elif (
            home.get(key) == event.school
            and LOWEST_KAFKA_MS <= kafka_ms < HIGHEST_KAFKA_MS
            and -TOO_OLD_MS <= event.time_ms - kafka_ms <= IN_FUTURE_MS
        ):
            yield event
        else:
            why = check(topic, key, event, kafka_ms, knows)
            if why is None:
                home[key] = event.school
            yield why or event
