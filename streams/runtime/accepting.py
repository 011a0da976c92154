"""Accepts from a listening socket, in the place of asyncio's own server, which takes in all that come and,
without descriptors, logs a traceback of each try.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

NO_DESCRIPTORS_PAUSE_S: Final = 0.1


class Accepting:
    """``take`` gets each connection and its peer's address; ``at_once`` is how many may come in one pass of
    the loop; ``exhausted`` hears that there is no descriptor for one.
    """

    def __init__(
        self,
        listening: socket.socket,
        take: Callable[[socket.socket, Any], None],
        at_once: Callable[[], int],
        exhausted: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        self._listening = listening
        self._take = take
        self._at_once = at_once
        self._exhausted = exhausted
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Nobody comes in any more."""
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()

    def _accept(self) -> None:
        for _ in range(self._at_once()):
            try:
                connection, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # the kernel keeps it, so this would come again in each pass
                self._exhausted(error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listening)
                self._pause = loop.call_later(NO_DESCRIPTORS_PAUSE_S, self.open)
                return
            connection.setblocking(False)
            self._take(connection, peer)
