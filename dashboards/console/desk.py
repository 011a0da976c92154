"""What the console's pages share: the picture and its sources, who is signed in, what was noted."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dashboards.console.access import Act, Data, Eyes, Person, Role
from dashboards.console.audit import Audit, audit_path, entries
from dashboards.console.feeds import Feeds, now_ms
from dashboards.console.picture import Picture
from dashboards.console.said import Said
from dashboards.console.sessions import (
    COOKIE,
    FREE_TRIES_OF_ADDRESS,
    Sessions,
    Throttle,
    csrf_token,
    equal,
    sessions_path,
)
from dashboards.console.shift import LOOK_BACK, Shifts
from dashboards.console.stream import Stream
from dashboards.console.users import Users, machine_token, users_path
from schemas.settings import Settings

log = structlog.get_logger(__name__)

AUDIT_WITHIN_S: Final = 1.0
LOCKS: Final = 1024
MAX_BODY_BYTES: Final = 64 * 1024
Model = TypeVar("Model", bound=BaseModel)
MACHINE: Final = Person("machine", "machine", Role.MACHINE)


class Refusal(Exception):
    """An answer instead of what was asked for. ``more`` goes along in the body."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, **more}


@dataclass(slots=True)
class Desk:
    settings: Settings
    picture: Picture
    stream: Stream
    feeds: Feeds
    users: Users
    sessions: Sessions
    by_login: Throttle
    by_address: Throttle
    audit: Audit
    said: Said
    shifts: Shifts
    token: str
    locks: list[asyncio.Lock] = field(
        default_factory=lambda: [asyncio.Lock() for _ in range(LOCKS)]
    )
    drills: int = 0

    def acting(self, alert: str) -> asyncio.Lock:
        """One act at a time about an alert, so that the second knows of the first."""
        return self.locks[hash(alert) % LOCKS]

    def who(self, request: Request) -> Person:
        """Who asks. Raises Refusal 401 for who is not signed in."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if equal(token, self.token):
                return MACHINE
            raise Refusal(401, "this token is not the one in var/run/console-token")
        person = self.sessions.person(request.cookies.get(COOKIE, ""))
        if person is None:
            raise Refusal(401, "sign in first")
        return person

    def acts(self, request: Request, act: Act) -> Person:
        """Who asks for a change: signed in, allowed to, from our own page. Raises Refusal."""
        person = self.who(request)
        self.from_our_page(request)
        if person is not MACHINE:
            wanted = csrf_token(request.cookies.get(COOKIE, ""))
            if not equal(request.headers.get("x-csrf-token", ""), wanted):
                raise Refusal(403, "the page is older than this sign-in: load it again")
        if not person.does(act):
            raise Refusal(403, f"a {person.role} may not do this")
        return person

    def from_our_page(self, request: Request) -> None:
        """Raises Refusal 403 when another site's page sent this request.

        A program of ours says its token and has no page; any other Authorization header proves nothing.
        """
        _, _, token = request.headers.get("authorization", "").partition(" ")
        if token and equal(token, self.token):
            return
        own = {_origin(f"http://{request.headers.get('host', '')}")}
        own.add(_origin(self.settings.console.public_url))
        if _origin(request.headers.get("origin", "")) not in own - {""}:
            raise Refusal(403, "only the console's own page may send this")

    def eyes(self, request: Request, person: Person) -> Eyes:
        """What this person sees, for as long as the session is what it is now."""
        id_ = request.cookies.get(COOKIE, "")
        return Eyes(
            person.place_of(self.picture.schools),
            person is MACHINE or person.sees_data(Data.NOTES),
            lambda: person is MACHINE or self.sessions.person(id_) == person,
        )

    async def note(self, person: Person | None, request: Request, did: str, **what: Any) -> None:
        """Into the audit log. Waits for the disk a second at most; what it has no room for waits."""
        entry = {
            "at_ms": now_ms(),
            "who": person.login if person else "",
            "role": person.role.value if person else "",
            "from": request.client.host if request.client else "",
            "did": did,
            **what,
        }
        self.shifts.heard(entry)
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, entry))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(writing), AUDIT_WITHIN_S)

    def _write(self, entry: dict[str, Any]) -> None:
        try:
            self.audit.write(entry)
        except (OSError, ValueError, KeyError) as trouble:
            log.exception("the audit log waits for its disk", trouble=str(trouble)[:200])


def _origin(url: str) -> str:
    """Of a URL, as browsers say it (RFC 6454, section 6.2); empty for what has none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""


def new_desk(settings: Settings) -> Desk:
    """Everything as the files under ``settings.var`` say; nothing is followed yet."""
    picture = Picture()
    stream = Stream(picture)
    said = Said(settings.kafka, settings.console.direct_urls, settings.gateway.direct_secret_file)
    feeds = Feeds(picture, settings.kafka, settings.clickhouse, stream.wake, said.seen)
    stream.feeds = feeds
    users = Users(users_path(settings.var))
    audit = Audit(audit_path(settings.var))
    shifts = Shifts()
    for entry in reversed(entries(audit.path, LOOK_BACK)):
        shifts.heard(entry)
    return Desk(
        settings=settings,
        picture=picture,
        stream=stream,
        feeds=feeds,
        users=users,
        sessions=Sessions(sessions_path(settings.var), users, now_ms),
        by_login=Throttle(time.monotonic),
        by_address=Throttle(time.monotonic, FREE_TRIES_OF_ADDRESS),
        audit=audit,
        said=said,
        shifts=shifts,
        token=machine_token(settings.var),
    )


async def body(request: Request, model: type[Model]) -> Model:
    """The request's JSON. Raises Refusal 413 and 422, the latter naming the field."""
    try:
        return model.model_validate_json(await raw(request))
    except ValidationError as trouble:
        first = trouble.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refusal(422, f"{where}: {first['msg']}" if where else first["msg"]) from None


async def raw(request: Request) -> bytes:
    """The request's body. Raises Refusal 413."""
    read = b""
    async for part in request.stream():
        read += part
        if len(read) > MAX_BODY_BYTES:
            raise Refusal(413, f"more than {MAX_BODY_BYTES} bytes")
    return read


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
    return Response(text, status, headers, media_type="application/json")
