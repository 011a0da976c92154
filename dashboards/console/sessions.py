"""Who is signed in: on the server only, kept over a restart, ended at once.

The browser has a random id in a cookie, the file has its hash: who reads the file can't use it.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from dashboards.console.access import Person, Role
from dashboards.console.users import Users, write_private

COOKIE: Final = "saqshy_session"
MOST_SESSIONS: Final = 10_000
FREE_TRIES: Final = 5
FREE_TRIES_OF_ADDRESS: Final = 50
"""A whole center may sit behind one address."""
LONGEST_WAIT_S: Final = 900.0
MOST_TRIED: Final = 10_000


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

    def _keep(self) -> None:
        now_ms = self._clock()
        alive = {k: s for k, s in self._sessions.items() if s.ends_ms > now_ms}
        newest = sorted(alive, key=lambda k: alive[k].ends_ms)[-MOST_SESSIONS:]
        self._sessions = {k: alive[k] for k in newest}
        text = json.dumps({k: s.model_dump(mode="json") for k, s in self._sessions.items()})
        write_private(self._path, text)


def csrf_token(id_: str) -> str:
    """What a page must send along with a POST: another site knows neither it nor the cookie."""
    return hashlib.sha256(b"csrf|" + id_.encode()).hexdigest()


def equal(one: str, other: str) -> bool:
    """In constant time, whatever characters are in them."""
    return hmac.compare_digest(one.encode(), other.encode())


class Throttle:
    """Slows down who guesses passwords: some tries, then a wait that doubles up to 15 minutes.

    Who: a login and an address together, so that nobody can lock an operator out from elsewhere.
    The clock is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float], free_tries: int = FREE_TRIES) -> None:
        self._clock = clock
        self._free_tries = free_tries
        self._failed: dict[Any, tuple[int, float]] = {}

    def wait_s(self, who: Any) -> float:
        """How long until another try is heard; 0 for at once."""
        failed, last = self._failed.get(who, (0, 0.0))
        if failed < self._free_tries:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, 2.0 ** min(failed - self._free_tries, 10))
        return max(0.0, last + wait_s - self._clock())

    def failed(self, who: Any) -> None:
        count, _ = self._failed.pop(who, (0, 0.0))
        if len(self._failed) >= MOST_TRIED:
            del self._failed[next(iter(self._failed))]
        self._failed[who] = (count + 1, self._clock())

    def succeeded(self, who: Any) -> None:
        self._failed.pop(who, None)


def _hash(id_: str) -> str:
    return hashlib.sha256(id_.encode()).hexdigest()
