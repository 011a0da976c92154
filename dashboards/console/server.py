"""The console over HTTP: the page, a snapshot, schools, the stream, and what the gateway tells directly.

The page itself holds no data and is open to everybody; everything else asks who it is for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvicorn
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
from streams.runtime.direct import HEADER, DirectNotice
from streams.runtime.direct import answer as hear
from streams.runtime.http import Http
from streams.runtime.metrics import Figure, figures
from streams.runtime.mounted import mounted
from streams.runtime.service import Service, Source

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
    "/wall",
)
"""The page finds its way by its address; what it may show it asks for."""
NOT_FOUND: Final = {
    404: ("no_address", "there is nothing at this address"),
    405: ("no_method", "this address is asked in another way"),
}
STALE_AFTER_MS: Final = 10_000
NUMBERS_STALE_AFTER_S: Final = 30.0
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


def console(settings: Settings, clock: Callable[[], float] = time.monotonic) -> Starlette:
    """The ASGI application; it follows its sources while it runs. ``clock`` as in new_desk."""
    desk = new_desk(settings, clock)
    picture, stream, feeds = desk.picture, desk.stream, desk.feeds

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def snapshot(request: Request) -> Response:
        person = desk.watcher(request)
        desk.reads(person)
        return answer(stream.snapshot(desk.eyes(request, person)))

    async def events(request: Request) -> Response:
        person = desk.watcher(request)
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

    async def show(notice: DirectNotice) -> bool:
        if isinstance(notice, AlertChanged) and not is_canary(notice.school):
            picture.alert(notice, now_ms())
            stream.wake()
        return False

    async def follow() -> None:
        try:
            await asyncio.gather(
                feeds.follow_kafka(),
                feeds.follow_clickhouse(),
                feeds.forget(),
                desk.said.ready(),
                desk.tell_head(),
                desk.watch_presence(),
            )
        finally:
            await desk.said.stop()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(follow())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    about = Service(
        name="console",
        run=follow,
        ready=lambda: feeds.restored,
        sources=lambda: _sources(desk),
        figures=lambda: _figures(desk),
    )
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
            *mounted([about]),
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


def _sources(desk: Desk) -> dict[str, Source]:
    """Without Kafka it shows nothing that is sure; without ClickHouse the numbers are stale."""
    at_most_s = {"kafka": STALE_AFTER_MS / 1000, "clickhouse": NUMBERS_STALE_AFTER_S}
    return {
        name: Source(
            (now_ms() - fresh_ms) / 1000 if fresh_ms else None,
            at_most_s[name],
            needed=name == "kafka",
        )
        for name, fresh_ms in desk.feeds.fresh_ms.items()
    }


def _figures(desk: Desk) -> list[Figure]:
    picture = desk.picture
    said = {
        "open_alerts": len(picture.panics) + len(picture.others),
        "audit_waiting": desk.audit.waiting,
    }
    return [
        *figures(said, prefix="console_"),
        *(Figure("console_schools", n, (status,)) for status, n in picture.counts().items()),
        *(
            Figure("console_source_age_seconds", (now_ms() - fresh_ms) / 1000, (source,))
            for source, fresh_ms in desk.feeds.fresh_ms.items()
        ),
    ]


class _Server(uvicorn.Server):
    """The process handles the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def service(settings: Settings) -> Service:
    """The console on the host and port of the settings; /health and /metrics are there, too."""
    server = _Server(
        uvicorn.Config(
            console(settings),
            http=Http,
            host=settings.console.host,
            port=settings.console.port,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=2,
            proxy_headers=False,  # dashboards.console.forwarded
        )
    )

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving

    return Service(name="console", run=run, ready=lambda: server.started)
