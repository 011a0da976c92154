"""The desk under an operator's hands: what takes over, what a key acts on, where drafts and answers stay."""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser, Page, expect

from schemas.alerts import Action
from schemas.steps import PanicOutcome, Took
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms, opened
from tests.dashboards.console.records import acted, alert
from tests.dashboards.console.test_page_layout import no_map

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MEANT_AFTER_MS = 1_100
STARTED = "() => document.body.dataset.siren"


async def shows(page: Page, id_: str) -> None:
    await expect(page.locator("#takeover")).to_have_attribute("data-id", id_)


async def ready(page: Page) -> None:
    """A second after a change acts count."""
    await page.locator("#takeover-actions:not(.changing)").wait_for()
    await page.wait_for_timeout(MEANT_AFTER_MS)


def by_another(made: MadeUp, id_: str, took: Took = Took.ACKNOWLEDGED, **more: Any) -> None:
    made.desk.picture.step(acted(took, "bolat", id_, **more), now_ms(), 1000 + len(made.steps))
    made.desk.stream.wake()


async def test_from_load_to_close_by_keyboard_in_three_keys_and_only_a_close_asks(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(38)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await expect(page.locator("#takeover")).to_be_focused()
        await ready(page)
        await page.keyboard.press("a")
        await expect(page.locator("#takeover-said")).to_contain_text("acknowledged ✓")
        await expect(page.locator("[data-took=acknowledged]")).to_have_count(0)
        await page.keyboard.press("c")
        await expect(page.locator("#close-dialog [data-outcome=real]")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#takeover-state")).to_contain_text("real · aigerim")
        assert [(step.alert, step.took.value) for step in made.steps] == [
            ("p-0", "acknowledged"),
            ("p-0", "closed"),
        ]
        # And on to the next, by key.
        await page.keyboard.press("n")
        await shows(page, "p-1")
        await page.keyboard.press("k")
        await shows(page, "p-37")
    made.quiet()


async def test_a_dialog_owns_the_keyboard_and_a_new_panic_is_announced_over_it(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        await page.keyboard.press("c")
        await page.keyboard.press("a")
        await page.keyboard.press("d")
        made.panics(1, "new", duress=True)
        await expect(page.locator("#close-dialog .announce")).to_contain_text("1 more wait")
        await page.keyboard.press("Escape")
        await expect(page.locator("#close-dialog")).to_have_count(0)
        await shows(page, "p-0")
        assert made.steps == []
    made.quiet()


async def test_escape_leaves_this_one_only_and_it_comes_back_after_a_minute(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    context = await context_of(browser, made, "aigerim")
    page = await context.new_page()
    await page.clock.install()
    await page.goto("/")
    await shows(page, "p-0")
    await page.clock.run_for(1_200)
    await page.keyboard.press("Escape")
    await page.clock.run_for(1_500)
    await shows(page, "p-1")
    await page.keyboard.press("Escape")
    await expect(page.locator("#takeover")).to_have_count(0)
    await page.clock.run_for(61_000)
    await shows(page, "p-0")
    await context.close()
    made.quiet()


async def test_what_another_took_stays_under_the_hands_of_who_types(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        note = page.locator("#takeover-note")
        await note.click()
        await page.keyboard.type("the head is on the ")
        by_another(made, "p-0")
        await expect(page.locator("#takeover-state")).to_contain_text("bolat")
        await page.keyboard.type("telephone")
        await shows(page, "p-0")
        await expect(note).to_be_focused()
        await expect(note).to_have_value("the head is on the telephone")
        await expect(page.locator("#takeover-next")).to_be_visible()
        # A draft belongs to its alarm: it is there again, and nowhere else.
        await page.locator("#takeover-next").click()
        await shows(page, "p-1")
        await expect(note).to_have_value("")
        await page.goto("/alarm/p-1")
        await page.evaluate("history.back()")
    made.quiet()


async def test_a_refusal_names_its_school_wherever_one_looks(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(2)
    school = made.desk.picture.schools[made.schools[0]]["names"]["en"]
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        held, answered = asyncio.Event(), asyncio.Event()

        async def late(route: Any) -> None:
            await held.wait()
            await route.continue_()
            answered.set()

        await page.route("**/steps", late)
        async with page.expect_request("**/steps"):
            await page.keyboard.press("a")
        await page.keyboard.press("n")
        await shows(page, "p-1")
        made.desk.picture.step(acted(Took.ACKNOWLEDGED, "bolat", "p-0"), now_ms(), 1)
        held.set()
        elsewhere = page.locator(".elsewhere")
        await expect(elsewhere).to_contain_text(school)
        await expect(elsewhere).to_contain_text("Somebody was first: bolat")
        await expect(page.locator("#takeover-said")).to_have_text("")
    made.quiet()


async def test_duress_comes_first_and_a_drill_last(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    made.panics(1, "drill", drill=True)
    made.panics(2, "one", score=1)
    made.panics(1, "two", score=3)
    made.panics(1, "forced", duress=True)
    async with opened(browser, made) as page:
        await shows(page, "forced-0")
        ids = await page.locator("#panic-list li").evaluate_all(
            "(all) => all.map((one) => one.dataset.id)"
        )
        assert ids == ["forced-0", "two-0", "one-0", "one-1", "drill-0"]
        await expect(page.locator("#panic-list li[data-id=forced-0] .flag.bad")).to_have_text(
            "duress"
        )
    made.quiet()


async def test_one_answer_to_all_presses_of_one_button_and_to_no_other(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    school, when = made.schools[3], now_ms() - 60_000
    told: dict[str, dict[str, Any]] = {
        "mad-0": {},
        "mad-1": {},
        "mad-2": {},
        "duress": {"duress": True, "time_ms": when + 50},
        "other": {"device": "button-2"},
    }
    made.say(
        alert(id_, **{"school": school, "device": "button-1", "time_ms": when + n, **more})
        for n, (id_, more) in enumerate(told.items())
    )
    async with opened(browser, made, path="/alarm/mad-0") as page:
        await ready(page)
        await expect(page.locator("#takeover-alike")).to_contain_text("all 3 presses")
        await page.locator("#takeover-alike").click()
        await expect(page.locator("#takeover-said")).to_contain_text("✓")
        assert sorted(step.alert for step in made.steps) == ["mad-0", "mad-1", "mad-2"]
    made.quiet()


async def test_the_siren_starts_with_arming_and_another_tone_says_that_nothing_is_told(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    async with opened(browser, made) as page:
        await page.locator("#sound-arm").click()
        await expect(page.locator("#sound-volume")).to_be_visible()
        await page.locator("#sound-yes").click()
        # At once, and not with the next event.
        assert await page.evaluate(STARTED) == "on"
        made.fresh_ms = now_ms() - 60_000
        await expect(page.locator("body")).to_have_attribute("data-siren", "lost")
        made.fresh_ms = None
        await expect(page.locator("body")).to_have_attribute("data-siren", "on")
        by_another(made, "p-0")
        await expect(page.locator("body")).to_have_attribute("data-siren", "off")
    made.quiet()


async def test_a_shift_s_list_is_in_order_and_an_offer_is_seen_from_everywhere(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(3)
    by_another(made, "p-0")
    async with opened(browser, made, "bolat", "/shift") as page:
        first = page.locator("#shift-list li a")
        await expect(first).to_have_count(3)
        await expect(first.last).to_have_attribute("href", "/alarm/p-0")
        await page.locator("#shift .check input").check()
        await expect(page).to_have_url(f"{made.url}/shift?mine=yes")
        await expect(first).to_have_count(1)
        await page.locator("#shift-offer").click()
        await expect(page.locator("#shift-said")).to_contain_text("another operator")
        async with opened(browser, made, "saule", "/silent") as other:
            await expect(other.locator("#shift-open .badge")).to_have_text("1")
            await other.goto("/audit")
            await expect(other.locator("#audit thead th")).to_have_count(6)
            await expect(other.locator("#audit-rows")).to_contain_text("offered a shift")
    made.quiet()


# Two operators race. Each word that is typed, and each key, is meant for the alarm that was read before it.

COURSE = st.lists(
    st.tuples(
        st.sampled_from(
            ["type", "type", "key", "add", "next", "leave", "press", "other", "settle"]
        ),
        st.integers(0, 1),
        st.integers(0, 40),
    ),
    min_size=6,
    max_size=14,
)


async def act(
    page: Page, what: str, wait_ms: int, made: MadeUp, n: int, rng: random.Random
) -> None:
    await asyncio.sleep(wait_ms / 1000)
    # As quick as a hand: what is read and what is pressed are one moment apart, and things happen between.
    read = await page.evaluate("() => document.querySelector('#takeover')?.dataset.id ?? ''")
    if what == "type" and read:
        note = page.locator(f"#takeover[data-id='{read}'] #takeover-note")
        if await note.count():
            await note.press_sequentially(f"<{read}>", delay=3, timeout=2_000)
    elif what == "key":
        await page.evaluate("document.activeElement?.blur()")
        await page.locator("body").press(rng.choice(["a", "d", "r"]))
    elif what == "add":
        button = page.locator("[data-took=noted]")
        if await button.count():
            await button.dispatch_event("click")
    elif what == "next":
        await page.evaluate("document.activeElement?.blur()")
        await page.locator("body").press("n")
    elif what == "leave":
        await page.evaluate("document.activeElement?.blur()")
        await page.keyboard.press("Escape")
    elif what == "press":
        made.panics(1, f"race{n}")
    elif what == "other" and made.desk.picture.panics:
        id_ = rng.choice(list(made.desk.picture.panics))
        made.desk.picture.step(
            acted(Took.CLOSED, "saule", id_, outcome=PanicOutcome.FALSE), now_ms(), 10_000 + n
        )
        made.desk.stream.wake()
    elif what == "settle":
        await page.wait_for_timeout(MEANT_AFTER_MS)


SAYS = """() => {
    const said = document.querySelector("#takeover-said"), shown = document.querySelector("#takeover");
    const note = document.querySelector("#takeover-note");
    return [shown?.dataset.id ?? "", said?.dataset.alert ?? "", note?.value ?? ""];
}"""


async def race(
    pages: list[Page], made: MadeUp, course: list[tuple[str, int, int]], seed: int
) -> None:
    rng = random.Random(seed)
    made.quiet()
    made.panics(4, f"race-{seed}")
    for page in pages:
        await page.evaluate("document.activeElement?.blur()")
        await page.keyboard.press("n")
    half = [[step for step in course if step[1] == who] for who in (0, 1)]

    async def play(who: int) -> None:
        for n, (what, _, wait_ms) in enumerate(half[who]):
            await act(pages[who], what, wait_ms, made, seed * 1000 + who * 100 + n, rng)
            shown, said, note = await pages[who].evaluate(SAYS)
            assert said in ("", shown)
            assert note.replace(f"<{shown}>", "") in (
                "",
                *(f"<{shown}>"[:cut] for cut in range(len(shown) + 3)),
            ), (shown, note)

    await asyncio.gather(play(0), play(1))
    for step in made.steps:
        # The whole of a note is of its own alarm: words, and parts of one that was still being typed.
        rest = step.note.replace(f"<{step.alert}>", "")
        assert f"<{step.alert}>".startswith(rest) or not rest, (step.alert, step.note)


@pytest.mark.parametrize("courses", [10, pytest.param(200, marks=pytest.mark.faults)])
async def test_no_key_draft_or_answer_reaches_another_alarm(
    browser: Browser, made: MadeUp, courses: int
) -> None:
    contexts = [await context_of(browser, made, login) for login in ("aigerim", "bolat")]
    pages = [await context.new_page() for context in contexts]
    for page in pages:
        await page.route("**/maplibre-gl.mjs", no_map)
        await page.goto("/")
        await page.locator("#panic-count").wait_for()
    found: list[tuple[list[tuple[str, int, int]], int]] = []

    @settings(
        max_examples=courses,
        suppress_health_check=list(HealthCheck),
        derandomize=not os.environ.get("CI_SEED"),
    )
    @given(COURSE, st.integers(0, 10_000))
    def collect(course: list[tuple[str, int, int]], seed: int) -> None:
        found.append((course, seed))

    await asyncio.to_thread(collect)
    for course, seed in found[:courses]:
        await race(pages, made, course, seed)
    for context in contexts:
        await context.close()
    made.quiet()


# The pure modules, asked in a browser, since no other engine of JavaScript needs to be installed.

FOLDED = (Path(__file__).parent / "courses.js").read_text().partition("\n")[2]
WORDS = st.sampled_from(
    ["open", "open", "open", "take", "close", "whole", "type", "blur", "leave", "wait", "dialog"]
)


async def test_the_desk_never_moves_under_a_hand_and_forgets_nobody(
    browser: Browser, made: MadeUp
) -> None:
    courses: list[list[tuple[str, int]]] = []

    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(WORDS, st.integers(0, 12)), max_size=40))
    def collect(course: list[tuple[str, int]]) -> None:
        courses.append(course)

    await asyncio.to_thread(collect)
    context = await context_of(browser, made, "")
    page = await context.new_page()
    await page.goto("/static/i18n/en.json")
    wrong = await page.evaluate(FOLDED, courses)
    assert [(course, what) for course, what in zip(courses, wrong, strict=True) if what] == []
    assert len(courses) > 100
    await context.close()


ADDRESSES = """async (many) => {
    const { href, parse } = await import("/static/js/routes.js");
    return many.filter(([page, id, query]) => {
        const url = new URL(href(page, id, query), "http://x"), back = parse(url.pathname, url.search);
        return back.page !== page || back.id !== id || JSON.stringify(back.query) !== JSON.stringify(query);
    });
}"""


async def test_every_address_leads_back_to_where_it_was_made(
    browser: Browser, made: MadeUp
) -> None:
    many: list[Any] = []
    text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)

    @settings(max_examples=200, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["alarm", "school", "region"]),
        text.filter(lambda id_: id_ not in (".", "..")),
        st.dictionaries(st.sampled_from(["kind", "state"]), text),
    )
    def collect(page: str, id_: str, query: dict[str, str]) -> None:
        many.append([page, id_, query])

    await asyncio.to_thread(collect)
    context = await context_of(browser, made, "")
    page = await context.new_page()
    await page.goto("/static/i18n/en.json")
    assert await page.evaluate(ADDRESSES, many) == []
    await context.close()


async def test_a_press_after_the_close_was_asked_for_is_not_closed_with_it(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    school = made.schools[0]
    async with opened(browser, made) as page:
        await shows(page, "p-0")
        await ready(page)
        await page.keyboard.press("c")
        made.say(
            [
                alert(
                    "p-0",
                    1,
                    Action.UPDATED,
                    school=school,
                    device="button-1",
                    time_ms=now_ms(),
                    count=2,
                )
            ]
        )
        await expect(page.locator("#takeover-flags")).to_contain_text("2 presses")
        await page.locator("#close-dialog [data-outcome=false]").click()
        await expect(page.locator("#takeover-said")).to_contain_text("changed meanwhile")
        assert made.steps == []
    made.quiet()
