"""The door of the desk over HTTP: guesses, sessions, streams, forwarded addresses."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from dashboards.console import users
from dashboards.console.access import Person, Role
from dashboards.console.audit import entries
from dashboards.console.guesses import FREE_TRIES
from dashboards.console.readers import MOST_STREAMS, SNAPSHOTS_AT_ONCE, Readers
from dashboards.console.sessions import COOKIE, MOST_SESSIONS, Sessions, login_of, sessions_path
from dashboards.console.signin import KNOWN_COOKIE
from dashboards.console.users import Users, users_path
from tests.dashboards.console.office import Colleague, Office

HOUR_MS = 3_600_000
PASSWORD = "four words of one's own"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


# Guesses


async def test_wrong_passwords_from_an_address_lock_nobody_else_there_out(office: Office) -> None:
    password = office.desk.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    for n in range(62):
        await Colleague(office.app, f"nobody{n % 13}", "wrong").sign_in()
    assert (await Colleague(office.app, "aigerim", password).sign_in()).status_code == 200


async def test_forty_guesses_at_once_are_five(office: Office) -> None:
    password = office.desk.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    guesser = Colleague(office.app, "aigerim", "wrong")
    said = await asyncio.gather(*(guesser.sign_in() for _ in range(40)))
    assert [answer.status_code for answer in said].count(401) == FREE_TRIES
    # The right one is guessed no better, and from elsewhere it lets in.
    assert (await guesser.sign_in(password)).status_code == 429
    elsewhere = Colleague(office.app, "aigerim", password, "192.0.2.2")
    assert (await elsewhere.sign_in()).status_code == 200


async def test_a_browser_that_is_known_is_let_in_while_its_login_is_guessed(office: Office) -> None:
    known = await office.person("aigerim", Role.OPERATOR)
    for _ in range(FREE_TRIES + 1):
        await Colleague(office.app, "aigerim", "wrong").sign_in()
    del known.http.cookies[COOKIE]
    assert known.http.cookies[KNOWN_COOKIE]
    assert (await known.sign_in()).status_code == 200


async def test_an_address_that_somebody_made_up_is_neither_noted_nor_believed(
    office: Office,
) -> None:
    office.desk.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    guesser = Colleague(office.app, "aigerim", "wrong", "127.0.0.1")
    said = [
        (await guesser.sign_in(**{"x-forwarded-for": f"6.6.6.{n}"})).status_code for n in range(20)
    ]
    assert said.count(401) == FREE_TRIES
    assert {entry["from"] for entry in entries(office.desk.audit.folder, 99)} == {"127.0.0.1"}


async def test_behind_a_named_proxy_each_is_counted_apart(tmp_path: Path) -> None:
    office = Office(tmp_path, trusted_proxies=["10.0.0.0/24"])
    password = office.desk.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    proxy = Colleague(office.app, "aigerim", "wrong", "10.0.0.7")
    for n in range(20):
        await proxy.sign_in(**{"x-forwarded-for": f"6.6.6.{n}, 192.0.2.66"})
    assert (await proxy.sign_in(**{"x-forwarded-for": "192.0.2.66"})).status_code == 429
    said = await proxy.sign_in(password, **{"x-forwarded-for": "192.0.2.66, 192.0.2.1"})
    assert said.status_code == 200
    assert entries(office.desk.audit.folder, 1)[0]["from"] == "192.0.2.1"


async def test_a_password_in_the_place_of_a_login_is_not_noted(office: Office) -> None:
    await Colleague(office.app, "Hunter2!", "wrong").sign_in()
    office.desk.users.put("aigerim", "A", Role.OPERATOR, ["*"])
    await Colleague(office.app, "aigerim", "wrong").sign_in()
    known, typed = entries(office.desk.audit.folder, 2)
    assert known["login"] == "aigerim"
    assert "login" not in typed and len(typed["said"]) == 64


# Sessions and streams


def kept(var: Path) -> Sessions:
    return Sessions(sessions_path(var), Users(users_path(var)), lambda: 1_000)


def test_nobody_s_sign_ins_end_somebody_else_s_session(tmp_path: Path) -> None:
    sessions = kept(tmp_path)

    def begins(login: str, sub: str) -> str:
        person = Person(login, login, Role.VIEWER)
        return sessions.begin(person, 8, local=False, sub=sub)

    operator = begins(login_of("o"), "o")
    viewers = [begins(login_of("v"), "v") for _ in range(3 * MOST_SESSIONS)]
    for now in (sessions, kept(tmp_path)):
        assert now.person(operator) is not None
        alive = [id_ for id_ in viewers if now.person(id_) is not None]
        assert alive == viewers[-MOST_SESSIONS:]


def test_sessions_of_an_older_version_are_cut_to_size_at_the_start(tmp_path: Path) -> None:
    path = sessions_path(tmp_path)
    path.parent.mkdir(parents=True)
    one: dict[str, Any] = {"name": "V", "role": "viewer", "places": ["*"], "ends_ms": 5_000}
    mine = {f"v{n}": one | {"login": login_of("v"), "sub": "v", "local": False} for n in range(99)}
    # Signed as by a name that may be another's by now.
    renamed = {"s": one | {"login": "saule", "sub": "s", "local": False}}
    path.write_text(json.dumps(mine | renamed))
    sessions = kept(tmp_path)
    assert len(sessions.people()) == 1
    assert len(sessions._sessions) == MOST_SESSIONS


async def watching(office: Office, login: str) -> Any:
    request = SimpleNamespace(cookies={}, headers={})
    person = Person(login, login, Role.VIEWER, ("KZ-75",))
    office.desk.sessions.person = lambda _: person  # type: ignore[method-assign,assignment]
    events = office.desk.watches(request, person, "", only_panics=False)  # type: ignore[arg-type]
    await anext(events)
    return events


async def test_one_stream_more_ends_the_oldest_and_nobody_else_s(office: Office) -> None:
    others = await watching(office, "bolat")
    streams = [await watching(office, "aigerim") for _ in range(MOST_STREAMS + 1)]
    office.desk.sessions.person = lambda _: Person("aigerim", "aigerim", Role.VIEWER, ("KZ-75",))  # type: ignore[method-assign,assignment]
    ended = [text async for text in streams[0]]
    assert ended[-1] == "event: replaced\ndata: {}\n\n"
    for stream in streams[1:]:
        assert "event:" in await anext(stream)
    readers = office.desk.readers
    for stream in (*streams, others):
        await stream.aclose()
    assert not readers._seats


async def test_snapshots_are_told_at_a_pace(office: Office) -> None:
    viewer = await office.person("viewer", Role.VIEWER)
    said = [(await viewer.get("/api/snapshot")).status_code for _ in range(SNAPSHOTS_AT_ONCE + 2)]
    assert said.count(200) >= SNAPSHOTS_AT_ONCE
    refused = await viewer.get("/api/snapshot")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_reads")
    other = await office.person("other", Role.VIEWER)
    assert (await other.get("/api/snapshot")).status_code == 200


def test_readings_come_back_with_time() -> None:
    now = 0.0
    readers = Readers(lambda: now)
    assert [readers.wait_s("a") > 0 for _ in range(SNAPSHOTS_AT_ONCE + 1)][-2:] == [False, True]
    now = 1.5
    assert readers.wait_s("a") == 0
    assert readers.wait_s("a") > 0


# One's own password


async def test_who_knows_the_old_password_chooses_a_new_one_and_other_sessions_end(
    office: Office,
) -> None:
    here = await office.person("aigerim", Role.OPERATOR)
    there = Colleague(office.app, "aigerim", here.password)
    await there.sign_in()
    wish = {"old": here.password, "new": PASSWORD}
    said = await here.post("/api/password", wish)
    assert said.status_code == 200
    here.csrf = said.json()["csrf"]
    assert (await here.get("/api/shift")).status_code == 200
    assert (await there.get("/api/shift")).status_code == 401
    assert (await there.sign_in(PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"old": "wrong", "new": PASSWORD}, 401, "wrong_password"),
        ({"old": "", "new": PASSWORD}, 422, "wrong_field"),
        ({"old": "right", "new": "short"}, 422, "wrong_field"),
        ({"old": "right", "new": "a" * 20}, 422, "password_weak"),
        ({"old": "right", "new": "Aigerim and her dog"}, 422, "password_weak"),
    ],
)
async def test_another_password_than_a_good_one_of_one_s_own_is_refused(
    office: Office, wish: dict[str, str], status: int, code: str
) -> None:
    here = await office.person("aigerim", Role.OPERATOR)
    if wish["old"] == "right":
        wish = wish | {"old": here.password}
    said = await here.post("/api/password", wish)
    assert (said.status_code, said.json()["code"]) == (status, code)
    assert office.desk.users.verified("aigerim", here.password) is not None


async def test_the_old_password_is_guessed_no_faster_by_who_is_signed_in(office: Office) -> None:
    here = await office.person("aigerim", Role.OPERATOR)
    wish = {"old": "wrong", "new": PASSWORD}
    said = [(await here.post("/api/password", wish)).status_code for _ in range(FREE_TRIES + 1)]
    assert said[-1] == 429
