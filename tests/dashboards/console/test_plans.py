"""Floor plans: for an alarm of the school, or after a look that is logged; wholly removed with the school."""

import struct
import zlib
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, expect

from dashboards.console import users
from dashboards.console.access import Role
from dashboards.console.audit import entries
from dashboards.console.contacts import contacts_path
from schemas.contacts import FloorPlan
from tests.dashboards.console.made_up import MadeUp, opened
from tests.dashboards.console.office import Office


def png(side: int = 8) -> bytes:
    """A grey square (PNG, third edition)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = zlib.compress((b"\0" + b"\x99" * side) * side)
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    office = Office(tmp_path)
    for region in ("KZ-75", "KZ-47"):
        for floor in ("1", "2"):
            school = office.school_of(region)
            office.desk.contacts.put_plan(FloorPlan(school=school, floor=floor, image=png()))
    return office


async def test_a_plan_is_for_an_alarm_of_this_school_or_after_a_look(office: Office) -> None:
    here, there = office.school_of("KZ-75"), office.school_of("KZ-47")
    operator = await office.person("aigerim", Role.OPERATOR)
    plan = f"/api/schools/{here}/plans/1"
    assert (await operator.get(plan)).json()["code"] == "look_first"
    assert (await operator.get(f"/api/schools/{here}")).json()["floors"] == []
    office.panic("here", here)
    told = (await operator.get(f"/api/schools/{here}?for=here")).json()
    assert told["floors"] == ["1", "2"]
    said = await operator.get(f"{plan}?for=here")
    assert (said.status_code, said.headers["content-type"]) == (200, "image/png")
    assert said.content == png()
    [entry] = entries(office.desk.audit.folder, 1)
    assert (entry["did"], entry["school"], entry["who"]) == ("plan.seen", here, "aigerim")
    # An alarm of another school opens nothing.
    assert (await operator.get(f"/api/schools/{there}/plans/1?for=here")).status_code == 403
    look = await operator.post(f"/api/schools/{there}/look")
    assert look.json()["floors"] == ["1", "2"]
    assert (await operator.get(f"/api/schools/{there}/plans/2")).status_code == 200
    assert (await operator.get(f"/api/schools/{there}/plans/3")).json()["code"] == "no_plan"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
async def test_who_looks_on_sees_no_plan(office: Office, role: Role) -> None:
    here = office.school_of("KZ-75")
    office.panic("here", here)
    person = await office.person("viewer", role)
    assert (await person.get(f"/api/schools/{here}/plans/1?for=here")).status_code == 403
    assert "floors" not in (await person.get(f"/api/schools/{here}?for=here")).json()
    far = await office.person("far", Role.OPERATOR, "KZ-47")
    assert (await far.get(f"/api/schools/{here}/plans/1?for=here")).status_code == 404


def test_a_removed_school_s_plans_are_gone_and_no_byte_of_them_stays(office: Office) -> None:
    here, there = office.school_of("KZ-75"), office.school_of("KZ-47")
    marked = png() + b"MARKED" * 9
    office.desk.contacts.put_plan(FloorPlan(school=here, floor="1", image=marked))
    assert office.desk.contacts.remove(here)
    assert office.desk.contacts.floors(here) == []
    assert b"MARKED" not in contacts_path(office.settings.var).read_bytes()
    assert office.desk.contacts.floors(there) == ["1", "2"]
    assert not office.desk.contacts.remove(here)


def test_what_is_no_picture_is_no_plan() -> None:
    with pytest.raises(ValueError, match="PNG or a JPEG"):
        _ = FloorPlan(school="KZ-75-00001", floor="1", image=b"<svg onload=x>").type


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_an_alarm_s_plan_opens_at_its_school(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    made.panics(1)
    made.desk.contacts.put_plan(FloorPlan(school=made.schools[0], floor="2", image=png(64)))
    async with opened(browser, made, path="/alarm/p-0") as page:
        plan = page.locator("#takeover-reach .plan")
        await expect(plan.locator("img")).to_have_count(0)  # nobody has looked at it yet
        await plan.locator("summary").click()
        await expect(plan.locator("img")).to_have_js_property("naturalWidth", 64)
        await expect(plan.locator("img")).to_have_attribute("alt", "Floor plan: 2")
        # Who usually comes at this hour stands beside who came.
        await expect(page.locator(".flow path.expected")).to_have_count(1)
    made.quiet()
