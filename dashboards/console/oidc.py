"""Sign-in at the organisation's OpenID provider: authorization code with PKCE (RFC 7636). Sign-out there,
too (OpenID Connect RP-Initiated Logout 1.0), and from there (Back-Channel Logout 1.0).

Keys, claims and challenges are judged by authlib and joserfc; the roles come from a claim.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dashboards.console.access import WHOLE_COUNTRY, Person, Role
from dashboards.console.oidc_logout import LogoutTokens, NoLogout, SignedOut
from dashboards.console.sessions import login_of
from schemas.clear_text import url_in_clear
from schemas.settings import ConsoleSettings

ASKED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")
"""Of the provider's own description (OpenID Connect Discovery 1.0, section 3), what is called."""
WITHIN_S: Final = 10.0
BEGUN_FOR_S: Final = 600
MOST_FINISHED: Final = 10_000
AT_ONCE: Final = 8
"""So many conversations with the provider; who comes then is told to try again."""
DISCOVERED_FOR_S: Final = 300.0
DISCOVERED_AGAIN_S: Final = 5.0
SIGNED_BY: Final = ["RS256", "PS256", "ES256", "EdDSA"]
LEEWAY_S: Final = 60
KEYS_FOR_S: Final = 3_600.0
KEYS_AGAIN_S: Final = 10.0


class OidcTrouble(Exception):
    """The provider did not say who this is; the message says why."""


class OidcBusy(OidcTrouble):
    """Too many sign in at once."""


@dataclass(frozen=True, slots=True)
class Begun:
    """One sign-in under way. All of it follows from the ``ticket`` in the browser's cookie and a secret
    of ours, so that nothing is kept here, and nobody's begins end another's.
    """

    ticket: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``sub`` and ``sid`` are the provider's for this person and session, ``token`` its ID token."""

    person: Person
    sub: str
    sid: str
    token: str


class Oidc:
    """One provider. ``secret`` is ours alone."""

    def __init__(self, settings: ConsoleSettings, secret: str) -> None:
        self._settings = settings
        self._secret_key = secret.encode()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._logouts = LogoutTokens(settings.oidc_issuer, settings.oidc_client_id, SIGNED_BY)
        self._keys: tuple[float, dict[str, Any]] = (float("-inf"), {})
        self._found: tuple[float, dict[str, Any] | OidcTrouble] = (float("-inf"), OidcTrouble(""))
        self._fetching = asyncio.Lock()
        self._discovering = asyncio.Lock()
        self._finishing = 0

    async def begin(self) -> tuple[str, str]:
        """(where to send the browser, the ticket for its cookie). Raises OidcTrouble."""
        found = await self._discovered()
        begun = self._begun(f"{int(time.time())}.{secrets.token_urlsafe(24)}")
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._back,
            "scope": "openid profile",
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": create_s256_code_challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        return f"{found['authorization_endpoint']}?{urlencode(asked)}", begun.ticket

    def begun_here(self, ticket: str, state: str) -> bool:
        """Whether this answer is to the question of this browser."""
        begun = self._begun(ticket)
        return bool(ticket) and hmac.compare_digest(begun.state.encode(), state.encode())

    async def finish(self, code: str, ticket: str) -> SignedIn:
        """Who has signed in, once for each ticket. Raises OidcTrouble."""
        at = ticket.partition(".")[0]
        old = not (at.isascii() and at.isdecimal()) or int(at) + BEGUN_FOR_S < time.time()
        if old or not code or ticket in self._finished:
            raise OidcTrouble("begin again")
        if self._finishing >= AT_ONCE:
            raise OidcBusy("too many sign in at once; try again")
        self._finishing += 1
        try:
            begun = self._begun(ticket)
            self._finished[ticket] = None
            while len(self._finished) > MOST_FINISHED:
                self._finished.popitem(last=False)
            found = await self._discovered()
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._back,
                "client_id": self._settings.oidc_client_id,
                "code_verifier": begun.verifier,
            }
            told = await self._asked("POST", found["token_endpoint"], form, self._secret())
            keys = await self._asked("GET", found["jwks_uri"])
            return self._signed_in(str(told.get("id_token", "")), keys, begun.nonce)
        finally:
            self._finishing -= 1

    def _begun(self, ticket: str) -> Begun:
        def derived(what: str) -> str:
            text = f"oidc|{what}|{ticket}".encode()
            return hmac.new(self._secret_key, text, hashlib.sha256).hexdigest()

        return Begun(ticket, derived("state"), derived("nonce"), derived("verifier"))

    async def end_url(self, token: str) -> str | None:
        """Where the browser signs out at the provider, which sends it back to the console; None where the
        provider has no such place or does not answer.
        """
        try:
            found = await self._discovered()
        except OidcTrouble:
            return None
        there = found.get("end_session_endpoint")
        if not isinstance(there, str) or not there.startswith(("https://", "http://")):
            return None
        asked = {
            "id_token_hint": token,
            "client_id": self._settings.oidc_client_id,
            "post_logout_redirect_uri": f"{self._own}/",
            "state": secrets.token_urlsafe(16),
        }
        return f"{there}{'&' if '?' in there else '?'}{urlencode(asked)}"

    async def signed_out(self, token: str) -> SignedOut:
        """Who has signed out at the provider. Raises NoLogout, and OidcTrouble without its keys."""
        try:
            return self._logouts.judge(token, await self._known_keys(KEYS_FOR_S))
        except NoLogout:
            # It may be signed with a key of today. Anybody may post here, so not asked each time.
            return self._logouts.judge(token, await self._known_keys(KEYS_AGAIN_S))

    async def _known_keys(self, at_most_s: float) -> dict[str, Any]:
        async with self._fetching:
            if time.monotonic() - self._keys[0] > at_most_s:
                found = await self._discovered()
                self._keys = time.monotonic(), await self._asked("GET", found["jwks_uri"])
            return self._keys[1]

    def _signed_in(self, token: str, keys: dict[str, Any], nonce: str) -> SignedIn:
        wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.oidc_issuer},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            decoded = jwt.decode(
                token,
                KeySet.import_key_set(keys),  # type: ignore[arg-type]
                algorithms=SIGNED_BY,
            )
            wanted.validate(decoded.claims)
        except (JoseError, ValueError) as trouble:
            raise OidcTrouble(f"its token is not valid ({trouble})") from trouble
        claims = decoded.claims
        sid = claims.get("sid", "")
        return SignedIn(
            person(claims, self._settings),
            str(claims["sub"]),
            sid if isinstance(sid, str) else "",
            token,
        )

    async def _discovered(self) -> dict[str, Any]:
        """The provider's description, asked for at most every few minutes: anybody may begin."""
        async with self._discovering:
            at_s, found = self._found
            failed = isinstance(found, OidcTrouble)
            if time.monotonic() - at_s > (DISCOVERED_AGAIN_S if failed else DISCOVERED_FOR_S):
                try:
                    found = await self._discover()
                except OidcTrouble as trouble:
                    found = trouble
                self._found = time.monotonic(), found
        if isinstance(found, OidcTrouble):
            raise OidcTrouble(str(found))
        return found

    async def _discover(self) -> dict[str, Any]:
        issuer = self._settings.oidc_issuer.rstrip("/")
        found = await self._asked("GET", f"{issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self._settings.oidc_issuer:
            raise OidcTrouble(f"{issuer} calls itself {found.get('issuer')}")
        # What it names is as much a setting of ours as its own address.
        open_ = [name for name in ASKED if url_in_clear(str(found.get(name, "")))]
        if open_ and not self._settings.insecure:
            raise OidcTrouble(
                f"{', '.join(open_)} of {issuer} would be asked in clear text; if that is wanted, write "
                "console.insecure = true"
            )
        return found

    async def _asked(
        self,
        method: str,
        url: str,
        form: dict[str, str] | None = None,
        auth: aiohttp.BasicAuth | None = None,
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, data=form, auth=auth, allow_redirects=False) as answer,
            ):
                said = await answer.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, ValueError) as trouble:
            raise OidcTrouble(f"it doesn't answer ({type(trouble).__name__})") from trouble
        if not isinstance(said, dict) or "error" in said:
            raise OidcTrouble(str(said.get("error") if isinstance(said, dict) else "no object"))
        return said

    def _secret(self) -> aiohttp.BasicAuth | None:
        """client_secret_basic (RFC 6749, section 2.3.1), which every provider has; none when public."""
        path = self._settings.oidc_secret_file
        if path is None:
            return None
        try:
            secret = path.read_text().strip()
        except OSError as trouble:
            raise OidcTrouble("oidc_secret_file can't be read") from trouble
        return aiohttp.BasicAuth(quote(self._settings.oidc_client_id), quote(secret))

    @property
    def _own(self) -> str:
        console = self._settings
        return console.public_url.rstrip("/") or f"http://{console.host}:{console.port}"

    @property
    def _back(self) -> str:
        return f"{self._own}/oidc/end"


def person(claims: dict[str, Any], settings: ConsoleSettings) -> Person:
    """Who this is, by ``sub``. Of the roles that the claim has, the first that we know, least powerful
    first.

    Raises OidcTrouble for somebody without a role: who is known to the provider is not yet one of us.
    """
    said = claims.get(settings.oidc_roles, [])
    roles = {said} if isinstance(said, str) else set(map(str, said))
    role = next((role for role in Role if role is not Role.MACHINE and role.value in roles), None)
    if role is None:
        raise OidcTrouble(f"no role in {settings.oidc_roles}")
    places = claims.get(settings.oidc_places, [])
    own = (places,) if isinstance(places, str) else tuple(map(str, places))
    if not own:
        raise OidcTrouble(f"no place in {settings.oidc_places}; {WHOLE_COUNTRY} is the country")
    sub = claims["sub"]
    if not isinstance(sub, str) or not sub:
        raise OidcTrouble("no sub")
    shown = str(claims.get("name") or claims.get("preferred_username") or "")
    return Person(login_of(sub), shown[:120] or login_of(sub), role, own)
