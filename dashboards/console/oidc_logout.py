"""What a provider says when somebody has signed out there (OpenID Connect Back-Channel Logout 1.0)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LONGEST: Final = 16 * 1024
MOST_SEEN: Final = 10_000
LEEWAY_S: Final = 60
TYPES: Final = ("", "jwt", "logout+jwt")


class NoLogout(Exception):
    """This is no logout token of the provider's for us; the message says why."""


@dataclass(frozen=True, slots=True)
class SignedOut:
    """One session of the provider's by its ``sid``, or, without one, all of this ``sub``."""

    sub: str
    sid: str


class LogoutTokens:
    """Judges them (section 2.6). Each counts once: ``jti`` are remembered, the newest thousands."""

    def __init__(self, issuer: str, client_id: str, algorithms: list[str]) -> None:
        self._wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )
        self._algorithms = algorithms
        self._seen: OrderedDict[str, None] = OrderedDict()

    def judge(self, token: str, keys: dict[str, Any]) -> SignedOut:
        """Raises NoLogout. ``keys``: the provider's, as a JWK set."""
        if len(token) > LONGEST:
            raise NoLogout("it is too long")
        try:
            decoded = jwt.decode(
                token,
                KeySet.import_key_set(keys),  # type: ignore[arg-type]
                algorithms=self._algorithms,
            )
            self._wanted.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as trouble:
            raise NoLogout(f"it is not valid ({type(trouble).__name__})") from trouble
        if str(decoded.header.get("typ", "")).lower() not in TYPES:
            raise NoLogout("it is a token of another type")
        said = _said(decoded.claims)
        jti = str(decoded.claims["jti"])
        if jti in self._seen:
            raise NoLogout("it was there before")
        self._seen[jti] = None
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return said


def _said(claims: dict[str, Any]) -> SignedOut:
    if "nonce" in claims:
        raise NoLogout("it has a nonce, as only an ID token may")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise NoLogout("it is about another event")
    sub, sid = claims.get("sub", ""), claims.get("sid", "")
    if not isinstance(sub, str) or not isinstance(sid, str) or not (sub or sid):
        raise NoLogout("it names nobody")
    return SignedOut(sub, sid)
