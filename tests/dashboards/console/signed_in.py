"""A browser in which somebody is signed in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, Page

from tests.dashboards.console.conftest import SCHOOLS, Live

ALL_SCHOOLS = """(n) => [...document.querySelectorAll("#counters dd")].slice(0, 4)
    .reduce((sum, dd) => sum + (parseInt(dd.textContent) || 0), 0) === n"""


async def sign_in(context: BrowserContext, live: Live, login: str) -> None:
    """As the form does it; the browser keeps the cookie."""
    answer = await context.request.post(
        "/api/sign-in",
        data={"login": login, "password": live.passwords[login]},
        headers={"origin": live.url},
    )
    assert answer.status == 200, await answer.text()


@asynccontextmanager
async def signed_in(
    browser: Browser, live: Live, login: str, timezone_id: str = "Asia/Almaty"
) -> AsyncIterator[Page]:
    """The console in English, with its schools, in a browser of this person's own."""
    context = await browser.new_context(
        locale="en-GB",
        timezone_id=timezone_id,
        base_url=live.url,
        viewport={"width": 1280, "height": 800},
    )
    await sign_in(context, live, login)
    page = await context.new_page()
    page.set_default_timeout(60_000)
    await page.goto("/")
    await page.wait_for_function(ALL_SCHOOLS, arg=SCHOOLS)
    yield page
    await context.close()
