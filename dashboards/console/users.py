"""Local users in a file that only its owner may read; passwords are kept as Argon2id (RFC 9106).

The console reads the file anew when it has changed, so that who is removed is out at once.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dashboards.console.access import WHOLE_COUNTRY, Person, Role

LOGIN_PATTERN: Final = r"^[a-z][a-z0-9._-]{1,31}$"
PLACE_PATTERN: Final = r"^(\*|[A-Za-z0-9][A-Za-z0-9_-]{0,31})$"
PASSWORD_BYTES: Final = 15
SHORTEST_PASSWORD: Final = 15
"""Without a second factor (NIST SP 800-63B-4, section 3.1.1.2)."""
HASHER: Final = PasswordHasher()  # RFC 9106's second recommended option: 64 MiB, 3 passes, 4 lanes


class User(BaseModel):
    """``password``: Argon2id in its own notation. ``since``: who signed in before it is out."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    role: Role
    places: list[Annotated[str, Field(pattern=PLACE_PATTERN)]] = [WHOLE_COUNTRY]
    password: str
    since: int = 0

    def person(self, login: str) -> Person:
        return Person(login, self.name, self.role, tuple(self.places))


_USERS: Final = TypeAdapter(dict[str, User])


class UserTrouble(Exception):
    """What was asked of the users file can't be; the message says why."""


def users_path(var: Path) -> Path:
    return var / "console" / "users.json"


class Users:
    """The file, as it is now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = (0, 0, 0)
        self._users: dict[str, User] = {}

    def all(self) -> dict[str, User]:
        """By login; as last known when somebody has spoilt the file since.

        Raises OSError and pydantic's ValidationError for one that could never be read.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        # A file system's clock ticks every 4 ms: a file that is written twice in a tick has one time.
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp != self._stamp:
            try:
                self._users = _USERS.validate_json(self.path.read_bytes())
            except (OSError, ValidationError):
                if self._stamp == (0, 0, 0):
                    raise
            self._stamp = stamp
        return self._users

    def verified(self, login: str, password: str) -> User | None:
        """The user, if this is the password. As slow for a login that does not exist."""
        user = self.all().get(login)
        try:
            HASHER.verify(user.password if user else _nobody(), password)
        except (VerificationError, InvalidHashError):
            return None
        return user

    def put(self, login: str, name: str, role: Role, places: list[str]) -> str:
        """Add somebody, or give somebody a new password; returns it. Raises UserTrouble."""
        if not re.fullmatch(LOGIN_PATTERN, login):
            raise UserTrouble(f"{login!r} is no login; write it like a.serikova")
        if role is Role.MACHINE:
            raise UserTrouble("machines use the token, not a password")
        _refuse_places(places)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        with self._changing() as users:
            since = users[login].since + 1 if login in users else secrets.randbelow(2**31)
            users[login] = User(
                name=name, role=role, places=places, password=HASHER.hash(password), since=since
            )
        return password

    def change(
        self, login: str, *, role: Role | None = None, places: list[str] | None = None
    ) -> None:
        """Another role or other places, which count at once. Raises UserTrouble."""
        if places is not None:
            _refuse_places(places)
        with self._changing() as users:
            user = _known(users, login)
            users[login] = user.model_copy(
                update={"role": role or user.role, "places": places or user.places}
            )

    def change_password(self, login: str, password: str) -> None:
        """One that somebody has chosen; all their sessions end. Raises UserTrouble."""
        if len(password) < SHORTEST_PASSWORD or len(set(password)) < 5:
            raise UserTrouble(f"a password has {SHORTEST_PASSWORD} characters or more")
        if login.lower() in password.lower():
            raise UserTrouble("a password does not hold the login")
        hashed = HASHER.hash(password)
        with self._changing() as users:
            user = _known(users, login)
            users[login] = user.model_copy(update={"password": hashed, "since": user.since + 1})

    def remove(self, login: str) -> None:
        """Raises UserTrouble when there is no such login."""
        with self._changing() as users:
            if users.pop(login, None) is None:
                raise UserTrouble(f"there is no user {login}")

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users, to be changed by one process at a time and put back whole."""
        with alone(self.path):
            users = dict(self.all())
            yield users
            write_private(self.path, _USERS.dump_json(users, indent=1).decode())


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time changes this file. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_places(places: list[str]) -> None:
    bad = [place for place in places if not re.fullmatch(PLACE_PATTERN, place)]
    if bad or not places:
        raise UserTrouble(f"{', '.join(bad) or 'nothing'} is no place; write KZ-75, or *")


def _known(users: dict[str, User], login: str) -> User:
    if login not in users:
        raise UserTrouble(f"there is no user {login}")
    return users[login]


def write_private(path: Path, text: str) -> None:
    """Replace the file at once by one that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def token_path(var: Path) -> Path:
    return var / "run" / "console-token"


def machine_token(var: Path) -> str:
    """What our own programs say to read the console; made on first use, by whoever asks first."""
    path = token_path(var)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        write_private(draft, secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its token counts
        finally:
            draft.unlink()
    return path.read_text().strip()


def bearer(var: Path) -> dict[str, str]:
    """The header by which a program of ours reads the console."""
    return {"Authorization": f"Bearer {machine_token(var)}"}


@cache
def _nobody() -> str:
    return HASHER.hash(secrets.token_urlsafe(PASSWORD_BYTES))


def to_json(users: dict[str, User]) -> list[dict[str, object]]:
    """For lists: all but the passwords."""
    return [
        {"login": login, **json.loads(user.model_dump_json(exclude={"password", "since"}))}
        for login, user in sorted(users.items())
    ]
