"""A file that people change while the gateway runs: keys, accounts."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final, Generic, TypeVar

import structlog

from streams.gateway.keys import KeyTrouble

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0

T = TypeVar("T")


class Watched(Generic[T]):
    """What the file said last. A file that can't be read leaves what was known: devices go on.

    It is read at the first question, and beside the event loop when it changes: the keys of a country
    take half a second.
    """

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
        self._reading: Thread | None = None

    @property
    def now(self) -> T:
        if self._path is not None and self._clock() >= self._look_at_s:
            self._look_at_s = self._clock() + LOOK_EVERY_S
            self._look(self._path)
        return self._known

    def _look(self, path: Path) -> None:
        if self._reading is not None and self._reading.is_alive():
            return
        try:
            there = path.stat()
        except OSError:
            return
        stamp = (there.st_mtime_ns, there.st_size, there.st_ino)
        if stamp == self._stamp:
            return
        first, self._stamp = self._stamp is None, stamp
        if first:
            self._take(path)
        else:
            self._reading = Thread(target=self._take, args=(path,), daemon=True)
            self._reading.start()

    def _take(self, path: Path) -> None:
        try:
            self._known = self._read(path)
        except (OSError, KeyTrouble) as error:
            log.warning("file unread, the former stays", path=str(path), error=str(error))
