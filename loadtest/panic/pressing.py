"""Presses as buttons send them: over HTTPS's plain sister to the gateway, on a schedule that never waits.

Every press has a school of its own, so that each opens an alarm. It is timed from the moment that it
was due, whatever the gateway does; a button that gets no 202 sends the same press again.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np

from loadtest.simulator.country import center_of
from loadtest.simulator.regions import REGIONS
from schemas.alerts import AlertKind, alert_id
from schemas.settings import Settings
from schemas.topics import REGISTRY
from streams.keys import Device, Key, keys_path, write_keys

BUTTON: Final = "button-1"
FIRST_SCHOOL: Final = 50_000
"""Numbers from here on are no school of the simulated country's."""
ANSWER_WITHIN_S: Final = 2.0
AGAIN_AFTER_S: Final = 0.2
GIVE_UP_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Press:
    """``due_ms``: the wall clock's milliseconds at which the button is pressed."""

    school: str
    event: str
    due_ms: int

    @property
    def alert(self) -> str:
        return alert_id(AlertKind.PANIC, self.school, self.event)


@dataclass(slots=True)
class Buttons:
    """A button in each of ``count`` schools that nothing else presses; each is used once."""

    count: int
    seed: int
    tokens: list[str] = field(default_factory=list)
    used: int = 0

    def install(self, settings: Settings) -> None:
        """Give each its key. The gateway reads the file when it starts."""
        self.tokens = [secrets.token_urlsafe(32) for _ in range(self.count)]
        now_ms = time.time_ns() // 1_000_000
        path = keys_path(settings)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_keys(
            path,
            {
                Device(self.school(n), BUTTON): (Key(sha256(t.encode()).hexdigest(), now_ms),)
                for n, t in enumerate(self.tokens)
            },
        )

    def school(self, number: int) -> str:
        region = REGIONS[number % len(REGIONS)]
        return f"KZ-{region.code}-{FIRST_SCHOOL + number // len(REGIONS):05d}"

    def registrations(self, now_ms: int) -> Iterator[tuple[str, bytes, bytes]]:
        """(topic, key, value) of each school's record in the registry, with its police center."""
        for number in range(self.count):
            school = self.school(number)
            value = {
                "id": _uuid7(now_ms, self.seed, number), "type": "school.registered",
                "school": school, "device": "registry", "time_ms": now_ms, "boot": 1, "seq": number,
                "names": dict.fromkeys(("kk", "ru", "en"), f"School {number}"),
                "region": school[:5], "district": "District", "latitude": 48.0, "longitude": 67.0,
                "pupils": 500, "ownership": "public", "shifts": [{"bells": ["08:00", "08:45"]}],
                "provider": "kz-telecom", "devices": [], "center": center_of(school[:5]),
            }  # fmt: skip
            yield REGISTRY.name, school.encode(), json.dumps(value).encode()


@dataclass(slots=True)
class Presser:
    """Presses ``buttons`` at ``url``; ``presses`` are all that were due, ``answered`` the 202s."""

    url: str
    buttons: Buttons
    presses: list[Press] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    answer_ms: dict[str, float] = field(default_factory=dict)
    repeats: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def press_for(self, seconds: float, per_s: float, session: aiohttp.ClientSession) -> None:
        """At random moments that were drawn beforehand. Returns when the last one was due."""
        rng = np.random.default_rng([self.buttons.seed, self.buttons.used, 9])
        count = min(round(seconds * per_s), self.buttons.count - self.buttons.used)
        start_ms = time.time() * 1000
        for after_ms in np.sort(rng.random(count)) * seconds * 1000:
            due_ms = start_ms + float(after_ms)
            await asyncio.sleep(max(0.0, due_ms / 1000 - time.time()))
            task = asyncio.create_task(self._press(self._next(int(due_ms)), session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(max(0.0, start_ms / 1000 + seconds - time.time()))

    async def finish(self) -> None:
        """Wait for the answers that are due."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GIVE_UP_S)

    def _next(self, due_ms: int) -> tuple[Press, str]:
        number = self.buttons.used
        self.buttons.used += 1
        event = _uuid7(due_ms, self.buttons.seed, number)
        press = Press(self.buttons.school(number), event, due_ms)
        self.presses.append(press)
        return press, self.buttons.tokens[number]

    async def _press(self, which: tuple[Press, str], session: aiohttp.ClientSession) -> None:
        press, token = which
        body = json.dumps(
            {
                "id": press.event, "type": "panic.pressed", "school": press.school,
                "device": BUTTON, "time_ms": press.due_ms, "boot": 1, "seq": 1, "v": 1,
            }
        )  # fmt: skip
        headers = {
            "authorization": f"Bearer {press.school}.{BUTTON}.{token}",
            "content-type": "application/json",
        }
        until_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until_s:
            if await _posted(session, self.url, body, headers):
                self.answered.add(press.event)
                self.answer_ms[press.event] = time.time() * 1000 - press.due_ms
                return
            self.repeats += 1
            await asyncio.sleep(AGAIN_AFTER_S)


async def _posted(
    session: aiohttp.ClientSession, url: str, body: str, headers: dict[str, str]
) -> bool:
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    try:
        async with session.post(url, data=body, headers=headers, timeout=timeout) as answer:
            return answer.status == 202
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _uuid7(at_ms: int, seed: int, number: int) -> str:
    return f"{at_ms >> 16:08x}-{at_ms & 0xFFFF:04x}-7{seed & 0xFFF:03x}-8000-{number:012x}"


def percentiles(delays_ms: Sequence[float]) -> dict[str, float | None]:
    """Nearest rank; None for none."""
    ordered = sorted(delays_ms)
    found: dict[str, float | None] = {}
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0)):
        at = min(len(ordered) - 1, int(share * len(ordered)))
        found[name] = round(ordered[at], 1) if ordered else None
    return found


def read_police(path: Path) -> list[dict[str, Any]]:
    """What the simulated police wrote so far (loadtest.simulator.police)."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()]
