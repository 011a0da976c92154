"""A gateway's parts without a broker: a Kafka that acknowledges when the test says so, and a receiver
of what is told directly, on a real port."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from streams.gateway.body import JSON, Body, body_of
from streams.gateway.direct import Direct
from streams.gateway.events import Events
from streams.gateway.findings import Findings
from streams.gateway.heard import Heard
from streams.gateway.keeper import Keeper
from streams.gateway.known import Known
from streams.gateway.limit import Limit
from streams.gateway.panics import Panics
from streams.keys import Device, add
from streams.runtime.direct import HEADER

SCHOOL, BUTTON = "KZ-75-00001", "button-1"
DEVICE = Device(SCHOOL, BUTTON)
NOW_MS = 1_790_000_000_000
KEYS, BEARER = add({}, DEVICE, NOW_MS)
SECRET = "told-by-the-gateway"


def sent(raw: bytes, media_type: str = JSON) -> Body:
    return body_of(raw, {"content-type": media_type})


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


def no_disk(folder: Path) -> Path:
    """Where no journal can be: its folder is a file."""
    (folder / "taken").write_text("")
    return folder / "taken" / "presses.journal"


def event(kind: str = "panic.pressed", number: int = 1, **fields: Any) -> dict[str, Any]:
    id_ = str(uuid.UUID(int=(NOW_MS + number) << 80 | 7 << 76 | 2 << 62 | number))
    said = {"id": id_, "type": kind, "school": SCHOOL, "device": BUTTON, "time_ms": NOW_MS}
    return said | {"boot": 1, "seq": number, "v": 1} | fields


def press(number: int = 1, **fields: Any) -> bytes:
    return json.dumps(event("panic.pressed", number, **fields)).encode()


def entry(number: int = 1, **fields: Any) -> dict[str, Any]:
    passed = {"direction": "in", "outcome": "granted", "card": "0123456789abcdef"}
    return event("pass", number, **passed | fields)


@dataclass
class HeldKafka:
    """Acknowledges while ``open``; what waits goes through when it opens."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    records: list[tuple[str, bytes, bytes]] = field(default_factory=list)

    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        await self.open.wait()
        self.records.append((topic, key, value))

    def on(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) for at, _, value in self.records if at == topic]


@dataclass
class Ear:
    """Somebody who is told directly. ``deaf`` for so many requests."""

    url: str = ""
    deaf: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def direct(self, request: web.Request) -> web.Response:
        if request.headers.get(HEADER) != SECRET:
            return web.Response(status=403)
        if self.deaf:
            self.deaf -= 1
            return web.Response(status=503)
        self.heard.append(await request.json())
        return web.json_response({"kept": False})


@asynccontextmanager
async def ear(deaf: int = 0) -> AsyncIterator[Ear]:
    it = Ear(deaf=deaf)
    app = web.Application()
    app.add_routes([web.post("/direct", it.direct)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    it.url = f"http://127.0.0.1:{port}/direct"
    try:
        yield it
    finally:
        await runner.cleanup()


@dataclass
class Desk:
    kafka: HeldKafka
    panics: Panics
    events: Events
    findings: Findings
    keeper: Keeper
    heard: Heard
    known: Known


@asynccontextmanager
async def desk(
    folder: Path,
    urls: list[str] | None = None,
    *,
    open_: bool = True,
    journal: Path | None = None,
    now_ms: Callable[[], int] = lambda: NOW_MS,
) -> AsyncIterator[Desk]:
    secret = folder / "direct-secret"
    secret.write_text(SECRET + "\n")
    kafka = HeldKafka()
    if open_:
        kafka.open.set()
    keeper = Keeper(journal or folder / "presses.journal")
    direct = Direct(urls or [], secret)
    heard = Heard()
    findings, known = Findings(kafka, now_ms), Known()
    panics = Panics(kafka, keeper, direct, known, heard, 100, now_ms, findings.mad)
    events = Events(kafka, Limit(1, 200), ack_timeout_s=0.3)
    try:
        yield Desk(kafka, panics, events, findings, keeper, heard, known)
    finally:
        await findings.stop()
        await events.stop()
        await panics.stop()
