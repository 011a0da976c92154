"""The gateway's own disk for presses that Kafka has not: append-only, one file.

An entry is ``length (4) crc32 (4) kind (1) number (8) payload``, little-endian; length and CRC are of
what follows them. An entry of kind DONE says that Kafka has the press of that number. A torn or
damaged tail, as a crash in the middle of a write leaves it, is cut off: what it held was never
answered for. When Kafka has everything, the file starts anew.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

_FRAME: Final = struct.Struct("<II")
_HEAD: Final = struct.Struct("<BQ")
PRESS: Final = 1
DONE: Final = 2
MAX_ENTRY_BYTES: Final = 1024 * 1024


class Journal:
    """Not for two threads at once. ``pending`` holds what Kafka has not, by number, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.pending: dict[int, bytes] = {}
        self._next = 1
        self._descriptor = -1
        self._size = 0

    @classmethod
    def opened(cls, path: Path) -> Self:
        """Read what is there, cut off a torn tail. Raises OSError."""
        journal = cls(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        raw = path.read_bytes()
        for end, kind, number, payload in _entries(raw):
            journal._size = end
            journal._next = max(journal._next, number + 1)
            if kind == PRESS:
                journal.pending[number] = payload
            else:
                journal.pending.pop(number, None)
        if journal._size < len(raw):
            os.ftruncate(journal._descriptor, journal._size)
        return journal

    def append(self, payloads: Iterable[bytes]) -> list[int]:
        """Write and fsync presses; their numbers. Raises OSError, and then nothing was kept."""
        numbered = [(self._next + at, payload) for at, payload in enumerate(payloads)]
        self._write(b"".join(_entry(PRESS, number, payload) for number, payload in numbered))
        self._next += len(numbered)
        self.pending.update(numbered)
        return [number for number, _ in numbered]

    def done(self, numbers: Iterable[int]) -> None:
        """Kafka has these. Raises OSError; then they are sent once more after a restart."""
        known = [number for number in numbers if self.pending.pop(number, None) is not None]
        if known and not self.pending:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            os.fsync(self._descriptor)
        elif known:
            self._write(b"".join(_entry(DONE, number, b"") for number in known))

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, raw: bytes) -> None:
        try:
            left = memoryview(raw)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            # Half an entry would hide those behind it.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(raw)


def _entry(kind: int, number: int, payload: bytes) -> bytes:
    body = _HEAD.pack(kind, number) + payload
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _entries(raw: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(where it ends, kind, number, payload) of each whole entry from the start."""
    at = 0
    while at + _FRAME.size <= len(raw):
        length, crc = _FRAME.unpack_from(raw, at)
        body = raw[at + _FRAME.size : at + _FRAME.size + length]
        if not _HEAD.size <= length <= MAX_ENTRY_BYTES or len(body) < length:
            return
        if zlib.crc32(body) != crc:
            return
        at += _FRAME.size + length
        kind, number = _HEAD.unpack_from(body)
        yield at, kind, number, body[_HEAD.size :]
