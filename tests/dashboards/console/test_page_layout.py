"""The page on every screen and for everybody: width, reach, contrast, targets."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.dashboards.console.made_up import MadeUp, opened
from tests.dashboards.console.page import (
    AXE,
    ask_to_close,
    axe,
    escape,
    looked_at,
    no_map,
    out_of_reach,
    still,
    visit,
    wrong,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDTHS = (390, 1366, 1440, 1920, 3840)


COUNTS = (0, 1, 5, 60, 300)


async def test_the_page_is_as_wide_as_the_screen_with_any_number_of_panics(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    async with opened(browser, made, "saule") as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        for count in COUNTS:
            made.quiet()
            await visit(page, "/")
            made.panics(count, f"of-{count}")
            await expect(page.locator("#panic-count")).to_have_text(str(count))
            if count:
                await expect(page.locator("#takeover-title")).to_be_visible()
            await still(page)
            for width in WIDTHS:
                height = 2160 if width == 3840 else 800
                assert await out_of_reach(page, width, height) == [], (count, width)
    made.quiet()


async def test_what_an_operator_needs_is_seen_before_the_first_scroll(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(38, duress=True, score=3, why=["duress"])
    async with opened(browser, made) as page:
        await expect(page.locator("#takeover-reach .pressed")).to_contain_text("pressed here")
        # Mobiles, too, for an alarm.
        await expect(page.locator("#takeover-reach a.tel").nth(3)).to_be_visible()
        await expect(page.locator("#takeover-reach")).to_contain_text("director")
        for wanted in (
            "#takeover-title",
            "#takeover-reach a.tel >> nth=3",
            "#takeover-where",
            "#takeover-reach",
            "[data-took=closed]",
            "#takeover-note",
            "[data-took=acknowledged]",
        ):
            await expect(page.locator(wanted).first).to_be_in_viewport(ratio=1)
        # The town is never cut.
        cut = """() => [...document.querySelectorAll("#panic-list b")].filter((b) =>
            b.scrollWidth > b.clientWidth + 1
            && getComputedStyle(b).display !== "inline").map((b) => b.textContent)"""
        assert await wrong(page, cut) == []
    made.quiet()


@pytest.mark.parametrize("colours", ["none", "active"])
async def test_everybody_can_use_every_page_and_every_dialog(
    browser: Browser, made: MadeUp, troubled: dict[str, str], colours: Any
) -> None:
    """axe finds nothing, targets have 24 px, nothing scrolls sideways at 320 px; with forced colours, too."""
    forced = colours == "active"
    names = ("map", "panic", "shift", "components") if forced else troubled
    async with opened(
        browser, made, "saule", "/components", color_scheme="dark", forced_colors=colours
    ) as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        await page.evaluate(AXE)
        found: dict[str, Any] = {}
        for name in names:
            await visit(page, troubled[name])
            found[name] = await (axe(page) if forced else looked_at(page))
        await visit(page, "/alarm/p-0")
        await ask_to_close(page, "p-0")
        found["close"] = await (axe(page) if forced else looked_at(page))
        await escape(page)
        await visit(page, troubled["school"])
        await page.locator("#drill-open").click()
        await expect(page.locator("dialog[open]")).to_be_visible()
        found["drill"] = await (axe(page) if forced else looked_at(page))
        await escape(page)
        await page.locator("#search").fill("Semey")
        await expect(page.locator("#found li").first).to_be_visible()
        found["search"] = await (axe(page) if forced else looked_at(page))
        await page.locator("#sign-out").click()
        await expect(page.locator("#sign-in")).to_be_visible()
        found["out"] = await (axe(page) if forced else looked_at(page))
        assert {name: what for name, what in found.items() if what} == {}
