"""Over HTTP: who is let in, what another site can't do, and that a page ends with its session."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from httpx import ASGITransport, AsyncClient, Response

from dashboards.console import users
from dashboards.console.access import Eyes, Role
from dashboards.console.audit import audit_of, entries
from dashboards.console.audit_check import verify
from dashboards.console.guesses import FREE_TRIES
from dashboards.console.picture import Picture
from dashboards.console.server import console
from dashboards.console.sessions import COOKIE
from dashboards.console.stream import Stream
from dashboards.console.users import Users, bearer, users_path
from schemas.alerts import AlertKind
from schemas.settings import ConsoleSettings, GatewaySettings, KafkaSettings, Settings
from tests.dashboards.console.records import NOW_MS, alert

ORIGIN = "http://127.0.0.1:8060"
SECRET = "between gateway and console"
NOBODY_LISTENS = 9


class Browser:
    """A browser on the console's page: it sends the cookie, Origin, and the page's token."""

    def __init__(self, var: Path) -> None:
        self.var = var
        secret = var / "secret"
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(SECRET)
        self.users = Users(users_path(var))
        self.settings = Settings(
            var=var,
            kafka=KafkaSettings(bootstrap=f"127.0.0.1:{NOBODY_LISTENS}"),
            gateway=GatewaySettings(direct_secret_file=secret),
        )
        transport = ASGITransport(console(self.settings, lambda: 0.0))  # who has to wait, waits
        self.http = AsyncClient(transport=transport, base_url=ORIGIN)
        self.csrf = ""

    async def sign_in(self, role: Role, *places: str, login: str = "aigerim") -> Response:
        password = self.users.put(login, login, role, list(places) or ["*"])
        answer = await self.try_in(login, password)
        self.csrf = (await self.http.get("/api/me")).json().get("csrf", "")
        return answer

    async def try_in(self, login: str, password: str, origin: str = ORIGIN) -> Response:
        wish = {"login": login, "password": password}
        return await self.http.post("/api/sign-in", json=wish, headers={"origin": origin})

    async def post(self, path: str, body: Any = None, **headers: str) -> Response:
        usual = {"origin": ORIGIN, "x-csrf-token": self.csrf, **headers}
        return await self.http.post(path, json=body or {}, headers=usual)

    async def tell(self, id_: str = "a1", **fields: Any) -> Response:
        """As the gateway does it when Kafka is down."""
        change = alert(id_, **fields).model_dump_json()
        return await self.http.post("/direct", content=change, headers={"x-saqshy-direct": SECRET})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost little: their strength is held by another test."""
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    browser = Browser(tmp_path)
    yield browser
    await browser.http.aclose()


DATA = [
    "/api/snapshot",
    "/api/schools/KZ-75-00001",
    "/events",
    "/api/me",
    "/api/shift",
    "/api/audit",
]
ACTS = [
    "/api/alerts/a1/steps",
    "/api/alerts/a1/seen",
    "/api/drills",
    "/api/shift/armed",
    "/api/shift/offer",
    "/api/shift/accept",
    "/api/sign-out",
]


@pytest.mark.parametrize("path", DATA)
async def test_nothing_is_told_to_who_is_not_signed_in(browser: Browser, path: str) -> None:
    assert (await browser.http.get(path)).status_code == 401
    stolen = {"authorization": "Bearer guess"}
    assert (await browser.http.get(path, headers=stolen)).status_code == 401


@pytest.mark.parametrize("path", ACTS)
async def test_nothing_is_done_by_who_is_not_signed_in(browser: Browser, path: str) -> None:
    assert (await browser.post(path)).status_code == 401


@pytest.mark.parametrize("path", ACTS)
async def test_another_site_s_page_can_do_nothing(browser: Browser, path: str) -> None:
    await browser.sign_in(Role.SUPERVISOR)
    for other in ({}, {"authorization": "Basic x"}):
        foreign = await browser.post(path, origin="https://evil.example", **other)
        assert foreign.status_code == 403
        assert "own page" in foreign.json()["error"]
    guessed = await browser.post(path, **{"x-csrf-token": "guess"})
    assert guessed.status_code == 403
    without = await browser.http.post(path, json={}, headers={"x-csrf-token": browser.csrf})
    assert without.status_code == 403


async def test_a_foreign_page_can_not_sign_anybody_in(browser: Browser) -> None:
    password = browser.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    answer = await browser.try_in("aigerim", password, origin="http://127.0.0.1:9999")
    assert answer.status_code == 403


@pytest.mark.parametrize("public", ["https://console.example.kz", "https://Console.example.kz/"])
async def test_its_public_address_is_its_own_however_it_is_written(
    tmp_path: Path, public: str
) -> None:
    settings = Settings(var=tmp_path, console=ConsoleSettings(public_url=public))
    users = Users(users_path(tmp_path))
    wish = {"login": "aigerim", "password": users.put("aigerim", "A", Role.OPERATOR, ["*"])}
    headers = {"origin": "https://console.example.kz", "host": "console.example.kz"}
    async with AsyncClient(transport=ASGITransport(console(settings)), base_url=ORIGIN) as http:
        assert (await http.post("/api/sign-in", json=wish, headers=headers)).status_code == 200
        headers["origin"] = "https://console.example.kz.evil.example"
        assert (await http.post("/api/sign-in", json=wish, headers=headers)).status_code == 403


async def test_the_cookie_is_for_this_server_and_no_script(browser: Browser) -> None:
    said = (await browser.sign_in(Role.OPERATOR)).headers["set-cookie"].lower()
    assert said.startswith(f"{COOKIE}=")
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "path=/" in said


async def test_an_operator_is_told_who_they_are_and_what_they_may(browser: Browser) -> None:
    await browser.sign_in(Role.OPERATOR, "KZ-75")
    told = (await browser.http.get("/api/me")).json()
    assert (told["login"], told["role"], told["places"]) == ("aigerim", "operator", ["KZ-75"])
    assert "step" in told["does"]
    assert "audit" not in told["sees"]
    assert told["people"] == ["aigerim"]


async def test_who_guesses_has_to_wait(browser: Browser) -> None:
    password = browser.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    for _ in range(FREE_TRIES):
        assert (await browser.try_in("aigerim", "wrong")).status_code == 401
    answer = await browser.try_in("aigerim", password)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_signing_out_ends_the_session(browser: Browser) -> None:
    await browser.sign_in(Role.OPERATOR)
    cookie = browser.http.cookies[COOKIE]
    assert (await browser.post("/api/sign-out")).status_code == 200
    browser.http.cookies.set(COOKIE, cookie)
    assert (await browser.http.get("/api/snapshot")).status_code == 401


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
async def test_who_looks_on_can_not_act(browser: Browser, role: Role) -> None:
    await browser.sign_in(role)
    await browser.tell()
    wish = {"took": "acknowledged", "seen": 0}
    answer = await browser.post("/api/alerts/a1/steps", wish)
    assert answer.status_code == 403
    assert (await browser.http.get("/api/audit")).status_code == 403


async def test_an_operator_is_no_supervisor(browser: Browser) -> None:
    await browser.sign_in(Role.OPERATOR)
    assert (await browser.http.get("/api/audit")).status_code == 403
    assert (await browser.post("/api/drills")).status_code == 403


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"took": "sent", "seen": 0}, "took"),
        ({"took": "acknowledged"}, "seen"),
        ({"took": "acknowledged", "seen": -1}, "seen"),
        ({"took": "noted", "seen": 0, "note": "x" * 2_000}, "note"),
        ({"took": "closed", "seen": 0, "outcome": "maybe"}, "outcome"),
        ({"took": "noted", "seen": 0, "actor": "saqshy:panic"}, "actor"),
    ],
)
async def test_a_wrong_wish_is_refused_by_its_field(
    browser: Browser, body: dict[str, Any], says: str
) -> None:
    await browser.sign_in(Role.OPERATOR)
    await browser.tell()
    answer = await browser.post("/api/alerts/a1/steps", body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(says)


async def test_a_step_that_kafka_does_not_take_is_said_not_to_be_taken(browser: Browser) -> None:
    await browser.sign_in(Role.OPERATOR)
    await browser.tell()
    answer = await browser.post("/api/alerts/a1/steps", {"took": "acknowledged", "seen": 0})
    assert answer.status_code == 503
    snapshot = (await browser.http.get("/api/snapshot")).json()
    assert snapshot["panics"][0]["state"] == "open"


# What the gateway tells directly


async def test_a_panic_told_directly_is_shown_once_whoever_says_it_again(browser: Browser) -> None:
    assert (await browser.tell()).json() == {"kept": False}
    assert (await browser.tell()).status_code == 200
    headers = bearer(browser.var)
    snapshot = (await browser.http.get("/api/snapshot", headers=headers)).json()
    assert [p["id"] for p in snapshot["panics"]] == ["a1"]
    assert snapshot["last"] == 1


@pytest.mark.parametrize("secret", ["", "guess", SECRET + "x", "тайна"])
async def test_who_does_not_know_the_secret_raises_nothing(browser: Browser, secret: str) -> None:
    headers = {"x-saqshy-direct": secret.encode()}
    change = alert().model_dump_json()
    answer = await browser.http.post("/direct", content=change, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401


async def test_only_panics_are_told_directly_and_a_canary_s_is_not_shown(browser: Browser) -> None:
    assert (await browser.tell(kind=AlertKind.SCHOOL_OFFLINE)).status_code == 422
    answer = await browser.tell("canary", school="KZ-00-90001")
    assert (answer.status_code, answer.json()) == (200, {"kept": False})
    snapshot = (await browser.http.get("/api/snapshot", headers=bearer(browser.var))).json()
    assert snapshot["panics"] == []


# The log, and the end of a stream


async def test_what_is_seen_and_done_is_in_the_log_for_the_supervisor(browser: Browser) -> None:
    await browser.try_in("saule", "wrong")
    await browser.sign_in(Role.SUPERVISOR, login="saule")
    await browser.tell()
    assert (await browser.post("/api/alerts/a1/seen")).status_code == 200
    assert (await browser.post("/api/shift/armed", {"heard": True})).status_code == 200
    review = (await browser.http.get("/api/audit")).json()
    did = [(e.get("who"), e["did"]) for e in reversed(review["entries"])]
    assert did == [
        (None, "sign-in.refused"),
        ("saule", "signed-in"),
        ("saule", "panic.seen"),
        ("saule", "sound.armed"),
    ]
    assert review["broken"] is None
    log = audit_of(browser.settings)
    assert verify(log, noted=review["head"]).broken is None
    assert entries(log.folder, 1)[0]["did"] == "audit.reviewed"


async def test_a_shift_waits_for_somebody_else_over_a_restart(browser: Browser) -> None:
    await browser.sign_in(Role.OPERATOR, login="aigerim")
    offer = (await browser.post("/api/shift/offer", {"note": "all quiet"})).json()["offer"]
    assert (await browser.post("/api/shift/accept", {"offer": offer})).status_code == 409
    later = Browser(browser.var)
    await later.sign_in(Role.OPERATOR, login="bolat")
    [told] = (await later.http.get("/api/shift")).json()["offers"]
    assert (told["id"], told["by"], told["note"]) == (offer, "aigerim", "all quiet")
    assert (await later.post("/api/shift/accept", {"offer": offer})).status_code == 200
    assert (await later.post("/api/shift/accept", {"offer": offer})).status_code == 409
    await later.http.aclose()


async def test_a_stream_ends_when_its_session_does() -> None:
    allowed = True
    stream = Stream(Picture())
    events = stream.events("", False, Eyes(ended=lambda: "" if allowed else "signed-out"))
    async for text in events:
        if "event: beat" in text:
            allowed = False
            stream.wake()
    assert "event: signed-out" in text


async def test_a_stream_tells_only_of_the_places_of_its_reader() -> None:
    stream = Stream(Picture())
    stream.picture.alert(alert("theirs", school="KZ-10-00001"), NOW_MS)
    eyes = Eyes(sees=lambda school: school.startswith("KZ-75"))
    events = stream.events("", False, eyes)
    text = ""
    while "event: snapshot" not in text:
        text = await anext(events)
    assert json.loads(text.split("data: ")[1])["panics"] == []
    while "event: beat" not in text:
        text = await anext(events)
    stream.picture.alert(alert("theirs too", school="KZ-10-00002"), NOW_MS)
    stream.picture.alert(alert("ours"), NOW_MS)
    stream.wake()
    assert json.loads((await anext(events)).split("data: ")[1])["id"] == "ours"
    await events.aclose()  # type: ignore[attr-defined]
