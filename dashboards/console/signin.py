"""Signing in and out over HTTP: local users with a password, or the organisation's OpenID provider."""

import asyncio
from typing import Annotated, Any
from urllib.parse import parse_qs

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.console.access import Act, Person
from dashboards.console.desk import MACHINE, Desk, Refusal, answer, body, raw
from dashboards.console.oidc import Oidc, OidcTrouble
from dashboards.console.oidc_logout import NoLogout
from dashboards.console.sessions import COOKIE, csrf_token, equal

log = structlog.get_logger(__name__)

HASHED_AT_ONCE = 2  # 64 MiB each
OIDC_COOKIE = "saqshy_oidc"


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    login: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


def routes(desk: Desk) -> list[Route]:
    console = desk.settings.console
    hashing = asyncio.Semaphore(HASHED_AT_ONCE)
    oidc = Oidc(console) if console.oidc_issuer else None
    secure = console.public_url.startswith("https://")

    async def sign_in(request: Request) -> Response:
        desk.from_our_page(request)
        asked = await body(request, Credentials)
        address = request.client.host if request.client else ""
        who = (asked.login, address)
        if wait_s := max(desk.by_login.wait_s(who), desk.by_address.wait_s(address)):
            raise Refusal(429, "too many tries", retry_after_s=int(wait_s) + 1)
        try:
            async with hashing:
                user = await asyncio.to_thread(desk.users.verified, asked.login, asked.password)
        except (OSError, ValidationError) as trouble:
            log.exception("the users file can't be read", trouble=str(trouble)[:200])
            raise Refusal(503, "the users file can't be read; see the console's log") from None
        if user is None:
            desk.by_login.failed(who)
            desk.by_address.failed(address)
            await desk.note(None, request, "sign-in.refused", login=asked.login)
            raise Refusal(401, "wrong login or password")
        desk.by_login.succeeded(who)
        person = user.person(asked.login)
        desk.sessions.end(request.cookies.get(COOKIE, ""))
        id_ = desk.sessions.begin(person, console.session_hours, local=True)
        return await _begun(request, person, id_, answer({}))

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

    async def sign_out(request: Request) -> Response:
        person = desk.who(request)
        desk.from_our_page(request)
        id_ = request.cookies.get(COOKIE, "")
        if not equal(request.headers.get("x-csrf-token", ""), csrf_token(id_)):
            raise Refusal(403, "the page is older than this sign-in: load it again")
        session = desk.sessions.end(id_)
        desk.stream.wake()
        await desk.note(person, request, "signed-out")
        # Over here already, whatever the provider says.
        there = await oidc.end_url(session.token) if oidc and session and session.token else None
        response = answer({} if there is None else {"location": there})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
        return response

    async def me(request: Request) -> Response:
        try:
            person = desk.who(request)
        except Refusal as refusal:
            raise Refusal(refusal.status, refusal.body["error"], oidc=oidc is not None) from None
        told: dict[str, Any] = person.told()
        if person is not MACHINE:
            told["csrf"] = csrf_token(request.cookies.get(COOKIE, ""))
        if person.does(Act.STEP):
            told["people"] = sorted(
                login for login, u in desk.users.all().items() if u.person(login).does(Act.STEP)
            )
        return answer(told)

    async def to_provider(_: Request) -> Response:
        if oidc is None:
            raise Refusal(404, "no OpenID provider is set")
        try:
            url, state = await oidc.begin()
        except OidcTrouble as trouble:
            raise Refusal(502, f"the OpenID provider: {trouble}") from None
        response = RedirectResponse(url, 303)
        # Lax: the provider sends the browser back from another site.
        response.set_cookie(
            OIDC_COOKIE, state, max_age=600, httponly=True, samesite="lax", secure=secure
        )
        return response

    async def from_provider(request: Request) -> Response:
        if oidc is None:
            raise Refusal(404, "no OpenID provider is set")
        asked = request.query_params
        state = asked.get("state", "")
        if not state or not equal(state, request.cookies.get(OIDC_COOKIE, "")):
            raise Refusal(403, "this sign-in was not begun in this browser")
        try:
            signed = await oidc.finish(asked.get("code", ""), state)
        except OidcTrouble as trouble:
            await desk.note(None, request, "sign-in.refused", why=str(trouble)[:200])
            raise Refusal(403, f"the OpenID provider did not sign you in: {trouble}") from None
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
            raise Refusal(404, "no OpenID provider is set")
        form = parse_qs((await raw(request)).decode(errors="replace"))
        try:
            over = await oidc.signed_out(form.get("logout_token", [""])[0])
        except NoLogout as trouble:
            raise Refusal(400, "invalid_request", error_description=str(trouble)) from None
        except OidcTrouble as trouble:
            raise Refusal(503, f"the OpenID provider: {trouble}") from None
        logins = desk.sessions.end_of(over.sub, over.sid)
        desk.stream.wake()
        for login in logins:
            await desk.note(None, request, "signed-out.by-provider", login=login)
        return answer({})

    return [
        Route("/api/sign-in", sign_in, methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
        Route("/api/me", me),
        Route("/oidc/begin", to_provider),
        Route("/oidc/end", from_provider),
        Route("/oidc/logout", by_provider, methods=["POST"]),
    ]
