"""Single messages of the outbox: one piece of a page to one receiver, and what is sent next.

Within the outbox's transactions.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from streams.paging.page import Call, Page, joined
from streams.paging.retry import LONGEST_WAIT_MS

MINUTE_MS: Final = 60_000
TOGETHER: Final = 1_000
"""So many pages at most are said in one message,"""
JOINED_AT_ONCE: Final = 3
"""and so many such messages sent in a row: each takes its time to note."""


class Piece(NamedTuple):
    """The calls from ``first`` up to ``until`` of a page, for one receiver."""

    receiver: str
    number: int
    first: int
    until: int


def whole(said: Page) -> list[Piece]:
    return [Piece("", 0, 0, len(said.calls))]


@dataclass(frozen=True, slots=True)
class Message:
    """``again``: an attempt before this one ended without an answer that we know of."""

    page: Page
    piece: Piece
    alone: bool
    attempts: int
    unclear: int
    again: bool

    @property
    def calls(self) -> tuple[Call, ...]:
        return self.page.calls[self.piece.first : self.piece.until]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is sent at once: one message, or all that the channel's rate does not let say one by one."""

    page: Page
    messages: tuple[Message, ...]

    @property
    def receiver(self) -> str:
        return self.messages[0].piece.receiver

    @property
    def attempts(self) -> int:
        return max(message.attempts for message in self.messages)

    @property
    def again(self) -> bool:
        return any(message.again for message in self.messages)


class Messages:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def plan(
        self,
        said: Page,
        pieces: Sequence[Piece],
        attempts: int = 0,
        again: bool = False,
        next_ms: int = 0,
    ) -> None:
        rest = said.urgency, said.made_ms, attempts, again, next_ms
        self._db.executemany(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, 0, ?, ?)",
            [
                (said.id, one.receiver, one.number, said.channel, one.first, one.until, *rest)
                for one in pieces
            ],
        )

    def take(
        self, channel: str, now_ms: int, at_most: int, receiver: str, per_minute: int
    ) -> list[Entry]:
        free, kept = at_most, 0
        if per_minute:
            # Sent later than now: the clock was put back.
            self._db.execute(
                "DELETE FROM sent WHERE at_ms <= ? OR at_ms > ?",
                (now_ms - MINUTE_MS, now_ms + MINUTE_MS),
            )
            (used,) = self._db.execute(
                "SELECT count() FROM sent WHERE channel = ? AND receiver = ?",
                (channel, receiver),
            ).fetchone()
            free, kept = min(at_most, per_minute - used), per_minute // 4
        if free <= 0:
            return []
        joins = per_minute > 0 and free < at_most
        due = self._due(channel, receiver, now_ms, JOINED_AT_ONCE * TOGETHER if joins else at_most)
        entries = _entries([one for one in due if one.page.urgent], free, joins)
        rest = [one for one in due if not one.page.urgent]
        entries += _entries(rest, free - len(entries) - kept, joins)
        for entry in entries:
            self._under_way(entry, now_ms if per_minute else None)
        return entries

    def _due(self, channel: str, receiver: str, now_ms: int, at_most: int) -> list[Message]:
        # A time later than any wait was written before the clock was put back.
        rows = self._db.execute(
            "SELECT pages.page, piece, first_call, until_call, messages.attempts, unclear, again, "
            "(SELECT count() FROM messages m WHERE m.page = messages.page "
            "AND m.receiver = messages.receiver) "
            "FROM messages JOIN pages ON pages.id = messages.page "
            "WHERE messages.channel = ? AND receiver = ? AND messages.state = 'waiting' "
            "AND (messages.next_ms <= ? OR messages.next_ms > ?) "
            "ORDER BY urgency DESC, messages.made_ms, messages.page, piece LIMIT ?",
            (channel, receiver, now_ms, now_ms + 2 * LONGEST_WAIT_MS, at_most),
        )
        return [
            Message(
                _read(text),
                Piece(receiver, number, first, until),
                pieces == 1,
                attempts + 1,
                unclear,
                bool(again),
            )
            for text, number, first, until, attempts, unclear, again, pieces in rows.fetchall()
        ]

    def _under_way(self, entry: Entry, at_ms: int | None) -> None:
        self._db.executemany(
            "UPDATE messages SET state = 'sending', attempts = attempts + 1 "
            "WHERE page = ? AND receiver = ? AND piece = ?",
            [(m.page.id, m.piece.receiver, m.piece.number) for m in entry.messages],
        )
        if at_ms is not None:
            self._db.execute(
                "INSERT INTO sent VALUES (?, ?, ?)", (entry.page.channel, entry.receiver, at_ms)
            )

    def note(self, message: Message, state: str, unclear: int, next_ms: int) -> None:
        self._db.execute(
            "UPDATE messages SET state = ?, unclear = ?, again = 0, next_ms = ? "
            "WHERE page = ? AND receiver = ? AND piece = ?",
            (
                state,
                unclear,
                next_ms,
                message.page.id,
                message.piece.receiver,
                message.piece.number,
            ),
        )


@lru_cache(maxsize=16)
def _read(text: str) -> Page:
    """A page of many pieces is read once."""
    return Page.model_validate_json(text)


def _entries(due: list[Message], free: int, joins: bool) -> list[Entry]:
    """At most ``free``. Where it ``joins``, what is more is said together, in as few messages as hold it; a
    page of several pieces is full already and goes by itself."""
    if free <= 0:
        return []
    if not joins or len(due) <= free:
        return [Entry(_page_of(one), (one,)) for one in due[:free]]
    bundles = min(free, JOINED_AT_ONCE, -(-(len(due) - free + 1) // TOGETHER))
    first, rest = due[: free - bundles], due[free - bundles :]
    entries = [Entry(_page_of(one), (one,)) for one in first]
    alone = [one for one in rest if one.alone]
    for begin in range(0, len(alone), TOGETHER):
        some = tuple(alone[begin : begin + TOGETHER])
        entries.append(Entry(joined([one.page for one in some]), some))
    entries += [Entry(_page_of(one), (one,)) for one in rest if not one.alone]
    return entries[:free]


def _page_of(message: Message) -> Page:
    """Each piece has an id of its own, by which a receiver knows it again."""
    if message.alone:
        return message.page
    id_ = f"{message.page.id}-{message.piece.number + 1}"
    return message.page.model_copy(update={"id": id_, "calls": message.calls})
