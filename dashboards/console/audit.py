"""Who saw and did what, append-only: each line has the keyed hash of the one before (HMAC-SHA256).

Who has the files but not the key can change, remove, swap or put in no line unseen. A cut end, and what
somebody with the key rewrites, show against the heads that go to Kafka each minute (schemas.audit).

A line holds ids, numbers and words of ours: no text that somebody wrote. Of a text its keyed hash stands
here (``said``), so that erasing the text breaks no chain. One file holds one month.
"""

import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboards.console.users import write_private
from schemas.private import private_text
from schemas.settings import Settings
from schemas.times import utc

BEGINNING: Final = "0" * 64
BLOCK_BYTES: Final = 64 * 1024
MOST_WAITING: Final = 100_000
KEY_BYTES: Final = 32
CONVERTED: Final = "log.converted"
REFUSED: Final = "sign-in.refused"

Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{0,200}$")]
"""An id, a login, a place, a word of ours: never more than one, and in ASCII."""
Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class Entry(BaseModel):
    """All that a line may say. ``said``: the keyed hash of what somebody wrote. ``was``: the hash that
    this line had in a log of an older version. Times are ms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_ms: int = 0
    who: Name = ""
    role: Name = ""
    from_: Annotated[Name, Field(alias="from")] = ""
    did: Name
    login: Name = ""
    places: list[Name] = []
    alert: Name = ""
    school: Name = ""
    step: Name = ""
    took: Name = ""
    outcome: Name = ""
    kept: Name = ""
    target: Name = ""
    seen: int | None = None
    number: int | None = None
    score: int | None = None
    until_ms: int = 0
    offer: Name = ""
    giver: Name = ""
    alerts: list[Name] = []
    panics: int | None = None
    heard: bool | None = None
    devices: list[Name] = []
    starts_ms: int = 0
    lasting_s: int = 0
    entries: int | None = None
    line: int | None = None
    head: Hash = ""
    said: Hash = ""
    was: Hash = ""

    def told(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def entry_of(told: dict[str, Any], said: str = "") -> tuple[Entry, str]:
    """The entry, and the text of which it gets the keyed hash: ``said``, and whatever of ``told`` is no
    single word, as a school's name may be that a broken press brought along.

    Raises KeyError for what no line may have.
    """
    fields = {field.alias or name for name, field in Entry.model_fields.items()}
    if unknown := told.keys() - fields:
        raise KeyError(*unknown)
    kept = {name: value for name, value in told.items() if _fits(name, value)}
    if kept.keys() != told.keys():
        free = {name: value for name, value in told.items() if name not in kept}
        said += json.dumps(free, sort_keys=True, ensure_ascii=False)
    return Entry.model_validate({"did": "unknown", **kept}), said


class KeyGone(OSError):
    """There is a log, and the key that it was written with is not there."""


def audit_folder(var: Path) -> Path:
    return var / "console" / "audit"


def audit_key(var: Path) -> Path:
    return var / "secrets" / "audit-key"


def audit_of(settings: Settings) -> "Audit":
    var = settings.var
    return Audit(audit_folder(var), settings.console.audit_key_file or audit_key(var))


def old_log(folder: Path) -> Path:
    """The one file without a key that versions before the months wrote."""
    return folder.with_name("audit.jsonl")


def months(folder: Path) -> list[Path]:
    """The files of the log, the oldest first."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[01][0-9].jsonl"))


class Audit:
    """Appends to the log, that several processes may share. Nothing is lost while the disk is full:
    entries wait in memory, and an operator's act never waits for the disk to have room.
    """

    def __init__(self, folder: Path, key_file: Path) -> None:
        self.folder = folder
        self.key_file = key_file
        self._waiting: deque[tuple[Entry, str]] = deque(maxlen=MOST_WAITING)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def key(self) -> bytes:
        """With which lines are written now. Raises as ``keys`` does."""
        return self.keys()[-1]

    def keys(self) -> list[bytes]:
        """One a line of its file, the oldest first; the first is made at the first entry of all. A line
        of the log that is written with one of them is followed by none with an older one.

        Raises OSError, KeyGone among them, NotPrivate, and ValueError for what is no key.
        """
        if not self.key_file.exists():
            if months(self.folder):
                raise KeyGone(errno.ENOENT, "the audit log's key is gone", str(self.key_file))
            write_private(self.key_file, secrets.token_hex(KEY_BYTES))
        keys = [bytes.fromhex(line) for line in private_text(self.key_file).split()]
        if not keys:
            raise KeyGone(errno.ENOENT, "the audit log's key is gone", str(self.key_file))
        return keys

    def rotate(self, entry: Entry, said: str = "") -> None:
        """A new key for this entry and all that follow; the older ones still judge what they wrote.

        Who has an old key can write no line after it, and none before it without breaking the chain at
        the first line of the new one. Raises OSError.
        """
        with self._alone():
            keys = [*self.keys(), secrets.token_bytes(KEY_BYTES)]
            write_private(self.key_file, "\n".join(key.hex() for key in keys))
        self.write(entry, said)

    def write(self, entry: Entry, said: str = "") -> None:
        """Append this, and all that waits; returns when the disk has it. Of ``said`` the log gets the
        keyed hash. Blocks; raises OSError.
        """
        self._waiting.append((entry, said))
        with self._alone():
            key = self.key()
            with closing(_End(self.folder, key)) as end:
                convert(old_log(self.folder), end)
                while self._waiting:
                    entry, said = self._waiting[0]
                    end.append(entry.told() | ({"said": keyed(key, said)} if said else {}))
                    self._waiting.popleft()

    def head(self) -> tuple[int, str]:
        """Number and hash of the last line. Raises OSError."""
        with self._alone():
            end = _End(self.folder, b"")
            return end.number, end.head

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _End:
    """The end of the log, to which lines are appended by one process at a time."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self.key = key
        self._file: BinaryIO | None = None
        files = months(folder)
        self._month = files[-1].stem if files else ""
        last = next((entry for path in reversed(files) for entry in backwards(path)), {})
        self.number = int(last.get("n", 0))
        self.head = str(last.get("hash", BEGINNING))
        self.last = last

    def append(self, entry: dict[str, Any]) -> None:
        """Raises OSError."""
        # A clock that goes back does not open a month again that is closed.
        month = max(self._month, utc(entry.get("at_ms", 0)).strftime("%Y-%m"))
        if self._file is None or month != self._month:
            self.close()
            self._month, self._file = month, _opened(self._folder / f"{month}.jsonl")
        numbered = {"n": self.number + 1, **entry}
        hash_ = chained(self.key, self.head, numbered)
        line = {**numbered, "before": self.head, "hash": hash_}
        raw = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        if self._file.write(raw) < len(raw):
            raise OSError(errno.ENOSPC, "the audit log took half a line", str(self._folder))
        self.number, self.head, self.last = self.number + 1, hash_, line

    def close(self) -> None:
        if self._file is not None:
            with self._file as file:
                os.fsync(file.fileno())
            self._file = None


def _opened(path: Path) -> BinaryIO:
    """At its end. What a crash has torn off there was never said to be written, and goes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    file = os.fdopen(descriptor, "rb+", buffering=0)
    size = file.seek(0, os.SEEK_END)
    at = size
    while at:
        start = max(0, at - BLOCK_BYTES)
        file.seek(start)
        whole = file.read(at - start).rfind(b"\n") + 1
        if whole:
            at = start + whole
            break
        at = start
    if at < size:
        file.truncate(at)
    return file


def chained(key: bytes, before: str, entry: dict[str, Any]) -> str:
    """The hash of a line: of what it says, and of the line before it."""
    text = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(key, f"line|{before}|{text}".encode(), hashlib.sha256).hexdigest()


def keyed(key: bytes, said: str) -> str:
    """Of a text: who has the text and the key can show that it is the one; nobody else learns of it."""
    return hmac.new(key, b"said|" + said.encode(), hashlib.sha256).hexdigest()


def backwards(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of one file, the last first; a torn end is none. Raises OSError and ValueError."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest = b""
        while at:
            start = max(0, at - BLOCK_BYTES)
            file.seek(start)
            block = file.read(at - start) + rest
            at = start
            # What stands before the first end of a line may have begun in an earlier block.
            cut = block.find(b"\n") + 1 if at else 0
            if at and not cut:
                rest = block
                continue
            rest, whole = block[:cut], block[cut:]
            for line in reversed(whole.split(b"\n")[:-1]):
                yield json.loads(line)


def entries(folder: Path, limit: int, before: int = 0) -> list[dict[str, Any]]:
    """The newest first, or those before this number. Raises OSError and ValueError."""
    found: list[dict[str, Any]] = []
    for path in reversed(months(folder)):
        for entry in backwards(path):
            if len(found) == limit:
                return found
            if not before or entry["n"] < before:
                found.append(entry)
    return found


def convert(old: Path, end: _End) -> None:
    """Into the chain what a version without a key wrote, line by line, and away with it: it holds what
    people wrote. Each line keeps its old hash, so that a head noted then is found. One that was broken
    is kept beside, for who looks into it. Goes on where a crash has stopped it. Raises OSError.
    """
    if not old.exists():
        return
    before, count, broken, head = BEGINNING, 0, 0, BEGINNING
    missing = end.last.get("was") or ""
    if end.last.get("did") != CONVERTED:
        lines = [line for line in old.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
        for count, line in enumerate(lines, start=1):
            try:
                said = json.loads(line)
                was = str(said.pop("hash"))
                follows = said.pop("before") == before and said.pop("n") == count
                text = {"n": count, **said}
                plain = json.dumps(text, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
                good = was == hashlib.sha256(f"{before}|{plain}".encode()).hexdigest()
                broken = broken or (0 if follows and good else count)
                before = head = was
            except (ValueError, KeyError, TypeError, AttributeError):
                broken = broken or count
                continue
            if missing:
                missing = "" if missing == was else missing
                continue
            end.append(_plain(said, was, end.key))
        told = Entry(did=CONVERTED, at_ms=0, entries=count, line=broken or None, head=head)
        end.append(told.told() | {"at_ms": int(end.last.get("at_ms", 0))})
        end.close()
    if end.last.get("line"):
        old.replace(old.with_name("audit.broken.jsonl"))
    else:
        old.unlink()


def _plain(said: dict[str, Any], was: str, key: bytes) -> dict[str, Any]:
    """An old line without what people wrote; a login that was refused may have been a password."""
    fields = {field.alias or name for name, field in Entry.model_fields.items()}
    if said.get("did") == REFUSED:
        fields.discard("login")
    free = {name: value for name, value in said.items() if name not in fields}
    text = json.dumps(free, sort_keys=True, ensure_ascii=False) if free else ""
    known = {name: value for name, value in said.items() if name in fields}
    entry, text = entry_of({**known, "was": was}, text)
    return entry.told() | ({"said": keyed(key, text)} if text else {})


def _fits(name: str, value: Any) -> bool:
    try:
        Entry.model_validate({"did": "unknown", name: value})
    except ValidationError:
        return False
    return True
