"""Screens on walls: each has a token of its own, which no shift ends and anybody may revoke who runs Saqshy.

A wall reads the stream and nothing else: no notes, no people, no school's page. The file has the tokens'
hashes, so that who reads it can't use them.
"""

import hashlib
import hmac
import json
import re
import secrets
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dashboards.console.access import Person, Role
from dashboards.console.users import LOGIN_PATTERN, PLACE_PATTERN, UserTrouble, alone, write_private

WALL_COOKIE: Final = "saqshy_wall"
TOKEN_BYTES: Final = 32
LONGEST_S: Final = 400 * 86_400
"""Browsers keep no cookie longer (RFC 6265bis, section 5.5); each visit of the page begins it anew."""


class Wall(BaseModel):
    """``token``: the SHA-256 of it."""

    places: list[Annotated[str, Field(pattern=PLACE_PATTERN)]]
    token: str
    since_ms: int


_WALLS: Final = TypeAdapter(dict[str, Wall])


def walls_path(var: Path) -> Path:
    return var / "console" / "walls.json"


class Walls:
    """The file, as it is now: who is revoked is out at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0, 0)
        self._walls: dict[str, Wall] = {}

    def all(self) -> dict[str, Wall]:
        """By name. A file that can't be read has none: a wall then says that it is not signed in."""
        try:
            seen = self._path.stat()
            stamp = (seen.st_mtime_ns, seen.st_ino, seen.st_size)
            if stamp != self._stamp:
                self._walls, self._stamp = _WALLS.validate_json(self._path.read_bytes()), stamp
        except (OSError, ValidationError):
            return {}
        return self._walls

    def person(self, token: str) -> Person | None:
        """Whose token this is, as somebody who may watch."""
        hashed = _hashed(token)
        for name, wall in self.all().items():
            if hmac.compare_digest(wall.token, hashed):
                return Person(f"wall:{name}", name, Role.WALL, tuple(wall.places))
        return None

    def add(self, name: str, places: list[str], now_ms: int) -> str:
        """Its token, which is said only now. Raises UserTrouble and OSError."""
        if not re.fullmatch(LOGIN_PATTERN, name):
            raise UserTrouble(f"{name!r} is no name for a wall; write it like lobby or center-75")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with alone(self._path):
            walls = self.all()
            if name in walls:
                raise UserTrouble(f"there is a wall {name} already")
            walls = {**walls, name: Wall(places=places, token=_hashed(token), since_ms=now_ms)}
            write_private(self._path, _text(walls))
        return token

    def revoke(self, name: str) -> None:
        """Its page ends at once. Raises UserTrouble and OSError."""
        with alone(self._path):
            walls = dict(self.all())
            if walls.pop(name, None) is None:
                raise UserTrouble(f"there is no wall {name}")
            write_private(self._path, _text(walls))


def _text(walls: dict[str, Wall]) -> str:
    return json.dumps({name: wall.model_dump() for name, wall in walls.items()}, indent=1)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
