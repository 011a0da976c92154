"""Tells console, dispatch and notify of a press without Kafka: POST <url>, an AlertChanged as JSON.

Each answers 200 when it has it shown, queued or known already. They know a repeat by the alert's id
and the event's, so telling twice does nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import structlog

from schemas.alerts import AlertChanged
from schemas.direct import HEADER, NoSecret, read_secret

log = structlog.get_logger(__name__)

FIRST_TIMEOUT_S: Final = 0.4
TIMEOUT_S: Final = 2.0
AGAIN_AFTER_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 10.0, 20.0, 20.0)


class Direct:
    """``told`` and ``failed`` count requests that were answered with 200, and the others."""

    def __init__(self, urls: Sequence[str], secret_file: Path | None) -> None:
        self._urls = tuple(urls)
        self._secret_file = secret_file
        self._session: aiohttp.ClientSession | None = None
        self._again: set[asyncio.Task[None]] = set()
        self.told = 0
        self.failed = 0

    async def tell(self, alert: AlertChanged, needed: Callable[[], bool] = lambda: True) -> int:
        """Tell all at once; how many have it. The others are tried again while it is ``needed``."""
        body = alert.model_dump_json().encode()
        heard = await asyncio.gather(
            *(self._post(url, body, FIRST_TIMEOUT_S) for url in self._urls)
        )
        for url, has_it in zip(self._urls, heard, strict=True):
            if not has_it:
                task = asyncio.create_task(self._repeat(url, body, needed))
                self._again.add(task)
                task.add_done_callback(self._again.discard)
        return sum(heard)

    async def stop(self) -> None:
        for task in self._again:
            task.cancel()
        await asyncio.gather(*self._again, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _repeat(self, url: str, body: bytes, needed: Callable[[], bool]) -> None:
        for pause_s in AGAIN_AFTER_S:
            await asyncio.sleep(pause_s)
            if not needed() or await self._post(url, body, TIMEOUT_S):
                return
        log.error("press not told", url=url)

    async def _post(self, url: str, body: bytes, timeout_s: float) -> bool:
        headers = {"content-type": "application/json", **self._secret()}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=50), trust_env=False
            )
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                has_it = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            has_it = False
        self.told += has_it
        self.failed += not has_it
        return has_it

    def _secret(self) -> dict[str, str]:
        if self._secret_file is None:
            return {}
        try:
            return {HEADER: read_secret(self._secret_file)}
        except NoSecret as error:
            log.error("direct secret unread", error=str(error))
            return {}
