"""Tells console, dispatch and notify of a press without Kafka, again and again until each has it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from schemas.alerts import AlertChanged
from streams.runtime.direct import Teller

log = structlog.get_logger(__name__)

FIRST_TIMEOUT_S: Final = 0.4
TIMEOUT_S: Final = 2.0
AGAIN_AFTER_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 10.0, 20.0, 20.0)


class Direct:
    """``told`` and ``failed`` count requests that were answered with 200, and the others."""

    def __init__(self, urls: Sequence[str], secret_file: Path | None) -> None:
        self._teller = Teller(urls, secret_file)
        self._again: set[asyncio.Task[None]] = set()

    @property
    def told(self) -> int:
        return self._teller.told

    @property
    def failed(self) -> int:
        return self._teller.failed

    async def tell(self, alert: AlertChanged, needed: Callable[[], bool] = lambda: True) -> int:
        """Tell all at once; how many have it. The others are tried again while it is ``needed``."""
        body = alert.model_dump_json().encode()
        urls = self._teller.urls
        heard = await asyncio.gather(*(self._post(url, body, FIRST_TIMEOUT_S) for url in urls))
        for url, has_it in zip(urls, heard, strict=True):
            if not has_it:
                task = asyncio.create_task(self._repeat(url, body, needed))
                self._again.add(task)
                task.add_done_callback(self._again.discard)
        return sum(heard)

    async def stop(self) -> None:
        for task in self._again:
            task.cancel()
        await asyncio.gather(*self._again, return_exceptions=True)
        await self._teller.close()

    async def _repeat(self, url: str, body: bytes, needed: Callable[[], bool]) -> None:
        for pause_s in AGAIN_AFTER_S:
            await asyncio.sleep(pause_s)
            if not needed() or await self._post(url, body, TIMEOUT_S):
                return
        log.error("press not told", url=url)

    async def _post(self, url: str, body: bytes, timeout_s: float) -> bool:
        return await self._teller.tell(url, body, timeout_s) is not None
