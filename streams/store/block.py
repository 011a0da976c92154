"""What one batch becomes: rows, dead letters, and the name under which it is inserted. Pure.

A block depends on nothing but the records' bytes, Kafka's timestamps and what its Pending names, so that
it is formed the same way again after a crash. (ClickHouse drops a block silently when another one was
inserted under its token.)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.alerts import DeadLetter, Reason
from schemas.topics import PANICS, Topic
from streams.store.judge import NOTICE_TOPICS, Rejected, dead_letter, judge
from streams.store.rows import TABLE_OF, Row
from streams.store.seen import Seen
from streams.transport import Record

DECISIONS: Final = 1
"""Raise it with every change that makes other rows or dead letters of the same records."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A block that is being inserted; the commit's metadata while it is."""

    decisions: int
    first: int
    last: int
    since: int
    registry: int

    def metadata(self) -> str:
        return json.dumps([self.decisions, self.first, self.last, self.since, self.registry])

    def token(self, topic: str, partition: int) -> str:
        return f"{topic}/{partition}/{self.first}-{self.last}/v{self.decisions}"


def pending_of(metadata: str) -> Pending | None:
    """The block that a commit names, if it names one. Raises ValueError when it can't be read."""
    if not metadata:
        return None
    return Pending(*json.loads(metadata))


@dataclass(frozen=True, slots=True)
class Block:
    """``letters``: the dead letters with their original key and bytes."""

    rows: list[Row]
    letters: list[tuple[DeadLetter, bytes | None, bytes | None]]


def form(
    topic: Topic,
    partition: int,
    records: Sequence[Record],
    seen: Seen,
    knows: Callable[[str], bool],
) -> Block:
    """Judge every record. Changes ``seen``."""
    row_of = TABLE_OF[topic.name].row
    numbered = topic.name not in NOTICE_TOPICS
    by_id = topic is PANICS  # a press is a duplicate by its event id alone
    block = Block([], [])
    for record in records:
        found = judge(topic, record.key, record.value, record.timestamp, knows)
        if not isinstance(found, Rejected) and numbered:
            device, boot, seq = (found.id, 0, 0) if by_id else (found.device, found.boot, found.seq)  # type: ignore[union-attr]
            if not seen.first_time(found.school, device, boot, seq):
                found = Rejected(Reason.DUPLICATE, "/seq", "stored already at a smaller offset")
        if isinstance(found, Rejected):
            letter = dead_letter(
                topic.name, partition, record.offset, record.timestamp, record.value, found
            )
            block.letters.append((letter, record.key, record.value))
        else:
            block.rows.append((partition, record.offset, record.timestamp, *row_of(found)))
    return block
