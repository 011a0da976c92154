"""On disk before it is done: what goes to a center, each step taken, what was told directly.

SQLite in WAL mode with synchronous=FULL, written by one thread that commits together what has come
meanwhile. Nothing waits for a disk that fails: a press goes out all the same, and health says so.
"""

import asyncio
import queue
import random
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from schemas.alerts import AlertChanged
from schemas.events import SchoolRegistered
from schemas.life import Stamped
from schemas.steps import StepTaken
from streams.dispatch.alarm import Alarm
from streams.dispatch.school_address import SchoolAddress, address_of

log = structlog.get_logger(__name__)

KEPT_MS: Final = 2 * 86_400_000
LAST_SEQ: Final = 9999
JUMP: Final = 97
"""A number that a full disk could not keep must not be given again: a receiver would drop it."""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS alarms (
    message TEXT PRIMARY KEY, line TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
    id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, in_kafka INTEGER NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    alert TEXT, number INTEGER, at_ms INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (alert, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequences (line TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schools (school TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

Write = tuple[str, tuple[object, ...]]


@dataclass(slots=True)
class Restored:
    """What was on disk at the start. ``pending``: steps that Kafka has not acknowledged, in order."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    steps: list[Stamped] = field(default_factory=list)
    pending: list[StepTaken] = field(default_factory=list)
    told: list[AlertChanged] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    schools: dict[str, SchoolAddress] = field(default_factory=dict)


class Journal:
    """``failures`` counts commits that the disk refused; ``working`` is how the last one went."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes: queue.SimpleQueue[tuple[Sequence[Write], asyncio.Future[bool]] | None] = (
            queue.SimpleQueue()
        )
        self._sequences: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self.failures = 0
        self.working = True

    def open(self, now_ms: int) -> Restored:
        """Read it all, drop what is old, and start to write. Never raises: a file that is no journal
        is put aside, and a disk that fails is said."""
        kept = Restored()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                kept = _opened(self._path, now_ms)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.DatabaseError, ValueError):
                aside = self._path.with_suffix(f".bad-{now_ms}")
                log.exception("the journal is damaged and put aside", aside=str(aside))
                self._path.rename(aside)
                kept = _opened(self._path, now_ms)
        except (sqlite3.Error, OSError):
            log.exception("the journal can't be read", path=str(self._path))
            self.working = False
        self._sequences = {line: seq + JUMP for line, seq in kept.sequences.items()}
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="journal")
        self._thread.start()
        return kept

    def next_seq(self, line: str) -> int:
        """1 to 9999 and again; on disk with the alarm that has it. A new account starts at
        a random number."""
        before = self._sequences.get(line)
        seq = (random.randrange(LAST_SEQ) if before is None else before % LAST_SEQ) + 1
        self._sequences[line] = seq
        return seq

    async def sending(self, alarm: Alarm, line: str, step: Stamped) -> bool:
        value = alarm.model_dump_json()
        return await self._commit(
            [
                (
                    "INSERT OR IGNORE INTO alarms VALUES (?, ?, ?, ?, ?)",
                    (alarm.message, line, alarm.seq, alarm.sent_ms, value),
                ),
                ("INSERT OR REPLACE INTO sequences VALUES (?, ?)", (line, alarm.seq)),
                _step(step),
            ]
        )

    async def took(self, step: Stamped) -> bool:
        return await self._commit([_step(step)])

    async def told(self, transition: AlertChanged) -> bool:
        value = transition.model_dump_json()
        row = (transition.id, transition.number, transition.decided_ms, value)
        return await self._commit([("INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?)", row)])

    async def published(self, steps: Sequence[str]) -> bool:
        mark = "UPDATE steps SET in_kafka = 1 WHERE id = ?"
        return await self._commit([(mark, (id_,)) for id_ in steps])

    async def schools(self, schools: Sequence[SchoolAddress]) -> bool:
        put = "INSERT OR REPLACE INTO schools VALUES (?, ?)"
        return await self._commit([(put, (s.school, s.model_dump_json())) for s in schools])

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    async def close(self) -> None:
        self._writes.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def _commit(self, writes: Sequence[Write]) -> bool:
        """Whether it is on disk."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._writes.put((writes, done))
        self.working = await done
        self.failures += not self.working
        return self.working

    def _write_all(self) -> None:
        database: sqlite3.Connection | None = None
        while (first := self._writes.get()) is not None:
            together = [first]
            while not self._writes.empty():
                more = self._writes.get()
                if more is None:
                    self._writes.put(None)
                    break
                together.append(more)
            try:
                database = database or _connected(self._path)
                with database:
                    database.execute("BEGIN")
                    for writes, _ in together:
                        for statement, values in writes:
                            database.execute(statement, values)
                kept = True
            except sqlite3.Error as error:
                log.error("the journal can't be written", error=str(error))
                database, kept = None, False
            for _, done in together:
                done.get_loop().call_soon_threadsafe(_resolve, done, kept)
        if database is not None:
            database.close()


def _resolve(done: "asyncio.Future[bool]", kept: bool) -> None:
    if not done.done():
        done.set_result(kept)


def _opened(path: Path, now_ms: int) -> Restored:
    database = _connected(path)
    try:
        database.executescript(_TABLES)
        _forget(database, now_ms - KEPT_MS)
        return _read(database)
    finally:
        database.close()


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _step(step: Stamped) -> Write:
    row = (step.step.id, step.kafka_ms, 0, step.step.model_dump_json())
    return "INSERT OR IGNORE INTO steps VALUES (?, ?, ?, ?)", row


def _forget(database: sqlite3.Connection, before_ms: int) -> None:
    database.execute("DELETE FROM alarms WHERE at_ms < ?", (before_ms,))
    database.execute("DELETE FROM told WHERE at_ms < ?", (before_ms,))
    database.execute("DELETE FROM steps WHERE in_kafka AND at_ms < ?", (before_ms,))


def _read(database: sqlite3.Connection) -> Restored:
    kept = Restored()
    for (value,) in database.execute("SELECT value FROM alarms"):
        alarm = Alarm.model_validate_json(value)
        kept.alarms[alarm.message] = alarm
    for at_ms, in_kafka, value in database.execute(
        "SELECT at_ms, in_kafka, value FROM steps ORDER BY at_ms"
    ):
        step = StepTaken.model_validate_json(value)
        kept.steps.append(Stamped(at_ms, 0, step))
        if not in_kafka:
            kept.pending.append(step)
    for (value,) in database.execute("SELECT value FROM told ORDER BY at_ms, number"):
        kept.told.append(AlertChanged.model_validate_json(value))
    kept.sequences = dict(database.execute("SELECT line, seq FROM sequences"))
    for school, value in database.execute("SELECT school, value FROM schools"):
        kept.schools[school] = _address(value)
    return kept


def _address(value: str) -> SchoolAddress:
    """Until this version the whole record was kept."""
    try:
        return SchoolAddress.model_validate_json(value)
    except ValidationError:
        return address_of(SchoolRegistered.model_validate_json(value))
