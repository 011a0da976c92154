"""The rows of one insert, received but not yet in the engine: bounded, and read by it from a file."""

import os
import sys
import threading
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from types import TracebackType
from typing import BinaryIO

from deploy.embedded.clickhouse.blocks import Block
from deploy.embedded.clickhouse.engine import EngineError

TOO_LARGE, MEMORY_LIMIT = 396, 241


@dataclass
class InsertMemory:
    """Counts the bytes of inserts that are being received, over all clients."""

    limit: int
    used: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int) -> bool:
        with self._lock:
            if self.used + count > self.limit:
                return False
            self.used += count
            return True

    def give_back(self, count: int) -> None:
        with self._lock:
            self.used -= count


class Spool:
    """Blocks of FORMAT Native in a file without a name, gone when the insert ends."""

    def __init__(self, memory: InsertMemory, limit: int) -> None:
        """`limit` bounds the bytes of this insert, `memory` those of all."""
        self._memory = memory
        self._limit = limit
        self._taken = 0
        self._file = _nameless()
        self.rows = 0

    def add(self, block: Block) -> None:
        """Raises EngineError when there is no room for the block."""
        if self._taken + len(block.native) > self._limit:
            raise EngineError(
                TOO_LARGE,
                f"DB::Exception: an insert may have {self._limit} bytes: send smaller ones"
                " (TOO_LARGE)",
            )
        if not self._memory.take(len(block.native)):
            raise EngineError(
                MEMORY_LIMIT,
                "DB::Exception: too many inserts wait at once: try again (MEMORY_LIMIT_EXCEEDED)",
            )
        self._taken += len(block.native)
        self._file.write(block.native)
        self.rows += block.rows

    def clear(self) -> None:
        """Give back what was taken."""
        self._memory.give_back(self._taken)
        self._taken = self.rows = 0
        self._file.seek(0)
        self._file.truncate()

    @property
    def path(self) -> str:
        """Where the engine finds what was added so far."""
        self._file.seek(0)  # writes out what is buffered, too
        return f"/dev/fd/{self._file.fileno()}"

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.clear()
        self._file.close()


def _nameless() -> BinaryIO:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("insert"), "w+b")
    return TemporaryFile()
