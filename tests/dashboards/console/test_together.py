"""Many presses of one button answered together, who looks at what, and refusals in words with a code."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from dashboards.console import refusals, users
from dashboards.console.access import Role
from dashboards.console.picture import Picture
from dashboards.console.presence import GONE_AFTER_S, Presence, Present
from dashboards.console.server import NOT_FOUND
from dashboards.console.stream import Stream
from schemas.alerts import Action, AlertKind
from schemas.steps import Took
from tests.dashboards.console.office import Colleague, Office
from tests.dashboards.console.records import NOW_MS, alert

ALMATY, MANGYSTAU = "KZ-75", "KZ-47"
CONSOLE = Path(refusals.__file__).parent
DOCS = CONSOLE.parents[1] / "docs" / "console.md"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def drawn(*ids: str, **changed: int) -> list[dict[str, Any]]:
    return [{"id": id_, "seen": 0, "number": 0, **changed} for id_ in ids]


async def answered(person: Colleague, school: str, alarms: list[dict[str, Any]]) -> dict[str, str]:
    said = await person.post("/api/alarms/acknowledge", {"school": school, "alarms": alarms})
    assert said.status_code == 200, said.text
    told = said.json()["alarms"]
    assert [one["id"] for one in told] == [one["id"] for one in alarms]
    return {one["id"]: one.get("code", "ok") for one in told}


async def test_one_button_s_presses_are_answered_together_and_nothing_else_is(
    office: Office,
) -> None:
    here, other = office.school_of(ALMATY), office.school_of(MANGYSTAU)
    for id_ in ("a", "b", "taken", "closed"):
        office.panic(id_, here, device="button-1")
    office.panic("duress", here, device="button-1", duress=True)
    office.panic("second", here, device="button-2")
    office.panic("both", here, device="button-1")
    office.desk.picture.alert(
        alert(
            "both", 1, Action.UPDATED, school=here, device="button-2", count=2, why=["2 buttons"]
        ),
        NOW_MS,
    )
    office.panic("elsewhere", other, device="button-1")
    office.panic("silent", here, kind=AlertKind.SCHOOL_OFFLINE, device="button-1")
    aigerim, bolat = [await office.person(name, Role.OPERATOR) for name in ("aigerim", "bolat")]
    await bolat.step("taken", "acknowledged")
    await bolat.step("closed", "closed", outcome="false")
    ids = ["a", "b", "taken", "closed", "duress", "second", "both", "elsewhere", "silent", "none"]
    office.steps.clear()
    assert await answered(aigerim, here, drawn(*ids)) == {
        "a": "ok",
        "b": "ok",
        "taken": "already",
        "closed": "over",
        "duress": "duress_alone",
        "second": "other_button",
        "both": "other_button",
        "elsewhere": "other_school",
        "silent": "no_panic",
        "none": "no_alert",
    }
    assert [(step.alert, step.took, step.upto) for step in office.steps] == [
        ("a", Took.ACKNOWLEDGED, 0),
        ("b", Took.ACKNOWLEDGED, 0),
    ]


async def test_what_came_after_it_was_drawn_is_not_answered(office: Office) -> None:
    here = office.school_of(ALMATY)
    person = await office.person("aigerim", Role.OPERATOR)
    office.panic("pressed", here, device="button-1")
    office.panic("duress", here, device="button-1")
    office.panic("acted", here, device="button-1")
    list_ = drawn("pressed", "duress", "acted")
    picture = office.desk.picture
    picture.alert(
        alert("pressed", 1, Action.UPDATED, school=here, device="button-1", count=2), NOW_MS
    )
    picture.alert(
        alert("duress", 1, Action.UPDATED, school=here, device="button-1", duress=True), NOW_MS
    )
    office.panic("newer", here, device="button-1")
    await person.step("acted", "assigned", target="aigerim")
    assert await answered(person, here, list_) == {
        "pressed": "pressed_again",
        "duress": "duress_alone",
        "acted": "somebody_was_first",
    }
    assert picture.panics["newer"]["state"] == picture.panics["pressed"]["state"] == "open"


async def test_alarms_of_another_place_are_none_there(office: Office) -> None:
    there = office.school_of(MANGYSTAU)
    office.panic("theirs", there, device="button-1")
    person = await office.person("aigerim", Role.OPERATOR, ALMATY)
    assert await answered(person, there, drawn("theirs")) == {"theirs": "no_alert"}
    viewer = await office.person("viewer", Role.VIEWER)
    said = await viewer.post(
        "/api/alarms/acknowledge", {"school": there, "alarms": drawn("theirs")}
    )
    assert said.status_code == 403


# Who looks at what


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.presence = Presence(lambda: self.now)


def test_who_looks_is_told_once_and_is_gone_with_the_last_stream_or_after_half_a_minute() -> None:
    world = World()
    presence = world.presence
    presence.opened("page")
    presence.opened("page")
    presence.looks("page", "Aigerim", "a")
    presence.looks("other", "Bolat", "a")
    assert presence.changes() == [Present("a", ("Aigerim", "Bolat"))]
    presence.looks("page", "Aigerim", "a")
    assert presence.changes() == []
    presence.looks("page", "Aigerim", "b")
    assert presence.changes() == [Present("a", ("Bolat",)), Present("b", ("Aigerim",))]
    presence.closed("page")
    assert presence.changes() == []
    presence.closed("page")
    assert presence.changes() == [Present("b", ())]
    world.now = GONE_AFTER_S
    assert presence.changes() == [Present("a", ())]
    presence.looks("other", "Bolat", None)
    assert presence.changes() == []


async def test_presence_is_told_to_colleagues_who_may_see_the_alarm(office: Office) -> None:
    office.panic("a", office.school_of(ALMATY))
    aigerim = await office.person("aigerim", Role.OPERATOR)
    far = await office.person("far", Role.OPERATOR, MANGYSTAU)
    viewer = await office.person("viewer", Role.VIEWER)
    assert (await aigerim.post("/api/presence", {"alarm": "a"})).status_code == 200
    assert (await far.post("/api/presence", {"alarm": "a"})).status_code == 404
    assert (await viewer.post("/api/presence", {"alarm": "a"})).status_code == 403
    change = office.desk.picture.changes[-1]
    assert change.name == "presence"
    assert {"alarm": "a", "people": ["Aigerim"]}.items() <= change.data.items()
    for person, told in ((aigerim, {"a": ["Aigerim"]}), (far, {}), (viewer, {})):
        assert (await person.get("/api/snapshot")).json()["presence"] == told
        who = office.desk.sessions.person(person.http.cookies["saqshy_session"])
        assert who is not None
        eyes = office.desk.eyes(_request(), who)
        assert bool(office.desk.stream._text(eyes, change, False)) is bool(told)
    await aigerim.post("/api/presence", {"alarm": None})
    assert office.desk.picture.changes[-1].data["people"] == []
    assert (await aigerim.get("/api/snapshot")).json()["presence"] == {}


async def test_who_signs_out_looks_at_nothing_any_more(office: Office) -> None:
    office.panic("a", office.school_of(ALMATY))
    aigerim = await office.person("aigerim", Role.OPERATOR)
    await aigerim.post("/api/presence", {"alarm": "a"})
    await aigerim.post("/api/sign-out")
    assert office.desk.picture.looking == {}


def _request() -> Any:
    return SimpleNamespace(cookies={})


def test_counts_are_shared_by_places_and_never_stale() -> None:
    stream = Stream(Picture())
    assert stream.beat()["alerts_open"] == 0
    stream.picture.alert(alert(kind=AlertKind.SCHOOL_OFFLINE), NOW_MS)
    assert stream.beat()["alerts_open"] == 1


# Refusals


DRILL = {"school": "KZ-75-00001", "starts_ms": 1, "lasting_s": 60}
MANY = "/api/alarms/acknowledge"


@pytest.mark.parametrize(
    ("path", "body", "field", "why", "limit"),
    [
        ("/api/drills", DRILL | {"lasting_s": 7_200}, "lasting_s", "less_than_equal", 3_600),
        ("/api/drills", DRILL | {"school": "x"}, "school", "string_pattern_mismatch", ""),
        ("/api/drills", DRILL | {"starts_ms": "soon"}, "starts_ms", "kind", ""),
        ("/api/shift/offer", {"note": "x" * 1_001}, "note", "string_too_long", 1_000),
        ("/api/shift/offer", {"notes": "x"}, "notes", "extra_forbidden", ""),
        ("/api/shift/accept", {}, "offer", "missing", ""),
        ("/api/alerts/a/steps", {"took": "sent", "seen": 0}, "took", "literal_error", None),
        (MANY, {"school": "x", "alarms": []}, "alarms", "too_short", 1),
        (
            MANY,
            {"school": "x", "alarms": [{"id": "a", "seen": 0}]},
            "alarms.0.number",
            "missing",
            "",
        ),
    ],
)
async def test_a_wrong_field_is_told_in_words_and_with_its_limit(
    office: Office, path: str, body: dict[str, Any], field: str, why: str, limit: Any
) -> None:
    person = await office.person("saule", Role.SUPERVISOR)
    said = await person.post(path, body)
    told = said.json()
    assert (said.status_code, told["code"], told["field"], told["why"]) == (
        422, "wrong_field", field, why,
    )  # fmt: skip
    assert limit is None or told["limit"] == limit
    assert told["error"].startswith(f"{field}: ")
    assert not re.search(r"Input|Value error|valid |String|extra", told["error"])


async def test_what_is_no_json_is_said_to_be_none(office: Office) -> None:
    person = await office.person("saule", Role.SUPERVISOR)
    said = await person.http.post(
        "/api/shift/offer",
        content=b"{",
        headers={"origin": "http://127.0.0.1:8060", "x-csrf-token": person.csrf},
    )
    assert (said.json()["why"], said.json()["error"]) == ("json_invalid", "the body is no JSON")


def codes() -> set[str]:
    """Of every refusal in the source."""
    found = {code for code, _ in NOT_FOUND.values()}
    for path in CONSOLE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("Refusal", "Refused") and isinstance(node.args[1], ast.Constant):
                found.add(str(node.args[1].value))
    return found


def test_every_code_is_in_the_docs_for_who_translates_it() -> None:
    assert len(codes()) > 30
    told = DOCS.read_text()
    assert {code for code in codes() if f"`{code}`" not in told} == set()
