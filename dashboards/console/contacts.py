"""Where the contacts of schools and centers are kept: one file that only its owner reads, in which what is
removed is overwritten (SQLite's secure_delete), so that nothing of it stays.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from schemas.contacts import CenterContact, ContactRole, Contacts, FloorPlan, SchoolContacts

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS schools (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS centers (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS plans (id TEXT, floor TEXT, image BLOB NOT NULL, PRIMARY KEY (id, floor))",
)
WAIT_S: Final = 5.0


def contacts_path(var: Path) -> Path:
    return var / "console" / "contacts.db"


class ContactBook:
    """Every method blocks, and raises OSError when the file can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, contacts: Contacts) -> None:
        """All of these, each instead of what was there, or none."""
        with self._open() as book, book:
            book.executemany(
                "INSERT OR REPLACE INTO schools VALUES (?, ?)",
                [(one.school, one.model_dump_json()) for one in contacts.schools],
            )
            book.executemany(
                "INSERT OR REPLACE INTO centers VALUES (?, ?)",
                [(one.center, one.model_dump_json()) for one in contacts.centers],
            )

    def school(self, id_: str) -> SchoolContacts | None:
        found = self._one("SELECT record FROM schools WHERE id = ?", id_)
        return SchoolContacts.model_validate_json(found) if found else None

    def center(self, id_: str) -> CenterContact | None:
        found = self._one("SELECT record FROM centers WHERE id = ?", id_)
        return CenterContact.model_validate_json(found) if found else None

    def providers(self, schools: list[str]) -> dict[str, str]:
        """The provider's number of each of these schools, where one is known that is nobody's mobile."""
        if not schools or not self._path.exists():
            return {}
        with self._open() as book:
            rows = book.execute(
                "SELECT record FROM schools WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(schools),),
            ).fetchall()
        records = [SchoolContacts.model_validate_json(text) for (text,) in rows]
        return {
            record.school: one.phone
            for record in records
            for one in record.contacts
            if one.role is ContactRole.PROVIDER and not one.mobile
        }

    def put_plan(self, plan: FloorPlan) -> None:
        """Instead of what was known of this floor."""
        with self._open() as book, book:
            book.execute(
                "INSERT OR REPLACE INTO plans VALUES (?, ?, ?)",
                (plan.school, plan.floor, plan.image),
            )

    def floors(self, school: str) -> list[str]:
        """Of which there is a plan."""
        if not self._path.exists():
            return []
        with self._open() as book:
            rows = book.execute("SELECT floor FROM plans WHERE id = ? ORDER BY floor", (school,))
            return [floor for (floor,) in rows]

    def plan(self, school: str, floor: str) -> FloorPlan | None:
        """Raises ValueError for an image that is none."""
        if not self._path.exists():
            return None
        with self._open() as book:
            row = book.execute(
                "SELECT image FROM plans WHERE id = ? AND floor = ?", (school, floor)
            ).fetchone()
        return FloorPlan(school=school, floor=floor, image=row[0]) if row else None

    def remove(self, id_: str) -> bool:
        """Of a school or a center, wholly; whether there was anything."""
        with self._open() as book, book:
            gone = [
                book.execute(f"DELETE FROM {table} WHERE id = ?", (id_,)).rowcount  # noqa: S608
                for table in ("schools", "centers", "plans")
            ]
            return sum(gone) > 0

    def _one(self, question: str, id_: str) -> str | None:
        if not self._path.exists():
            return None
        with self._open() as book:
            row: tuple[str] | None = book.execute(question, (id_,)).fetchone()
            return row[0] if row else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        try:
            with closing(sqlite3.connect(self._path, timeout=WAIT_S)) as book:
                book.execute("PRAGMA secure_delete = ON")
                for table in _TABLES:
                    book.execute(table)
                yield book
        except sqlite3.Error as trouble:
            raise OSError(f"{self._path}: {trouble}") from trouble


def told(record: SchoolContacts | None, *, mobiles: bool) -> dict[str, Any]:
    """For the page. Without ``mobiles`` their numbers are left out: who they are is told, and that they
    have one.
    """
    if record is None:
        return {"contacts": [], "address": ""}
    contacts = [one.model_dump(mode="json") for one in record.contacts]
    hidden = [{**one, "phone": ""} if one["mobile"] and not mobiles else one for one in contacts]
    return {"contacts": hidden, "address": record.address}
