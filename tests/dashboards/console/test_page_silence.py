"""Silence never looks like peace: of the page itself, of schools, of what is over."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, expect

from schemas.alerts import Action, AlertKind, Severity
from schemas.steps import PanicOutcome, Took
from tests.dashboards.console.made_up import MadeUp, context_of, now_ms, opened
from tests.dashboards.console.page import ask_to_close, escape, no_map
from tests.dashboards.console.records import acted, alert

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


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
        await expect(page.locator("main")).to_have_css("filter", re.compile("grayscale"))
        made.fresh_ms = None
        await expect(page.locator("#not-live")).to_have_count(0)
        made.desk.users.remove("gone")
        made.desk.stream.wake()
        await expect(page.locator("#ended")).to_contain_text("Your session ended at")
        await expect(page.locator("#ended")).to_contain_text("shows nothing")
        await expect(page).to_have_title("(!) signed out · Saqshy")
        await expect(page.locator("body")).not_to_contain_text("School No")
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
        await expect(card).to_contain_text(re.compile(r"silent for 0[1-9]:"))
        await expect(card).to_contain_text("0 more silent")
        await card.locator("a", has_text="Call the school").click()
        devices = page.locator("#school .row", has_text="turnstile-1")
        await expect(devices).to_contain_text("unknown · behind a silent gateway")
        # Mobile numbers are for an alarm, or for a look that is noted.
        numbers = page.locator("#school a.tel")
        await expect(page.locator("#look")).to_be_visible()
        before = await numbers.count()
        await page.locator("#look").click()
        await expect(numbers).not_to_have_count(before)
        await page.goto("/alarm/silent")
        await expect(page.locator("[data-took=silenced]")).to_be_visible()
        for police in ("dispatched", "arrived"):
            await expect(page.locator(f"[data-took={police}]")).to_have_count(0)
        await ask_to_close(page, "silent")
        await expect(page.locator("#close-dialog [data-outcome]")).to_have_count(1)
        await escape(page)
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
        before, clock = await time.inner_text(), page.locator("#clock")
        for _ in range(2):
            await expect(clock).not_to_have_text(await clock.inner_text())
        assert await time.inner_text() == before
        contract = page.locator("#takeover-school .bad")
        await expect(contract).to_contain_text("EXPIRED 2026-07-26")
        await expect(page.locator(".flow svg text").first).to_be_visible()
        await expect(page.locator(".flow rect title")).to_have_count(48)
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
