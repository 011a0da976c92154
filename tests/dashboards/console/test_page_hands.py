"""For every hand and voice: letters that are no keys, what has focus is seen, words of places."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.dashboards.console.made_up import MadeUp, context_of, opened
from tests.dashboards.console.page import no_map, ready, shows, visit

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# WCAG 2.2, 2.4.11: of what has focus something is seen.
OBSCURED = """() => {
    const bad = [];
    for (const node of document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")) {
        if (!node.checkVisibility() || node.disabled) continue;
        node.focus();
        const { left, top, right, bottom } = node.getBoundingClientRect(), inset = 2;
        const across = [left + inset, (left + right) / 2, right - inset];
        const down = [top + inset, (top + bottom) / 2, bottom - inset];
        const seen = across.some((x) => down.some((y) => {
            const hit = document.elementFromPoint(x, y);
            return hit && (node.contains(hit) || (hit.contains(node) && hit !== document.body));
        }));
        if (document.activeElement !== node || !seen) bad.push(node.outerHTML.slice(0, 120));
    }
    return bad;
}"""


async def test_letters_can_be_turned_off_and_stay_off(browser: Browser, made: MadeUp) -> None:
    """WCAG 2.2, 2.1.4: who dictates, or rests a hand on the keyboard, sends no police by it."""
    made.quiet()
    made.panics(2)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        acknowledge = page.locator("[data-took=acknowledged]")
        await expect(acknowledge).to_have_text("Acknowledge (A)")
        await page.locator("#letters").click()
        await expect(page.locator("#letters")).to_have_attribute("aria-pressed", "false")
        await expect(acknowledge).to_have_text("Acknowledge")
        await page.goto("/alarm/p-0")
        await expect(acknowledge).to_have_text("Acknowledge")
        await ready(page)
        for key in ("a", "d", "r", "n", "k", "j", "c", "t", "/"):
            await page.keyboard.press(key)
        await expect(page.locator("dialog")).to_have_count(0)
        for field in ("#takeover-note", "#search"):
            await expect(page.locator(field)).not_to_be_focused()
        await shows(page, "p-0")
        await page.keyboard.press("Escape")  # no letter: it goes on
        await shows(page, "p-1")
        await page.locator("#letters").click()
        await ready(page)
        await page.keyboard.press("d")
        await expect(page.locator("#takeover-said")).to_contain_text("✓")
        assert [(step.alert, step.took.value) for step in made.steps] == [("p-1", "dispatched")]
    made.quiet()


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)], ids=["desk", "phone"])
async def test_what_has_focus_is_never_hidden(
    browser: Browser, made: MadeUp, troubled: dict[str, str], size: tuple[int, int]
) -> None:
    viewport: Any = {"width": size[0], "height": size[1]}
    async with opened(browser, made, "saule", "/components", viewport=viewport) as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        hidden = {}
        for name, path in troubled.items():
            await visit(page, path)
            if bad := await page.evaluate(OBSCURED):
                hidden[name] = bad
        assert hidden == {}


SPOTS = """async (many) => {
    const words = await import("/static/js/words.js"), told = {};
    for (const language of ["kk", "ru", "en"]) {
        await words.speak(language);
        told[language] = many.map(words.spot);
    }
    return told;
}"""


async def test_where_a_button_hangs_is_told_in_the_reader_s_language(
    browser: Browser, made: MadeUp
) -> None:
    written = ["2 этаж, приёмная директора", "спортзал", "1 floor, canteen", "Блок Б, сектор 4", ""]
    context = await context_of(browser, made, "")
    page = await context.new_page()
    await page.goto("/static/i18n/en.json")
    told = await page.evaluate(SPOTS, written)
    assert told["en"] == [
        "floor 2, director's reception",
        "gym",
        "floor 1, canteen",
        "Блок Б, сектор 4",
        "",
    ]
    assert told["kk"][:3] == [
        "2-қабат, директордың қабылдау бөлмесі",
        "спорт залы",
        "1-қабат, асхана",
    ]
    assert told["ru"][2] == "1 этаж, столовая"
    await context.close()
