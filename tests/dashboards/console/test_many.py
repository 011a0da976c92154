"""More open panics than a page is told at once: none is hidden, and the newest comes as fast as ever."""

import pytest
from playwright.async_api import Browser, expect

from dashboards.console.stream import FIRST_PANICS, PANICS_AT_ONCE
from tests.dashboards.console.conftest import Live
from tests.dashboards.console.records import NOW_MS, alert
from tests.dashboards.console.signed_in import signed_in

pytestmark = [
    pytest.mark.broker,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]
MANY = FIRST_PANICS + PANICS_AT_ONCE + 20


async def test_all_are_counted_and_the_oldest_without_an_answer_takes_over(
    browser: Browser, live: Live
) -> None:
    schools = [school.id for school in live.schools]
    live.say(
        alert(f"many-{n}", school=schools[n % len(schools)], time_ms=NOW_MS + n)
        for n in range(MANY)
    )
    async with signed_in(browser, live, "aigerim") as page:
        await expect(page.locator("#panic-count")).to_have_text(str(MANY))
        # It was told last of all.
        await expect(page.locator("#takeover")).to_have_attribute("data-id", "many-0")
        newest = page.locator("#panic-list li").first
        await expect(newest).to_have_attribute("data-id", f"many-{MANY - 1}")
        await page.locator('#takeover-actions [data-took="acknowledged"]').click()
        await expect(page.locator("#takeover-state")).to_contain_text("aigerim")
        await page.locator("#takeover-back").click()
        live.press(schools[-1])
        await expect(page.locator("#panic-count")).to_have_text(str(MANY + 1))
        await expect(page.locator("#panic-list")).to_contain_text(schools[-1])
