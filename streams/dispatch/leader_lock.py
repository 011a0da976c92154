"""Leader election among the dispatch processes of one machine: one acts, the others stand by.

The holder of an exclusive lock on a file acts. The kernel releases it when the process dies (flock(2)).
"""

import asyncio
import fcntl
import threading
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger(__name__)


class LeaderLock:
    """``ours`` once and for good, until this process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.ours = False

    async def acquired(self) -> None:
        """Return when it is ours. At once, too, where no disk can hold a lock: that two tell the police
        is better than that nobody does.
        """
        loop = asyncio.get_running_loop()
        taken = asyncio.Event()
        given_up = threading.Event()

        def wait() -> None:
            file = self._locked()
            if given_up.is_set():  # nobody here acts any more: another process may
                if file is not None:
                    file.close()
                return
            self._file = file
            try:
                loop.call_soon_threadsafe(taken.set)
            except RuntimeError:  # the loop has ended, and the process does
                return

        # A thread that is waiting for a lock can't be stopped: it must not keep the process.
        threading.Thread(target=wait, name="turn", daemon=True).start()
        try:
            await taken.wait()
        except asyncio.CancelledError:
            given_up.set()
            if self._file is not None:
                self._file.close()
            raise
        self.ours = True

    def _locked(self) -> IO[bytes] | None:
        """The file, once it is locked; None where it can't be. Blocks."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as trouble:
            log.error("there is no lock, going on without one", trouble=str(trouble))
            return None
        return file
