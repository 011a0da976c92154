"""Centers that take an HTTP POST: CAP 1.2 or a webhook, each signed when the center has a key.

``Idempotency-Key`` is the same for every attempt of one message. Taken is what is answered with 2xx.
"""

import json
import time
from collections.abc import Callable
from typing import Final

import aiohttp

from streams.dispatch.alarm import Alarm, Receipt
from streams.dispatch.cap import cap_of, cap_test
from streams.dispatch.centers import Center
from streams.runtime.signature import signed

JSON: Final = "application/json"
CAP: Final = "application/cap+xml"


class Web:
    """A center's adapter ``cap`` or ``webhook``."""

    def __init__(self, center: Center, wall_s: Callable[[], float] = time.time) -> None:
        self._center = center
        self._wall_s = wall_s
        self._is_cap = center.adapter == "cap"
        self._session: aiohttp.ClientSession | None = None

    async def send(self, alarm: Alarm, receiver: int) -> Receipt:
        body = cap_of(alarm, self._center) if self._is_cap else webhook_of(alarm)
        return await self._post(body, alarm.message, receiver)

    async def check(self, receiver: int) -> Receipt:
        now_ms = int(self._wall_s() * 1000)
        message = f"test-{self._center.id}-{now_ms}".replace(" ", "-")
        if self._is_cap:
            body = cap_test(self._center, message, now_ms)
        else:
            body = json.dumps({"type": "saqshy.test", "message": message}).encode()
        return await self._post(body, message, receiver)

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
        headers = {"Content-Type": CAP if self._is_cap else JSON, "Idempotency-Key": message}
        if self._center.key_file is not None:
            key = self._center.key_file.read_text().strip().encode()
            headers |= signed(key, int(self._wall_s()), body)
        return headers


def webhook_of(alarm: Alarm) -> bytes:
    """All of the alarm as JSON, with its type in front."""
    said = alarm.model_dump(mode="json", exclude={"seq"})
    return json.dumps({"type": "saqshy.panic", **said}, ensure_ascii=False).encode()
