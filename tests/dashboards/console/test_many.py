"""More open panics than a page is told at once: none is hidden, and the newest comes as fast as ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from dashboards.console.picture import Picture
from dashboards.console.stream import FIRST_PANICS, PANICS_AT_ONCE, Stream
from schemas.steps import Took
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms, opened
from tests.dashboards.console.records import NOW_MS, acted, alert

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]
MANY = FIRST_PANICS + PANICS_AT_ONCE + 20


async def test_all_are_counted_and_the_oldest_without_an_answer_takes_over(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(MANY, "many")
    async with opened(browser, made) as page:
        await expect(page.locator("#panic-count")).to_have_text(str(MANY))
        # It was told last of all.
        await expect(page.locator("#takeover")).to_have_attribute("data-id", "many-0")
        first = page.locator("#panic-list li").first
        await expect(first).to_have_attribute("data-id", "many-0")
        await expect(page.locator("#newest a")).to_have_attribute("href", f"/alarm/many-{MANY - 1}")
        await page.locator('#takeover-actions:not(.changing) [data-took="acknowledged"]').click()
        await expect(page.locator("#takeover-state")).to_contain_text("aigerim")
        await page.locator("#takeover-back").click()
        made.say([alert("newest", school=made.schools[-1], time_ms=now_ms())])
        await expect(page.locator("#panic-count")).to_have_text(str(MANY + 1))
        # It is no longer in the queue's first hundreds, and still seen at once.
        await expect(page.locator("#newest a")).to_have_attribute("href", "/alarm/newest")
        await expect(page.locator("#takeover")).to_have_attribute("data-id", "newest")
    made.quiet()


# The page under a stream whose pieces come when the test says, in the order that it says.

SCRIPTED = """window.EventSource = class extends EventTarget {
    constructor() { super(); window.streams = (window.streams ?? []).concat(this); }
    close() {}
}"""
SAY = """([name, data]) => window.streams.at(-1).dispatchEvent(
    name === "open" ? new Event(name) : new MessageEvent(name, { data }))"""


async def say(page: Page, name: str, data: Any = None) -> None:
    await page.evaluate(SAY, [name, json.dumps(data)])


def panics(*numbers: int) -> list[dict[str, Any]]:
    """``s<n>``, opened ``n`` ms after the first."""
    picture = Picture()
    for n in numbers:
        picture.alert(alert(f"s{n}", time_ms=NOW_MS + n), NOW_MS)
    return list(picture.panics.values())


def beat(whole: bool) -> dict[str, Any]:
    return {**Stream(Picture()).beat(), "whole": whole}


def snapshot(*numbers: int) -> dict[str, Any]:
    return {**Picture().snapshot(), "panics": panics(*numbers)}


# As an alarm enters the document, and before it is painted: its button is hit, or the page stands still.
WHEN_SHOWN = """([id, what]) => new MutationObserver((_, observer) => {
    if (document.querySelector("#takeover")?.dataset.id !== id) return;
    observer.disconnect();
    if (what === "hit") document.querySelector("[data-took=acknowledged]").click();
    else {
        const asked = new XMLHttpRequest();
        asked.open("GET", "/hold", false);
        asked.send();
    }
    window.done = true;
}).observe(document.body, { subtree: true, childList: true, attributes: true })"""
READ_AFTER_S = 1.0


def acts_of(page: Page) -> list[str]:
    """What the page is about to tell of acts, as it goes."""
    acts: list[str] = []
    page.on("request", lambda asked: acts.append(asked.url) if "/steps" in asked.url else None)
    return acts


async def shows(page: Page, id_: str, count: int) -> None:
    await expect(page.locator("#panic-count")).to_have_text(str(count))
    await expect(page.locator("#takeover")).to_have_attribute("data-id", id_)


@pytest_asyncio.fixture(loop_scope="session")
async def scripted(browser: Browser, made: MadeUp) -> AsyncIterator[Page]:
    context = await context_of(browser, made, "aigerim")
    await context.add_init_script(SCRIPTED)
    page = await context.new_page()
    await page.goto("/")
    await page.wait_for_function("() => window.streams?.length")
    yield page
    await context.close()


async def test_a_press_is_shown_at_once_and_the_oldest_when_all_is_told(scripted: Page) -> None:
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(300, 400))
    await shows(scripted, "s300", 2)
    await say(scripted, "panic", panics(500)[0])
    await shows(scripted, "s300", 3)
    await say(scripted, "beat", beat(whole=False))
    await say(scripted, "panics", panics(200, 100))
    await shows(scripted, "s100", 5)
    # In the same breath as the last piece: the order is decided when all is there.
    await say(scripted, "panics", panics(50, 20, 60))
    await say(scripted, "beat", beat(whole=True))
    await shows(scripted, "s20", 8)


async def test_what_somebody_has_touched_stays_and_an_act_is_never_for_another(
    scripted: Page,
) -> None:
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(300))
    await shows(scripted, "s300", 1)
    acts = acts_of(scripted)
    # An older one takes the place and the button is hit in the same moment.
    await scripted.evaluate(WHEN_SHOWN, ["s200", "hit"])
    await say(scripted, "panics", panics(200))
    await scripted.wait_for_function("() => window.done")
    await scripted.locator("#takeover-actions:not(.changing)").wait_for()
    assert acts == []
    await scripted.locator("#takeover-note").fill("on the phone with the head")
    await say(scripted, "panics", panics(100))
    await say(scripted, "beat", beat(whole=True))
    await shows(scripted, "s200", 3)
    await expect(scripted.locator("#takeover-note")).to_have_value("on the phone with the head")


async def test_a_page_that_comes_back_keeps_what_it_had_until_all_is_told(scripted: Page) -> None:
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(1, 2, 3))
    await say(scripted, "beat", beat(whole=True))
    await shows(scripted, "s1", 3)
    # The console was started anew and reads Kafka still: it knows the newest only.
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(3))
    await say(scripted, "beat", beat(whole=False))
    await say(scripted, "panic", panics(4)[0])
    await shows(scripted, "s1", 4)
    # And is cut off, and comes back: what is told now counts, s1 was closed meanwhile.
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(4, 2))
    await shows(scripted, "s1", 4)
    await say(scripted, "panics", panics(3))
    await say(scripted, "beat", beat(whole=True))
    await shows(scripted, "s2", 3)


async def test_a_key_from_before_an_alarm_was_drawn_is_not_for_it(scripted: Page) -> None:
    """The page stands still between its decision and the drawing, and a hand does not wait for it."""
    await say(scripted, "open")
    await say(scripted, "snapshot", snapshot(300))
    await shows(scripted, "s300", 1)
    acts, asked, go_on = acts_of(scripted), asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await go_on.wait()
        await route.fulfill(body="")

    await scripted.route("**/hold", hold)
    await scripted.evaluate(WHEN_SHOWN, ["s200", "hold"])
    await say(scripted, "panics", panics(200))
    await asked.wait()
    pressed = asyncio.create_task(scripted.keyboard.press("a"))
    await asyncio.sleep(1.2 * READ_AFTER_S)
    go_on.set()
    await pressed
    await scripted.locator("#takeover[data-id=s200] #takeover-actions:not(.changing)").wait_for()
    assert acts == []


async def test_one_s_own_act_is_nobody_else_s_though_the_stream_tells_it_late(
    scripted: Page, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    open_now = list(made.desk.picture.panics.values())
    await say(scripted, "open")
    await say(scripted, "snapshot", {**Picture().snapshot(), "panics": open_now})
    await shows(scripted, "p-0", 1)
    said = scripted.locator("#takeover-said")
    button = "#takeover-actions:not(.changing) [data-took={}]"
    await scripted.locator(button.format("acknowledged")).click()
    await expect(said).to_contain_text("acknowledged ✓")
    await scripted.locator(button.format("dispatched")).click()
    await expect(said).to_contain_text("dispatched ✓")
    # What somebody else does is a collision still.
    made.desk.picture.step(acted(Took.ASSIGNED, "bolat", "p-0", target="bolat"), now_ms(), 9)
    await scripted.locator(button.format("closed")).click()
    await scripted.locator("#close-dialog [data-outcome=false]").click()
    await expect(said).to_contain_text("Somebody was first: bolat")
    assert [step.took for step in made.steps] == [Took.ACKNOWLEDGED, Took.DISPATCHED]
    made.quiet()


async def test_a_stream_that_was_refused_is_asked_for_again(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    made.panics(2)
    context = await context_of(browser, made, "aigerim")
    page = await context.new_page()
    answers = [429, 503]

    async def refuse(route: Route) -> None:
        if answers:
            await route.fulfill(status=answers.pop())
        else:
            await route.continue_()

    await page.route("**/events", refuse)
    await page.goto("/")
    await expect(page.locator("#panic-count")).to_have_text("2")
    assert answers == []
    await context.close()
    made.quiet()
