"""A shift that is offered to somebody by name may be refused: the giver keeps it, and is told."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, expect

from dashboards.console import users
from dashboards.console.access import Role
from dashboards.console.audit import entries
from tests.dashboards.console.made_up import MadeUp, opened
from tests.dashboards.console.office import Office


async def test_who_was_named_refuses_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    office = Office(tmp_path)
    office.panic("a", office.school_of("KZ-75"))
    aigerim, bolat, saule = [
        await office.person(name, Role.OPERATOR) for name in ("aigerim", "bolat", "saule")
    ]
    offered = await aigerim.post("/api/shift/offer", {"note": "quiet", "to": "bolat"})
    offer = {"offer": offered.json()["offer"]}
    assert (await saule.post("/api/shift/refuse", offer)).status_code == 409  # not there for her
    assert (await aigerim.post("/api/shift/refuse", offer)).json()["code"] == "not_yours"
    assert (await bolat.post("/api/shift/refuse", offer)).status_code == 200
    assert (await bolat.get("/api/shift")).json()["offers"] == []
    [kept] = (await aigerim.get("/api/shift")).json()["offers"]
    assert kept["refused_by"] == "bolat"
    # What is refused can't be accepted any more; nothing was handed over.
    for path in ("accept", "refuse"):
        assert (await bolat.post(f"/api/shift/{path}", offer)).status_code == 409
    assert office.steps == []
    did = [one["did"] for one in entries(office.desk.audit.folder, 20)]
    assert did.count("shift.refused") == 1
    again = await aigerim.post("/api/shift/offer", {"to": "saule"})
    offer = {"offer": again.json()["offer"]}
    assert (await saule.post("/api/shift/accept", offer)).status_code == 200
    # An offer to anybody is refused by nobody.
    anybody = {"offer": (await aigerim.post("/api/shift/offer", {})).json()["offer"]}
    assert (await bolat.post("/api/shift/refuse", anybody)).status_code == 403


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_giver_sees_by_whom_the_shift_was_refused(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    async with (
        opened(browser, made, "aigerim", "/shift") as giver,
        opened(browser, made, "bolat", "/silent") as named,
    ):
        await giver.locator("#shift-to").select_option("bolat")
        await giver.locator("#shift-offer").click()
        await expect(giver.locator("#shift-offers li")).to_contain_text("to bolat")
        await named.goto("/shift")
        await named.locator("#shift-offers .refuse").click()
        await expect(named.locator("#shift-said")).to_contain_text("You have refused")
        await expect(named.locator("#shift-offers li")).to_have_count(0)
        await giver.reload()
        await expect(giver.locator("#shift-offers .bad")).to_contain_text("bolat")
        await giver.locator("#shift-offers button", has_text="Withdraw").click()
        await expect(giver.locator("#shift-offers li")).to_have_count(0)
    made.quiet()
