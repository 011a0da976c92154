"""Every place has an address, nobody sees more than their own, and what is not shown is said."""

import pytest
from playwright.async_api import Browser, expect

from schemas.alerts import AlertKind, Severity
from tests.dashboards.console.made_up import MadeUp, now_ms, opened
from tests.dashboards.console.page import no_map
from tests.dashboards.console.records import alert

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_every_address_keeps_its_place(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    async with opened(browser, made, "viewer", "/components") as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        await page.goto("/")
        await page.locator("#alerts li a", has_text="outage").click()
        await expect(page).to_have_url(f"{made.url}/alarm/outage")
        await page.reload()
        await expect(page.locator("#takeover-title")).to_have_text(
            "provider caspian-link, West Kazakhstan"
        )
        await page.go_back()
        await expect(page.locator("#side")).to_be_visible()
        await page.go_forward()
        await expect(page.locator("#takeover-title")).to_be_visible()
        await page.goto("/alerts")
        await page.locator("select[name=kind]").select_option("school_offline")
        await expect(page).to_have_url(f"{made.url}/alerts?kind=school_offline")
        await page.reload()
        await expect(page.locator("select[name=kind]")).to_have_value("school_offline")
        for path, text in (
            ("/alarm/nothing", "no such alarm"),
            ("/region/KZ-00", "may not see"),
            ("/shift", "does not see"),
            ("/audit", "does not see"),
            ("/school/KZ-99-99999", "may not see"),
        ):
            await page.goto(path)
            await expect(page.locator("#content")).to_contain_text(text)
        # As an address of before.
        await page.goto(f"/#school={made.schools[3]}")
        await expect(page).to_have_url(f"{made.url}/school/{made.schools[3]}")


async def test_a_region_s_viewer_sees_its_schools_and_no_number_of_the_country(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    async with opened(browser, made, "regional") as page:
        errors: list[str] = []
        page.on(
            "console",
            lambda said: errors.append(said.text) if "could not be loaded" in said.text else None,
        )
        await page.reload()
        await page.wait_for_selector("body[data-map=ready]", timeout=20_000)
        await expect(page.locator("#counters [data-n=online]")).to_have_text(
            str(sum("KZ-75" in id_ for id_ in made.schools))
        )
        await expect(page.locator("#counters [data-n=inside]")).to_have_count(0)
        await expect(page.locator("#counters [data-n=passes_last_minute]")).to_have_count(0)
        await expect(page.locator("#regions tbody tr")).to_have_count(1)
        assert errors == []


async def test_of_everything_there_is_more_than_is_shown_and_it_is_said(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    told = {"severity": Severity.WARNING, "kind": AlertKind.SECURITY}
    made.say(
        alert(f"s-{n}", school=made.schools[n % 60], device=f"d-{n}", time_ms=now_ms() - n, **told)
        for n in range(230)
    )
    made.panics(430)
    async with opened(browser, made, "viewer") as page:
        await expect(page.locator("#panics-more")).to_have_text("+30 more")
        await expect(page.locator("#panic-list li").first).to_have_attribute("data-id", "p-0")
        await page.locator("#panics-more").click()
        await expect(page.locator("#all-alerts h1 b")).to_have_text("430")
        await page.locator("#all-alerts .more").click()
        await expect(page.locator("#all-alerts tbody tr")).to_have_count(200)
        await page.goto("/alerts")
        await expect(page.locator("#all-alerts .note")).to_have_text(
            "30 more are open and not loaded here."
        )
    made.quiet()
