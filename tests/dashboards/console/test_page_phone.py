"""An officer on call, with a telephone in the hand: reads, calls, acknowledges. Touch, no keyboard."""

from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.dashboards.console.made_up import MadeUp, opened
from tests.dashboards.console.page import OUT_OF_REACH, no_map, ready, shows, visit, wrong

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
THUMB_PX: Final = 40


async def test_what_matters_is_on_the_first_screen_and_a_thumb_acknowledges(
    browser: Browser, made: MadeUp
) -> None:
    """With the sound's bar and another alarm's announcement above it, too."""
    made.quiet()
    made.panics(3, duress=True, score=3, why=["duress"])
    async with opened(browser, made, path="/components", **PHONE) as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        await visit(page, "/alarm/p-0")
        await shows(page, "p-0")
        await expect(page.locator("#sound-bar")).to_be_visible()
        await expect(page.locator("#announce")).to_be_visible()
        for wanted in ("#takeover-title", "#takeover-where", "#takeover-since", ".flag, .flags li"):
            await expect(page.locator(wanted).first).to_be_in_viewport(ratio=1)
        acknowledge = page.locator("[data-took=acknowledged]")
        await expect(acknowledge).to_be_in_viewport(ratio=1)
        box = await acknowledge.bounding_box()
        assert box is not None and min(box["width"], box["height"]) >= THUMB_PX
        await ready(page)
        await acknowledge.tap()
        await expect(page.locator("#takeover-said")).to_contain_text("✓")
        assert [(step.alert, step.took.value) for step in made.steps] == [("p-0", "acknowledged")]
        # Whom to call is one touch away, and nothing is as wide that it has to be moved sideways.
        tel = page.locator("#takeover-reach a.tel").first
        await tel.scroll_into_view_if_needed()
        box = await tel.bounding_box()
        assert box is not None and box["height"] >= 24
        assert await wrong(page, OUT_OF_REACH, PHONE["viewport"]["width"]) == []
        await page.locator("#takeover-next").tap()
        await shows(page, "p-1")
    made.quiet()


async def test_what_waits_comes_before_the_country_s_numbers(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(3)
    async with opened(browser, made, "viewer", "/", **PHONE) as page:
        await expect(page.locator("#panic-list li").nth(2)).to_be_in_viewport()
        await page.locator("#side").wait_for()
        tops = await page.evaluate(
            """["#panics", "#map-frame", "#side"].map((part) =>
                document.querySelector(part).getBoundingClientRect().top)"""
        )
        assert tops == sorted(tops)
    made.quiet()
