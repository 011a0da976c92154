"""Signing in and out over HTTP: local users with a password, or the organisation's OpenID provider."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.console.access import Act, Person, Role
from dashboards.console.audit import REFUSED
from dashboards.console.desk import MACHINE, Desk
from dashboards.console.feeds import now_ms
from dashboards.console.guesses import TICKET_DAYS, Wait
from dashboards.console.oidc import BEGUN_FOR_S, Oidc, OidcBusy, OidcTrouble
from dashboards.console.oidc_logout import NoLogout
from dashboards.console.people import colleagues
from dashboards.console.refusals import Refusal, answer, body, raw
from dashboards.console.sessions import COOKIE, csrf_token
from dashboards.console.users import SHORTEST_PASSWORD, User, UserTrouble
from dashboards.console.walls import LONGEST_S, WALL_COOKIE

log = structlog.get_logger(__name__)

OIDC_COOKIE: Final = "saqshy_oidc"
KNOWN_COOKIE: Final = "saqshy_known"
"""Somebody has signed in in this browser before (dashboards.console.guesses)."""


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class PasswordWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old: Annotated[str, Field(min_length=1, max_length=256)]
    new: Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=256)]


class WallToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=64)]


def routes(desk: Desk) -> list[Route]:
    console = desk.settings.console
    oidc = Oidc(console, desk.token) if console.oidc_issuer else None
    secure = console.public_url.startswith("https://")

    async def sign_in(request: Request) -> Response:
        desk.from_our_page(request)
        asked = await body(request, Credentials)
        user = await _verified(request, asked.login, asked.password)
        person = user.person(asked.login)
        desk.sessions.end(request.cookies.get(COOKIE, ""))
        id_ = desk.sessions.begin(person, console.session_hours, local=True)
        response = await _begun(request, person, id_, answer({}))
        _known(response, asked.login)
        return response

    async def _verified(request: Request, login: str, password: str) -> User:
        """Raises Refusal for whose password it is not, and for who has to wait."""
        address, ticket = desk.address(request), request.cookies.get(KNOWN_COOKIE, "")
        try:
            async with desk.guesses.heard(login, address, ticket, now_ms()):
                user = await asyncio.to_thread(desk.users.verified, login, password)
        except Wait as wait:
            raise Refusal(
                429, "too_many_tries", "too many tries", retry_after_s=int(wait.s) + 1
            ) from None
        except (OSError, ValidationError) as trouble:
            log.exception("the users file can't be read", trouble=str(trouble)[:200])
            raise Refusal(
                503, "no_users", "the users file can't be read; see the console's log"
            ) from None
        if user is None:
            # Of a login that is nobody's, its hash: people write their password there.
            known = {"login": login} if login in desk.users.all() else {}
            await desk.note(None, request, REFUSED, "" if known else login, **known)
            raise Refusal(401, "wrong_password", "wrong login or password")
        desk.guesses.succeeded(login, address, ticket)
        return user

    def _known(response: Response, login: str) -> None:
        response.set_cookie(
            KNOWN_COOKIE,
            desk.guesses.ticket(login, now_ms()),
            max_age=TICKET_DAYS * 86_400,
            httponly=True,
            samesite="strict",
            secure=secure,
        )

    async def _begun(request: Request, person: Person, id_: str, response: Response) -> Response:
        await desk.note(person, request, "signed-in")
        response.set_cookie(
            COOKIE,
            id_,
            max_age=int(console.session_hours * 3600),
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return response

    async def new_password(request: Request) -> Response:
        """One's own, with the old one; other sessions of this login end."""
        person = desk.acts(request, None)
        asked = await body(request, PasswordWish)
        if person.login not in desk.users.all():
            raise Refusal(409, "password_elsewhere", "your password is not kept here")
        await _verified(request, person.login, asked.old)
        try:
            await asyncio.to_thread(desk.users.change_password, person.login, asked.new)
        except UserTrouble as trouble:
            raise Refusal(422, "password_weak", str(trouble)) from None
        desk.stream.wake()
        await desk.note(person, request, "password.changed")
        id_ = desk.sessions.begin(person, console.session_hours, local=True)
        return await _begun(request, person, id_, answer({"csrf": csrf_token(id_)}))

    async def sign_out(request: Request) -> Response:
        person = desk.acts(request, None)
        session = desk.sessions.end(request.cookies.get(COOKIE, ""))
        desk.presence.gone(desk.page_of(request))
        desk.tell_presence()
        desk.stream.wake()
        await desk.note(person, request, "signed-out")
        # Over here already, whatever the provider says.
        there = await oidc.end_url(session.token) if oidc and session and session.token else None
        response = answer({} if there is None else {"location": there})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
        return response

    async def me(request: Request) -> Response:
        try:
            person = desk.watcher(request)
        except Refusal as refusal:
            refusal.body["oidc"] = oidc is not None
            raise
        told: dict[str, Any] = person.told()
        if person is not MACHINE and person.role is not Role.WALL:
            told["csrf"] = csrf_token(request.cookies.get(COOKIE, ""))
        if person.does(Act.STEP):
            near = colleagues(person, desk.people(), desk.picture.schools)
            told["people"] = sorted(one.login for one in near)
            told["names"] = {one.login: one.name for one in near}
        return answer(told)

    async def hang(request: Request) -> Response:
        """A wall's browser changes the token of its address for a cookie; again at each visit."""
        desk.from_our_page(request)
        asked = await body(request, WallToken)
        wall = desk.walls.person(asked.token)
        if wall is None:
            await desk.note(None, request, REFUSED)
            raise Refusal(401, "wrong_token", "this wall's token is revoked, or never was one")
        await desk.note(wall, request, "signed-in")
        response = answer({})
        response.set_cookie(
            WALL_COOKIE,
            asked.token,
            max_age=LONGEST_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return response

    async def to_provider(_: Request) -> Response:
        if oidc is None:
            raise Refusal(404, "no_oidc", "no OpenID provider is set")
        try:
            url, ticket = await oidc.begin()
        except OidcTrouble as trouble:
            raise Refusal(502, "oidc_trouble", f"the OpenID provider: {trouble}") from None
        response = RedirectResponse(url, 303)
        # Lax: the provider sends the browser back from another site.
        response.set_cookie(
            OIDC_COOKIE, ticket, max_age=BEGUN_FOR_S, httponly=True, samesite="lax", secure=secure
        )
        return response

    async def from_provider(request: Request) -> Response:
        if oidc is None:
            raise Refusal(404, "no_oidc", "no OpenID provider is set")
        asked, ticket = request.query_params, request.cookies.get(OIDC_COOKIE, "")
        if not oidc.begun_here(ticket, asked.get("state", "")):
            raise Refusal(403, "oidc_elsewhere", "this sign-in was not begun in this browser")
        try:
            signed = await oidc.finish(asked.get("code", ""), ticket)
        except OidcBusy as trouble:
            raise Refusal(429, "too_many_tries", str(trouble), retry_after_s=2) from None
        except OidcTrouble as trouble:
            log.warning("the OpenID provider signed nobody in", trouble=str(trouble)[:200])
            await desk.note(None, request, REFUSED, str(trouble))
            raise Refusal(
                403, "oidc_refused", f"the OpenID provider did not sign you in: {trouble}"
            ) from None
        response = RedirectResponse("/", 303)
        response.delete_cookie(OIDC_COOKIE)
        desk.sessions.end(request.cookies.get(COOKIE, ""))
        id_ = desk.sessions.begin(
            signed.person,
            console.session_hours,
            local=False,
            sub=signed.sub,
            sid=signed.sid,
            token=signed.token,
        )
        return await _begun(request, signed.person, id_, response)

    async def by_provider(request: Request) -> Response:
        """Back-channel logout: the provider itself says that somebody is signed out."""
        if oidc is None:
            raise Refusal(404, "no_oidc", "no OpenID provider is set")
        form = parse_qs((await raw(request)).decode(errors="replace"))
        try:
            over = await oidc.signed_out(form.get("logout_token", [""])[0])
        except NoLogout as trouble:
            # The words are the standard's (section 2.8).
            raise Refusal(
                400, "oidc_logout", "invalid_request", error_description=str(trouble)
            ) from None
        except OidcTrouble as trouble:
            raise Refusal(503, "oidc_trouble", f"the OpenID provider: {trouble}") from None
        logins = desk.sessions.end_of(over.sub, over.sid)
        desk.stream.wake()
        for login in logins:
            await desk.note(None, request, "signed-out.by-provider", login=login)
        return answer({})

    return [
        Route("/api/sign-in", sign_in, methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
        Route("/api/password", new_password, methods=["POST"]),
        Route("/api/wall", hang, methods=["POST"]),
        Route("/api/me", me),
        Route("/oidc/begin", to_provider),
        Route("/oidc/end", from_provider),
        Route("/oidc/logout", by_provider, methods=["POST"]),
    ]
