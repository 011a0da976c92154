"""The outbox's file: its tables, what brings an older one up to date, and what is done with a broken one."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

VERSION: Final = 1
"""0 kept one state per page, and forgot a call after a week though its alert was open."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS pages (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, page TEXT NOT NULL, urgent INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS open_subjects ON pages (channel, subject)
    WHERE state IN ('waiting', 'sending');
CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, made_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER PRIMARY KEY, step TEXT NOT NULL, kafka_partition INTEGER
);
-- One state per page, receiver of its channel, and piece: the calls from first_call up to until_call.
CREATE TABLE IF NOT EXISTS messages (
    page TEXT NOT NULL, receiver TEXT NOT NULL, piece INTEGER NOT NULL, channel TEXT NOT NULL,
    first_call INTEGER NOT NULL, until_call INTEGER NOT NULL, urgency INTEGER NOT NULL,
    made_ms INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, unclear INTEGER NOT NULL,
    again INTEGER NOT NULL, next_ms INTEGER NOT NULL,
    PRIMARY KEY (page, receiver, piece)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_messages ON messages (channel, receiver, urgency DESC, made_ms)
    WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS under_way ON messages (channel, receiver) WHERE state = 'sending';
CREATE TABLE IF NOT EXISTS sent (channel TEXT NOT NULL, receiver TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS sent_at ON sent (channel, receiver, at_ms);
-- Who was told that an alert began, by which call; ended_ms: since when its end is here too.
CREATE TABLE IF NOT EXISTS told (
    alert TEXT NOT NULL, channel TEXT NOT NULL, call TEXT NOT NULL, at_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL, PRIMARY KEY (alert, channel)
) WITHOUT ROWID;
-- What was said past Kafka, until Kafka was read after it.
CREATE TABLE IF NOT EXISTS direct (
    alert TEXT NOT NULL, number INTEGER NOT NULL, transition TEXT NOT NULL, PRIMARY KEY (alert, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unreached (call TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
"""


def opened(path: Path) -> sqlite3.Connection:
    """The database at this path, sound and of today's form. Raises sqlite3.Error when it can't be had.

    A broken one is put aside: Kafka tells what was said, and a notifier that does not start says
    nothing. Times of ``pages.next_ms`` and its state ``sending`` are of the old form only.
    """
    try:
        return _opened(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as broken:
        aside = path.with_name(f"{path.name}.broken-{time.time_ns() // 1_000_000_000}")
        log.critical("the outbox is broken and put aside", why=str(broken), aside=aside.name)
        path.replace(aside)
        for rest in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{path}{rest}").replace(f"{aside}{rest}")
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        db.executescript(_TABLES)
        _bring_up(db)
    except BaseException:
        db.close()
        raise
    return db


def _bring_up(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    with db:
        if version < 1:
            db.execute("ALTER TABLE calls ADD COLUMN alert TEXT NOT NULL DEFAULT ''")
            db.execute("ALTER TABLE pages ADD COLUMN noted INTEGER NOT NULL DEFAULT 0")
            db.execute("DROP INDEX IF EXISTS open_pages")
        db.execute(f"PRAGMA user_version = {VERSION}")
        # What a crash interrupted is due at once.
        db.execute(
            "UPDATE messages SET state = 'waiting', again = 1, next_ms = 0 WHERE state = 'sending'"
        )
