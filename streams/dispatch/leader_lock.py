"""Leader election among the dispatch processes of one machine: one acts, the others stand by.

The holder of an exclusive lock on a file acts. The kernel releases it when the process dies (flock(2)).
"""

import asyncio
import fcntl
from pathlib import Path
from typing import IO, Final

import structlog

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.05


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
        while True:
            if self._taken():
                self.ours = True
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _taken(self) -> bool:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as trouble:
            log.error("there is no lock, going on without one", trouble=str(trouble))
        return True
