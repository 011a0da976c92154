"""What one does about a silent school, from the list itself: call its provider, plan work. No police."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, Locator, Page, expect

from dashboards.console import users
from dashboards.console.access import Role
from schemas.alerts import AlertKind, Severity, Status
from schemas.contacts import Contact, ContactRole, Contacts, SchoolContacts
from tests.dashboards.console.made_up import MadeUp, now_ms, opened
from tests.dashboards.console.office import Office
from tests.dashboards.console.page import no_map, visit
from tests.dashboards.console.records import NOW_MS, alert, status

DESK, MOBILE = "+7 727 555 03 03", "+7 701 555 04 04"


async def test_the_provider_s_number_is_for_who_may_call_and_never_somebody_s_mobile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    office = Office(tmp_path)
    here, there = office.school_of("KZ-75"), office.school_of("KZ-47")
    role = ContactRole.PROVIDER
    mobile = Contact(role=role, name="net", phone=MOBILE, mobile=True)
    office.desk.contacts.put(
        Contacts(
            schools=(
                SchoolContacts(
                    school=here, contacts=(mobile, Contact(role=role, name="net", phone=DESK))
                ),
                SchoolContacts(school=there, contacts=(mobile,)),
            )
        )
    )
    office.desk.picture.status([status(id_, Status.OFFLINE) for id_ in (here, there)], NOW_MS)
    operator = await office.person("aigerim", Role.OPERATOR)
    told = {one["school"]: one for one in (await operator.get("/api/silent")).json()}
    assert {id_: one["provider_phone"] for id_, one in told.items()} == {here: DESK, there: ""}
    viewer = await office.person("viewer", Role.VIEWER)
    assert DESK not in (await viewer.get("/api/silent")).text
    # Without the book the list is there all the same.
    (tmp_path / "console" / "contacts.db").write_bytes(b"no database")
    broken = (await operator.get("/api/silent")).json()
    assert [one["provider_phone"] for one in broken] == ["", ""]


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_list_has_acts_of_its_own_and_none_of_the_police(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    school = made.schools[9]
    told = {"severity": Severity.WARNING, "school": school, "time_ms": now_ms() - 60_000}
    made.desk.picture.status([status(school, Status.OFFLINE, now_ms() - 60_000)], now_ms())
    made.say(
        [
            alert("blind", kind=AlertKind.PANIC_BLIND, **told),
            alert("gone", kind=AlertKind.SCHOOL_OFFLINE, **told),
        ]
    )
    try:
        async with opened(browser, made, path="/components") as page:
            await page.route("**/maplibre-gl.mjs", no_map)
            await visit(page, "/silent")
            card = card_of(page, school)
            await expect(card.locator(".acts a").nth(1)).to_contain_text("Call the provider")
            await expect(card.locator("a[href^='tel:']")).to_have_count(1)
            await expect(card.locator("[data-took]")).to_have_count(0)
            # What can be silenced, and not the school that could not send a panic.
            await card.get_by_text("Plan work").click()
            await expect(page.locator("#takeover")).to_have_attribute("data-id", "gone")
            await expect(page.locator("[data-took=silenced]")).to_be_visible()
        async with opened(browser, made, "viewer", "/silent") as page:
            await expect(card_of(page, school)).to_be_visible()
            await expect(card_of(page, school).locator("a[href^='tel:']")).to_have_count(0)
            await expect(card_of(page, school).get_by_text("Plan work")).to_have_count(0)
    finally:
        made.desk.picture.status([status(school, Status.ONLINE, now_ms())], now_ms())
        made.quiet()


def card_of(page: Page, school: str) -> Locator:
    return page.locator(f"#silent [data-school={school}]")
