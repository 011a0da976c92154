"""The wall as a room sees it: from three metres, at two sizes, in three languages, with nothing to press."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from schemas.alerts import Status
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms
from tests.dashboards.console.page import AXE, UNMARKED, axe, marked, wrong
from tests.dashboards.console.records import status

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SMALLEST = 0.016
"""Of the width (or of 16/9 of the height, if that is less): what is read from three metres."""

# What is drawn too small, what is out of the frame, and what could be pressed.
WRONG = """(smallest) => {
    const bad = [], least = smallest * Math.min(innerWidth, innerHeight * 16 / 9);
    const walker = document.createTreeWalker(document.querySelector("#wall"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data, parentElement: at } = walker.currentNode;
        if (!data.trim() || at.closest(".unseen") || !at.checkVisibility()) continue;
        const box = at.getBoundingClientRect();
        if (parseFloat(getComputedStyle(at).fontSize) < least) bad.push(`small: ${data}`);
        if (box.left < 0 || box.top < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1)
            bad.push(`out: ${data}`);
        const part = at.closest("#wall > *").getBoundingClientRect();
        if (box.right > part.right + 1 || box.bottom > part.bottom + 1 || at.scrollWidth > at.clientWidth + 1
            && getComputedStyle(at).display !== "inline") bad.push(`cut: ${data}`);
    }
    const { scrollWidth, scrollHeight } = document.documentElement;
    if (scrollWidth > innerWidth || scrollHeight > innerHeight) bad.push("scrolls");
    for (const node of document.querySelectorAll("a, button, input, select, summary, [tabindex='0']"))
        bad.push(`control: ${node.outerHTML.slice(0, 80)}`);
    return bad;
}"""


async def hang(browser: Browser, made: MadeUp, query: str = "", **options: Any) -> Page:
    walls = made.desk.walls
    if "lobby" in walls.all():
        walls.revoke("lobby")
    token = walls.add("lobby", ["*"], now_ms())
    page = await (await context_of(browser, made, "", **options)).new_page()
    await page.goto(f"/wall{query}#{token}")
    await expect(page.locator("#wall")).to_be_visible()
    return page


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (1280, 1024)], ids=str)
async def test_all_of_it_is_read_from_three_metres_and_nothing_can_be_pressed(
    browser: Browser, made: MadeUp, troubled: dict[str, str], size: tuple[int, int]
) -> None:
    made.panics(40, "many")
    silent = [status(id_, Status.OFFLINE, now_ms()) for id_ in made.schools[::2]]
    made.desk.picture.status(silent, now_ms())
    viewport: Any = {"width": size[0], "height": size[1]}
    page = await hang(browser, made, viewport=viewport)
    await expect(page.locator("#wall-more")).to_have_text("+40 more")
    await expect(page.locator("#wall-regions li")).to_have_count(20)
    assert page.url == f"{made.url}/wall"  # the token is shown no longer
    for language in ("kk", "ru", "en"):
        await page.goto(f"/wall?language={language}")
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.locator("#wall-panics li")).to_have_count(5)
        await expect(page.locator("#wall-regions li")).to_have_count(20)
        assert await wrong(page, WRONG, SMALLEST) == []
    await page.context.close()
    made.desk.picture.status([status(id_, Status.ONLINE) for id_ in made.schools], now_ms())


async def test_the_worst_comes_first_and_our_own_trouble_is_said(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    page = await hang(browser, made)
    await expect(page.locator("#wall-panics li").first).to_have_attribute("data-id", "duress")
    await expect(page.locator("#wall-panics li").first).to_contain_text("Atbasar")
    await expect(page.locator("#wall-regions li")).to_have_count(20)
    worst = await page.locator("#wall-regions li").evaluate_all(
        "(all) => all.map((one) => one.dataset.worst)"
    )
    order = ["panic", "offline", "degraded", "online", "unknown"]
    assert worst == sorted(worst, key=order.index)
    assert {"panic", "offline", "online"} <= set(worst)
    await expect(page.locator("#wall-health")).to_contain_text("pipeline silent")
    await expect(page.locator("body")).not_to_contain_text("bolat")
    # A press changes it, no key does anything, and nothing takes over.
    await page.keyboard.press("n")
    await page.keyboard.press("Escape")
    made.panics(1, "later", duress=True, score=4)
    await expect(page.locator("#wall-panics li[data-id=later-0]")).to_be_visible()
    assert page.url.startswith(f"{made.url}/wall")
    await page.context.close()


async def test_silence_and_a_revoked_wall_are_seen_from_afar(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    page = await hang(browser, made)
    await expect(page.locator("#wall-panics")).to_contain_text("No open panic.")
    made.fresh_ms = now_ms() - 60_000
    lost = page.locator("#not-live")
    await expect(lost).to_be_visible()
    part = """() => {
        const { x, y, width, height } = document.querySelector("#not-live").getBoundingClientRect();
        return [x, y, width, height].join() === "0,0,1366,768" ? [] : [x, y, width, height];
    }"""
    assert await wrong(page, part) == []
    made.fresh_ms = None
    await expect(lost).to_have_count(0)
    made.desk.walls.revoke("lobby")
    made.desk.stream.wake()
    await expect(page.locator("#wall-dark")).to_contain_text("This wall was revoked")
    await expect(page.locator("#wall")).to_have_count(0)
    await page.reload()
    await expect(page.locator("#wall-dark")).to_contain_text("not signed in")
    await expect(page.locator("body")).not_to_contain_text("School No")
    await page.context.close()


async def test_a_wall_s_browser_shows_the_wall_wherever_it_goes(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    page = await hang(browser, made)
    for path in ("/", "/alarm/p-0", "/audit", f"/school/{made.schools[0]}"):
        await page.goto(path)
        await expect(page.locator("#wall")).to_be_visible()
        await expect(page.locator("header, #takeover, #content")).to_have_count(0)
    await page.context.close()


async def test_an_operator_who_looks_at_the_wall_is_not_taken_away_from_it(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    context = await context_of(browser, made, "aigerim")
    page = await context.new_page()
    await page.goto("/wall")
    await expect(page.locator("#wall")).to_be_visible()
    made.panics(2, duress=True)
    await expect(page.locator("#wall-panics li")).to_have_count(2)
    other = await context.new_page()
    await other.goto("/")
    await expect(other.locator("#takeover")).to_be_visible()  # it takes over where one works
    await expect(page.locator("#wall")).to_be_visible()
    assert page.url == f"{made.url}/wall"
    await context.close()
    made.quiet()


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_everybody_can_read_the_wall_and_no_word_is_in_no_dictionary(
    browser: Browser, made: MadeUp, troubled: dict[str, str], theme: str
) -> None:
    page = await hang(browser, made, f"?theme={theme}")
    await page.evaluate(AXE)
    await expect(page.locator("html")).to_have_attribute("data-theme", theme)
    await expect(page.locator("#wall-panics li")).to_have_count(5)
    assert await axe(page) == []
    await page.route("**/i18n/en.json", marked)
    await page.reload()
    await expect(page.locator("#wall-panics li")).to_have_count(5)
    assert await wrong(page, UNMARKED) == []
    await page.context.close()
