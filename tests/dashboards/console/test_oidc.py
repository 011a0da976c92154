"""Sign-in at an OpenID provider that others wrote, over real HTTP."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import oidc_provider_mock
import pytest

from dashboards.console.access import Role
from dashboards.console.oidc import ASKED, Oidc, OidcTrouble, person
from dashboards.console.server import console
from dashboards.console.sessions import login_of
from dashboards.console.signin import OIDC_COOKIE
from dashboards.console.users import LOGIN_PATTERN
from deploy.embedded.ports import free_port
from schemas.settings import ConsoleSettings, Settings
from schemas.steps import MACHINE

ORIGIN = "http://127.0.0.1:8060"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def browser(var: Path, issuer: str) -> httpx.AsyncClient:
    secret = var / "oidc-secret"
    secret.write_text("between console and provider")
    settings = ConsoleSettings(oidc_issuer=issuer, oidc_client_id="saqshy", oidc_secret_file=secret)
    transport = httpx.ASGITransport(console(Settings(var=var, console=settings)))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)


async def sent_back(console: httpx.AsyncClient, provider: str, claims: dict[str, Any]) -> str:
    """Begin at the console, sign in at the provider; returns where it sends the browser back to."""
    async with httpx.AsyncClient() as http:
        known = await http.put(f"{provider}/users/{quote(claims['sub'])}", json=claims)
        assert known.status_code == 204
        begun = await console.get("/oidc/begin")
        assert begun.status_code == 303
        there = begun.headers["location"]
        assert parse_qs(urlsplit(there).query)["code_challenge_method"] == ["S256"]
        signed_in = await http.post(there, data={"sub": claims["sub"]})
        assert signed_in.status_code == 302, signed_in.text
        back: str = signed_in.headers["location"]
        return back.removeprefix(ORIGIN)


SAULE = {
    "sub": "saule@example.kz",
    "name": "Saule S.",
    "preferred_username": "saule",
    "saqshy_role": "supervisor",
    "saqshy_places": ["KZ-75", "almaty"],
}


async def test_somebody_whom_the_provider_knows_is_signed_in(provider: str, tmp_path: Path) -> None:
    async with browser(tmp_path, provider) as console:
        back = await sent_back(console, provider, SAULE)
        answer = await console.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        me = (await console.get("/api/me")).json()
        assert (me["login"], me["name"]) == ("oidc:saule@example.kz", "Saule S.")
        assert me["role"] == "supervisor"
        assert me["places"] == ["KZ-75", "almaty"]


async def test_an_answer_counts_once_and_only_in_the_browser_that_asked(
    provider: str, tmp_path: Path
) -> None:
    async with browser(tmp_path, provider) as console, browser(tmp_path, provider) as other:
        back = await sent_back(console, provider, SAULE)
        assert (await other.get(back)).status_code == 403
        assert (await console.get(back)).status_code == 303
        assert (await console.get(back)).status_code == 403


async def test_somebody_without_a_role_of_ours_stays_outside(provider: str, tmp_path: Path) -> None:
    stranger = {"sub": "x@example.kz", "preferred_username": "x"}
    async with browser(tmp_path, provider) as console:
        answer = await console.get(await sent_back(console, provider, stranger))
        assert answer.status_code == 403
        assert "no role in saqshy_role" in answer.json()["error"]
        assert (await console.get("/api/me")).status_code == 401


CLAIMS: dict[str, Any] = {"sub": "s", "saqshy_role": ["operator"], "saqshy_places": ["*"]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"saqshy_role": "machine"}, "no role"),
        ({"saqshy_role": []}, "no role"),
        ({"saqshy_places": []}, "no place"),
        ({"sub": ""}, "no sub"),
    ],
)
def test_claims_that_make_nobody_are_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(OidcTrouble, match=says):
        person({**CLAIMS, **changed}, ConsoleSettings())


def test_of_several_roles_the_least_powerful_counts() -> None:
    claims = {**CLAIMS, "saqshy_role": ["supervisor", "viewer"]}
    assert person(claims, ConsoleSettings()).role is Role.VIEWER


async def test_who_takes_over_a_name_signs_as_somebody_else(provider: str, tmp_path: Path) -> None:
    successor = SAULE | {"sub": "another@example.kz"}
    renamed = SAULE | {"preferred_username": "s.serikova", "name": "Saule Serikova"}
    logins = []
    for claims in (SAULE, successor, renamed):
        async with browser(tmp_path, provider) as console:
            await console.get(await sent_back(console, provider, claims))
            me = (await console.get("/api/me")).json()
            logins.append((me["login"], me["name"]))
    (first, _), (other, _), (again, name) = logins
    assert first == again != other
    assert name == "Saule Serikova"


@pytest.mark.parametrize(
    "sub", ["saule", "x" * 300, "сәуле", "a b", ":" + "0" * 64, "saqshy:panic"]
)
def test_a_sub_is_no_local_login_no_machine_and_nobody_else(sub: str) -> None:
    login = login_of(sub)
    assert len(login) <= 120
    assert not re.fullmatch(LOGIN_PATTERN, login)
    assert not login.startswith(MACHINE)
    assert login_of(login.removeprefix("oidc:")) != login or sub.isascii()
    assert login != login_of(sub + "x")


async def test_begun_by_thousands_ends_nobody_s_sign_in_and_asks_the_provider_once(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    real = Oidc._discover

    async def counting(self: Oidc) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return await real(self)

    monkeypatch.setattr(Oidc, "_discover", counting)
    oidc = Oidc(ConsoleSettings(oidc_issuer=provider, oidc_client_id="saqshy"), "ours")
    url, ticket = await oidc.begin()
    [state] = parse_qs(urlsplit(url).query)["state"]
    others = [(await oidc.begin())[1] for _ in range(5_000)]
    assert oidc.begun_here(ticket, state)
    assert not any(oidc.begun_here(other, state) for other in others)
    assert asked == 1


async def test_a_ticket_that_somebody_made_up_or_that_is_old_begins_nothing(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with browser(tmp_path, provider) as console:
        back = await sent_back(console, provider, SAULE)
        ticket = console.cookies[OIDC_COOKIE]
        for other in ("", "0.x", ticket + "x", "9" * 12 + ticket):
            console.cookies.clear()
            console.cookies.set(OIDC_COOKIE, other)
            assert (await console.get(back)).status_code == 403
        console.cookies.clear()
        console.cookies.set(OIDC_COOKIE, ticket)
        with monkeypatch.context() as patch:
            patch.setattr("dashboards.console.oidc.BEGUN_FOR_S", -1)
            assert "begin again" in (await console.get(back)).text
        assert (await console.get(back)).status_code == 303


async def test_a_provider_that_does_not_answer_is_not_asked_by_each(tmp_path: Path) -> None:
    async with browser(tmp_path, f"http://localhost:{free_port()}") as console:
        answers = [await console.get("/oidc/begin") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {502}


@pytest.fixture
def misled() -> Iterator[str]:
    """A provider whose description names an address in clear text, elsewhere."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = f"http://localhost:{self.server.server_address[1]}"
            said = {name: f"{issuer}/{name}" for name in ASKED} | {"issuer": issuer}
            said["token_endpoint"] = "http://provider.example/token"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


async def test_a_code_is_not_sent_in_clear_text_where_the_provider_says(misled: str) -> None:
    settings = ConsoleSettings(oidc_issuer=misled, oidc_client_id="saqshy")
    with pytest.raises(OidcTrouble, match=r"token_endpoint.*clear text"):
        await Oidc(settings, "ours").begin()
    await Oidc(settings.model_copy(update={"insecure": True}), "ours").begin()
