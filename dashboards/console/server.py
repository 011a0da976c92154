"""The console over HTTP: the page, a snapshot, schools, the stream, and what the gateway tells directly.

The page itself holds no data and is open to everybody; everything else asks who it is for.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.console import acts, signin
from dashboards.console.access import Data
from dashboards.console.desk import Desk, Refusal, answer, new_desk, raw
from dashboards.console.feeds import now_ms
from dashboards.console.standing import without_notes
from schemas.alerts import AlertChanged
from schemas.events import SCHOOL_PATTERN, is_canary
from schemas.settings import Settings
from streams.runtime.direct import HEADER, Said
from streams.runtime.direct import answer as hear
from streams.runtime.http import Http
from streams.runtime.metrics import Figure, figures
from streams.runtime.mounted import mounted
from streams.runtime.service import Service, Source

STATIC: Final = Path(__file__).parent / "static"
STALE_AFTER_MS: Final = 10_000
NUMBERS_STALE_AFTER_S: Final = 30.0
DAY_S: Final = 86_400
ALMATY_S: Final = 5 * 3_600  # UTC+5 all over the country since March 2024
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
        return answer(stream.snapshot(desk.eyes(request, person)))

    async def events(request: Request) -> Response:
        person = desk.who(request)
        last_id = request.headers.get("last-event-id", "")
        only_panics = request.query_params.get("only") == "panics"
        if not last_id:
            await desk.note(person, request, "stream.opened", panics=len(picture.panics))
        return StreamingResponse(
            stream.events(last_id, only_panics, desk.eyes(request, person)),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def school(request: Request) -> Response:
        person = desk.who(request)
        id_ = request.path_params["id"]
        if not re.fullmatch(SCHOOL_PATTERN, id_):
            raise Refusal(422, "a school's id looks like KZ-75-00001")
        eyes = desk.eyes(request, person)
        if id_ not in picture.schools or not eyes.sees(id_):
            raise Refusal(404, f"the registry has no school {id_}")
        stored, _ = await asyncio.gather(
            feeds.school(id_, reports=person.sees_data(Data.REPORTS)),
            desk.note(person, request, "school.seen", school=id_),
        )
        open_alerts = (*picture.panics.values(), *picture.others.values())
        own = [a for a in open_alerts if a["school"] == id_]
        return answer(
            {
                "school": picture.schools[id_],
                "devices": _devices(desk, id_),
                "alerts": own if eyes.notes else [without_notes(a) for a in own],
                "stale": stored["stale"],
                "history": stored["history"],
                **(_people(stored) if person.sees_data(Data.PEOPLE) else {}),
                **({"equipment": stored["equipment"]} if person.sees_data(Data.SECURITY) else {}),
                **({"reports": stored["reports"]} if person.sees_data(Data.REPORTS) else {}),
            }
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

    async def follow() -> None:
        try:
            await asyncio.gather(
                feeds.follow_kafka(), feeds.follow_clickhouse(), feeds.forget(), desk.said.ready()
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
    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/snapshot", snapshot),
            Route("/api/schools/{id}", school),
            Route("/events", events),
            Route("/direct", direct, methods=["POST"]),
            *signin.routes(desk),
            *acts.routes(desk),
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
        exception_handlers={Refusal: _refused},
        lifespan=lifespan,
    )


def _hosts(settings: Settings) -> list[str]:
    public = urlsplit(settings.console.public_url).hostname
    return ["127.0.0.1", "localhost", settings.console.host, *([public] if public else [])]


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    wait_s = refusal.body.get("retry_after_s")
    headers = {"retry-after": str(wait_s)} if wait_s else {}
    return answer(refusal.body, refusal.status, headers)


def _devices(desk: Desk, school: str) -> dict[str, dict[str, Any]]:
    """What was heard of, and what the registry expects and nobody has heard."""
    expected = desk.picture.expected.get(school, [])
    never = {
        device: {"kind": kind, "status": "unknown", "since_ms": 0} for device, kind, _ in expected
    }
    places = {device: place for device, _, place in expected}
    heard = {**never, **desk.picture.devices.get(school, {})}
    return {device: {**said, "place": places.get(device, "")} for device, said in heard.items()}


def _people(stored: dict[str, Any]) -> dict[str, Any]:
    """Who came and went, and how many are inside: since midnight, and never less than nobody."""
    now_s = now_ms() // 1000
    midnight_ms = (now_s - (now_s + ALMATY_S) % DAY_S) * 1000
    at_ms, inside = stored["inside"] or (0, 0)
    return {"flow": stored["flow"], "inside": max(0, inside) if at_ms >= midnight_ms else None}


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
