"""What the console's pages share: the picture and its sources, who is signed in, what was noted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request

from dashboards.console.access import WHOLE_COUNTRY, Act, Data, Eyes, Person, Role
from dashboards.console.audit import Audit, Entry, audit_of, entry_of
from dashboards.console.audit_check import Checker
from dashboards.console.contacts import ContactBook, contacts_path
from dashboards.console.feeds import Feeds, now_ms
from dashboards.console.forwarded import address_of
from dashboards.console.guesses import Guesses
from dashboards.console.picture import Picture
from dashboards.console.presence import Presence
from dashboards.console.readers import Readers
from dashboards.console.refusals import Refusal
from dashboards.console.said import Kept, NotSaid, StepWriter
from dashboards.console.sessions import COOKIE, Sessions, csrf_token, equal, sessions_path
from dashboards.console.shift import Shifts, offers_path
from dashboards.console.stream import Stream
from dashboards.console.users import Users, machine_token, users_path
from dashboards.console.walls import WALL_COOKIE, Walls, walls_path
from schemas.audit import AuditHead
from schemas.settings import Settings
from schemas.steps import StepTaken

log = structlog.get_logger(__name__)

AUDIT_WITHIN_S: Final = 1.0
HEAD_EVERY_S: Final = 60.0
PRESENCE_EVERY_S: Final = 2.0
LOCKS: Final = 1024
MACHINE: Final = Person("machine", "machine", Role.MACHINE)


@dataclass(slots=True)
class Desk:
    settings: Settings
    picture: Picture
    stream: Stream
    feeds: Feeds
    users: Users
    sessions: Sessions
    walls: Walls
    guesses: Guesses
    readers: Readers
    audit: Audit
    checker: Checker
    said: StepWriter
    shifts: Shifts
    presence: Presence
    contacts: ContactBook
    token: str
    locks: list[asyncio.Lock] = field(
        default_factory=lambda: [asyncio.Lock() for _ in range(LOCKS)]
    )
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
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
            raise Refusal(401, "wrong_token", "this token is not the one in var/run/console-token")
        person = self.sessions.person(request.cookies.get(COOKIE, ""))
        if person is None:
            raise Refusal(401, "sign_in_first", "sign in first")
        return person

    def watcher(self, request: Request) -> Person:
        """Who watches the stream: whoever is signed in, and a wall. All else is closed to a wall, since
        ``who`` does not know it. Raises Refusal 401.
        """
        wall = self.walls.person(request.cookies.get(WALL_COOKIE, ""))
        try:
            return self.who(request)
        except Refusal:
            if wall is None:
                raise
            return wall

    def acts(self, request: Request, act: Act | None) -> Person:
        """Who asks for a change: signed in, allowed to, from our own page. Raises Refusal."""
        person = self.who(request)
        self.from_our_page(request)
        if person is not MACHINE:
            wanted = csrf_token(request.cookies.get(COOKIE, ""))
            if not equal(request.headers.get("x-csrf-token", ""), wanted):
                raise Refusal(403, "old_page", "the page is older than this sign-in: load it again")
        if act is not None and not person.does(act):
            raise Refusal(403, "role_may_not", f"a {person.role} may not do this")
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
            raise Refusal(403, "foreign_page", "only the console's own page may send this")

    def address(self, request: Request) -> str:
        """From where it comes, as our own proxies say."""
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        return address_of(peer, forwarded, self.settings.console.trusted_proxies)

    def eyes(self, request: Request, person: Person) -> Eyes:
        """What this person sees, for as long as the session is what it is now."""
        id_ = request.cookies.get(COOKIE, "")
        machine = person is MACHINE

        def now() -> Person | None:
            if person.role is Role.WALL:
                return self.walls.person(request.cookies.get(WALL_COOKIE, ""))
            return self.sessions.person(id_)

        def ended() -> str:
            return "" if machine or now() == person else "signed-out"

        return Eyes(
            person.place_of(self.picture.schools),
            notes=machine or person.sees_data(Data.NOTES),
            wall=person.role is Role.WALL,
            places=tuple(sorted(person.places)),
            numbers=machine or (person.sees_data(Data.PEOPLE) and WHOLE_COUNTRY in person.places),
            ended=ended,
        )

    def people(self) -> list[Person]:
        """Who may sign in with a password, and who has signed in at the provider."""
        local = [user.person(login) for login, user in self.users.all().items()]
        return [*local, *self.sessions.people()]

    def place(self, person: Person, school: str) -> bool:
        return person.place_of(self.picture.schools)(school)

    def shown(self, person: Person, id_: str) -> dict[str, Any] | None:
        """The alert as it stands now; None when there is none such in this person's places."""
        held = self.picture.held.get(id_)
        if held is None or not held.shown:
            return None
        return self.picture.within(person.place_of(self.picture.schools), held.shown)

    def reads(self, person: Person) -> None:
        """Before a snapshot. Raises Refusal 429 for who had too many of them at once."""
        if person is not MACHINE and (wait_s := self.readers.wait_s(person.login)):
            raise Refusal(429, "too_many_reads", "too many readings", retry_after_s=int(wait_s) + 1)

    async def watches(
        self, request: Request, person: Person, last_id: str, *, only_panics: bool
    ) -> AsyncIterator[str]:
        """The person's event stream, one of five at most."""
        eyes = self.eyes(request, person)
        if person is MACHINE:
            async for text in self.stream.events(last_id, only_panics, eyes):
                yield text
            return
        seat, page = self.readers.sit(person.login), self.page_of(request)
        self.presence.opened(page)
        self.stream.wake()

        def ended() -> str:
            return eyes.ended() or ("" if self.readers.has(person.login, seat) else "replaced")

        own = replace(eyes, ended=ended)
        try:
            async for text in self.stream.events(last_id, only_panics, own):
                yield text
        finally:
            self.readers.rise(person.login, seat)
            self.presence.closed(page)
            self.tell_presence()

    async def say(self, step: StepTaken) -> Kept:
        """Raises Refusal 503."""
        try:
            at = await self.said.step(step)
        except NotSaid as trouble:
            raise Refusal(503, "kafka_away", str(trouble)) from None
        # Shown at once, not when it has come back: the next act must know of it.
        self.picture.step(step, at.kafka_ms, at.offset)
        self.stream.wake()
        return at.kept

    async def note_step(
        self, person: Person, request: Request, step: StepTaken, kept: Kept
    ) -> None:
        """Which step it was, and the keyed hash of all that it says: its words are in Kafka alone."""
        what = {"alert": step.alert, "school": step.school, "step": step.id, "kept": kept.value}
        told = {"took": step.took.value, "outcome": step.outcome.value, "number": step.upto}
        await self.note(person, request, "step", step.model_dump_json(), **what, **told)

    def page_of(self, request: Request) -> str:
        """Whose page asks: the session."""
        return request.cookies.get(COOKIE, "")

    def tell_presence(self) -> None:
        """On the stream who looks at which alarm, as far as that has changed."""
        for change in self.presence.changes():
            self.picture.present(change.alarm, change.people)
            self.stream.wake()

    async def watch_presence(self) -> None:
        """Until cancelled: whoever does not say any more that they look is told to be gone."""
        while True:
            await asyncio.sleep(PRESENCE_EVERY_S)
            self.tell_presence()

    async def note(
        self, person: Person | None, request: Request, did: str, said: str = "", **what: Any
    ) -> None:
        """Into the audit log. Waits for the disk a second at most; what it has no room for waits. What
        somebody wrote goes in ``said``, of which the log gets the keyed hash.
        """
        told = {
            "at_ms": now_ms(),
            "who": person.login if person else "",
            "role": person.role.value if person else "",
            "from": self.address(request),
            "did": did,
            **what,
        }
        entry, said = entry_of(told, said)
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, entry, said))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(writing), AUDIT_WITHIN_S)

    def _write(self, entry: Entry, said: str) -> None:
        try:
            self.audit.write(entry, said)
        except (OSError, ValueError, KeyError) as trouble:
            log.exception("the audit log waits for its disk", trouble=str(trouble)[:200])

    async def tell_head(self) -> None:
        """Until cancelled: each minute the audit log's last hash to Kafka, if there is a new one; and what
        is over is sealed.
        """
        told = 0
        while True:
            try:
                number, head = await asyncio.to_thread(self.audit.head)
                if number != told:
                    told_head = AuditHead(n=number, head=head, time_ms=now_ms())
                    await self.said.audit_head(told_head)
                    told = number
                    async with self.checking:
                        verdict = await asyncio.to_thread(self.checker.verify)
                    if verdict.broken:
                        log.error("the audit log is not whole", broken=str(verdict.broken))
            except (NotSaid, OSError, ValueError, KeyError) as trouble:
                log.warning("the audit log's head waits", trouble=str(trouble)[:200])
            await asyncio.sleep(HEAD_EVERY_S)


def _origin(url: str) -> str:
    """Of a URL, as browsers say it (RFC 6454, section 6.2); empty for what has none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""


def new_desk(settings: Settings, clock: Callable[[], float] = time.monotonic) -> Desk:
    """Everything as the files under ``settings.var`` say; nothing is followed yet. The clock, in
    seconds, is that of who waits: for another guess, for another snapshot.
    """
    picture = Picture()
    stream = Stream(picture)
    said = StepWriter(
        settings.kafka, settings.console.direct_urls, settings.gateway.direct_secret_file
    )
    feeds = Feeds(picture, settings.kafka, settings.clickhouse, stream.wake, said.seen)
    stream.feeds = feeds
    users = Users(users_path(settings.var))
    audit = audit_of(settings)
    token = machine_token(settings.var)
    return Desk(
        settings=settings,
        picture=picture,
        stream=stream,
        feeds=feeds,
        users=users,
        sessions=Sessions(sessions_path(settings.var), users, now_ms),
        walls=Walls(walls_path(settings.var)),
        guesses=Guesses(token, clock),
        readers=Readers(clock),
        audit=audit,
        checker=Checker(audit),
        said=said,
        shifts=Shifts(offers_path(settings.var)),
        presence=Presence(time.monotonic),
        contacts=ContactBook(contacts_path(settings.var)),
        token=token,
    )
