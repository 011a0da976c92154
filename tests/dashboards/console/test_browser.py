"""The console as a person sees it: a real browser, broker and ClickHouse."""

import asyncio
import base64
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from schemas.alerts import Action, AlertKind, Severity, Status
from tests.dashboards.console.conftest import SCHOOLS, Live
from tests.dashboards.console.records import alert, status
from tests.dashboards.console.signed_in import sign_in, signed_in

pytestmark = [
    pytest.mark.broker,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

# How many different colours a picture has, asked of the browser itself.
COLOURS = """async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const data = canvas.getImageData(0, 0, image.width, image.height).data;
    return new Set(new Uint32Array(data.buffer)).size;
}"""

REGIONS_OFFLINE = """(wanted) => {
    const cells = document.querySelectorAll("#regions tbody td:nth-child(4)");
    return [...cells].reduce((sum, cell) => sum + Number(cell.textContent), 0) === wanted;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, live: Live) -> AsyncIterator[Page]:
    """The console in English, with its schools, before the eyes of somebody who only looks on."""
    async with signed_in(browser, live, "viewer") as page:
        yield page


async def ready_map(page: Page) -> None:
    await page.wait_for_selector("body[data-map=ready]", timeout=60_000)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_the_map_is_drawn_and_nothing_is_refused(browser: Browser, live: Live) -> None:
    context = await browser.new_context(base_url=live.url, viewport={"width": 1280, "height": 800})
    await sign_in(context, live, "viewer")
    page = await context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    await page.goto("/")
    await ready_map(page)
    box = await page.locator("#map canvas").bounding_box()
    assert box is not None
    middle = {
        "x": box["x"] + box["width"] / 4,
        "y": box["y"] + box["height"] / 4,
        "width": box["width"] / 2,
        "height": box["height"] / 2,
    }
    async with asyncio.timeout(60):
        while True:
            png = base64.b64encode(await page.screenshot(clip=middle)).decode()  # type: ignore[arg-type]
            if await page.evaluate(COLOURS, png) > 20:
                break
    await expect(page.locator("#map")).to_contain_text("amCharts")
    assert troubles == []
    await context.close()


async def test_the_counters_follow_the_statuses(page: Page, live: Live) -> None:
    away = 20
    live.say(
        status(school.id, Status.OFFLINE if n < away else Status.ONLINE, now_ms())
        for n, school in enumerate(live.schools)
    )
    await expect(page.locator("dd[data-n=offline]")).to_have_text(str(away))
    await expect(page.locator("dd[data-n=online]")).to_have_text(str(SCHOOLS - away))
    await expect(page.locator("dd[data-n=unknown]")).to_have_text("0")
    await page.wait_for_function(REGIONS_OFFLINE, arg=away)


async def test_a_panic_is_shown_within_two_seconds(page: Page, live: Live) -> None:
    """One of ten: the machine may stand still for a second, a console that takes three never shows one."""
    waited_s = []
    for n in range(10):
        id_, school = f"panic-soon-{n}", live.schools[n].id
        began_s = time.monotonic()
        live.say([alert(id_, school=school, time_ms=now_ms())])
        shown = page.locator(f"#panic-list li[data-id={id_}]")
        await shown.wait_for()
        waited_s.append(time.monotonic() - began_s)
        live.say([alert(id_, 1, Action.RESOLVED, school=school, time_ms=now_ms())])
        await expect(shown).to_have_count(0)
        if waited_s[-1] <= 2:
            return
    raise AssertionError(waited_s)


async def test_a_panic_said_by_two_workers_is_shown_once(page: Page, live: Live) -> None:
    school = live.schools[7]
    opened = alert("panic-once", school=school.id, time_ms=now_ms())
    shown = page.locator("#panic-list li[data-id=panic-once]")
    live.say([opened, opened])
    await shown.wait_for()
    await expect(shown).to_contain_text(school.en)
    await expect(page).to_have_title("(1) panic · Saqshy")
    updated = alert("panic-once", 1, Action.UPDATED, school=school.id, time_ms=now_ms(), count=2)
    live.say([updated, updated])
    await expect(shown).to_contain_text("2 presses")
    await expect(page.locator("#panic-list li")).to_have_count(1)
    await expect(page.locator("#panic-count")).to_have_text("1")
    live.say([alert("panic-once", 2, Action.RESOLVED, school=school.id, time_ms=now_ms())])
    await expect(shown).to_have_count(0)
    await expect(page.locator("#no-panics")).to_be_visible()


async def test_an_open_panic_is_there_for_who_comes_later(page: Page, live: Live) -> None:
    school = live.schools[8].id
    live.say([alert("panic-later", school=school, time_ms=now_ms())])
    shown = page.locator("#panic-list li[data-id=panic-later]")
    await shown.wait_for()
    await page.reload()
    await shown.wait_for()
    live.say([alert("panic-later", 1, Action.RESOLVED, school=school, time_ms=now_ms())])
    await expect(shown).to_have_count(0)


async def test_trouble_of_ours_is_said_as_ours_with_what_to_do_and_as_no_school_s(
    page: Page, live: Live
) -> None:
    told = {"kind": AlertKind.PIPELINE_SILENT, "severity": Severity.CRITICAL, "school": ""}
    live.say(
        [alert("ours", scope="gateway canary", note="Look after it.", time_ms=now_ms(), **told)]
    )
    listed = page.locator("#alerts ol a", has_text="gateway canary")
    await expect(listed).to_contain_text("pipeline silent")
    await expect(page.locator("#panic-count")).to_have_text("0")
    await listed.click()
    await expect(page.locator("#takeover-title")).to_have_text("our own systems, no school")
    await expect(page.locator("#takeover .note")).to_contain_text("Look after it.")
    await expect(page.locator("#takeover-timeline")).not_to_contain_text("pressed")
    await page.locator("#takeover-back").click()
    live.say([alert("ours", 1, Action.RESOLVED, scope="gateway canary", time_ms=now_ms(), **told)])
    await expect(listed).to_have_count(0)


async def test_the_language_changes_at_once_and_is_remembered(page: Page) -> None:
    title = page.locator("#panics-title span")
    await expect(title).to_have_text("Panics")
    await page.select_option("#language", "kk")
    await expect(title).to_have_text("Дабылдар")
    await expect(page.locator("html")).to_have_attribute("lang", "kk")
    await page.reload()
    await expect(title).to_have_text("Дабылдар")


async def test_a_link_opens_its_school(page: Page, live: Live) -> None:
    school = live.schools[11]
    await page.goto(f"/school/{school.id}")
    await page.reload()
    await expect(page.locator("#school h1")).to_have_text(school.en)
    await expect(page.locator("#school")).to_contain_text(school.district)


async def test_the_keyboard_alone_reaches_a_school(page: Page, live: Live) -> None:
    school = live.schools[12]
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type(school.id)
    await page.keyboard.press("Enter")
    await expect(page.locator("#school h1")).to_have_text(school.en)
    await expect(page.locator("#school")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#school")).to_have_count(0)


async def test_silence_of_the_server_is_shown_and_ends_with_it(page: Page, live: Live) -> None:
    dead = page.locator("#not-live")
    await expect(page.locator("#clock")).not_to_be_empty()
    await expect(dead).to_be_hidden()
    live.supervisor.kill("console", signal.SIGSTOP)
    try:
        await expect(dead).to_be_visible()
        await expect(dead).to_contain_text("NOT LIVE since")
    finally:
        live.supervisor.kill("console", signal.SIGCONT)
    await expect(dead).to_be_hidden()


async def test_without_clickhouse_its_numbers_are_stale_and_panics_still_come(
    browser: Browser, live: Live
) -> None:
    async with signed_in(browser, live, "aigerim") as page:
        await without_clickhouse(page, live)


async def without_clickhouse(page: Page, live: Live) -> None:
    fresh = page.locator("#counters .from-clickhouse:not(.stale)")
    stale = page.locator("#counters .from-clickhouse.stale")
    await expect(fresh).to_have_count(3)
    await live.supervisor.stop_part("clickhouse")
    await expect(stale).to_have_count(3)
    await expect(page.locator("#not-live")).to_be_hidden()
    school = live.schools[9]
    live.say([alert("blind", kind=AlertKind.PANIC_BLIND, school=school.id, time_ms=now_ms())])
    await expect(page.locator("#alert-count")).to_have_text("1")
    await expect(page.locator("#alerts li")).to_contain_text(f"panic-blind · {school.en}")
    live.say([alert("panic-alone", school=school.id, time_ms=now_ms())])
    shown = page.locator("#panic-list li[data-id=panic-alone]")
    await shown.wait_for()
    await expect(page.locator("#takeover-title")).to_have_text(school.en)
    await expect(page.locator("#takeover-school")).to_contain_text("inside now (stale)")
