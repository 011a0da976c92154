"""The main job: the whole stack on this machine, with a simulated country, until stopped.

Order: embedded Kafka and ClickHouse, topics and tables, workers and console, simulator. With a duration it
ends by itself: the simulator is done, everything drains, and what came out is counted against what went in.
"""

import asyncio
import fcntl
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import aiohttp
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from dashboards.console.access import WHOLE_COUNTRY, Role
from dashboards.console.contacts import ContactBook, contacts_path
from dashboards.console.users import Users, bearer, users_path
from deploy.accounting import Account, account, end_offsets
from deploy.addresses import console_url
from deploy.cost import NOT_OURS, Meter, cost
from deploy.embedded.disk import watch_disk
from deploy.embedded.stack import stack_parts
from deploy.panic_listener import Announced, listen
from deploy.police import with_police
from deploy.supervisor import Notice, Part, Supervisor
from deploy.supervisor.diagnose import troubles
from deploy.supervisor.spawn import spawn
from deploy.topics import ensure_topics
from deploy.wiring import CannotRun, console_part, worker_parts
from loadtest.simulator.contacts import contacts_of
from loadtest.simulator.country import country
from schemas.migrations import migrate
from schemas.private import close_output
from schemas.settings import Settings
from streams.processes import BULK

DRAIN_S: Final = 180.0
ASK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class UpOptions:
    """``seconds`` None: until stopped, at a school day's pace. ``embedded`` False: use the Kafka and
    ClickHouse that the settings name."""

    schools: int = 8_000
    seed: int = 1
    seconds: float | None = None
    rate_per_s: int = 5_000
    panics: int = 320
    embedded: bool = True


@dataclass(frozen=True, slots=True)
class Say:
    """Where progress goes: what the supervisor notices, and steps in words."""

    notice: Callable[[Notice], None]
    step: Callable[[str], None]


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the data folder. Raises CannotRun when another `saqshy up` has it."""
    path = var / "run" / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        _take(file, var)
        yield


def _take(file: TextIO, var: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotRun(
            f"Another `saqshy up` runs on {var}. Stop it, or choose another folder with SAQSHY_VAR=/path."
        ) from None


async def up(wanted: UpOptions, say: Say) -> dict[str, Any] | None:
    """Run until cancelled, or for the wanted seconds; then return the report.

    Raises CannotRun and supervisor.PartFailed, each with a message for a person.
    """
    began = time.time()
    settings = Settings()
    with only_one(settings.var):
        for trouble in troubles(settings.var):
            say.step(trouble)
        supervisor = Supervisor(settings.var / "log", say.notice)
        try:
            return await _run(wanted, settings, supervisor, say, began)
        finally:
            await supervisor.stop()


async def _run(
    wanted: UpOptions, settings: Settings, supervisor: Supervisor, say: Say, began: float
) -> dict[str, Any] | None:
    if wanted.embedded:
        await supervisor.start(*stack_parts(settings))
        settings = Settings()  # now with what the stack wrote
        if settings.dispatch.centers_file is None:
            settings, police = with_police(settings)
            await supervisor.start(police)
    if wanted.seconds is not None:
        # Each record is accounted for, and canaries are stored nowhere.
        watchdog = settings.watchdog.model_copy(update={"canaries": False})
        settings = settings.model_copy(update={"watchdog": watchdog})
    say.step("topics and tables")
    await asyncio.to_thread(ensure_topics, settings)
    await asyncio.to_thread(migrate, settings.clickhouse)
    start = await asyncio.to_thread(end_offsets, settings)
    console = console_part(settings)
    workers = worker_parts(settings)
    await supervisor.start(*workers, console)
    await asyncio.to_thread(make_up_contacts, wanted, settings)
    say.step(f"live map: {console_url(settings)}")
    for line in await asyncio.to_thread(sign_in_lines, settings.var):
        say.step(line)
    may_wait = (*workers, simulator_part(wanted, settings))
    watching = asyncio.create_task(watch_disk(supervisor, settings.var, say.step, may_wait))
    try:
        return await _load(wanted, settings, supervisor, say, began, start)
    finally:
        watching.cancel()


async def _load(
    wanted: UpOptions,
    settings: Settings,
    supervisor: Supervisor,
    say: Say,
    began: float,
    start: dict[str, dict[int, int]],
) -> dict[str, Any] | None:
    url = console_url(settings)
    if wanted.seconds is None:
        await supervisor.start(simulator_part(wanted, settings))
        say.step(f"everything is up after {time.time() - began:.1f} s; Ctrl-C stops it")
        await asyncio.Event().wait()
    heard = Announced()
    listening = asyncio.create_task(
        listen(f"{url}/events?only=panics", heard, bearer(settings.var))
    )
    meter = Meter(settings.clickhouse, supervisor.cpu_seconds)
    meter.start()
    try:
        report = await simulate_peak(wanted, settings, say)
        load_s, ended_s = float(report["seconds"]), time.monotonic()
        say.step("draining")
        settled = await drained(settings, start, report, heard)
        looks = await meter.stop()
        first_ms = await _first_event_ms(url, bearer(settings.var))
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
    await supervisor.stop()
    presses = list(report["panics"])
    memory_mb = supervisor.peak_memory_mb()
    return {
        "produced": settled.produced,
        "stored": settled.stored,
        "dead_lettered": settled.dead_lettered,
        "lost": settled.lost + heard.missing(presses),
        "duplicated": settled.duplicated + heard.doubled,
        "rollups_off": settled.rollups_off,
        "panics": len(presses),
        "panic_p50_ms": heard.percentile_ms(0.50, presses),
        "panic_p99_ms": heard.percentile_ms(0.99, presses),
        "first_event_s": None if first_ms is None else round(first_ms / 1000 - began, 2),
        "events_per_s": report["events_per_s"],
        "seconds": round(load_s, 1),
        **cost(looks, ended_s - load_s, ended_s, settled.produced),
        "memory_mb": round(sum(mb for part, mb in memory_mb.items() if part not in NOT_OURS)),
        "peak_memory_mb": memory_mb,
    }


def sign_in_lines(var: Path) -> list[str]:
    """How to sign in to the console of this stack. The passwords are made, and said, only once."""
    users = Users(users_path(var))
    if users.all():
        there = ", ".join(sorted(users.all()))
        return [f"sign in as one of {there}; `saqshy users password LOGIN` makes a new password"]
    first = (("operator", Role.OPERATOR), ("supervisor", Role.SUPERVISOR))
    close_output()  # what goes to a file may be read by many, for long
    return [
        f"sign in as {login} with {users.put(login, login.capitalize(), role, [WHOLE_COUNTRY])}"
        for login, role in first
    ]


def make_up_contacts(wanted: UpOptions, settings: Settings) -> None:
    """For the simulated schools, where somebody has not brought real ones."""
    path = contacts_path(settings.var)
    if wanted.embedded and not path.exists():
        ContactBook(path).put(contacts_of(country(wanted.seed, wanted.schools)))


async def _at_once() -> bool:
    return True


def simulator_part(wanted: UpOptions, settings: Settings) -> Part:
    """Load, and no service: what it sends shows on the map."""
    return Part(
        name="simulator",
        argv=_simulator_argv(wanted),
        env=settings.environment(),
        ready=_at_once,
        nice=BULK,
    )


def _simulator_argv(wanted: UpOptions, *more: str) -> tuple[str, ...]:
    return (
        # Not `-m loadtest simulate`: the benchmarks beside it need packages that are not installed here.
        *(sys.executable, "-m", "loadtest.simulator.simulate"),
        *("--schools", str(wanted.schools), "--seed", str(wanted.seed), *more),
    )


async def simulate_peak(wanted: UpOptions, settings: Settings, say: Say) -> dict[str, Any]:
    """The national peak for the wanted seconds; returns the simulator's own report."""
    path = settings.var / "run" / "simulator.json"
    path.unlink(missing_ok=True)
    log_path = settings.var / "log" / "simulator.log"
    peak = ("--peak", str(wanted.rate_per_s), "--for", str(wanted.seconds))
    more = ("--panics", str(wanted.panics), "--report", str(path))
    say.step(
        f"{wanted.rate_per_s:,} events/s of {wanted.schools:,} schools for {wanted.seconds:.0f} s"
    )
    with log_path.open("ab") as log:
        argv = _simulator_argv(wanted, *peak, *more)
        process = await spawn(argv, settings.environment(), log)
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
    if code != 0 or not path.exists():
        raise CannotRun(f"The simulator ended with exit code {code}; see {log_path}.")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


async def drained(
    settings: Settings, start: dict[str, dict[int, int]], report: dict[str, Any], heard: Announced
) -> Account:
    """Wait until all that was produced is stored and every press was heard, or DRAIN_S is over."""
    end = await asyncio.to_thread(end_offsets, settings)
    presses = list(report["panics"])
    client = Client(**settings.clickhouse.driver_kwargs())
    deadline = time.monotonic() + DRAIN_S
    try:
        while True:
            with suppress(ClickHouseError, OSError):
                found = await asyncio.to_thread(account, client, start, end)
                over = time.monotonic() > deadline
                if over or (found.settled and not heard.missing(presses)):
                    return found
            await asyncio.sleep(ASK_EVERY_S)
    finally:
        client.disconnect()


async def _first_event_ms(url: str, headers: dict[str, str]) -> float | None:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{url}/api/snapshot") as answer,
    ):
        first: float | None = (await answer.json()).get("first_event_ms")
        return first
