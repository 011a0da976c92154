"""A panic from press to close with two operators, in real browsers, on real panic workers."""

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from tests.dashboards.console.conftest import Live
from tests.dashboards.console.signed_in import signed_in

pytestmark = [
    pytest.mark.broker,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]


def button(page: Page, took: str) -> Locator:
    return page.locator(f"#takeover-actions:not(.changing) [data-took={took}]")


async def close(page: Page, outcome: str) -> None:
    """Only a close asks."""
    await button(page, "closed").click()
    await page.locator(f"#close-dialog [data-outcome={outcome}]").click()


async def arm_sound(page: Page) -> None:
    await page.locator("#sound-arm").click()
    await page.locator("#sound-yes").click()
    await expect(page.locator("body")).to_have_attribute("data-sound", "armed")
    await expect(page.locator("#sound-bar")).to_have_count(0)


async def test_a_panic_is_played_from_press_to_close_by_two_operators(
    browser: Browser, live: Live
) -> None:
    school = live.schools[20]
    async with signed_in(browser, live, "aigerim") as one, signed_in(browser, live, "bolat") as two:
        await arm_sound(one)
        await expect(one.locator("#takeover")).to_have_count(0)
        live.press(school.id)
        for page in (one, two):
            await expect(page.locator("#takeover-title")).to_have_text(school.en)
            await expect(page.locator("#takeover-school")).to_contain_text("inside now")
        await expect(one.locator("body")).to_have_attribute("data-siren", "on")
        await expect(two.locator("body")).to_have_attribute("data-siren", "off")

        # Both at once: neither wish goes on before both were made. Who was later is told who was first.
        both_wished = asyncio.Barrier(2)

        async def together(route: Route) -> None:
            await both_wished.wait()
            await route.continue_()

        for page in (one, two):
            await page.route("**/api/alerts/*/steps", together)
        await asyncio.gather(*(button(page, "acknowledged").click() for page in (one, two)))
        said = [page.locator("#takeover-said") for page in (one, two)]
        for words in said:
            await expect(words).not_to_be_empty()
        for page in (one, two):
            await page.unroute("**/api/alerts/*/steps")
        texts = [await words.inner_text() for words in said]
        winner = 0 if texts[0].startswith("acknowledged") else 1
        logins = ("aigerim", "bolat")
        assert texts[1 - winner].startswith(f"Somebody was first: {logins[winner]} · acknowledged")
        for page in (one, two):
            await expect(page.locator("#takeover-state")).to_contain_text(logins[winner])
            await expect(page.locator("[data-took=acknowledged]")).to_have_count(0)
        await expect(one.locator("body")).to_have_attribute("data-siren", "off")

        await two.locator("#takeover-note").fill("crew 7")
        await button(two, "dispatched").click()
        await expect(one.locator("#takeover-state")).to_contain_text("dispatched")
        await button(one, "arrived").click()
        await expect(two.locator("#takeover-state")).to_contain_text("arrived")
        await close(one, "false")
        for page in (one, two):
            await expect(page.locator("#takeover-timeline")).to_contain_text("aigerim · false")
            await expect(page.locator("#takeover-timeline")).to_contain_text("crew 7")
            await expect(page.locator("#panic-count")).to_have_text("0")
            await page.locator("#takeover-back").click()
            await expect(page.locator("#takeover")).to_have_count(0)
            await expect(page.locator("#recent li")).to_contain_text(school.en)


async def test_a_page_is_signed_in_by_its_form_and_ends_with_the_sign_out(
    browser: Browser, live: Live
) -> None:
    context = await browser.new_context(locale="en-GB", base_url=live.url)
    page = await context.new_page()
    await page.goto("/")
    await expect(page.locator("#sign-in")).to_be_visible()
    await page.locator("#login").fill("saule")
    await page.locator("#password").fill("not this")
    await page.locator("#password").press("Enter")
    await expect(page.locator("#sign-in-said")).to_have_text("Wrong login or password.")
    await page.locator("#password").fill(live.passwords["saule"])
    await page.locator("#password").press("Enter")
    await expect(page.locator("#who-name")).to_have_text("Saule · supervisor")
    await expect(page.locator("#regions tbody tr").first).to_be_visible()
    await page.locator("#audit-open").click()
    await expect(page.locator("#audit-chain")).to_contain_text("The chain is whole")
    await expect(page.locator("#audit-rows")).to_contain_text("sign-in refused")
    await page.locator("#sign-out").click()
    await expect(page.locator("#sign-in")).to_be_visible()
    await expect(page.locator("#regions")).to_have_count(0)
    await context.close()


async def test_a_shift_is_handed_over_with_what_is_open(browser: Browser, live: Live) -> None:
    school = live.schools[21]
    async with signed_in(browser, live, "aigerim") as one, signed_in(browser, live, "bolat") as two:
        live.press(school.id)
        await expect(one.locator("#takeover-title")).to_have_text(school.en)
        await button(one, "acknowledged").click()
        await expect(one.locator("#takeover-said")).to_contain_text("acknowledged")
        await one.locator("#shift-open").click()
        await expect(one.locator("#shift-list")).to_contain_text(school.en)
        await one.locator("#shift-note").fill("one crew is out")
        await one.locator("#shift-offer").click()
        await expect(one.locator("#shift-said")).to_contain_text("another operator")
        await two.locator("#shift-open").click()
        await expect(two.locator("#shift-offers")).to_contain_text("one crew is out")
        await two.locator("#shift-offers button").click()
        await expect(two.locator("#shift-said")).to_contain_text("accepted")
        await two.locator("#shift-list a").first.click()
        await expect(two.locator("#takeover-state")).to_contain_text("assigned to bolat")
        await close(two, "real")
        await expect(two.locator("#takeover-timeline")).to_contain_text("bolat · real")


async def test_times_are_the_country_s_wherever_the_browser_is(
    browser: Browser, live: Live
) -> None:
    school = live.schools[23]
    async with signed_in(browser, live, "viewer", timezone_id="America/New_York") as page:
        pressed_ms = live.press(school.id)
        shown = page.locator("#panic-list li", has_text=school.en)
        hours = datetime.fromtimestamp(pressed_ms / 1000, timezone(timedelta(hours=5)))
        await expect(shown).to_contain_text(hours.strftime("%H:%M:%S"))
        await expect(page.locator("#clock")).to_contain_text("UTC+5")
        await page.goto(f"/school/{school.id}")
        await expect(page.locator("#school")).to_contain_text("never heard")


async def test_who_only_looks_on_has_no_buttons_and_a_removed_user_is_out_at_once(
    browser: Browser, live: Live
) -> None:
    school = live.schools[22]
    async with signed_in(browser, live, "engineer") as page:
        live.press(school.id)
        shown = page.locator("#panic-list li", has_text=school.en)
        await shown.get_by_role("link").click()
        await expect(page.locator("#takeover-title")).to_have_text(school.en)
        await expect(page.locator("#takeover-actions button")).to_have_count(0)
        await expect(page.locator("#takeover-school")).not_to_contain_text("inside now")
        live.users.remove("engineer")
        await expect(page.locator("#sign-in")).to_be_visible()
