"""Every word in the reader's language, and schools found however they are called."""

import pytest
from playwright.async_api import Browser, expect

from tests.dashboards.console.made_up import MadeUp, context_of, opened
from tests.dashboards.console.page import (
    UNMARKED,
    ask_to_close,
    escape,
    marked,
    no_map,
    visit,
    wrong,
)

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_no_text_is_in_no_dictionary(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    context = await context_of(browser, made, "saule")
    page = await context.new_page()
    await page.route("**/i18n/en.json", marked)
    await page.route("**/maplibre-gl.mjs", no_map)
    await page.goto("/components")
    found = {}
    for name, path in troubled.items():
        await visit(page, path)
        if bad := await wrong(page, UNMARKED):
            found[name] = bad
    assert found == {}
    await visit(page, "/alarm/p-0")
    await ask_to_close(page, "p-0")
    assert await page.evaluate(UNMARKED) == []
    await escape(page)
    await page.locator("#search").fill("no such school")
    await page.locator("#found-count").wait_for()
    assert await page.evaluate(UNMARKED) == []
    await page.locator("#sign-out").click()
    await page.locator("#sign-in").wait_for()
    assert await page.evaluate(UNMARKED) == []
    await context.close()


async def test_the_language_changes_everything_that_is_open_and_can_be_chosen_before_signing_in(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    async with opened(browser, made, "") as page:
        await page.locator("#language").select_option("kk")
        await expect(page.locator("#sign-in-title")).to_have_text("Кіру")
        await page.locator("#login").fill("saule")
        await page.locator("#password").fill(made.passwords["saule"])
        await page.locator("#password").press("Enter")
        await expect(page.locator("#who-name")).to_have_text("Saule · ауысым басшысы")
        school = made.desk.picture.schools[made.schools[2]]
        await page.goto(f"/school/{made.schools[2]}")
        for language in ("ru", "en", "kk"):
            await page.locator("#language").select_option(language)
            await expect(page.locator("#school h1")).to_have_text(school["names"][language])
        await page.goto("/")
        await expect(page.locator("#counters [data-n=inside]")).to_have_text("575\u00a0950")


async def test_search_finds_by_name_town_and_number_in_any_case_and_language(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    school = made.desk.picture.schools[made.schools[4]]
    async with opened(browser, made, "viewer") as page:
        for typed in (
            school["names"]["en"],
            school["names"]["ru"].upper(),
            school["names"]["kk"].lower(),
            school["id"].lower(),
        ):
            await page.locator("#search").fill(typed)
            await expect(page.locator("#found")).to_contain_text(school["id"])
        await page.locator("#search").fill("KZ-35-99999")
        await expect(page.locator("#found-count")).to_have_text("Nothing found.")
        await page.locator("#search").fill(school["id"])
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator("#school h1")).to_have_text(school["names"]["en"])
