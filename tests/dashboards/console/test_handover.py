"""A hand-over, its note and its acceptance stay within the places of both."""

import asyncio
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboards.console import users
from dashboards.console.access import Person, Role
from dashboards.console.audit import entries, months
from dashboards.console.said import NotSaid
from dashboards.console.shift import LONGEST_MS, Offer, Shifts, may_accept, offers_path
from schemas.steps import StepTaken, Took
from tests.dashboards.console.office import Colleague, Office

NOTE = "pupil Aliya A. hides in room 12"
MANGYSTAU, ALMATY = "KZ-47", "KZ-75"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.panic("there", office.school_of(MANGYSTAU))
    office.panic("here", office.school_of(ALMATY))
    return office


async def offered(giver: Colleague, **more: str) -> str:
    said = await giver.post("/api/shift/offer", {"note": NOTE, **more})
    assert said.status_code == 200, said.text
    return str(said.json()["offer"])


async def test_who_is_of_another_region_neither_reads_nor_accepts_it(office: Office) -> None:
    op47 = await office.person("op47", Role.OPERATOR, MANGYSTAU)
    op75 = await office.person("op75", Role.OPERATOR, ALMATY)
    colleague = await office.person("op47b", Role.OPERATOR, MANGYSTAU)
    assert (await op47.step("there", "acknowledged")).status_code == 200
    offer = await offered(op47)
    assert NOTE not in (await op75.get("/api/shift")).text
    assert (await op75.post("/api/shift/accept", {"offer": offer})).status_code == 409
    assert (await op75.post("/api/shift/withdraw", {"offer": offer})).status_code == 409
    assert office.desk.picture.panics["there"]["assigned_to"] == ""
    # It is still there for those of the region.
    [told] = (await colleague.get("/api/shift")).json()["offers"]
    assert (told["note"], told["alerts"]) == (NOTE, ["there"])
    assert (await colleague.post("/api/shift/accept", {"offer": offer})).status_code == 200
    assert office.desk.picture.panics["there"]["assigned_to"] == "op47b"
    assert not offers_path(office.settings.var).read_text().count("Aliya")


async def test_a_region_does_not_take_over_the_country_and_the_country_may(office: Office) -> None:
    country = await office.person("country", Role.OPERATOR)
    region = await office.person("region", Role.OPERATOR, ALMATY)
    for giver, taker, status in ((country, region, 409), (region, country, 200)):
        offer = await offered(giver)
        seen = (await taker.get("/api/shift")).json()["offers"]
        assert (NOTE in str(seen)) is (status == 200)
        assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == status


async def test_an_offer_without_an_alarm_keeps_its_note_within_the_region_too(
    tmp_path: Path,
) -> None:
    office = Office(tmp_path)
    op47 = await office.person("op47", Role.OPERATOR, MANGYSTAU)
    op75 = await office.person("op75", Role.OPERATOR, ALMATY)
    offer = await offered(op47)
    assert (await op75.get("/api/shift")).json()["offers"] == []
    assert (await op75.post("/api/shift/accept", {"offer": offer})).status_code == 409


async def test_a_place_that_nobody_is_in_hides_it_from_everybody_else(office: Office) -> None:
    typo = await office.person("typo", Role.OPERATOR, "var")
    op75 = await office.person("op75", Role.OPERATOR, ALMATY)
    await offered(typo)
    assert (await op75.get("/api/shift")).json()["offers"] == []


async def test_what_was_handed_on_is_not_the_first_giver_s_any_more(office: Office) -> None:
    a, b, c, d = [
        await office.person(name, Role.OPERATOR, ALMATY) for name in ("aa", "bb", "cc", "dd")
    ]
    await a.step("here", "acknowledged")
    for giver, taker in ((a, b), (b, c)):
        offer = await offered(giver)
        assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == 200
    assert office.desk.picture.panics["here"]["assigned_to"] == "cc"
    offer = await offered(a)
    assert (await d.post("/api/shift/accept", {"offer": offer})).status_code == 200
    assert office.desk.picture.panics["here"]["assigned_to"] == "cc"


async def test_whose_places_have_changed_meanwhile_takes_only_what_is_theirs(
    office: Office,
) -> None:
    giver = await office.person("giver", Role.OPERATOR, ALMATY, MANGYSTAU)
    taker = await office.person("taker", Role.OPERATOR, ALMATY, MANGYSTAU)
    for alarm in ("here", "there"):
        await giver.step(alarm, "acknowledged")
    offer = await offered(giver)
    office.desk.users.change("taker", places=[ALMATY])
    assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == 409
    assert office.steps[-1].took is Took.ACKNOWLEDGED


async def test_of_many_who_accept_at_once_one_has_it(office: Office) -> None:
    giver = await office.person("giver", Role.OPERATOR)
    takers = [await office.person(f"taker{n}", Role.OPERATOR) for n in range(4)]
    await giver.step("here", "acknowledged")
    offer = await offered(giver)
    said = await asyncio.gather(*(t.post("/api/shift/accept", {"offer": offer}) for t in takers))
    assert sorted(answer.status_code for answer in said) == [200, 409, 409, 409]
    assert [step.took for step in office.steps] == [Took.ACKNOWLEDGED, Took.ASSIGNED]


async def test_what_kafka_does_not_take_stays_on_offer(office: Office) -> None:
    giver, taker = [await office.person(name, Role.OPERATOR) for name in ("giver", "taker")]
    await giver.step("here", "acknowledged")
    offer = await offered(giver)
    taken = office.desk.said.step

    async def away(_: StepTaken) -> None:
        raise NotSaid("Kafka did not take it: no answer")

    office.desk.said.step = away  # type: ignore[method-assign,assignment]
    assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == 503
    office.desk.said.step = taken  # type: ignore[method-assign]
    assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == 200


async def test_an_offer_to_one_person_is_theirs_alone_and_may_be_withdrawn(office: Office) -> None:
    giver, taker, other = [
        await office.person(name, Role.OPERATOR, ALMATY) for name in ("giver", "taker", "other")
    ]
    stranger = await office.person("stranger", Role.OPERATOR, MANGYSTAU)
    refused = await giver.post("/api/shift/offer", {"note": NOTE, "to": stranger.login})
    assert (refused.status_code, refused.json()["code"]) == (409, "other_place")
    offer = await offered(giver, to="taker")
    assert (await other.get("/api/shift")).json()["offers"] == []
    assert (await other.post("/api/shift/accept", {"offer": offer})).status_code == 409
    assert (await taker.post("/api/shift/withdraw", {"offer": offer})).status_code == 403
    assert (await giver.post("/api/shift/withdraw", {"offer": offer})).status_code == 200
    assert (await taker.post("/api/shift/accept", {"offer": offer})).status_code == 409


async def test_nobody_is_assigned_who_is_not_there_for_the_school(office: Office) -> None:
    country = await office.person("country", Role.OPERATOR)
    await office.person("op47", Role.OPERATOR, MANGYSTAU)
    await office.person("viewer", Role.VIEWER)
    for target, code in (
        ("op47", "other_place"),
        ("viewer", "no_colleague"),
        ("x", "no_colleague"),
    ):
        refused = await country.step("here", "assigned", target=target)
        assert refused.json()["code"] == code
    assert (await country.step("there", "assigned", target="op47")).status_code == 200


async def test_who_may_be_asked_is_told_for_one_s_own_places(office: Office) -> None:
    op75 = await office.person("op75", Role.OPERATOR, ALMATY)
    for login, role, place in (
        ("near", Role.OPERATOR, ALMATY),
        ("center", Role.OPERATOR, f"{ALMATY}-ocs"),
        ("country", Role.SUPERVISOR, "*"),
        ("far", Role.OPERATOR, MANGYSTAU),
        ("viewer", Role.VIEWER, ALMATY),
    ):
        office.desk.users.put(login, login, role, [place])
    me = (await op75.get("/api/me")).json()
    assert me["people"] == ["center", "country", "near", "op75"]
    assert set(me["names"]) == set(me["people"])


async def test_the_log_names_what_was_handed_over_and_not_a_word_of_the_note(
    office: Office,
) -> None:
    giver, taker = [await office.person(name, Role.OPERATOR) for name in ("giver", "taker")]
    await giver.step("here", "acknowledged", note=NOTE)
    await taker.post("/api/shift/accept", {"offer": await offered(giver)})
    log = office.desk.audit
    assert "Aliya" not in "".join(path.read_text() for path in months(log.folder))
    accepted = entries(log.folder, 1)[0]
    assert (accepted["giver"], accepted["alerts"]) == ("giver", ["here"])
    steps = [entry for entry in entries(log.folder, 9) if entry["did"] == "step"]
    assert [entry["step"] for entry in steps] == [step.id for step in reversed(office.steps)]


def test_an_old_offer_is_over(tmp_path: Path) -> None:
    shifts = Shifts(tmp_path / "offers.json")
    shifts.offer(Offer(id="o", by="a", places=("*",), at_ms=0, note="", alerts=()))
    assert len(Shifts(tmp_path / "offers.json").offers(LONGEST_MS - 1)) == 1
    assert shifts.offers(LONGEST_MS) == []


def test_a_center_s_shift_is_for_whom_all_its_schools_are() -> None:
    schools = {
        "a": {"region": "KZ-75", "center": "almaty"},
        "b": {"region": "KZ-19", "center": "almaty"},
    }
    offer = Offer(id="o", by="x", places=("almaty",), at_ms=0, note="", alerts=())
    for places, may in ((("KZ-75", "KZ-19"), True), (("KZ-75",), False), (("almaty",), True)):
        person = Person("p", "P", Role.OPERATOR, places)
        assert may_accept(person, offer, schools, []) is may
