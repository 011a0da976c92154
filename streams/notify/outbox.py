"""What is to be said, on disk, from the decision until the channel took it and Kafka knows.

A page is cut into pieces, and each of its channel's receivers gets each piece once: a message is one
piece to one receiver, and is waiting, sending, sent or failed. What was being sent in a crash may have
been heard already: it is sent again under the same id. Every write is on the disk (WAL, fsync) when a
method returns. Not for two threads at once.
"""

import fcntl
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from schemas.alerts import AlertChanged
from schemas.steps import StepTaken, Took, step_id
from streams.notify.asking import GAVE_UP
from streams.notify.messages import Entry, Messages, Piece, whole
from streams.notify.shelf import opened
from streams.paging.page import ACTOR, BEGIN, OVER, Call, Page
from streams.paging.retry import TOO_LONG_MS, NotDelivered, asked_ms, next_try_ms

log = structlog.get_logger(__name__)

KEEP_MS: Final = 7 * 86_400_000
READ_BACK_MS: Final = 2 * 86_400_000
"""As far back as Kafka is read at a start, so that what ended since is known."""
KEEP_OPEN_MS: Final = 100 * 86_400_000
"""Who was told of an alert that is open, or of which we know nothing any more, is kept so long."""
FIRST, UNREACHED, LAST = 1, 2, 3
"""Failures of a page that are worth a step: the first, that nobody of it is reached, that it is given up."""


class InUse(Exception):
    """Another notifier has this outbox."""


@dataclass(frozen=True, slots=True)
class ToSay:
    number: int
    step: StepTaken
    partition: int | None


class Outbox:
    """``cut`` says how a page is sent: to which receivers, in which pieces; to nobody where its channel
    is not there any more."""

    def __init__(self, folder: Path, cut: Callable[[Page], Sequence[Piece]] = whole) -> None:
        """Raises InUse, OSError, and sqlite3.OperationalError when the file can't be used."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InUse(f"Another notifier has {folder}: stop it first.") from None
        self._cut = cut
        self._db = opened(folder / "outbox.db")
        self._messages = Messages(self._db)
        with self._db:
            self._take_over()

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    def _take_over(self) -> None:
        """Pages of an older outbox, or of channels and receivers that came or went since."""
        kept = self._db.execute("SELECT page, state, attempts, next_ms FROM pages").fetchall()
        is_old = not self._db.execute("SELECT 1 FROM told LIMIT 1").fetchone()
        for text, state, attempts, next_ms in kept:
            try:
                said = Page.model_validate_json(text)
            except ValueError as unreadable:
                log.critical("a page of the outbox can't be read", why=str(unreadable)[:200])
                self._db.execute("UPDATE pages SET state = 'failed' WHERE page = ?", (text,))
                continue
            if is_old:
                self._remember(said)
            if state not in ("waiting", "sending"):
                continue
            self._db.execute("UPDATE pages SET state = 'waiting' WHERE id = ?", (said.id,))
            known = {
                row[0]
                for row in self._db.execute(
                    "SELECT DISTINCT receiver FROM messages WHERE page = ?", (said.id,)
                )
            }
            pieces = self._cut(said)
            at = (attempts, state == "sending", 0 if state == "sending" else next_ms)
            self._messages.plan(said, [one for one in pieces if one.receiver not in known], *at)
            gone = known - {one.receiver for one in pieces}
            self._db.executemany(
                "UPDATE messages SET state = 'failed' WHERE page = ? AND receiver = ? "
                "AND state = 'waiting'",
                [(said.id, one) for one in gone],
            )
            if gone or not pieces:
                self._close(said, "its receiver is not there any more", said.made_ms)

        if is_old:
            # What ended unsaid is not known: a lease that ran out before is not begun again by guess.
            self._db.execute(
                "UPDATE told SET ended_ms = (SELECT max(made_ms) FROM pages) WHERE ended_ms = 0 "
                "AND at_ms < (SELECT max(made_ms) FROM pages) - ?",
                (READ_BACK_MS,),
            )

    def made(self) -> set[str]:
        """Ids of the calls that are here or were, for a week, or for as long as their alert is open."""
        return {row[0] for row in self._db.execute("SELECT id FROM calls")}

    def told(self) -> dict[str, dict[str, Call]]:
        """By alert and channel: the last call that said it lasts. Also of what is over, for a week."""
        told: dict[str, dict[str, Call]] = defaultdict(dict)
        for text in self._db.execute("SELECT call FROM told"):
            call = Call.model_validate_json(text[0])
            told[call.alert][call.channel] = call
        return dict(told)

    def ended(self) -> set[str]:
        """Alerts whose end is said, or on its way, to all who were told."""
        return {row[0] for row in self._db.execute("SELECT alert FROM told WHERE ended_ms > 0")}

    def unreached(self) -> set[str]:
        """Ids of calls that reached nobody of their channel in time."""
        return {row[0] for row in self._db.execute("SELECT call FROM unreached")}

    def keep(self, transition: AlertChanged) -> None:
        """One that was said past Kafka: its pages may be due later, and nobody says it again."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO direct VALUES (?, ?, ?)",
                (transition.id, transition.number, transition.model_dump_json()),
            )

    def direct(self) -> list[AlertChanged]:
        """What ``keep`` has kept."""
        kept = []
        for (text,) in self._db.execute("SELECT transition FROM direct"):
            try:
                kept.append(AlertChanged.model_validate_json(text))
            except ValueError as unreadable:
                log.critical("a kept alert can't be read", why=str(unreadable)[:200])
        return kept

    def in_kafka(self, done: Iterable[tuple[str, int]]) -> None:
        """Kafka has these, by alert and number."""
        with self._db:
            self._db.executemany("DELETE FROM direct WHERE alert = ? AND number = ?", done)

    def put(self, pages: Sequence[Page]) -> list[Call]:
        """Keep them to be sent; the calls whose channel is not there any more.

        A page that is here already stays as it is. A repeat of what still waits is not kept: a channel
        that was away for an hour would get sixty of them.
        """
        unreached: list[Call] = []
        with self._db:
            for said in pages:
                subject = said.calls[0].group or said.calls[0].alert
                if not (said.only_repeats and self._waits(said.channel, subject)):
                    page = (said.id, said.channel, said.model_dump_json(), said.urgent)
                    new = self._db.execute(
                        "INSERT OR IGNORE INTO pages "
                        "(id, channel, page, urgent, state, attempts, next_ms, made_ms, subject) "
                        "VALUES (?, ?, ?, ?, 'waiting', 0, 0, ?, ?)",
                        (*page, said.made_ms, subject),
                    )
                    if new.rowcount:
                        pieces = self._cut(said)
                        self._messages.plan(said, pieces)
                        if not pieces:
                            why = "its channel is not there any more"
                            unreached += self._close(said, why, said.made_ms)
                self._db.executemany(
                    "INSERT OR IGNORE INTO calls (id, made_ms, alert) VALUES (?, ?, ?)",
                    [(one, said.made_ms, call.alert) for call in said.calls for one in call.makes],
                )
                self._remember(said)
        return unreached

    def _remember(self, said: Page) -> None:
        """Who is told of a begin, and of whose end."""
        for call in said.calls:
            if call.why in BEGIN:
                self._db.execute(
                    "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, 0)",
                    (call.alert, call.channel, call.model_dump_json(), said.made_ms),
                )
            elif call.why in OVER:
                self._db.execute(
                    "UPDATE told SET ended_ms = ? WHERE alert = ? AND channel = ?",
                    (max(1, said.made_ms), call.alert, call.channel),
                )

    def _waits(self, channel: str, subject: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM pages WHERE channel = ? AND subject = ? "
            "AND state IN ('waiting', 'sending') LIMIT 1",
            (channel, subject),
        )
        return found.fetchone() is not None

    def take(
        self, channel: str, now_ms: int, at_most: int, receiver: str = "", per_minute: int = 0
    ) -> list[Entry]:
        """What is sent next to this receiver, the most urgent first, marked as being sent.

        Not more than ``per_minute`` in any minute (0: any number), of which a quarter is kept for what
        is urgent. When the rate lets only one more through and several wait, they are said together:
        rather short than late.
        """
        with self._db:
            return self._messages.take(channel, now_ms, at_most, receiver, per_minute)

    def sent(self, entry: Entry, now_ms: int) -> None:
        """A step for each call, when the first receiver of its channel has it."""
        with self._db:
            for message in entry.messages:
                piece = message.piece
                (heard,) = self._db.execute(
                    "SELECT count() FROM messages WHERE page = ? AND piece = ? AND state = 'sent'",
                    (message.page.id, piece.number),
                ).fetchone()
                self._messages.note(message, "sent", message.unclear, 0)
                if not heard:
                    self._db.executemany(
                        "DELETE FROM unreached WHERE call = ?", [(c.id,) for c in message.calls]
                    )
                    for call in message.calls:
                        self._record(call, call.id, call.took, now_ms, message.attempts, call.why)
                self._close(message.page, "", now_ms)

    def failed(self, entry: Entry, why: NotDelivered, now_ms: int) -> list[Call]:
        """To be tried again after a while, or given up; the calls of which it is clear now that nobody
        is reached in time, so that others are called."""
        unreached: list[Call] = []
        with self._db:
            for message in entry.messages:
                unclear = message.unclear + (why.unclear or message.again)
                made_ms = message.page.made_ms
                next_ms = next_try_ms(why, message.attempts, unclear, made_ms, now_ms)
                state = "failed" if next_ms is None else "waiting"
                self._messages.note(message, state, unclear, next_ms or 0)
                unreached += self._close(message.page, str(why), now_ms)
            if why.after_s:
                self._db.execute(
                    "UPDATE messages SET next_ms = max(next_ms, ?) WHERE channel = ? AND receiver = ? "
                    "AND state = 'waiting' AND urgency = 0",
                    (asked_ms(why, now_ms), entry.page.channel, entry.receiver),
                )
        return unreached

    def _close(self, said: Page, why: str, now_ms: int) -> list[Call]:
        """Note how the page stands after something changed; the calls that newly reach nobody."""
        rows = self._db.execute(
            "SELECT piece, first_call, until_call, state, attempts, next_ms FROM messages "
            "WHERE page = ?",
            (said.id,),
        ).fetchall()
        states = {state for *_, state, _, _ in rows}
        is_open = bool(states & {"waiting", "sending"})
        if not is_open:
            state = "sent" if "sent" in states else "failed"
            self._db.execute("UPDATE pages SET state = ? WHERE id = ?", (state, said.id))
        lost = self._newly_lost(said, rows, now_ms)
        if why:
            attempts = max((attempts for *_, attempts, _ in rows), default=1)
            is_last = not is_open and "failed" in states | ({"failed"} if not rows else set())
            stage = LAST if is_last else UNREACHED if lost else FIRST
            self._note(said, stage, max(attempts, GAVE_UP) if lost else attempts, why, now_ms)
        return lost

    def _newly_lost(
        self, said: Page, rows: Sequence[tuple[int, int, int, str, int, int]], now_ms: int
    ) -> list[Call]:
        """Calls that no receiver heard, and that each has failed to take three times, refused for good
        or put off for long."""
        pieces: dict[tuple[int, int], list[bool]] = defaultdict(list)
        for _, first, until, state, attempts, next_ms in rows:
            put_off = state == "waiting" and next_ms > now_ms + TOO_LONG_MS
            tried = attempts >= GAVE_UP and state != "sending"
            pieces[first, until].append(state == "failed" or put_off or tried)
            if state == "sent":
                pieces[first, until].append(False)
        lost = [
            call
            for (first, until), given_up in (pieces or {(0, len(said.calls)): [True]}).items()
            if all(given_up)
            for call in said.calls[first:until]
        ]
        new = []
        for call in lost:
            added = self._db.execute(
                "INSERT OR IGNORE INTO unreached VALUES (?, ?)", (call.id, now_ms)
            )
            new += [call] if added.rowcount else []
        return new

    def _note(self, said: Page, stage: int, attempts: int, why: str, now_ms: int) -> None:
        """A failure as a step of the page's first alert: three at most a page, however often it is
        tried and however many it names; one of a repeat."""
        if said.only_repeats and stage != LAST:
            return
        noted = self._db.execute(
            "UPDATE pages SET noted = ? WHERE id = ? AND noted < ?", (stage, said.id, stage)
        )
        if not noted.rowcount:
            return
        call = said.calls[0]
        more = f" (and {len(said.calls) - 1} more)" if len(said.calls) > 1 else ""
        id_ = step_id(call.alert, Took.FAILED, call.channel, f"{said.id}:{stage}")
        note = f"{call.why}: {why}{more}{'; given up' if stage == LAST else ''}"
        self._record(call, id_, Took.FAILED, now_ms, attempts, note[:300])

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

    def forget(self, now_ms: int, ended: Collection[str] = ()) -> None:
        """Drop what was done a week ago, but not of alerts that are open, or of which nothing is known,
        so that who was told of their begin hears their end. ``ended``: what is known to be over."""
        before_ms = now_ms - KEEP_MS
        with self._db:
            self._db.executemany(
                "UPDATE told SET ended_ms = ? WHERE alert = ? AND ended_ms = 0",
                [(now_ms, alert) for alert in ended],
            )
            self._db.execute(
                "DELETE FROM told WHERE (ended_ms > 0 AND ended_ms < ?) OR at_ms < ?",
                (before_ms, now_ms - KEEP_OPEN_MS),
            )
            self._db.execute(
                "DELETE FROM calls WHERE made_ms < ? AND alert NOT IN (SELECT alert FROM told)",
                (before_ms,),
            )
            self._db.execute("DELETE FROM unreached WHERE call NOT IN (SELECT id FROM calls)")
            self._db.execute(
                "DELETE FROM pages WHERE made_ms < ? AND state IN ('sent', 'failed')", (before_ms,)
            )
            self._db.execute("DELETE FROM messages WHERE page NOT IN (SELECT id FROM pages)")

    def counts(self) -> dict[str, int]:
        """Pages by state, ``steps_unsaid``, and ``messages_failed`` to single receivers."""
        with closing(self._db.execute("SELECT state, count() FROM pages GROUP BY state")) as rows:
            found = {f"pages_{state}": int(count) for state, count in rows}
        (unsaid,) = self._db.execute("SELECT count() FROM steps").fetchone()
        (failed,) = self._db.execute(
            "SELECT count() FROM messages WHERE state = 'failed'"
        ).fetchone()
        return found | {"steps_unsaid": unsaid, "messages_failed": failed}

    def _record(
        self, call: Call, id_: str, took: Took, now_ms: int, attempt: int, note: str
    ) -> None:
        step = StepTaken(
            id=id_,
            alert=call.alert,
            school=call.school,
            took=took,
            actor=ACTOR,
            time_ms=now_ms,
            target=call.channel,
            attempt=attempt,
            note=note,
            cause=call.why,
        )
        self._db.execute(
            "INSERT INTO steps (step, kafka_partition) VALUES (?, ?)",
            (step.model_dump_json(), call.partition),
        )
