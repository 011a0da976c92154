"""The two HTTP listeners of the gateway: events, and panics. Errors are problems of RFC 9457."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.ids import uuid7
from schemas.times import IN_FUTURE_MS, TOO_OLD_MS, untimely
from streams.gateway.answers import (
    MOST_TOLD,
    Accepted,
    Pressed,
    PressTaken,
    Problem,
    Rejection,
    Warned,
)
from streams.gateway.batch import MAX_PRESSES
from streams.gateway.body import CODINGS, JSON, MEDIA_TYPES, Body, binary_mode, body_of
from streams.gateway.events import ComeAgain, Events
from streams.gateway.findings import Findings
from streams.gateway.http import Early, behind, is_broken, is_given_up, spoke
from streams.gateway.metrics import Metrics
from streams.gateway.openapi import PROBLEM, document
from streams.gateway.panics import Kept, Panics, Taken, wall_ms
from streams.gateway.read import (
    MAX_BATCH_BYTES,
    NoPress,
    Record,
    Rejected,
    Unreadable,
    claims_press,
    is_readable,
    read_events,
    read_press,
)
from streams.gateway.watched import Watched
from streams.keys import Device, Keys, claimed, is_valid

BODY_TIMEOUT_S: Final = 10.0
"""A body takes no longer: who sends a byte now and then must not hold the listener."""
PRESS_BODY_TIMEOUT_S: Final = 1.0
"""Of a press, what is there by then is raised."""
MAD_PRESS_BYTES: Final = 8 * 1024
"""So much is read of what a mad button sends: a press has a few hundred bytes."""
Handler = Callable[[Request], Awaitable[Response]]
_CLOCK: Final = {
    "too_old": "{} s before our clock. It is taken, and what is older than "
    f"{TOO_OLD_MS // 86_400_000} days is not stored. If it is new, set the device's clock.",
    "in_future": "{} s ahead of our clock. It is taken, and what is more than "
    f"{IN_FUTURE_MS // 1000} s ahead is not stored. Set the device's clock.",
}
_ABSOLUTE = re.compile(r"https?://[^/]*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Api:
    """What both listeners share: who is asking, and what the answers look like."""

    def __init__(
        self,
        keys: Watched[Keys],
        panics: Panics,
        events: Events,
        findings: Findings,
        metrics: Metrics,
    ) -> None:
        self._keys = keys
        self._panics = panics
        self._events = events
        self._findings = findings
        self._metrics = metrics

    def for_events(self) -> Starlette:
        return self._app(Route("/v1/events", self._post_events, methods=["POST"]))

    def for_panics(self) -> Starlette:
        return self._app(Route("/v1/panic", self._post_panic, methods=["POST", "PUT", "PATCH"]))

    def _app(self, route: Route) -> Starlette:
        app = Starlette(
            routes=[route, Route("/openapi.json", _openapi)],
            exception_handlers={HTTPException: self._elsewhere},
        )
        # Few small HTTP stacks follow a 307 with a POST, and its Location has http:// behind a TLS
        # proxy, where the key would travel in clear.
        app.router.redirect_slashes = False
        app.add_middleware(PlainPath)
        app.add_middleware(Early)
        return app

    async def _post_events(self, request: Request) -> Response:
        device = await self._who(request)
        if device is None:
            return self._unauthorized()
        raw, whole = await _body(request, MAX_BATCH_BYTES, BODY_TIMEOUT_S)
        body = body_of(raw, request.headers, request.url.query)
        # A press that came to the wrong listener, or in a wrong shape, is a press all the same.
        urgent = claims_press(body)
        try:
            if not urgent:
                if is_broken(request):
                    return problem(400, "This is no HTTP request")
                if body.unknown:
                    return _unknown_coding(body)
                if body.media_type not in MEDIA_TYPES and not binary_mode(body):
                    return problem(415, "Send one of these types", ", ".join(MEDIA_TYPES))
                if not (whole and body.whole):
                    detail = f"{MAX_BATCH_BYTES} bytes at most, within {BODY_TIMEOUT_S:.0f} s"
                    return problem(413, "The body is too long or too slow", detail)
                self._events.admit(device, 1)
            # A batch takes tens of milliseconds, and a press must not wait for it.
            records, rejected = await asyncio.to_thread(read_events, device, body, uuid7(wall_ms()))
            presses = [record for record in records if record.is_press]
            if not all(one.safe for one in await self._take(presses)):
                return _unsafe()
            others = [record for record in records if not record.is_press]
            refused = len({one.at for one in rejected})
            self._events.admit(device, len(others) + refused - 1)
            passed = await self._events.take(others)
        except Unreadable as error:
            return problem(400, "The body can't be read", str(error))
        except ComeAgain as error:
            return _come_again(error)
        self._metrics.rejected.inc(refused)
        if rejected and not records:
            return _refused(rejected)
        return _answer(
            Accepted(
                accepted=passed.accepted + len(presses),
                repeated=passed.repeated,
                rejected=[_rejection(one) for one in rejected],
                warnings=warnings_of(records, wall_ms()),
            ),
            202,
        )

    async def _post_panic(self, request: Request) -> Response:
        started_s = time.perf_counter()
        device = await self._who(request)
        if device is None:
            return self._unauthorized()
        most_bytes = MAD_PRESS_BYTES if self._panics.is_mad(device) else MAX_BATCH_BYTES
        raw, _ = await _body(request, most_bytes, PRESS_BODY_TIMEOUT_S)
        if is_given_up(request):
            return problem(400, "This is no HTTP request")
        body = body_of(raw, request.headers, request.url.query)
        if not is_readable(body):
            raw += await behind(request, raw)
            body = body_of(raw, request.headers, request.url.query)
        return await self._pressed(device, body, started_s)

    async def _elsewhere(self, request: Request, error: Exception) -> Response:
        """A press that came to a path or by a method that there is not is a press all the same."""
        started_s = time.perf_counter()
        if error_status(error) in (404, 405) and claimed(_authorization(request)) is not None:
            device = await self._who(request)
            if device is not None:
                raw, _ = await _body(request, MAD_PRESS_BYTES, PRESS_BODY_TIMEOUT_S)
                body = body_of(raw, request.headers, request.url.query)
                if claims_press(body):
                    return await self._pressed(device, body, started_s)
        return _http_problem(error)

    async def _pressed(self, device: Device, body: Body, started_s: float) -> Response:
        try:
            presses = read_press(device, body, uuid7(wall_ms()))
        except PermissionError as error:
            return problem(403, "Not for a device to say", str(error))
        except NoPress as error:
            return _refused(error.rejected)
        taken = await self._take(presses)
        for one in taken:
            self._metrics.press_seconds.labels(kept=one.kept).observe(
                time.perf_counter() - started_s
            )
        if not all(one.safe for one in taken):
            return _unsafe()
        said = [
            PressTaken(event=press.id, kept=one.kept, alerts=list(one.alerts), told=one.told)
            for press, one in zip(presses, taken, strict=True)
        ]
        in_memory = any(one.kept is Kept.MEMORY for one in taken)
        warning = "told directly, but the disk is full: kept in memory only" if in_memory else None
        warnings = warnings_of(presses, wall_ms())
        return _answer(Pressed(presses=said, warning=warning, warnings=warnings), 202)

    async def _take(self, presses: list[Record]) -> list[Taken]:
        """Some at a time: others have their turn between them."""
        taken: list[Taken] = []
        for start in range(0, len(presses), MAX_PRESSES):
            some = presses[start : start + MAX_PRESSES]
            taken += await asyncio.gather(*(self._panics.take(press) for press in some))
        return taken

    async def _who(self, request: Request) -> Device | None:
        address = request.client.host if request.client else "unknown"
        said = claimed(_authorization(request))
        keys = await self._keys.now()
        if said is None:
            self._findings.found("no device key", address, None)
            return None
        device, secret = said
        if is_valid(keys, device, secret):
            spoke(request, device)
            return device
        self._findings.found("wrong device key", address, device if device in keys else None)
        return None

    def _unauthorized(self) -> Response:
        self._metrics.unauthorized.inc()
        detail = "Authorization: Bearer <school>.<device>.<secret>, as `saqshy keys add` says it"
        # Who has no key has no connection to keep, nor a body that we would wait for.
        headers = {"www-authenticate": "Bearer", "connection": "close"}
        return problem(401, "A device key is needed", detail, headers)


class PlainPath:
    """``/V1//panic/`` is ``/v1/panic``: a slash too many silences no button, nor do dots, parameters or a
    fragment that a client did not take off (RFC 3986, 3.3 and 5.2.4). An absolute form of the target
    (RFC 9112, 3.2.2) is its path. Methods are known in small letters, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": _plain(scope["path"]), "method": scope["method"].upper()}
        await self._app(scope, receive, send)


def _plain(path: str) -> str:
    path = _ABSOLUTE.sub("", _CONTROLS.sub("", path).strip().lower())
    parts: list[str] = []
    for part in re.split(r"[/\\\\]", path.partition("#")[0]):
        match part.partition(";")[0].strip():
            case "" | ".":
                pass
            case "..":
                parts = parts[:-1]
            case plain:
                parts.append(plain)
    return "/" + "/".join(parts)


def _authorization(request: Request) -> str:
    """All of them: a proxy may have one of its own."""
    return " ".join(request.headers.getlist("authorization"))


async def _openapi(_: Request) -> Response:
    return JSONResponse(document())


async def _body(request: Request, most_bytes: int, timeout_s: float) -> tuple[bytes, bool]:
    """The body as far as it came, and whether that is all of it."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    return bytes(body[:most_bytes]), False
    except (TimeoutError, ClientDisconnect):
        return bytes(body), False
    return bytes(body), True


def problem(
    status: int,
    title: str,
    detail: str = "",
    headers: dict[str, str] | None = None,
    rejected: list[Rejection] | None = None,
) -> Response:
    said = Problem(title=title, status=status, detail=detail, rejected=rejected)
    return _answer(said, status, headers, PROBLEM)


def _answer(
    said: BaseModel, status: int, headers: dict[str, str] | None = None, media_type: str = JSON
) -> Response:
    body = said.model_dump_json(exclude_none=True)
    return Response(body, status, headers, media_type=media_type)


def _refused(rejected: list[Rejected]) -> Response:
    if all(one.forbidden for one in rejected):
        return problem(403, "Not for a device to say", rejected[0].detail)
    return problem(
        422, "No event could be used", rejected=[_rejection(one) for one in rejected[:MOST_TOLD]]
    )


def _unknown_coding(body: Body) -> Response:
    codings = ", ".join(CODINGS)
    return problem(
        415,
        "Send it as it is",
        f"{body.unknown} is none of {codings}",
        {"accept-encoding": codings},
    )


def _rejection(one: Rejected) -> Rejection:
    return Rejection(at=one.at, field=one.field, detail=one.detail)


def warnings_of(records: Iterable[Record], now_ms: int) -> list[Warned] | None:
    """What is taken and no lane will store, since the device's clock is far off; None for nothing."""
    found = [
        Warned(
            at=one.at,
            field="/time_ms",
            detail=_CLOCK[why].format(abs(one.time_ms - now_ms) // 1000),
        )
        for one in records
        if one.time_ms is not None and (why := untimely(one.time_ms, now_ms))
    ]
    return found[:MOST_TOLD] or None


def _come_again(error: ComeAgain) -> Response:
    after = {"retry-after": str(max(1, math.ceil(error.after_s)))}
    if error.mad:
        return problem(429, "Too many events", "Keep them and send them later.", after)
    return problem(503, "Kafka is late", "Keep the events and send them again.", after)


def _unsafe() -> Response:
    return problem(
        503,
        "The press could not be kept",
        "Kafka is down, the disk is full and nobody could be told: press again.",
        {"retry-after": "1"},
    )


def error_status(error: Exception) -> int:
    return error.status_code if isinstance(error, HTTPException) else 500


def _http_problem(error: Exception) -> Response:
    status = error_status(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    titles = {404: "Nothing is here", 405: "Not with this method"}
    detail = "POST /v1/events, or POST /v1/panic on its own port; /openapi.json says more."
    return problem(status, titles.get(status, "Not possible"), detail, headers)
