"""What the tests of the page share: how it is visited, what is wrong with what it shows, and a bad day."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Route, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from dashboards.console.server import STATIC
from schemas.alerts import AlertKind, Severity, Status
from schemas.steps import PanicOutcome, Took
from tests.dashboards.console.made_up import MadeUp, now_ms
from tests.dashboards.console.records import acted, alert, status

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()


# Controls that no scrolling brings into view, and a page that is wider than its window. `width`: that which
# the window was given.
OUT_OF_REACH = """(width) => {
    const wide = document.documentElement.scrollWidth;
    const scrolls = (node) => node && node !== document.body
        && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    const lost = [...document.querySelectorAll("a, button, input, select, summary")].filter((node) => {
        const box = node.getBoundingClientRect();
        return node.checkVisibility() && !node.closest(".maplibregl-ctrl-attrib") && !node.matches(".skip")
            && (box.left < -1 || box.right > innerWidth + 1) && !scrolls(node.closest(".scroll"));
    });
    return [
        ...(innerWidth === width ? [] : [`a window of ${innerWidth} and not ${width} px`]),
        ...(wide === innerWidth ? [] : [`${wide} px at ${width}`]),
        ...lost.map((node) => node.outerHTML.slice(0, 120)),
    ];
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


# What was asked for is rendered in the next frame, and its effects have run in the one after.
FRAMES = """async () => {
    for (let n = 0; n < 3; n++) await new Promise((drawn) => requestAnimationFrame(drawn));
}"""


async def no_map(route: Route) -> None:
    await route.abort()


async def still(page: Page) -> None:
    """Until the page is drawn with all that it was told."""
    await page.evaluate(FRAMES)
    await page.wait_for_function(
        "() => !document.querySelector('.page-of')?.textContent.includes('Loading')"
    )
    await page.evaluate(FRAMES)


async def visit(page: Page, path: str) -> None:
    """As a click on a link does it: without loading the page anew."""
    await page.evaluate(
        "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }",
        path,
    )
    await still(page)


async def wrong(page: Page, script: str, arg: Any = None) -> list[str]:
    """What this script finds wrong with the page, nothing as soon as it finds nothing: a busy machine draws
    what was asked for some frames later.
    """
    with suppress(PlaywrightTimeout):
        await page.wait_for_function(f"(arg) => !({script})(arg).length", arg=arg, timeout=10_000)
        return []
    return list(await page.evaluate(script, arg))


async def out_of_reach(page: Page, width: int, height: int) -> list[str]:
    """In a window of this size."""
    await page.set_viewport_size({"width": width, "height": height})
    return await wrong(page, OUT_OF_REACH, width)


async def shows(page: Page, id_: str) -> None:
    await expect(page.locator("#takeover")).to_have_attribute("data-id", id_)


async def ready(page: Page) -> None:
    """A second after what is shown was drawn acts count; the page marks until when they do not."""
    await page.locator("#takeover-actions:not(.changing)").wait_for()


async def ask_to_close(page: Page, id_: str) -> None:
    await shows(page, id_)
    await ready(page)
    await page.locator("#takeover-actions [data-took=closed]").click()
    await expect(page.locator("#close-dialog")).to_be_visible()


async def escape(page: Page) -> None:
    """Out of the dialog that is open."""
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog[open]")).to_have_count(0)


def by_another(made: MadeUp, id_: str, took: Took = Took.ACKNOWLEDGED, **more: Any) -> None:
    made.desk.picture.step(acted(took, "bolat", id_, **more), now_ms(), 1000 + len(made.steps))
    made.desk.stream.wake()


async def marked(route: Route) -> None:
    words = json.loads((STATIC / "i18n" / "en.json").read_text())
    await route.fulfill(json={key: f"⟦{text}⟧" for key, text in words.items()})


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
    found = [*await axe(page), *await wrong(page, SMALL)]
    await page.locator("html").evaluate("(root) => { root.dataset.theme = 'light' }")
    found += await axe(page, "color-contrast")
    await page.locator("html").evaluate("(root) => { root.dataset.theme = 'dark' }")
    found += await out_of_reach(page, 320, 640)
    await page.set_viewport_size({"width": 1366, "height": 768})
    await page.wait_for_function("() => innerWidth === 1366")
    return found


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
