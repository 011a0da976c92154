"""A file that people change while the gateway runs: keys, accounts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from streams.gateway.keys import KeyTrouble

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0

T = TypeVar("T")


class Watched(Generic[T]):
    """What the file said last. A file that can't be read leaves what was known: devices go on."""

    def __init__(
        self,
        path: Path | None,
        read: Callable[[Path], T],
        nothing: T,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._known = nothing
        self._stamp: tuple[int, int, int] | None = None
        self._look_at_s = 0.0

    @property
    def now(self) -> T:
        if self._path is not None and self._clock() >= self._look_at_s:
            self._look_at_s = self._clock() + LOOK_EVERY_S
            self._look(self._path)
        return self._known

    def _look(self, path: Path) -> None:
        try:
            there = path.stat()
            stamp = (there.st_mtime_ns, there.st_size, there.st_ino)
            if stamp != self._stamp:
                self._known = self._read(path)
                self._stamp = stamp
        except FileNotFoundError:
            return
        except (OSError, KeyTrouble) as error:
            log.warning("file unread, the former stays", path=str(path), error=str(error))
