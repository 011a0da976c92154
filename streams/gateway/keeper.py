"""The journal beside the event loop: one thread writes, and waiting presses share one fsync."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from streams.gateway.journal import Journal

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Keeper:
    """``pending`` is what was there at the start, by number, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._journal: Journal | None = None
        self._presses: list[tuple[bytes, asyncio.Future[int]]] = []
        self._done: list[int] = []
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> dict[int, bytes]:
        """What Kafka has not yet. A disk that refuses is tried again at the next press."""
        try:
            journal = await self._opened()
        except OSError as error:
            log.error("journal unreadable", path=str(self._path), error=str(error))
            return {}
        return dict(journal.pending)

    async def keep(self, payload: bytes) -> int:
        """Return the entry's number when it is on the disk. Raises OSError."""
        kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._presses.append((payload, kept))
        self._wake()
        return await kept

    def done(self, number: int) -> None:
        self._done.append(number)
        self._wake()

    @property
    def size(self) -> int:
        """Presses that Kafka has not."""
        return 0 if self._journal is None else len(self._journal.pending)

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing
        self._thread.shutdown()
        if self._journal is not None:
            self._journal.close()

    def _wake(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._presses or self._done:
            presses, self._presses = self._presses, []
            done, self._done = self._done, []
            try:
                numbers = await self._append([payload for payload, _ in presses])
            except OSError as error:
                for _, kept in presses:
                    _settle(kept, error)
            else:
                for (_, kept), number in zip(presses, numbers, strict=True):
                    _settle(kept, number)
            await self._mark(done)

    async def _append(self, payloads: list[bytes]) -> list[int]:
        if not payloads:
            return []
        journal = await self._opened()
        return await self._in_thread(partial(journal.append, payloads))

    async def _mark(self, done: Iterable[int]) -> None:
        if self._journal is not None and done:
            try:
                await self._in_thread(partial(self._journal.done, done))
            except OSError as error:
                log.warning("journal not marked, presses come again", error=str(error))

    async def _opened(self) -> Journal:
        if self._journal is None:
            self._journal = await self._in_thread(partial(Journal.opened, self._path))
        return self._journal

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _settle(kept: "asyncio.Future[int]", outcome: int | OSError) -> None:
    if kept.done():  # whoever waited has gone
        return
    if isinstance(outcome, OSError):
        kept.set_exception(outcome)
    else:
        kept.set_result(outcome)
