"""The console over HTTP: the page, a snapshot, schools, the stream, and what the gateway tells directly.

The page itself holds no data and is open to everybody; everything else asks who it is for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.console import acts, handover, schools, signin
from dashboards.console.desk import Desk, new_desk
from dashboards.console.feeds import now_ms
from dashboards.console.refusals import Refusal, answer, raw, refused
from schemas.alerts import AlertChanged
from schemas.events import is_canary
from schemas.settings import Settings
from streams.runtime.direct import HEADER, Said
from streams.runtime.direct import answer as hear

STATIC: Final = Path(__file__).parent / "static"
PAGES: Final = (
    "/",
    "/alarm/{id}",
    "/school/{id}",
    "/region/{id}",
    "/silent",
    "/alerts",
    "/shift",
    "/audit",
    "/components",
)
"""The page finds its way by its address; what it may show it asks for."""
NOT_FOUND: Final = {
    404: ("no_address", "there is nothing at this address"),
    405: ("no_method", "this address is asked in another way"),
}
STALE_AFTER_MS: Final = 10_000
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
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


def console(settings: Settings) -> Starlette:
    """The ASGI application; it follows its sources while it runs."""
    desk = new_desk(settings)
    picture, stream, feeds = desk.picture, desk.stream, desk.feeds

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def snapshot(request: Request) -> Response:
        person = desk.who(request)
        desk.reads(person)
        return answer(stream.snapshot(desk.eyes(request, person)))

    async def events(request: Request) -> Response:
        person = desk.who(request)
        desk.reads(person)
        last_id = request.headers.get("last-event-id", "")
        only_panics = request.query_params.get("only") == "panics"
        if not last_id:
            await desk.note(person, request, "stream.opened", panics=len(picture.panics))
        return StreamingResponse(
            desk.watches(request, person, last_id, only_panics=only_panics),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def direct(request: Request) -> Response:
        """What the gateway says itself, since Kafka does not take it in time."""
        said = await hear(
            "console",
            settings.gateway.direct_secret_file,
            request.headers.get(HEADER, ""),
            await raw(request),
            show,
        )
        return answer(said.body, said.status)

    async def show(notice: Said) -> bool:
        if isinstance(notice, AlertChanged) and not is_canary(notice.school):
            picture.alert(notice, now_ms())
            stream.wake()
        return False

    async def health(_: Request) -> Response:
        age_ms = now_ms() - feeds.fresh_ms["kafka"]
        ready = feeds.restored and age_ms < STALE_AFTER_MS
        return answer({"ready": ready, "kafka_age_ms": age_ms}, 200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(_metrics(desk), media_type="text/plain; version=0.0.4")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(feeds.follow_kafka()),
            asyncio.create_task(feeds.follow_clickhouse()),
            asyncio.create_task(feeds.forget()),
            asyncio.create_task(desk.said.ready()),
            asyncio.create_task(desk.tell_head()),
            asyncio.create_task(desk.watch_presence()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.said.stop()

    app = Starlette(
        routes=[
            *(Route(path, page) for path in PAGES),
            Route("/api/snapshot", snapshot),
            Route("/events", events),
            Route("/direct", direct, methods=["POST"]),
            *signin.routes(desk),
            *schools.routes(desk),
            *acts.routes(desk),
            *handover.routes(desk),
            Route("/health", health),
            Route("/metrics", metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=_hosts(settings),
                www_redirect=False,
            ),
            Middleware(GZipMiddleware, minimum_size=10_000),
        ],
        exception_handlers={Refusal: refused, 404: not_found, 405: not_found},
        lifespan=lifespan,
    )
    app.state.desk = desk
    return app


async def not_found(request: Request, trouble: Exception) -> Response:
    """In words: for a person a page, for a program JSON."""
    status = trouble.status_code if isinstance(trouble, HTTPException) else 404
    if request.url.path.startswith(("/api/", "/static/", "/oidc/")) or request.method != "GET":
        code, words = NOT_FOUND[status]
        return answer({"error": words, "code": code}, status)
    return FileResponse(STATIC / "404.html", status, media_type="text/html")


def _hosts(settings: Settings) -> list[str]:
    public = urlsplit(settings.console.public_url).hostname
    return ["127.0.0.1", "localhost", settings.console.host, *([public] if public else [])]


def _metrics(desk: Desk) -> bytes:
    registry = CollectorRegistry()
    picture, feeds = desk.picture, desk.feeds
    of_status = Gauge("saqshy_console_schools", "Schools by status", ["status"], registry=registry)
    for status, count in picture.counts().items():
        of_status.labels(status).set(count)
    alerts = Gauge("saqshy_console_open_alerts", "Open alerts", registry=registry)
    alerts.set(len(picture.panics) + len(picture.others))
    waiting = Gauge(
        "saqshy_console_audit_waiting", "Audit entries that wait for the disk", registry=registry
    )
    waiting.set(desk.audit.waiting)
    age = Gauge(
        "saqshy_console_source_age_seconds", "Age of a source", ["source"], registry=registry
    )
    for source, fresh_ms in feeds.fresh_ms.items():
        age.labels(source).set((now_ms() - fresh_ms) / 1000)
    return generate_latest(registry)
