"""What is to be said, on disk, from the decision until the channel took it and Kafka knows.

A page is waiting, sending, sent or failed. ``sending`` after a crash means that the channel may
have it already: it is sent again with the same idempotency key. Every write is on the disk
(WAL, fsync) when a method returns. Not for two threads at once.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.steps import StepTaken, Took, step_id
from streams.notify.page import Call, Page

KEEP_MS: Final = 7 * 86_400_000
ACTOR: Final = "saqshy:notify"
RETRY_MS: Final = (1_000, 2_000, 5_000, 15_000, 30_000, 60_000, 120_000, 300_000)
GIVE_UP_AFTER_MS: Final = 24 * 3_600_000

_NOT_BEFORE_ANSWER_MS: Final = 2**62
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS pages (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, page TEXT NOT NULL, urgent INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS open_subjects ON pages (channel, subject)
    WHERE state IN ('waiting', 'sending');
CREATE INDEX IF NOT EXISTS open_pages ON pages (channel, next_ms) WHERE state IN ('waiting', 'sending');
CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, made_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER PRIMARY KEY, step TEXT NOT NULL, kafka_partition INTEGER
);
"""


class InUse(Exception):
    """Another notifier has this outbox."""


@dataclass(frozen=True, slots=True)
class Entry:
    """``again``: an attempt before this one ended without an answer that we know of."""

    page: Page
    attempts: int
    again: bool


@dataclass(frozen=True, slots=True)
class ToSay:
    number: int
    step: StepTaken
    partition: int | None


class Outbox:
    def __init__(self, folder: Path) -> None:
        """Raises InUse, OSError, and sqlite3.Error when the file is not a database."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InUse(f"Another notifier has {folder}: stop it first.") from None
        self._db = sqlite3.connect(folder / "outbox.db", check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._db:
            self._db.executescript(_TABLES)
            # What a crash interrupted is due at once.
            self._db.execute("UPDATE pages SET next_ms = 0 WHERE state = 'sending'")

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    def made(self) -> set[str]:
        """Ids of the calls that are here or were, for a week."""
        return {row[0] for row in self._db.execute("SELECT id FROM calls")}

    def put(self, pages: Sequence[Page]) -> None:
        """Keep them to be sent. A page that is here already stays as it is.

        A repeat of what still waits is not kept: a channel that was away for an hour would get
        sixty of them.
        """
        with self._db:
            for said in pages:
                subject = said.calls[0].group or said.calls[0].alert
                if not (said.only_repeats and self._waits(said.channel, subject)):
                    page = (said.id, said.channel, said.model_dump_json(), said.urgent)
                    self._db.execute(
                        "INSERT OR IGNORE INTO pages VALUES (?, ?, ?, ?, 'waiting', 0, 0, ?, ?)",
                        (*page, said.made_ms, subject),
                    )
                self._db.executemany(
                    "INSERT OR IGNORE INTO calls VALUES (?, ?)",
                    [(one, said.made_ms) for call in said.calls for one in call.makes],
                )

    def _waits(self, channel: str, subject: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM pages WHERE channel = ? AND subject = ? "
            "AND state IN ('waiting', 'sending') LIMIT 1",
            (channel, subject),
        )
        return found.fetchone() is not None

    def take(self, channel: str, now_ms: int, at_most: int) -> list[Entry]:
        """The next pages of the channel, urgent ones first, marked as being sent."""
        with self._db:
            rows = self._db.execute(
                "SELECT id, page, attempts, state FROM pages WHERE channel = ? AND next_ms <= ? "
                "AND state IN ('waiting', 'sending') ORDER BY urgent DESC, made_ms, id LIMIT ?",
                (channel, now_ms, at_most),
            ).fetchall()
            self._db.executemany(
                "UPDATE pages SET state = 'sending', attempts = attempts + 1, next_ms = ? WHERE id = ?",
                [(_NOT_BEFORE_ANSWER_MS, row[0]) for row in rows],
            )
        return [
            Entry(Page.model_validate_json(said), attempts + 1, state == "sending")
            for _, said, attempts, state in rows
        ]

    def sent(self, entry: Entry, now_ms: int) -> None:
        with self._db:
            self._state(entry, "sent", 0)
            self._record(
                entry,
                lambda call: StepTaken(
                    id=call.id,
                    alert=call.alert,
                    school=call.school,
                    took=call.took,
                    actor=ACTOR,
                    time_ms=now_ms,
                    target=call.channel,
                    attempt=entry.attempts,
                    note=call.why,
                ),
            )

    def failed(self, entry: Entry, why: str, final: bool, now_ms: int) -> None:
        """To be tried again after a while, unless ``final`` or a day has passed."""
        over = final or now_ms - entry.page.made_ms > GIVE_UP_AFTER_MS
        wait_ms = RETRY_MS[min(entry.attempts, len(RETRY_MS)) - 1]
        with self._db:
            self._state(entry, "failed" if over else "waiting", now_ms + wait_ms)
            self._record(
                entry,
                lambda call: StepTaken(
                    id=step_id(
                        call.alert, Took.FAILED, call.channel, f"{call.id}:{entry.attempts}"
                    ),
                    alert=call.alert,
                    school=call.school,
                    took=Took.FAILED,
                    actor=ACTOR,
                    time_ms=now_ms,
                    target=call.channel,
                    # What is given up counts as often tried, so that the next level is called.
                    attempt=max(entry.attempts, len(RETRY_MS)) if over else entry.attempts,
                    note=f"{call.why}: {why}"[:300],
                ),
            )

    def to_say(self, at_most: int) -> list[ToSay]:
        """Steps that Kafka has not acknowledged, the oldest first."""
        rows = self._db.execute(
            "SELECT number, step, kafka_partition FROM steps ORDER BY number LIMIT ?", (at_most,)
        )
        return [
            ToSay(number, StepTaken.model_validate_json(step), partition)
            for number, step, partition in rows
        ]

    def said(self, numbers: Iterable[int]) -> None:
        with self._db:
            self._db.executemany("DELETE FROM steps WHERE number = ?", [(n,) for n in numbers])

    def forget(self, now_ms: int) -> None:
        before_ms = now_ms - KEEP_MS
        with self._db:
            self._db.execute("DELETE FROM calls WHERE made_ms < ?", (before_ms,))
            self._db.execute(
                "DELETE FROM pages WHERE made_ms < ? AND state IN ('sent', 'failed')", (before_ms,)
            )

    def counts(self) -> dict[str, int]:
        """Pages by state, and ``steps_unsaid``."""
        with closing(self._db.execute("SELECT state, count() FROM pages GROUP BY state")) as rows:
            found = {f"pages_{state}": int(count) for state, count in rows}
        (unsaid,) = self._db.execute("SELECT count() FROM steps").fetchone()
        return found | {"steps_unsaid": unsaid}

    def _state(self, entry: Entry, state: str, next_ms: int) -> None:
        self._db.execute(
            "UPDATE pages SET state = ?, next_ms = ? WHERE id = ?", (state, next_ms, entry.page.id)
        )

    def _record(self, entry: Entry, step: Callable[[Call], StepTaken]) -> None:
        self._db.executemany(
            "INSERT INTO steps (step, kafka_partition) VALUES (?, ?)",
            [(step(call).model_dump_json(), call.partition) for call in entry.page.calls],
        )
