"""Who is signed in: on the server only, kept over a restart, ended at once.

The browser has a random id in a cookie, the file has its hash: who reads the file can't use it.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from dashboards.console.access import Person, Role
from dashboards.console.users import Users, write_private

COOKIE: Final = "saqshy_session"
MOST_SESSIONS: Final = 10
"""Of one person. With another sign-in the oldest ends; nobody ends anybody else's."""


def login_of(sub: str) -> str:
    """How somebody of the OpenID provider signs what they do: by ``sub``, which the provider gives to
    nobody else, ever (OpenID Connect Core 1.0, section 2); names and addresses change hands. No local
    login has a colon, nor a machine this beginning.
    """
    plain = re.fullmatch(r"(?!:)[\x21-\x7e]{1,100}", sub)
    return f"oidc:{sub}" if plain else f"oidc::{hashlib.sha256(sub.encode()).hexdigest()}"


class Session(BaseModel):
    """``local`` of a user of the users file: then ``since`` has to be that user's still. Else ``sub``,
    ``sid`` and ``token`` are the OpenID provider's (dashboards.console.oidc).
    """

    login: str
    name: str
    role: Role
    places: list[str]
    ends_ms: int
    local: bool
    since: int = 0
    sub: str = ""
    sid: str = ""
    token: str = ""

    def identified(self) -> bool:
        """Whether it names the provider's person as today, by ``sub``. Others sign in again."""
        return self.login == login_of(self.sub)

    def person(self) -> Person:
        return Person(self.login, self.name, self.role, tuple(self.places))


_SESSIONS: Final = TypeAdapter(dict[str, Session])


def sessions_path(var: Path) -> Path:
    return var / "console" / "sessions.json"


class Sessions:
    """The clock gives wall time in ms."""

    def __init__(self, path: Path, users: Users, clock: Callable[[], int]) -> None:
        self._path = path
        self._users = users
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        try:
            self._sessions = _SESSIONS.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            self._sessions = {}
        self._sessions = {k: s for k, s in self._sessions.items() if s.local or s.identified()}
        self._sessions = self._kept()

    def begin(
        self,
        person: Person,
        hours: float,
        *,
        local: bool,
        sub: str = "",
        sid: str = "",
        token: str = "",
    ) -> str:
        """The id for the cookie."""
        id_ = secrets.token_urlsafe(32)
        user = self._users.all().get(person.login) if local else None
        self._sessions[_hash(id_)] = Session(
            login=person.login,
            name=person.name,
            role=person.role,
            places=list(person.places),
            ends_ms=self._clock() + int(hours * 3_600_000),
            local=local,
            since=user.since if user else 0,
            sub=sub,
            sid=sid,
            token=token,
        )
        self._keep()
        return id_

    def end(self, id_: str) -> Session | None:
        """The session that is over now; None when there was none."""
        session = self._sessions.pop(_hash(id_), None)
        if session is not None:
            self._keep()
        return session

    def end_of(self, sub: str, sid: str) -> list[str]:
        """End the provider's session ``sid``, or all of ``sub`` where it names none: the logins."""
        over = {
            key: session
            for key, session in self._sessions.items()
            if not session.local
            and (session.sid == sid if sid else session.sub == sub)
            and (not sub or session.sub == sub)
        }
        for key in over:
            del self._sessions[key]
        if over:
            self._keep()
        return sorted({session.login for session in over.values()})

    def person(self, id_: str) -> Person | None:
        """Who this is now: a changed role or place counts at once, a removed user is nobody."""
        session = self._sessions.get(_hash(id_))
        if session is None or session.ends_ms <= self._clock():
            return None
        if not session.local:
            return session.person()
        user = self._users.all().get(session.login)
        if user is None or user.since != session.since:
            return None
        return user.person(session.login)

    def people(self) -> list[Person]:
        """Of the provider, who is signed in."""
        now_ms = self._clock()
        alive = (s for s in self._sessions.values() if not s.local and s.ends_ms > now_ms)
        return list({session.login: session.person() for session in alive}.values())

    def _keep(self) -> None:
        self._sessions = self._kept()
        text = json.dumps({k: s.model_dump(mode="json") for k, s in self._sessions.items()})
        write_private(self._path, text)

    def _kept(self) -> dict[str, Session]:
        """Those that are not over, of each person the newest."""
        now_ms = self._clock()
        kept: dict[str, Session] = {}
        of_person: Counter[tuple[bool, str]] = Counter()
        for key, session in reversed(self._sessions.items()):
            person = (session.local, session.login)
            if session.ends_ms > now_ms and of_person[person] < MOST_SESSIONS:
                of_person[person] += 1
                kept[key] = session
        return dict(reversed(kept.items()))


def csrf_token(id_: str) -> str:
    """What a page must send along with a POST: another site knows neither it nor the cookie."""
    return hashlib.sha256(b"csrf|" + id_.encode()).hexdigest()


def equal(one: str, other: str) -> bool:
    """In constant time, whatever characters are in them."""
    return hmac.compare_digest(one.encode(), other.encode())


def _hash(id_: str) -> str:
    return hashlib.sha256(id_.encode()).hexdigest()
