"""A wall watches and nothing else: which requests it may make, what it is told, when it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.routing import Route

from dashboards.console import users
from dashboards.console.access import Role
from dashboards.console.audit import entries
from dashboards.console.server import PAGES
from dashboards.console.standing import WALL_SHOWS
from dashboards.console.users import UserTrouble
from dashboards.console.walls import WALL_COOKIE, Walls, walls_path
from schemas.alerts import AlertKind
from schemas.steps import PHONE, Took
from tests.dashboards.console.office import ORIGIN, Colleague, Office
from tests.dashboards.console.records import NOW_MS, acted

SECRETS = ("AIGERIM", "a child in room 12", "+7 727 555 01 01", "somebody@example")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return Office(tmp_path)


async def hung(office: Office, name: str = "lobby", *places: str) -> Colleague:
    """A wall's browser that has opened its address."""
    token = office.desk.walls.add(name, list(places) or ["*"], NOW_MS)
    wall = Colleague(office.app, name, "")
    said = await wall.post("/api/wall", {"token": token})
    assert said.status_code == 200
    assert "httponly" in said.headers["set-cookie"].lower()
    return wall


def a_told_alarm(office: Office, id_: str, school: str, **more: Any) -> None:
    office.panic(id_, school, note=SECRETS[1], why=[SECRETS[1]], **more)
    for n, step in enumerate(
        (
            acted(Took.ACKNOWLEDGED, SECRETS[0], id_, note=SECRETS[1]),
            acted(Took.ASSIGNED, SECRETS[0], id_, target=SECRETS[0]),
            acted(Took.ESCALATED, "saqshy:dispatch", id_, target=f"{PHONE}{SECRETS[2]}"),
            acted(Took.NOTIFIED, "saqshy:notify", id_, target=SECRETS[3]),
        )
    ):
        office.desk.picture.step(step, NOW_MS + n, n)


async def test_a_wall_is_told_where_what_and_since_when_and_nothing_of_people(
    office: Office,
) -> None:
    here, there = office.school_of("KZ-75"), office.school_of("KZ-47")
    a_told_alarm(office, "here", here)
    a_told_alarm(office, "there", there)
    a_told_alarm(office, "silent", here, kind=AlertKind.SCHOOL_OFFLINE)
    operator = await office.person("aigerim", Role.OPERATOR)
    await operator.post("/api/presence", {"alarm": "here"})
    wall = await hung(office, "lobby", "KZ-75")
    text = (await wall.get("/api/snapshot")).text
    told = json.loads(text)
    assert [one["id"] for one in told["panics"]] == ["here"]
    assert told["panics"][0].keys() <= set(WALL_SHOWS)
    assert told["panics"][0]["state"] == "acknowledged"
    assert (told["presence"], told["numbers"]) == ({}, {})
    assert not [secret for secret in SECRETS if secret in text]
    # And so is each change on its stream, an outage's part and a cached text among them.
    person = office.desk.walls.person(wall.http.cookies[WALL_COOKIE])
    assert person is not None
    request: Any = type("Request", (), {"cookies": dict(wall.http.cookies)})()
    eyes = office.desk.eyes(request, person)
    whole = office.desk.eyes(request, await_person(office))
    for change in office.desk.picture.changes:
        office.desk.stream._text(whole, change, False)
        said = office.desk.stream._text(eyes, change, False)
        assert not [secret for secret in SECRETS if secret in said], change.name
        assert there not in said or change.name == "schools"


def await_person(office: Office) -> Any:
    return office.desk.users.all()["aigerim"].person("aigerim")


async def test_all_but_the_stream_is_closed_to_a_wall(office: Office) -> None:
    """Whatever address there is, now and later: only these answer it."""
    here = office.school_of("KZ-75")
    office.panic("here", here)
    wall = await hung(office)
    free = {"/health", "/metrics", "/static", "/direct", "/api/sign-in", "/api/wall", *PAGES}
    open_to_it = {"/api/snapshot", "/events", "/api/me"}
    closed = [
        (route.path, method)
        for route in office.app.routes
        if isinstance(route, Route) and route.path not in free | open_to_it
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith("/oidc/")
    ]
    assert len(closed) > 15
    for path, method in closed:
        url = path.replace("{id}", here if "schools" in path else "here").replace("{floor}", "1")
        said = await wall.http.request(method, url, json={}, headers={"origin": ORIGIN})
        assert said.status_code in (401, 403), (path, method, said.status_code)
    me = (await wall.get("/api/me")).json()
    assert (me["role"], me["does"], me["sees"], me["places"]) == ("wall", [], ["alerts"], ["*"])
    assert "csrf" not in me and "people" not in me


async def test_a_wall_ends_when_it_is_revoked_and_with_nothing_else(office: Office) -> None:
    wall = await hung(office)
    other = await hung(office, "other")
    again = Office(office.settings.var)  # a restart of the console
    for browser in (wall, other):
        after = Colleague(again.app, "", "")
        after.http.cookies = browser.http.cookies
        assert (await after.get("/api/snapshot")).status_code == 200
    person = office.desk.walls.person(wall.http.cookies[WALL_COOKIE])
    assert person is not None
    request: Any = type("Request", (), {"cookies": dict(wall.http.cookies)})()
    eyes = office.desk.eyes(request, person)
    assert eyes.ended() == ""
    Walls(walls_path(office.settings.var)).revoke("lobby")  # as another process does it
    assert eyes.ended() == "signed-out"
    assert (await wall.get("/api/snapshot")).status_code == 401
    assert (await other.get("/api/snapshot")).status_code == 200


async def test_what_is_no_token_opens_nothing_and_is_noted(office: Office) -> None:
    wall = Colleague(office.app, "", "")
    said = await wall.post("/api/wall", {"token": "x"})
    assert (said.status_code, said.json()["code"]) == (401, "wrong_token")
    assert entries(office.desk.audit.folder, 1)[0]["did"] == "sign-in.refused"
    token = office.desk.walls.add("lobby", ["*"], NOW_MS)
    assert token not in walls_path(office.settings.var).read_text()
    foreign = await wall.post("/api/wall", {"token": token}, origin="https://evil.example")
    assert foreign.status_code == 403
    assert (await wall.get("/api/snapshot")).status_code == 401


def test_walls_have_names_of_their_own(office: Office) -> None:
    walls = office.desk.walls
    walls.add("lobby", ["*"], NOW_MS)
    for wrong in ("lobby", "Lobby", "", "../x"):
        with pytest.raises(UserTrouble):
            walls.add(wrong, ["*"], NOW_MS)
    with pytest.raises(UserTrouble):
        walls.revoke("nobody")
    walls_path(office.settings.var).write_text("{")
    assert Walls(walls_path(office.settings.var)).all() == {}
