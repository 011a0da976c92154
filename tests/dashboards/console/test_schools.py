"""Schools over HTTP: whom to call, which are silent, finding one; and addresses of pages."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from dashboards.console import users
from dashboards.console.access import Role
from dashboards.console.audit import entries
from dashboards.console.contacts import ContactBook, contacts_path
from dashboards.console.searching import MOST_FOUND
from dashboards.console.server import HEADERS, PAGES
from schemas.alerts import Action, AlertKind, Status, StatusChanged
from schemas.contacts import CenterContact, Contact, ContactRole, Contacts, SchoolContacts
from tests.dashboards.console.office import Colleague, Office
from tests.dashboards.console.records import NOW_MS, alert

ALMATY, MANGYSTAU = "KZ-75", "KZ-47"
DESK, MOBILE = "+7 727 555 01 01", "+7 701 555 02 02"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    schools = []
    for region in (ALMATY, MANGYSTAU):
        contacts = (
            Contact(role=ContactRole.DUTY, name="Duty desk", phone=DESK),
            Contact(role=ContactRole.DIRECTOR, name="Б. Директор", phone=MOBILE, mobile=True),
        )
        school = office.school_of(region)
        schools.append(SchoolContacts(school=school, address="Абая 1", contacts=contacts))
    centers = tuple(
        CenterContact(center=f"{region}-ocs", name=f"Center of {region}", phone="102")
        for region in (ALMATY, MANGYSTAU)
    )
    office.desk.contacts.put(Contacts(schools=tuple(schools), centers=centers))
    return office


# Whom to call


async def test_an_operator_is_told_whom_to_call_and_mobile_numbers_for_an_alarm_only(
    office: Office,
) -> None:
    school, other = office.school_of(ALMATY), office.school_of(MANGYSTAU)
    operator = await office.person("aigerim", Role.OPERATOR)
    told = (await operator.get(f"/api/schools/{school}")).json()
    duty, director = told["contacts"]
    assert duty == {"role": "duty", "name": "Duty desk", "phone": DESK, "mobile": False}
    assert director == {"role": "director", "name": "Б. Директор", "phone": "", "mobile": True}
    assert told["address"] == "Абая 1"
    [known] = [one for one in office.schools if one.school == school]
    assert told["coordinates"] == [known.latitude, known.longitude]
    if known.center:
        assert told["center"] == {"name": f"Center of {ALMATY}", "phone": "102"}
    office.panic("here", school)
    office.panic("there", other)
    office.panic("over", school)
    office.desk.picture.alert(alert("over", 1, Action.RESOLVED, school=school), NOW_MS)
    for alarm, shown in (("here", True), ("there", False), ("over", False), ("none", False)):
        text = (await operator.get(f"/api/schools/{school}?for={alarm}")).text
        assert (MOBILE in text) is shown, alarm


async def test_a_look_shows_them_to_who_looked_and_is_in_the_log(office: Office) -> None:
    school = office.school_of(ALMATY)
    operator, other = [await office.person(name, Role.OPERATOR) for name in ("aigerim", "bolat")]
    looked = await operator.post(f"/api/schools/{school}/look")
    assert MOBILE in looked.text
    entry = entries(office.desk.audit.folder, 1)[0]
    assert (entry["who"], entry["did"], entry["school"]) == ("aigerim", "contacts.looked", school)
    assert MOBILE in (await operator.get(f"/api/schools/{school}")).text
    assert MOBILE not in (await operator.get(f"/api/schools/{office.school_of(MANGYSTAU)}")).text
    assert MOBILE not in (await other.get(f"/api/schools/{school}")).text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
async def test_who_looks_on_is_told_of_nobody_s_numbers(office: Office, role: Role) -> None:
    school = office.school_of(ALMATY)
    office.panic("here", school)
    person = await office.person("viewer", role)
    for path in (f"/api/schools/{school}?for=here", "/api/snapshot", "/api/silent"):
        text = (await person.get(path)).text
        assert DESK not in text and MOBILE not in text and "contacts" not in text
    assert (await person.post(f"/api/schools/{school}/look")).status_code == 403


async def test_of_another_region_s_school_nothing_is_told(office: Office) -> None:
    school = office.school_of(MANGYSTAU)
    operator = await office.person("aigerim", Role.OPERATOR, ALMATY)
    assert (await operator.get(f"/api/schools/{school}")).status_code == 404
    assert (await operator.post(f"/api/schools/{school}/look")).status_code == 404


async def test_without_its_book_a_school_is_told_all_the_same(office: Office) -> None:
    contacts_path(office.settings.var).write_bytes(b"no database" * 1_000)
    operator = await office.person("aigerim", Role.OPERATOR)
    told = await operator.get(f"/api/schools/{office.school_of(ALMATY)}")
    assert (told.status_code, told.json()["contacts"]) == (200, [])
    assert told.json()["contacts_stale"] is True


def test_what_is_removed_is_gone_from_the_disk(tmp_path: Path) -> None:
    book = ContactBook(contacts_path(tmp_path))
    name = "Қайсар Сақтанұлы"
    many = tuple(
        SchoolContacts(
            school=f"KZ-75-{n:05}",
            contacts=(Contact(role=ContactRole.GUARD, name=f"{name} {n}", phone=MOBILE),),
        )
        for n in range(1, 300)
    )
    book.put(Contacts(schools=many))
    path = contacts_path(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert f"{name} 77".encode() in path.read_bytes()
    assert book.remove("KZ-75-00077")
    assert not book.remove("KZ-75-00077")
    assert book.school("KZ-75-00077") is None
    left = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert f"{name} 77".encode() not in left and f"{name} 78".encode() in left
    # A newer record replaces an older one whole.
    book.put(Contacts(schools=(SchoolContacts(school="KZ-75-00078"),)))
    assert f"{name} 78".encode() not in path.read_bytes()


# Silent schools


def silences(office: Office, school: str, since_ms: int, *devices: tuple[str, str, Status]) -> None:
    told = [
        StatusChanged(
            school=school,
            device=d,
            kind=kind,
            status=status,
            since_ms=since_ms,
            decided_ms=since_ms,
        )
        for d, kind, status in (*devices, ("", "", Status.OFFLINE))
    ]
    office.desk.picture.status(told, since_ms)


async def test_a_silent_school_says_what_was_last_heard_of_each_device(office: Office) -> None:
    school = office.school_of(ALMATY)
    since_ms = time.time_ns() // 1_000_000 - 100_000
    silences(
        office,
        school,
        since_ms,
        ("gateway-1", "gateway", Status.OFFLINE),
        ("button-1", "panic_button", Status.ONLINE),
        ("turnstile-1", "turnstile", Status.RETIRED),
    )
    office.desk.picture.status(
        [
            StatusChanged(
                school=office.school_of(MANGYSTAU), status=Status.DEGRADED, since_ms=1, decided_ms=1
            )
        ],
        NOW_MS,
    )
    viewer = await office.person("viewer", Role.VIEWER)
    [told] = (await viewer.get("/api/silent")).json()
    assert (told["school"], told["since_ms"]) == (school, since_ms)
    devices = {one["device"]: one for one in told["devices"]}
    gateway = devices["gateway-1"]
    assert (gateway["state"], gateway["last_heard_ms"]) == ("offline", since_ms)
    assert (gateway["period_s"], gateway["misses"]) == (15, 6)
    button = devices["button-1"]
    assert (button["state"], button["last_heard_ms"], button["misses"]) == ("unknown", None, None)
    assert devices["turnstile-1"]["state"] == "retired"
    # And so says the school itself.
    own = (await viewer.get(f"/api/schools/{school}")).json()["devices"]
    assert own["button-1"]["status"] == "unknown"


async def test_who_else_is_silent_is_counted_within_the_reader_s_places(office: Office) -> None:
    for n, school in enumerate(office.desk.picture.schools.values()):
        school["provider"], school["district"] = "steppe-net", "Kosshy" if n % 2 else "Qosshy"
        silences(office, school["id"], NOW_MS + n)
    country = await office.person("country", Role.VIEWER)
    region = await office.person("region", Role.VIEWER, ALMATY)
    everywhere = (await country.get("/api/silent")).json()
    assert [one["since_ms"] for one in everywhere] == [NOW_MS + n for n in range(len(everywhere))]
    assert {one["same_provider"] for one in everywhere} == {len(office.schools) - 1}
    here = (await region.get("/api/silent")).json()
    assert {one["school"][:5] for one in here} == {ALMATY}
    assert {one["same_provider"] for one in here} == {len(here) - 1}
    areas = Counter((one["school"][:5], one["district"]) for one in everywhere)
    for one in everywhere:
        assert one["same_district"] == areas[one["school"][:5], one["district"]] - 1


async def test_a_region_is_told_of_its_own_part_of_an_outage_and_of_no_other_s(
    office: Office,
) -> None:
    here, there = office.school_of(ALMATY), office.school_of(MANGYSTAU)
    outage: dict[str, Any] = {"kind": AlertKind.OUTAGE, "school": "", "scope": "provider:x"}
    picture = office.desk.picture
    picture.alert(alert("theirs", members=[there], **outage), NOW_MS)
    many = [f"KZ-10-{n:05}" for n in range(1, 200)]
    picture.registered(
        [
            office.schools[0].model_copy(update={"school": id_, "region": "KZ-10", "center": ""})
            for id_ in many
        ]
    )
    picture.alert(
        alert("both", members=[*many, here], count=200, note="200 of 300", **outage), NOW_MS
    )
    viewer = await office.person("viewer", Role.VIEWER, ALMATY)
    snapshot = (await viewer.get("/api/snapshot")).json()
    [told] = snapshot["alerts"]
    assert (told["id"], told["members"], told["members_count"]) == ("both", [here], 1)
    assert (told["count"], told["note"]) == (1, "")
    assert snapshot["alerts_open"] == 1
    # It is over for whoever saw it, whichever schools are still silent then.
    picture.alert(alert("both", 1, Action.RESOLVED, members=[], **outage), NOW_MS)
    picture.alert(alert("theirs", 1, Action.RESOLVED, members=[], **outage), NOW_MS)
    eyes = office.desk.eyes(SimpleNamespace(cookies={}), next(iter(office.desk.people())))  # type: ignore[arg-type]
    changes = [
        office.desk.stream._text(eyes, c, False) for c in picture.since(snapshot["last"]) or []
    ]
    told_ids = ["both" in text for text in changes if text]
    assert told_ids == [True]


async def test_the_country_s_numbers_are_for_whose_the_country_is(office: Office) -> None:
    office.desk.picture.counted({"inside": 575_950, "at_ms": 1}, NOW_MS)
    for login, role, place, shown in (
        ("a", Role.VIEWER, ALMATY, False),
        ("b", Role.VIEWER, "*", False),
        ("c", Role.OPERATOR, ALMATY, False),
        ("d", Role.OPERATOR, "*", True),
    ):
        person = await office.person(login * 3, role, place)
        snapshot = (await person.get("/api/snapshot")).json()
        assert ("inside" in snapshot["numbers"]) is shown


# Finding one


async def found(person: Colleague, asked: str) -> list[str]:
    answer = await person.http.get("/api/search", params={"q": asked})
    return [school["id"] for school in answer.json()]


async def test_a_school_is_found_by_what_people_know_of_it(office: Office) -> None:
    operator = await office.person("aigerim", Role.OPERATOR)
    for known in office.schools[::7]:
        id_ = known.school
        for asked in (id_, id_.lower(), known.names.en, known.names.ru.upper(), known.names.kk):
            assert (await found(operator, asked))[0] == id_, asked
        assert id_ in await found(operator, f"{known.district.lower()} {id_[-5:]}")
        assert id_ in await found(operator, str(int(id_[-5:])) + " " + known.names.en[:4])


async def test_a_search_ends_somewhere_and_stays_within_one_s_places(office: Office) -> None:
    operator = await office.person("aigerim", Role.OPERATOR, MANGYSTAU)
    country = await office.person("country", Role.OPERATOR)
    assert len(await found(country, "kz")) == MOST_FOUND
    assert {id_[:5] for id_ in await found(operator, "kz")} == {MANGYSTAU}
    assert await found(operator, office.school_of(ALMATY)) == []
    for asked in ("", " ", "!?", "no such school", "x" * 5_000, "'; DROP TABLE schools --"):
        assert await found(country, asked) == []


# Addresses


async def test_each_page_has_an_address_and_others_are_said_to_be_none(office: Office) -> None:
    person = await office.person("viewer", Role.VIEWER)
    front = await person.get("/")
    for path in PAGES:
        page = await person.get(path.replace("{id}", "KZ-75-00001"))
        assert (page.status_code, page.text) == (200, front.text)
    for path in ("/nothing", "/alarm/a/b", "/school", "/школа"):
        page = await person.get(path)
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "There is no such page" in page.text
        assert page.headers["content-security-policy"] == HEADERS["content-security-policy"]
    for path in ("/api/nothing", "/api/schools", "/api/silent/x"):
        answer = await person.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_address")
    answer = await person.post("/api/silent")
    assert (answer.status_code, answer.json()["code"]) == (405, "no_method")


@pytest.mark.parametrize("path", ["/api/silent", "/api/search?q=a"])
async def test_nothing_is_told_to_who_is_not_signed_in(office: Office, path: str) -> None:
    stranger = Colleague(office.app, "x", "x")
    assert (await stranger.get(path)).status_code == 401
    await asyncio.sleep(0)
