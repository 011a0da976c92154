"""A real browser beside the event-stream client: when a panic is there for an operator to see."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--no-first-run",
)
# The list gets an element per alarm, drawn in the frame in which it is appended.
_OBSERVE: Final = """() => {
  window.panicSeenMs = {};
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes)
      if (node.dataset?.id) window.panicSeenMs[node.dataset.id] ??= Date.now();
  }).observe(document.querySelector("#panic-list"), { childList: true });
}"""


class Browser:
    """An open console."""

    def __init__(self, page: Any) -> None:
        self._page = page

    async def seen_ms(self) -> dict[str, float]:
        """Alert id -> the wall clock when it came onto the page."""
        seen: dict[str, float] = await self._page.evaluate("() => window.panicSeenMs")
        return seen


def chromium() -> str | None:
    """An installed one's path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def browser(console: str, headers: Mapping[str, str]) -> AsyncIterator[Browser | None]:
    """The console in headless Chromium, live; None where there is no Chromium or no playwright."""
    path = chromium()
    try:
        from playwright.async_api import async_playwright  # of the dev extra
    except ImportError:
        path = None
    if path is None:
        yield None
        return
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            context = await launched.new_context(extra_http_headers=dict(headers))
            page = await context.new_page()
            await page.goto(console)
            await page.wait_for_selector("#panic-list", state="attached")
            await page.evaluate(_OBSERVE)
            yield Browser(page)
        finally:
            await launched.close()
