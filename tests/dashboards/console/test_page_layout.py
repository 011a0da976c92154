"""The page on every screen and for everybody: width, reach, contrast, targets, languages, addresses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from dashboards.console.server import STATIC
from schemas.alerts import Action, AlertKind, Severity, Status
from schemas.steps import PanicOutcome, Took
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms, opened
from tests.dashboards.console.records import acted, alert, status

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDTHS = (390, 1366, 1440, 1920, 3840)
COUNTS = (0, 1, 5, 60, 300)
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()

# Controls that no scrolling brings into view, and how wide the page is.
OUT_OF_REACH = """() => {
    const wide = document.documentElement.scrollWidth;
    const scrolls = (node) => node && node !== document.body
        && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    const lost = [...document.querySelectorAll("a, button, input, select, summary")].filter((node) => {
        const box = node.getBoundingClientRect();
        return node.checkVisibility() && !node.closest(".maplibregl-ctrl-attrib") && !node.matches(".skip")
            && (box.left < -1 || box.right > innerWidth + 1) && !scrolls(node.closest(".scroll"));
    });
    return [wide, innerWidth, ...lost.map((node) => node.outerHTML.slice(0, 120))];
}"""

# WCAG 2.2, 2.5.8. A link within a sentence is excepted; of ours there is none.
SMALL = """() => [...document.querySelectorAll("a, button, input, select, summary")].filter((node) => {
    const box = node.getBoundingClientRect();
    return node.checkVisibility() && box.width && (box.width < 23.9 || box.height < 23.9)
        && !node.closest(".maplibregl-ctrl-attrib") && !node.matches(".skip");
}).map((node) => `${node.outerHTML.slice(0, 120)} ${node.getBoundingClientRect().height}`)"""

# What has letters and is in no dictionary: each word of ours is between marks, and data says that it is data.
UNMARKED = """() => {
    const bad = [], letters = (text) => /\\p{L}/u.test(text.replace(/⟦[^⟧]*⟧/g, ""));
    const data = (node) => node.closest("[translate=no], script, style, .maplibregl-map");
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data: text, parentElement: at } = walker.currentNode;
        if (!data(at) && letters(text)) bad.push(`${at.outerHTML.slice(0, 90)}: ${text.slice(0, 60)}`);
    }
    for (const name of ["aria-label", "placeholder", "title"])
        for (const node of document.querySelectorAll(`[${name}]`))
            if (!node.closest(".maplibregl-ctrl") && letters(node.getAttribute(name)))
                bad.push(node.outerHTML.slice(0, 120));
    return bad;
}"""


async def no_map(route: Route) -> None:
    await route.abort()


async def still(page: Page) -> None:
    """Until the page is drawn with all that it was told."""
    await page.wait_for_function(
        "() => !document.querySelector('.page-of')?.textContent.includes('Loading')"
    )
    await page.wait_for_timeout(150)


async def visit(page: Page, path: str) -> None:
    """As a click on a link does it: without loading the page anew."""
    await page.evaluate(
        "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }",
        path,
    )
    await still(page)


async def axe(page: Page, *rules: str) -> list[str]:
    """What axe-core finds, by these rules or by all."""
    found = await page.evaluate(
        """async (rules) => {
            const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
            const { violations } = await axe.run({ exclude: [["#map"]] }, only);
            return violations.map((v) =>
                `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).slice(0, 4).join("; ")}`);
        }""",
        rules,
    )
    return [str(one) for one in found]


async def looked_at(page: Page) -> list[str]:
    """All that is wrong with what is shown now: in light and dark, and at 320 px."""
    found = [*await axe(page), *await page.evaluate(SMALL)]
    await page.locator("html").evaluate("(root) => { root.dataset.theme = 'light' }")
    found += await axe(page, "color-contrast")
    await page.locator("html").evaluate("(root) => { root.dataset.theme = 'dark' }")
    await page.set_viewport_size({"width": 320, "height": 640})
    wide, window, *lost = await page.evaluate(OUT_OF_REACH)
    await page.set_viewport_size({"width": 1366, "height": 768})
    return [*found, *([f"{wide} px at 320"] if wide != window else []), *lost]


def troubles(made: MadeUp) -> dict[str, str]:
    """Something of everything is open; addresses by name."""
    schools = made.schools
    made.panics(3)
    made.say(
        [alert("duress", school=schools[5], duress=True, score=3, why=["duress"], time_ms=now_ms())]
    )
    made.say([alert("cancelled", school=schools[6], why=["cancelled 01a22226"], time_ms=now_ms())])
    told = {
        "severity": Severity.WARNING,
        "kind": AlertKind.SCHOOL_OFFLINE,
        "time_ms": now_ms() - 60_000,
    }
    made.say(
        [
            alert("silent", school=schools[7], outage="outage", **told),
            alert("other", school=schools[8], **told),
        ]
    )
    outage = {**told, "kind": AlertKind.OUTAGE, "scope": "provider:caspian-link region:KZ-27"}
    made.say([alert("outage", school="", members=[schools[7]], **outage)])
    ours = {
        **told,
        "kind": AlertKind.PIPELINE_SILENT,
        "severity": Severity.CRITICAL,
        "note": "Look.",
    }
    made.say([alert("ours", school="", scope="gateway canary", **ours)])
    made.desk.picture.status([status(schools[7], Status.OFFLINE, now_ms() - 90_000)], now_ms())
    steps = [
        acted(took, alert="p-1", outcome=PanicOutcome.NONE)
        for took in (Took.ACKNOWLEDGED, Took.DISPATCHED)
    ]
    steps += [
        acted(Took.NOTIFIED, "saqshy:notify", "p-1", note="log"),
        acted(Took.ESCALATED, "saqshy:x", "p-1", target="phone:+7 701 111 22 33"),
    ]
    for n, step in enumerate(steps):
        made.desk.picture.step(step, now_ms(), n)
    made.desk.stream.wake()
    return {
        "map": "/",
        "panic": "/alarm/p-1",
        "duress": "/alarm/duress",
        "silence": "/alarm/silent",
        "outage": "/alarm/outage",
        "ours": "/alarm/ours",
        "nothing": "/alarm/nothing",
        "school": f"/school/{schools[7]}",
        "region": "/region/KZ-10",
        "silent": "/silent",
        "alerts": "/alerts",
        "panics": "/alerts?kind=panic",
        "shift": "/shift",
        "audit": "/audit",
        "components": "/components",
    }


@pytest_asyncio.fixture(loop_scope="session")
async def troubled(made: MadeUp) -> AsyncIterator[dict[str, str]]:
    made.quiet()
    yield troubles(made)
    made.quiet()


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
                await page.set_viewport_size(
                    {"width": width, "height": 2160 if width == 3840 else 800}
                )
                for _ in range(20):  # a busy machine draws the new width some frames later
                    await still(page)
                    wide, window, *lost = await page.evaluate(OUT_OF_REACH)
                    if (wide, lost) == (window, []):
                        break
                assert (wide, lost) == (window, []), (count, width)
    made.quiet()


async def test_what_an_operator_needs_is_seen_before_the_first_scroll(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(38, duress=True, score=3, why=["duress"])
    async with opened(browser, made) as page:
        await expect(page.locator("#takeover-reach .pressed")).to_contain_text("pressed here")
        assert (
            await page.locator("#takeover-reach a.tel").count() >= 4
        )  # mobiles, too, for an alarm
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
            box = await page.locator(wanted).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 768, wanted
        # The town is never cut.
        cut = """() => [...document.querySelectorAll("#panic-list b")].filter((b) =>
            b.scrollWidth > b.clientWidth + 1
            && getComputedStyle(b).display !== "inline").length"""
        assert await page.evaluate(cut) == 0
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
        await page.wait_for_timeout(1100)
        await page.locator("#takeover-actions [data-took=closed]").click()
        await expect(page.locator("#close-dialog")).to_be_visible()
        found["close"] = await (axe(page) if forced else looked_at(page))
        await page.keyboard.press("Escape")
        await visit(page, troubled["school"])
        await page.locator("#drill-open").click()
        found["drill"] = await (axe(page) if forced else looked_at(page))
        await page.keyboard.press("Escape")
        await page.locator("#search").fill("Semey")
        found["search"] = await (axe(page) if forced else looked_at(page))
        await page.locator("#sign-out").click()
        await expect(page.locator("#sign-in")).to_be_visible()
        found["out"] = await (axe(page) if forced else looked_at(page))
        assert {name: what for name, what in found.items() if what} == {}


async def marked(route: Route) -> None:
    words = json.loads((STATIC / "i18n" / "en.json").read_text())
    await route.fulfill(json={key: f"⟦{text}⟧" for key, text in words.items()})


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
        if bad := await page.evaluate(UNMARKED):
            found[name] = bad
    assert found == {}
    await visit(page, "/alarm/p-0")
    await page.wait_for_timeout(1100)
    await page.locator("#takeover-actions [data-took=closed]").click()
    await page.locator("#close-dialog").wait_for()
    assert await page.evaluate(UNMARKED) == []
    await page.keyboard.press("Escape")
    await page.locator("#search").fill("no such school")
    await page.locator("#found-count").wait_for()
    assert await page.evaluate(UNMARKED) == []
    await page.locator("#sign-out").click()
    await page.locator("#sign-in").wait_for()
    assert await page.evaluate(UNMARKED) == []
    await context.close()


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


async def test_signed_out_and_silence_never_look_like_peace(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    made.panics(2)
    password = made.desk.users.put("gone", "Gone", "operator", ["*"])  # type: ignore[arg-type]
    made.passwords["gone"] = password
    async with opened(browser, made, "gone", "/shift") as page:
        await expect(page.locator("#panic-count")).to_have_text("2")
        made.fresh_ms = now_ms() - 60_000
        await expect(page.locator("#not-live")).to_be_visible()
        await expect(page.locator("#not-live")).to_contain_text("telephone")
        await expect(page).to_have_title("(!) NOT LIVE · Saqshy")
        assert "grayscale" in await page.locator("main").evaluate(
            "(node) => getComputedStyle(node).filter"
        )
        made.fresh_ms = None
        await expect(page.locator("#not-live")).to_have_count(0)
        made.desk.users.remove("gone")
        made.desk.stream.wake()
        await expect(page.locator("#ended")).to_contain_text("Your session ended at")
        await expect(page.locator("#ended")).to_contain_text("shows nothing")
        await expect(page).to_have_title("(!) signed out · Saqshy")
        assert "School No" not in await page.locator("body").inner_text()
    made.quiet()


async def test_before_anything_is_told_nothing_is_zero(browser: Browser, made: MadeUp) -> None:
    made.quiet()
    context = await context_of(browser, made, "viewer")
    page = await context.new_page()
    await page.route("**/events", lambda route: asyncio.sleep(60))
    await page.goto("/")
    await expect(page.locator("#counters [data-n=offline]")).to_have_text("–")
    await expect(page.locator("#alert-count")).to_have_text("–")
    await expect(page.locator("#no-panics")).to_have_text("Loading…")
    await expect(page.locator("#not-live")).to_be_visible()
    await context.close()


async def test_silent_schools_say_how_long_who_else_and_what_to_do(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    school = made.schools[7]
    made.desk.picture.devices[school] = {
        "gateway-1": {"kind": "gateway", "status": "offline", "since_ms": now_ms() - 90_000},
        "turnstile-1": {"kind": "turnstile", "status": "online", "since_ms": now_ms() - 900_000},
    }
    async with opened(browser, made, path="/components") as page:
        await page.route("**/maplibre-gl.mjs", no_map)
        await page.goto("/silent")
        card = page.locator(f"#silent [data-school={school}]")
        await expect(card).to_contain_text("silent for 01:")
        await expect(card).to_contain_text("0 more silent")
        await card.locator("a", has_text="Call the school").click()
        devices = page.locator("#school .row", has_text="turnstile-1")
        await expect(devices).to_contain_text("unknown · behind a silent gateway")
        # Mobile numbers are for an alarm, or for a look that is noted.
        numbers = page.locator("#school a.tel")
        before = await numbers.count()
        await page.locator("#look").click()
        await expect(numbers).not_to_have_count(before)
        await page.goto("/alarm/silent")
        await expect(page.locator("[data-took=silenced]")).to_be_visible()
        for police in ("dispatched", "arrived"):
            await expect(page.locator(f"[data-took={police}]")).to_have_count(0)
        await page.wait_for_timeout(1100)
        await page.locator("[data-took=closed]").click()
        await expect(page.locator("#close-dialog [data-outcome]")).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.goto("/alerts?kind=")
        await expect(page.locator("#all-alerts details summary")).to_have_text("1 schools")
        await page.goto("/alarm/p-1")
        await expect(page.locator("#takeover-timeline")).to_contain_text("notification")
    made.desk.picture.devices.pop(school)


async def test_a_closed_alarm_s_time_stands_still_and_an_expired_contract_is_marked(
    browser: Browser, made: MadeUp
) -> None:
    made.quiet()
    made.panics(1)
    made.desk.picture.step(acted(Took.CLOSED, alert="p-0", outcome=PanicOutcome.REAL), now_ms(), 1)
    async with opened(browser, made, path="/alarm/p-0") as page:
        time = page.locator("#takeover-since b")
        await expect(time).not_to_be_empty()
        before = await time.inner_text()
        await page.wait_for_timeout(1600)
        assert await time.inner_text() == before
        contract = page.locator("#takeover-school .bad")
        await expect(contract).to_contain_text("EXPIRED 2026-07-26")
        await expect(page.locator(".flow svg text").first).to_be_visible()
        assert len(await page.locator(".flow rect title").all()) == 48
    made.quiet()


async def test_an_alert_that_is_resolved_goes(
    browser: Browser, made: MadeUp, troubled: dict[str, str]
) -> None:
    async with opened(browser, made, "viewer") as page:
        line = page.locator("#alerts li", has_text="pipeline silent")
        await line.wait_for()
        made.say(
            [
                alert(
                    "ours",
                    1,
                    Action.RESOLVED,
                    school="",
                    kind=AlertKind.PIPELINE_SILENT,
                    severity=Severity.CRITICAL,
                    time_ms=now_ms(),
                )
            ]
        )
        await expect(line).to_have_count(0)
