"""Signing out at the provider, and by it: only its own words count, and each once."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from dashboards.console.access import WHOLE_COUNTRY, Person, Role
from dashboards.console.audit import audit_folder, months
from dashboards.console.oidc import SIGNED_BY
from dashboards.console.oidc_logout import EVENT, LogoutTokens, NoLogout, SignedOut
from dashboards.console.server import console
from dashboards.console.sessions import COOKIE, Sessions, login_of, sessions_path
from dashboards.console.users import Users, users_path
from deploy.embedded.ports import free_port
from schemas.settings import ConsoleSettings, Settings
from tests.dashboards.console.records import NOW_MS
from tests.dashboards.console.test_oidc import ORIGIN, SAULE, browser, sent_back

CLIENT, ISSUER = "saqshy", "http://127.0.0.1:1"
KEY, STRANGERS_KEY = (RSAKey.generate_key(2048, {"kid": "k", "use": "sig"}) for _ in range(2))
KEYS: Any = KeySet([KEY]).as_dict(private=False)


def claims(**changed: Any) -> dict[str, Any]:
    now_s = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": now_s,
        "exp": now_s + 120,
        "jti": str(uuid.uuid4()),
    }
    return said | {"sub": "s", "sid": "one", "events": {EVENT: {}}} | changed


def token(key: RSAKey = KEY, typ: str = "logout+jwt", **changed: Any) -> str:
    said = {name: value for name, value in claims(**changed).items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "k", "typ": typ}, said, key)


def judge(said: str, tokens: LogoutTokens | None = None) -> SignedOut:
    return (tokens or LogoutTokens(ISSUER, CLIENT, SIGNED_BY)).judge(said, KEYS)


def test_the_providers_word_names_a_session_or_a_person() -> None:
    assert judge(token()) == SignedOut("s", "one")
    assert judge(token(sid=None)) == SignedOut("s", "")
    assert judge(token(sub=None, typ="JWT")) == SignedOut("", "one")


def test_it_counts_once() -> None:
    tokens, said = LogoutTokens(ISSUER, CLIENT, SIGNED_BY), token()
    judge(said, tokens)
    with pytest.raises(NoLogout, match="before"):
        judge(said, tokens)


WRONG = st.sampled_from(
    [
        {"iss": "http://another"}, {"iss": None}, {"aud": "another"}, {"aud": None}, {"iat": None},
        {"exp": None}, {"exp": 1}, {"jti": None}, {"nonce": "n"}, {"events": {}}, {"events": None},
        {"events": {EVENT: True}}, {"events": [EVENT]}, {"sub": None, "sid": None},
        {"sub": "", "sid": ""}, {"sid": 7}, {"sub": ["s"]}, {"iat": 2**40},
    ]
)  # fmt: skip


@given(WRONG, st.sampled_from(["logout+jwt", "JWT", ""]))
def test_whatever_is_wrong_in_it_makes_it_nobodys_word(changed: dict[str, Any], typ: str) -> None:
    with pytest.raises(NoLogout):
        judge(token(typ=typ, **changed))


def test_another_key_another_type_and_no_signature_are_refused() -> None:
    unsigned = ".".join([jwt.encode({"alg": "HS256"}, claims(), _shared()).rsplit(".", 1)[0], ""])
    for said in (token(STRANGERS_KEY), token(typ="at+jwt"), unsigned, token() + "x" * 20_000):
        with pytest.raises(NoLogout):
            judge(said)


def _shared() -> Any:
    return OctKey.import_key("a secret that is long enough for it")


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused(said: str) -> None:
    with pytest.raises(NoLogout):
        judge(said)


def signed_in(var: Path) -> Sessions:
    return Sessions(sessions_path(var), Users(users_path(var)), lambda: NOW_MS)


def test_a_word_ends_its_sessions_and_no_others(tmp_path: Path) -> None:
    sessions = signed_in(tmp_path)
    ids = [
        sessions.begin(
            Person(login_of(sub) if sub else login, login, Role.OPERATOR, (WHOLE_COUNTRY,)),
            8,
            local=not sub,
            sub=sub,
            sid=sid,
        )
        for login, sub, sid in (
            ("a", "s", "one"),
            ("a", "s", "two"),
            ("b", "t", "one"),
            ("c", "", ""),
        )
    ]

    def there() -> list[bool]:
        return [sessions.person(id_) is not None or n == 3 for n, id_ in enumerate(ids)]

    assert sessions.end_of("s", "one") == ["oidc:s"]
    assert there() == [False, True, True, True]
    assert sessions.end_of("", "") == []
    assert sessions.end_of("s", "") == ["oidc:s"]
    assert there() == [False, False, True, True]
    assert signed_in(tmp_path).person(ids[2]) is not None


@pytest.fixture
async def provider() -> AsyncIterator[str]:
    """One that says who signed out: its discovery and its keys."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    app = web.Application()

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response({"issuer": issuer, "jwks_uri": f"{issuer}/keys"})

    async def keys(_: web.Request) -> web.Response:
        return web.json_response(KEYS)

    app.router.add_get("/.well-known/openid-configuration", discovery)
    app.router.add_get("/keys", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield issuer
    await runner.cleanup()


async def test_who_is_signed_out_by_the_provider_is_out_at_once_and_their_stream_ends(
    provider: str, tmp_path: Path
) -> None:
    settings = Settings(
        var=tmp_path, console=ConsoleSettings(oidc_issuer=provider, oidc_client_id=CLIENT)
    )
    sessions = Sessions(
        sessions_path(tmp_path), Users(users_path(tmp_path)), lambda: int(time.time() * 1000)
    )
    person = Person(login_of("s"), "Saule", Role.SUPERVISOR, (WHOLE_COUNTRY,))
    id_ = sessions.begin(person, 8, local=False, sub="s", sid="one")
    app = console(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http:
        http.cookies.set(COOKIE, id_)
        assert (await http.get("/api/me")).status_code == 200
        streaming = asyncio.create_task(http.get("/events"))
        while not app.state.desk.stream._waiting:
            await asyncio.sleep(0)
        refused = await http.post(
            "/oidc/logout", data={"logout_token": token(STRANGERS_KEY, iss=provider)}
        )
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert (await http.get("/api/me")).status_code == 200
        said = await http.post("/oidc/logout", data={"logout_token": token(iss=provider)})
        assert (said.status_code, said.headers["cache-control"]) == (200, "no-store")
        assert (await http.get("/api/me")).status_code == 401
        async with asyncio.timeout(60):
            assert "signed-out" in (await streaming).text
    audit = "".join(path.read_text() for path in months(audit_folder(tmp_path)))
    assert "signed-out.by-provider" in audit and "eyJ" not in audit


async def test_who_signs_out_here_is_sent_to_the_provider_to_sign_out_there(tmp_path: Path) -> None:
    with oidc_provider_mock.run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        async with browser(tmp_path, issuer) as console:
            await console.get(await sent_back(console, issuer, SAULE))
            me = (await console.get("/api/me")).json()
            assert "eyJ" not in str(me)
            out = await console.post(
                "/api/sign-out", headers={"origin": ORIGIN, "x-csrf-token": me["csrf"]}
            )
            there = urlsplit(out.json()["location"])
            asked = parse_qs(there.query)
            assert f"{there.scheme}://{there.netloc}" == issuer
            assert asked["post_logout_redirect_uri"] == [f"{ORIGIN}/"]
            assert (await console.get("/api/me")).status_code == 401
            async with httpx.AsyncClient() as http:
                assert (await http.get(out.json()["location"])).status_code == 200
