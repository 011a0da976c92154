"""The console's own application in this process, with a picture that a test makes up."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext, Page

from dashboards.console import server
from dashboards.console.access import Role
from dashboards.console.desk import Desk
from dashboards.console.figures import NOTHING_KNOWN
from dashboards.console.said import At
from deploy.embedded.ports import free_port
from loadtest.simulator.contacts import contacts_of
from loadtest.simulator.country import country
from loadtest.simulator.encode import Encoder, registry
from loadtest.simulator.fleet import Fleet
from schemas.alerts import AlertChanged, Status
from schemas.settings import ConsoleSettings, Settings
from schemas.steps import StepTaken
from tests.dashboards.console.records import NOW_MS, alert, registered, status

SCHOOLS = 60
PEOPLE = {
    "viewer": Role.VIEWER,
    "aigerim": Role.OPERATOR,
    "bolat": Role.OPERATOR,
    "saule": Role.SUPERVISOR,
    "engineer": Role.ENGINEER,
}
KNOWN = {
    **NOTHING_KNOWN,
    "stale": False,
    "flow": [(NOW_MS + n * 300_000, 10 + n, n) for n in range(24)],
    "expected": [(NOW_MS + n * 300_000, 20) for n in range(24)],
    "inside": (NOW_MS, 5),
    "equipment": {
        "turnstiles": 2,
        "panic_buttons": 3,
        "police_link": True,
        "contract_company": "Security C",
        "contract_number": "SC-003546",
        "contract_expires": "2026-07-26",
    },
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class MadeUp:
    """``steps``: what people did, in order. ``fresh_ms``: when Kafka was last heard, None for now."""

    url: str
    desk: Desk
    passwords: dict[str, str]
    steps: list[StepTaken] = field(default_factory=list)
    fresh_ms: int | None = None

    @property
    def schools(self) -> list[str]:
        return list(self.desk.picture.schools)

    def say(self, notices: Iterable[AlertChanged]) -> None:
        for notice in notices:
            self.desk.picture.alert(notice, now_ms())
        self.desk.stream.wake()

    def panics(self, count: int, prefix: str = "p", **fields: Any) -> list[str]:
        """So many open panics, the first the oldest; their ids."""
        ids = [f"{prefix}-{n}" for n in range(count)]
        start_ms = now_ms() - 1000 * (count + 60)
        self.say(
            alert(
                id_,
                school=self.schools[n % SCHOOLS],
                time_ms=start_ms + 1000 * n,
                device="button-1",
                **fields,
            )
            for n, id_ in enumerate(ids)
        )
        return ids

    def quiet(self) -> None:
        """No alert is open and nothing was done."""
        picture = self.desk.picture
        for where in (picture.held, picture.panics, picture.others, picture.over):
            where.clear()
        picture.changes.clear()
        picture.last += 1_000_000  # who comes back gets a new snapshot
        self.steps.clear()
        self.desk.stream.wake()


class _Feeds:
    """Sources that are always there."""

    restored = True

    def __init__(self) -> None:
        self.made_up: MadeUp | None = None

    @property
    def fresh_ms(self) -> dict[str, int]:
        told = self.made_up.fresh_ms if self.made_up else None
        return {"kafka": told or now_ms(), "clickhouse": now_ms()}

    async def school(self, school: str, *, reports: bool) -> dict[str, Any]:
        return dict(KNOWN)


@asynccontextmanager
async def made_up(var: Path) -> AsyncIterator[MadeUp]:
    port, feeds = free_port(), _Feeds()
    settings = Settings(var=var, console=ConsoleSettings(port=port))
    application = server.console(settings)
    desk: Desk = application.state.desk
    desk.feeds = desk.stream.feeds = feeds  # type: ignore[assignment]
    schools = country(1, SCHOOLS)
    desk.contacts.put(contacts_of(schools))
    records = registry(Encoder(Fleet(schools, boot=1), 1), NOW_MS)
    desk.picture.registered(
        [registered(value) for _, _, value, _ in records if b"school.registered" in value]
    )
    desk.picture.status([status(id_, Status.ONLINE) for id_ in desk.picture.schools], now_ms())
    desk.picture.counted(
        {"passes_last_minute": 12, "inside": 575_950, "reports_today": 84}, now_ms()
    )
    passwords = {
        login: desk.users.put(login, login.capitalize(), role, ["*"])
        for login, role in PEOPLE.items()
    }
    passwords["regional"] = desk.users.put("regional", "Regional", Role.VIEWER, ["KZ-75"])
    made_up = feeds.made_up = MadeUp(f"http://127.0.0.1:{port}", desk, passwords)

    async def step(step: StepTaken) -> At:
        made_up.steps.append(step)
        return At(now_ms(), len(made_up.steps))

    desk.said.step = step  # type: ignore[method-assign]
    config = uvicorn.Config(
        application, port=port, lifespan="off", log_level="error", timeout_graceful_shutdown=1
    )
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    try:
        async with asyncio.timeout(60):
            while not running.started:
                await asyncio.sleep(0.01)
        yield made_up
    finally:
        running.should_exit = True
        await task


async def context_of(browser: Browser, live: MadeUp, login: str, **options: Any) -> BrowserContext:
    """A browser of this person's own, signed in, in English unless told otherwise."""
    options = {"locale": "en-GB", "viewport": {"width": 1366, "height": 768}, **options}
    context = await browser.new_context(base_url=live.url, **options)
    context.set_default_timeout(60_000)
    if login:
        answer = await context.request.post(
            "/api/sign-in",
            data={"login": login, "password": live.passwords[login]},
            headers={"origin": live.url},
        )
        assert answer.status == 200, await answer.text()
    return context


@asynccontextmanager
async def opened(
    browser: Browser, live: MadeUp, login: str = "aigerim", path: str = "/", **options: Any
) -> AsyncIterator[Page]:
    context = await context_of(browser, live, login, **options)
    page = await context.new_page()
    await page.goto(path)
    yield page
    await context.close()
