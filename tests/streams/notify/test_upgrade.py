"""An outbox of the version before is taken over: nobody is forgotten, and nobody paged twice. A broken one
is put aside."""

import json
import sqlite3
from pathlib import Path

import pytest

from schemas.alerts import Action, AlertKind
from streams.notify.messages import Piece
from streams.notify.outbox import KEEP_MS, Outbox
from streams.notify.policy import Policies
from streams.paging.page import Page
from streams.paging.retry import NotDelivered
from tests.streams.notify.alerts import changed
from tests.streams.notify.duty import Duty, Receiver
from tests.streams.paging.test_channels import NOW_MS, said

BEFORE = """
CREATE TABLE pages (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, page TEXT NOT NULL, urgent INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX open_subjects ON pages (channel, subject) WHERE state IN ('waiting', 'sending');
CREATE INDEX open_pages ON pages (channel, next_ms) WHERE state IN ('waiting', 'sending');
CREATE TABLE calls (id TEXT PRIMARY KEY, made_ms INTEGER NOT NULL);
CREATE TABLE steps (number INTEGER PRIMARY KEY, step TEXT NOT NULL, kafka_partition INTEGER);
"""
"""As streams/notify/outbox.py of 0.11 made it."""


def before(folder: Path, *pages: tuple[Page, str]) -> None:
    """An outbox as the version before left it."""
    with sqlite3.connect(folder / "outbox.db") as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(BEFORE)
        for page, state in pages:
            calls = [
                call.model_dump(exclude={"panic", "began_ms", "epoch"}) | {"also": ""}
                for call in page.calls
            ]
            text = page.model_copy(update={"calls": ()}).model_dump(mode="json") | {"calls": calls}
            row = (
                page.id,
                page.channel,
                json.dumps(text, default=str),
                page.urgent,
                state,
                2,
                2**62,
            )
            db.execute(
                "INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, page.made_ms, page.calls[0].alert),
            )
            db.executemany(
                "INSERT OR IGNORE INTO calls VALUES (?, ?)",
                [(call.id, page.made_ms) for call in page.calls],
            )
    db.close()


def two(page: Page) -> list[Piece]:
    return (
        [Piece(name, 0, 0, len(page.calls)) for name in ("a", "b")]
        if page.channel == "hook"
        else []
    )


@pytest.mark.parametrize("state", ["waiting", "sending", "sent", "failed"])
def test_what_an_older_outbox_held_is_said_as_it_would_have_been(
    tmp_path: Path, state: str
) -> None:
    before(tmp_path, (said(), state))
    for _ in range(2):  # also where it is opened again
        it = Outbox(tmp_path, two)
        assert it.made() == {"call-0000"}
        assert set(it.told()["alert-0"]) == {"hook"}
        it.close()
    it = Outbox(tmp_path, two)
    it.put([said()])
    taken = [entry for name in "ab" for entry in it.take("hook", NOW_MS, 8, name)]
    assert len(taken) == (2 if state in ("waiting", "sending") else 0)
    assert all(entry.page == said() for entry in taken)
    assert all(entry.attempts == 3 for entry in taken)
    assert all(entry.again == (state == "sending") for entry in taken)


def test_who_was_told_before_the_upgrade_hears_the_end(tmp_path: Path) -> None:
    hook = Receiver()
    it = Duty(tmp_path, Policies(), {"phone": {"": hook}})
    it.say(changed(at_ms=it.now_ms, kind=AlertKind.SCHOOL_OFFLINE))
    it.wait(30)
    it.outbox.close()
    pages = [(page, "sent") for page in it.pages]
    for file in tmp_path.glob("outbox.db*"):
        file.unlink()
    before(tmp_path, *pages)
    it.start()
    it.now_ms += KEEP_MS + 1
    it.restart()
    it.say(
        changed(at_ms=it.now_ms, number=1, kind=AlertKind.SCHOOL_OFFLINE, action=Action.RESOLVED)
    )
    it.wait(60)
    assert hook.whys("alert-1") == ["opened", "resolved"]


def test_a_page_for_a_channel_that_is_not_there_any_more_is_given_up_and_noted(
    tmp_path: Path,
) -> None:
    before(tmp_path, (said().model_copy(update={"channel": "gone"}), "waiting"))
    it = Outbox(tmp_path, two)
    assert it.counts()["pages_failed"] == 1
    (step,) = [one.step for one in it.to_say(10)]
    assert step.attempt >= 3
    assert it.unreached() == {"call-0000"}


def test_receivers_that_came_and_went_are_followed(tmp_path: Path) -> None:
    it = Outbox(tmp_path, lambda page: [Piece("a", 0, 0, 1), Piece("b", 0, 0, 1)])
    it.put([said()])
    (entry,) = it.take("hook", NOW_MS, 8, "a")
    it.sent(entry, NOW_MS)
    it.close()
    it = Outbox(tmp_path, lambda page: [Piece("a", 0, 0, 1), Piece("c", 0, 0, 1)])
    assert it.take("hook", NOW_MS, 8, "a") == it.take("hook", NOW_MS, 8, "b") == []
    assert len(it.take("hook", NOW_MS, 8, "c")) == 1


def test_a_restart_between_two_pieces_sends_the_second_alone(tmp_path: Path) -> None:
    def cut(page: Page) -> list[Piece]:
        return [Piece("", 0, 0, 2), Piece("", 1, 2, 4)]

    it = Outbox(tmp_path, cut)
    it.put([said(count=4)])
    first, second = it.take("hook", NOW_MS, 8)
    it.sent(first, NOW_MS)
    it.close()
    it = Outbox(tmp_path, cut)
    (again,) = it.take("hook", NOW_MS, 8)
    assert (again.page.id, again.again) == (second.page.id, True)
    it.failed(again, NotDelivered("it answered 503"), NOW_MS)
    assert [one.step.id for one in it.to_say(10)][:2] == ["call-0000", "call-0001"]


@pytest.mark.parametrize("what", ["no database", "cut short", "scribbled over"])
def test_a_broken_outbox_is_put_aside_and_the_notifier_goes_on(tmp_path: Path, what: str) -> None:
    it = Outbox(tmp_path)
    it.put([said(count=300)])
    it.close()
    file = tmp_path / "outbox.db"
    whole = file.read_bytes()
    file.write_bytes(
        {
            "no database": b"not a database at all" * 100,
            "cut short": whole[: len(whole) // 2],
            "scribbled over": whole[:4096] + b"\xff" * 8192 + whole[12288:],
        }[what]
    )
    it = Outbox(tmp_path)
    assert it.made() == set()
    it.put([said()])
    assert len(it.take("hook", NOW_MS, 8)) == 1
    assert len(list(tmp_path.glob("outbox.db.broken-*"))) == 1


def test_a_page_that_cannot_be_read_is_given_up_and_the_others_go_out(tmp_path: Path) -> None:
    before(tmp_path, (said(), "waiting"), (said("escalated", 2), "waiting"))
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        db.execute("UPDATE pages SET page = '{}' WHERE id = ?", (said().id,))
    db.close()
    it = Outbox(tmp_path)
    (entry,) = it.take("hook", NOW_MS, 8)
    assert len(entry.page.calls) == 2
    assert it.counts()["pages_failed"] == 1
