"""The console over HTTP: pages, a snapshot, and server-sent events that lose nothing.

The stream follows the HTML Living Standard, section 9.2. An event's id is ``<server start>-<number>``; a
browser that comes back with Last-Event-ID gets what it missed, or a new snapshot when that is forgotten.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.console.feeds import Feeds, now_ms
from dashboards.console.picture import Picture
from schemas.events import SCHOOL_PATTERN
from schemas.settings import Settings

STATIC: Final = Path(__file__).parent / "static"
BEAT_EVERY_S: Final = 1.0
MAX_CHANGES_AT_ONCE: Final = 2_000
STALE_AFTER_MS: Final = 10_000
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class SecurityHeaders:
    """The same headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class Stream:
    """Wakes the open event streams when the picture has changed."""

    def __init__(self, picture: Picture, feeds: Feeds | None = None) -> None:
        self.picture = picture
        self.feeds = feeds
        self.started_ms = now_ms()
        self._waiting: set[asyncio.Event] = set()

    def wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    async def events(self, last_id: str, only_panics: bool) -> AsyncIterator[str]:
        """The text of the stream, until the browser goes. Nothing is queued per browser."""
        number = self._number(last_id)
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            yield "retry: 500\n\n"
            while True:
                changed.clear()
                changes = None if number is None else self.picture.since(number)
                too_many = changes is not None and len(changes) > MAX_CHANGES_AT_ONCE
                # A reader of panics alone gets each transition it missed, however far behind.
                if changes is None or (too_many and not only_panics):
                    number = self.picture.last
                    if not only_panics:
                        yield self._event("snapshot", self.picture.snapshot(), number)
                    else:
                        for panic in self.picture.snapshot()["panics"]:
                            yield self._event("panic", panic, number)
                else:
                    for change in changes:
                        number = change.number
                        if not only_panics or change.name == "panic":
                            yield self._event(change.name, change.data, change.number)
                yield self._event("beat", self.beat(), number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_EVERY_S):
                        await changed.wait()
        finally:
            self._waiting.discard(changed)

    def beat(self) -> dict[str, Any]:
        """Proof of life, with the age of every source."""
        return {
            "now_ms": now_ms(),
            "fresh_ms": self.feeds.fresh_ms if self.feeds else {},
            "counts": self.picture.counts(),
            "alerts_open": self.picture.alerts_open(),
            "first_event_ms": self.picture.first_event_ms,
        }

    def _number(self, last_id: str) -> int | None:
        found = re.fullmatch(r"(\d+)-(\d+)", last_id)
        return int(found[2]) if found and int(found[1]) == self.started_ms else None

    def _event(self, name: str, data: Any, number: int | None) -> str:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
        return f"id: {self.started_ms}-{number}\nevent: {name}\ndata: {text}\n\n"


def console(settings: Settings) -> Starlette:
    """The ASGI application; it follows its sources while it runs."""
    picture = Picture()
    stream = Stream(picture)
    feeds = Feeds(picture, settings.kafka, settings.clickhouse, stream.wake)
    stream.feeds = feeds

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def snapshot(_: Request) -> Response:
        return _json(picture.snapshot())

    async def events(request: Request) -> Response:
        last_id = request.headers.get("last-event-id", "")
        only_panics = request.query_params.get("only") == "panics"
        return StreamingResponse(
            stream.events(last_id, only_panics),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def school(request: Request) -> Response:
        id_ = request.path_params["id"]
        if not re.fullmatch(SCHOOL_PATTERN, id_):
            return _json({"error": "a school's id looks like KZ-75-00001"}, 422)
        if id_ not in picture.schools:
            return _json({"error": f"the registry has no school {id_}"}, 404)
        return _json(
            {
                "school": picture.schools[id_],
                "devices": picture.devices.get(id_, {}),
                "alerts": [a for a in picture.alerts.values() if a["school"] == id_],
                **await feeds.school(id_),
            }
        )

    async def health(_: Request) -> Response:
        age_ms = now_ms() - feeds.fresh_ms["kafka"]
        ready = feeds.restored and age_ms < STALE_AFTER_MS
        return _json({"ready": ready, "kafka_age_ms": age_ms}, 200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(_metrics(picture, feeds), media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(feeds.follow_kafka()),
            asyncio.create_task(feeds.follow_clickhouse()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/snapshot", snapshot),
            Route("/api/schools/{id}", school),
            Route("/events", events),
            Route("/health", health),
            Route("/metrics", metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=["127.0.0.1", "localhost", settings.console.host],
                www_redirect=False,
            ),
            Middleware(GZipMiddleware, minimum_size=10_000),
        ],
        lifespan=lifespan,
    )


def _json(data: Any, status: int = 200) -> Response:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
    return Response(text, status, media_type="application/json")


def _metrics(picture: Picture, feeds: Feeds) -> bytes:
    registry = CollectorRegistry()
    schools = Gauge("saqshy_console_schools", "Schools by status", ["status"], registry=registry)
    for status, count in picture.counts().items():
        schools.labels(status).set(count)
    alerts = Gauge("saqshy_console_open_alerts", "Open alerts", registry=registry)
    alerts.set(len(picture.alerts))
    age = Gauge(
        "saqshy_console_source_age_seconds", "Age of a source", ["source"], registry=registry
    )
    for source, fresh_ms in feeds.fresh_ms.items():
        age.labels(source).set((now_ms() - fresh_ms) / 1000)
    return generate_latest(registry)
