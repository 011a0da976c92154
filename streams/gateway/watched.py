"""A file that people change while the gateway runs: keys, accounts."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

WAIT_S: Final = 0.5
"""Who asks waits so long for the disk, and then goes by what was known."""
FIRST_WAIT_S: Final = 10.0
"""So long while nothing was ever read: to know nobody is no reason to refuse everybody."""

T = TypeVar("T")


class Watched(Generic[T]):
    """What the file says at the moment of the question. A file that can't be read leaves what was
    known: devices go on.

    Each question has a look that begins after it (questions of one moment share one), so a key that
    was added before works, and a revoked one does not. The looks are in one thread of their own: a disk
    that hangs keeps no press waiting for longer than WAIT_S, and none while it goes on hanging. It is
    started once, as ``Thread.start`` holds the event loop until the new thread has had the processor.
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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watched")
        self._stamp: tuple[int, ...] | None = None
        self._looked = False
        self._began_s: float | None = None  # of the look that is under way
        self._asked: asyncio.Future[None] | None = None  # for the look after it

    async def now(self) -> T:
        """What the file says; what it said before when the disk takes too long."""
        if self._path is None or self._hangs():
            return self._known
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
        asked = self._asked
        if self._began_s is None:
            self._begin(self._path)
        await asyncio.wait({asked}, timeout=WAIT_S if self._looked else FIRST_WAIT_S)
        return self._known

    def _hangs(self) -> bool:
        began_s = self._began_s
        return self._looked and began_s is not None and self._clock() - began_s > WAIT_S

    def _begin(self, path: Path) -> None:
        asked, self._asked = self._asked, None
        if asked is None:
            self._began_s = None
            return
        self._began_s = self._clock()
        loop = asyncio.get_running_loop()
        looking = loop.run_in_executor(self._thread, self._look, path)
        looking.add_done_callback(partial(self._done, path, asked))

    def _look(self, path: Path) -> None:
        try:
            there = path.stat()
            stamp = (there.st_mtime_ns, there.st_ctime_ns, there.st_size, there.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp
                self._known = self._read(path)
        except FileNotFoundError:
            pass  # none yet, or it went: what was known stays
        except Exception as error:  # of any kind: devices go on by what was known
            log.warning("file unread, the former stays", path=str(path), error=str(error))

    def _done(self, path: Path, asked: "asyncio.Future[None]", _: "asyncio.Future[None]") -> None:
        self._looked = True
        if not asked.done():
            asked.set_result(None)
        self._begin(path)
