"""Hears panics as a console in a browser does, and measures press to console.

Reads the console's server-sent events from outside (HTML Living Standard, section 9.2), so that the whole way
is in the measured time: device clock, Kafka, panic worker, alerts topic, console, stream.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(slots=True)
class Announced:
    """``delay_ms`` per press (event id), measured once, at its first announcement.

    ``effects`` counts announcements per transition (alert id, number): more than one would be an
    effect doubled.
    """

    delay_ms: dict[str, float] = field(default_factory=dict)
    effects: dict[tuple[str, int], int] = field(default_factory=dict)

    def note(self, panic: dict[str, Any], now_ms: float) -> None:
        transition = (panic["id"], panic["number"])
        self.effects[transition] = self.effects.get(transition, 0) + 1
        if panic.get("event") and panic["event"] not in self.delay_ms:
            self.delay_ms[panic["event"]] = now_ms - panic["time_ms"]

    def missing(self, presses: Iterable[str]) -> int:
        """How many of these presses were never announced. (Alarms of earlier runs are heard, too.)"""
        return len(set(presses) - self.delay_ms.keys())

    @property
    def doubled(self) -> int:
        return sum(count - 1 for count in self.effects.values())

    def percentile_ms(self, share: float, presses: Iterable[str]) -> float | None:
        """Nearest rank over these presses; None when none of them was heard."""
        delays = sorted(self.delay_ms[press] for press in presses if press in self.delay_ms)
        if not delays:
            return None
        return round(delays[min(len(delays) - 1, int(share * len(delays)))], 1)


async def listen(url: str, heard: Announced, headers: Mapping[str, str]) -> None:
    """Follow the stream until cancelled, reconnecting where it broke off (Last-Event-ID).

    ``headers`` say who reads (dashboards.console.users.bearer).
    """
    last_id = ""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                resumed = {"Last-Event-ID": last_id} if last_id else {}
                async with session.get(url, headers={**headers, **resumed}) as answer:
                    answer.raise_for_status()
                    async for name, event_id, data in _events(answer.content):
                        last_id = event_id or last_id
                        if name == "panic":
                            heard.note(json.loads(data), time.time() * 1000)
            await asyncio.sleep(0.2)


async def _events(lines: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str, str]]:
    """(event name, id, data) of each event of the stream."""
    name, event_id, data = "message", "", ""
    while line := await lines.readline():
        text = line.decode().rstrip("\r\n")
        if not text:
            if data:
                yield name, event_id, data
            name, event_id, data = "message", "", ""
            continue
        key, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "id":
            event_id = value
        elif key == "data":
            data = f"{data}\n{value}" if data else value
