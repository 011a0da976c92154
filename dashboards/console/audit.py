"""Who saw and did what, append-only: each line has the hash of the one before.

A changed, removed or inserted line is found by whoever has the file; a cut tail by whoever has noted the
last hash elsewhere (a supervisor's review shows it, `saqshy audit verify --head` compares it).
"""

import errno
import fcntl
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

BEGINNING: Final = "0" * 64
TAIL_BYTES: Final = 64 * 1024
MOST_WAITING: Final = 100_000


def audit_path(var: Path) -> Path:
    return var / "console" / "audit.jsonl"


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain breaks: line number from 1, and what is wrong with it."""

    line: int
    what: str


class Audit:
    """Appends to one file, that several processes may share. Nothing is lost while the disk is full:
    entries wait in memory, and an operator's act never waits for the disk to have room.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def write(self, entry: dict[str, Any]) -> None:
        """Append this, and all that waits; returns when the disk has it. Blocks; raises OSError."""
        self._waiting.append(entry)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number, head = _end(file)
            while self._waiting:
                number, head, line = _chained(number + 1, head, self._waiting[0])
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, "the audit log took half a line", str(self.path))
                self._waiting.popleft()
            os.fsync(file.fileno())


def verify(path: Path, head: str = "") -> tuple[int, str, Broken | None]:
    """(entries, last hash, where the chain breaks first or None).

    With ``head``, a hash noted before must be one of the chain's. Raises OSError.
    """
    before, count, found = BEGINNING, 0, not head
    for count, line in enumerate(_lines(path), start=1):
        broken = _broken(line, count, before)
        if broken is not None:
            return count, before, Broken(count, broken)
        before = json.loads(line)["hash"]
        found = found or before == head
    if not found:
        return count, before, Broken(count, "the noted hash is not in the chain: lines are missing")
    return count, before, None


def entries(path: Path, limit: int, before: int = 0) -> list[dict[str, Any]]:
    """The newest first, or those before this number."""
    kept: deque[bytes] = deque(maxlen=limit)
    try:
        for number, line in enumerate(_lines(path), start=1):
            if number == before:
                break
            kept.append(line)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in reversed(kept)]


def _broken(line: bytes, number: int, before: str) -> str | None:
    try:
        entry = json.loads(line)
        said, counted = entry.pop("hash"), entry["n"]
        if entry.pop("before") != before:
            return "it does not follow the line before it"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "it can not be read"
    if counted != number:
        return f"its number is {counted}"
    if said != _hash(before, entry):
        return "its content was changed"
    return None


def _chained(number: int, head: str, entry: dict[str, Any]) -> tuple[int, str, bytes]:
    numbered = {"n": number, **entry}
    hash_ = _hash(head, numbered)
    text = json.dumps({**numbered, "before": head, "hash": hash_}, ensure_ascii=False)
    return number, hash_, text.encode() + b"\n"


def _hash(before: str, entry: dict[str, Any]) -> str:
    text = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{before}|{text}".encode()).hexdigest()


def _end(file: BinaryIO) -> tuple[int, str]:
    """Number and hash of the last whole line. What a crash has torn off after it was never said to
    be written, and goes.
    """
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - TAIL_BYTES)
    file.seek(start)
    tail = file.read(size - start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        file.truncate(start + whole)
    lines = tail[:whole].splitlines()
    if not lines:
        return 0, BEGINNING
    last = json.loads(lines[-1])
    return int(last["n"]), str(last["hash"])


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
