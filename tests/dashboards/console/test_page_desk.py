"""The desk under an operator's hands: what takes over, what a key acts on, where drafts and answers stay."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from schemas.alerts import Action
from schemas.steps import Took
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms, opened
from tests.dashboards.console.page import (
    by_another,
    ready,
    shows,
)
from tests.dashboards.console.records import acted, alert

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STARTED = """() => {
    document.querySelector("#sound-yes").click();
    return document.body.dataset.siren;
}"""


async def test_from_load_to_close_by_keyboard_in_three_keys_and_only_a_close_asks(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(38)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await expect(page.locator("#takeover")).to_be_focused()
        await ready(page)
        await page.keyboard.press("a")
        await expect(page.locator("#takeover-said")).to_contain_text("acknowledged ✓")
        await expect(page.locator("[data-took=acknowledged]")).to_have_count(0)
        await page.keyboard.press("c")
        await expect(page.locator("#close-dialog [data-outcome=real]")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#takeover-state")).to_contain_text("real · aigerim")
        assert [(step.alert, step.took.value) for step in made.steps] == [
            ("p-0", "acknowledged"),
            ("p-0", "closed"),
        ]
        # And on to the next, by key.
        await page.keyboard.press("n")
        await shows(page, "p-1")
        await page.keyboard.press("k")
        await shows(page, "p-37")
    made.quiet()


async def test_a_dialog_owns_the_keyboard_and_a_new_panic_is_announced_over_it(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        await page.keyboard.press("c")
        await page.keyboard.press("a")
        await page.keyboard.press("d")
        made.panics(1, "new", duress=True)
        await expect(page.locator("#close-dialog .announce")).to_contain_text("1 more wait")
        await page.keyboard.press("Escape")
        await expect(page.locator("#close-dialog")).to_have_count(0)
        await shows(page, "p-0")
        assert made.steps == []
    made.quiet()


async def test_escape_leaves_this_one_only_and_it_comes_back_after_a_minute(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    context = await context_of(browser, made, "aigerim")
    page = await context.new_page()
    await page.clock.install()
    await page.goto("/")
    await shows(page, "p-0")
    await page.clock.run_for(1_200)
    await page.keyboard.press("Escape")
    await page.clock.run_for(1_500)
    await shows(page, "p-1")
    await page.keyboard.press("Escape")
    await expect(page.locator("#takeover")).to_have_count(0)
    await page.clock.run_for(61_000)
    await shows(page, "p-0")
    await context.close()
    made.quiet()


async def test_what_another_took_stays_under_the_hands_of_who_types(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        note = page.locator("#takeover-note")
        await note.click()
        await page.keyboard.type("the head is on the ")
        by_another(made, "p-0")
        await expect(page.locator("#takeover-state")).to_contain_text("bolat")
        await page.keyboard.type("telephone")
        await shows(page, "p-0")
        await expect(note).to_be_focused()
        await expect(note).to_have_value("the head is on the telephone")
        await expect(page.locator("#takeover-next")).to_be_visible()
        # A draft belongs to its alarm: it is there again, and nowhere else.
        await page.locator("#takeover-next").click()
        await shows(page, "p-1")
        await expect(note).to_have_value("")
        await page.go_back()
        await shows(page, "p-0")
        await expect(note).to_have_value("the head is on the telephone")
    made.quiet()


async def test_a_refusal_names_its_school_wherever_one_looks(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    school = made.desk.picture.schools[made.schools[0]]["names"]["en"]
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        held, answered = asyncio.Event(), asyncio.Event()

        async def late(route: Any) -> None:
            await held.wait()
            await route.continue_()
            answered.set()

        await page.route("**/steps", late)
        async with page.expect_request("**/steps"):
            await page.keyboard.press("a")
        await page.keyboard.press("n")
        await shows(page, "p-1")
        made.desk.picture.step(acted(Took.ACKNOWLEDGED, "bolat", "p-0"), now_ms(), 1)
        held.set()
        elsewhere = page.locator(".elsewhere")
        await expect(elsewhere).to_contain_text(school)
        await expect(elsewhere).to_contain_text("Somebody was first: bolat")
        await expect(page.locator("#takeover-said")).to_have_text("")
    made.quiet()


async def test_duress_comes_first_and_a_drill_last(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    made.panics(1, "drill", drill=True)
    made.panics(2, "one", score=1)
    made.panics(1, "two", score=3)
    made.panics(1, "forced", duress=True)
    async with opened(browser, made) as page:
        await shows(page, "forced-0")
        queue = page.locator("#panic-list li")
        for n, id_ in enumerate(("forced-0", "two-0", "one-0", "one-1", "drill-0")):
            await expect(queue.nth(n)).to_have_attribute("data-id", id_)
        await expect(queue).to_have_count(5)
        await expect(page.locator("#panic-list li[data-id=forced-0] .flag.bad")).to_have_text(
            "duress"
        )
    made.quiet()


async def test_one_answer_to_all_presses_of_one_button_and_to_no_other(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    school, when = made.schools[3], now_ms() - 60_000
    told: dict[str, dict[str, Any]] = {
        "mad-0": {},
        "mad-1": {},
        "mad-2": {},
        "duress": {"duress": True, "time_ms": when + 50},
        "other": {"device": "button-2"},
    }
    made.say(
        alert(id_, **{"school": school, "device": "button-1", "time_ms": when + n, **more})
        for n, (id_, more) in enumerate(told.items())
    )
    async with opened(browser, made, path="/alarm/mad-0") as page:
        await ready(page)
        await expect(page.locator("#takeover-alike")).to_contain_text("all 3 presses")
        await page.locator("#takeover-alike").click()
        await expect(page.locator("#takeover-said")).to_contain_text("✓")
        assert sorted(step.alert for step in made.steps) == ["mad-0", "mad-1", "mad-2"]
    made.quiet()


async def test_the_siren_starts_with_arming_and_another_tone_says_that_nothing_is_told(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await page.locator("#sound-arm").click()
        await expect(page.locator("#sound-volume")).to_be_visible()
        # At once, and not with the next event.
        assert await page.evaluate(STARTED) == "on"
        made.fresh_ms = now_ms() - 60_000
        await expect(page.locator("body")).to_have_attribute("data-siren", "lost")
        made.fresh_ms = None
        await expect(page.locator("body")).to_have_attribute("data-siren", "on")
        by_another(made, "p-0")
        await expect(page.locator("body")).to_have_attribute("data-siren", "off")
    made.quiet()


async def test_a_shift_s_list_is_in_order_and_an_offer_is_seen_from_everywhere(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(3)
    by_another(made, "p-0")
    async with opened(browser, made, "bolat", "/shift") as page:
        first = page.locator("#shift-list li a")
        await expect(first).to_have_count(3)
        await expect(first.last).to_have_attribute("href", "/alarm/p-0")
        await page.locator("#shift .check input").check()
        await expect(page).to_have_url(f"{made.url}/shift?mine=yes")
        await expect(first).to_have_count(1)
        await page.locator("#shift-offer").click()
        await expect(page.locator("#shift-said")).to_contain_text("another operator")
        async with opened(browser, made, "saule", "/silent") as other:
            await expect(other.locator("#shift-open .badge")).to_have_text("1")
            await other.goto("/audit")
            await expect(other.locator("#audit thead th")).to_have_count(6)
            await expect(other.locator("#audit-rows")).to_contain_text("offered a shift")
    made.quiet()


async def test_a_press_after_the_close_was_asked_for_is_not_closed_with_it(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    school = made.schools[0]
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        await page.keyboard.press("c")
        made.say(
            [
                alert(
                    "p-0",
                    1,
                    Action.UPDATED,
                    school=school,
                    device="button-1",
                    time_ms=now_ms(),
                    count=2,
                )
            ]
        )
        await expect(page.locator("#takeover-flags")).to_contain_text("2 presses")
        await page.locator("#close-dialog [data-outcome=false]").click()
        await expect(page.locator("#takeover-said")).to_contain_text("changed meanwhile")
        assert made.steps == []
    made.quiet()
