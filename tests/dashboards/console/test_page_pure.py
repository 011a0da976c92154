"""The pure modules, asked in a browser, since no other engine of JavaScript needs to be installed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from tests.dashboards.console.made_up import MadeUp, context_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

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
