"""Centers that take an HTTP POST, signed when the center has a key.

``Idempotency-Key`` is the same for every attempt of one message. Taken is what is answered with 2xx.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import aiohttp

from streams.dispatch.alarm import Alarm, Receipt
from streams.dispatch.centers import Center
from streams.runtime.signature import signed


class Post(ABC):
    """What the adapters over HTTP share; each says its content type and its two bodies."""

    content_type: ClassVar[str]

    def __init__(self, center: Center, wall_s: Callable[[], float] = time.time) -> None:
        self._center = center
        self._wall_s = wall_s
        self._session: aiohttp.ClientSession | None = None

    @abstractmethod
    def alarm_body(self, alarm: Alarm) -> bytes: ...

    @abstractmethod
    def test_body(self, message: str, now_ms: int) -> bytes: ...

    async def send(self, alarm: Alarm, receiver: int) -> Receipt:
        return await self._post(self.alarm_body(alarm), alarm.message, receiver)

    async def check(self, receiver: int) -> Receipt:
        now_ms = int(self._wall_s() * 1000)
        message = f"test-{self._center.id}-{now_ms}".replace(" ", "-")
        return await self._post(self.test_body(message, now_ms), message, receiver)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes, message: str, receiver: int) -> Receipt:
        url = self._center.addresses[receiver % len(self._center.addresses)]
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=self._center.ack_timeout_s)
        try:
            headers = self._headers(body, message)
            # A redirect would carry the alarm to where nobody configured.
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                taken = 200 <= answer.status < 300
                return Receipt(taken=taken, note=f"{url}: HTTP {answer.status}")
        except TimeoutError:
            return Receipt(taken=False, note=f"{url}: no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Receipt(taken=False, note=f"{url}: {error or type(error).__name__}")

    def _headers(self, body: bytes, message: str) -> dict[str, str]:
        headers = {"Content-Type": self.content_type, "Idempotency-Key": message}
        if self._center.key_file is not None:
            key = self._center.key_file.read_text().strip().encode()
            headers |= signed(key, int(self._wall_s()), body)
        return headers
