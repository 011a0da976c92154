"""``python -m loadtest panic``: from a pressed button to browser and police, while things break."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import aiohttp
import typer

from dashboards.console.users import bearer
from deploy.accounting import end_offsets
from loadtest.panic.browser import browser
from loadtest.panic.pressing import Buttons, Presser, percentiles
from loadtest.panic.stack import Whole, whole_stack
from loadtest.panic.watching import Watching
from loadtest.result import save
from loadtest.throughput.generator import Task
from loadtest.throughput.passes import Crowd
from loadtest.throughput.pipeline import tell
from loadtest.throughput.sending import Generator, register
from schemas.settings import Settings
from schemas.topics import PASSES

KILLED: Final = ("panic-a", "gateway", "dispatch", "notify")
ROUND_S: Final = 31.0
"""A part that lived for half a minute is started again at once."""
BURST_SCHOOLS: Final = 1_000
BROWSER_PER_S: Final = 5.0


@dataclass(frozen=True)
class Size:
    """``fault_s`` of the short faults, ``down_s`` of those that take something away."""

    rate_per_s: int = 5_000
    schools: int = 8_000
    presses: int = 10_000
    presses_per_s: float = 50.0
    fault_presses_per_s: float = 15.0
    fault_s: float = 20.0
    down_s: float = 60.0
    burst: int = 1_300_000
    burst_per_s: int = 25_000


QUICK: Final = Size(500, 300, 100, 20.0, 10.0, 5.0, 6.0, 30_000, 10_000)


def panic(
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute or two, to see it work.")
    ] = False,
    kills: Annotated[
        int, typer.Option(min=0, help="Instead: so many random SIGKILLs of each part on the way.")
    ] = 0,
    presses: Annotated[
        int, typer.Option(min=10, help="Presses of the undisturbed run, each an alarm.")
    ] = Size.presses,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Of the faults, only this one. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=4095)] = 1,
) -> None:
    """Press buttons at the gateway under the national peak; time browser and police; break things.

    The whole embedded stack runs in a temporary folder. Presses are open-loop: each is timed from
    when it was due, to the console's event stream and to the ACK of a simulated police center.

    \b
    Examples:
      python -m loadtest panic
      python -m loadtest panic --quick
      python -m loadtest panic --quick --only broker_down
      python -m loadtest panic --kills 20
    """
    # Kafka is taken away on purpose; its clients' complaints would hide what we say.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    size = QUICK if quick else Size(presses=presses)
    faults = {name: FAULTS[name] for name in only or FAULTS if name in FAULTS}
    if only and len(faults) != len(set(only)):
        raise typer.BadParameter(f"--only is one of {', '.join(FAULTS)}")
    run = _killed(size, kills, seed) if kills else _measured(size, faults, seed)
    figures = asyncio.run(run)
    path = save(Settings().var, "panic", seed, figures)
    tell(f"saved as {path}")
    typer.echo(json.dumps(figures))
    if figures["lost"] or figures["duplicated"]:
        raise typer.Exit(1)


Fault = Callable[[Whole, Size], Awaitable[None]]


async def _flow_killed(whole: Whole, size: Size) -> None:
    await _kill_twice(whole, ("flow", "flow"), size.fault_s)


async def _panic_worker_killed(whole: Whole, size: Size) -> None:
    await _kill_twice(whole, ("panic-a", "panic-b"), size.fault_s)


async def _kill_twice(whole: Whole, names: tuple[str, str], seconds: float) -> None:
    """The second one only when the first is back."""
    for name in names:
        whole.supervisor.kill(name)
        await asyncio.sleep(seconds / 2)
        await whole.healthy()


async def _clickhouse_down(whole: Whole, size: Size) -> None:
    await whole.down("clickhouse", size.down_s, lambda: None)
    await _come_back(size)


async def _broker_down(whole: Whole, size: Size) -> None:
    await whole.down("kafka", size.down_s, lambda: None)
    await _come_back(size)


async def _come_back(size: Size) -> None:
    """What was away is there again; those who read of it have yet to see that."""
    await asyncio.sleep(size.fault_s / 2)


async def _disk_full(whole: Whole, size: Size) -> None:
    """The disk of those who keep presses, while Kafka is away too: nothing is left but to tell."""
    await whole.down("kafka", size.fault_s, lambda: whole.fill_disk(True))
    whole.fill_disk(False)
    await _come_back(size)


async def _burst(whole: Whole, size: Size) -> None:
    """A region's day of buffered passes, at most so many a second."""
    crowd = Crowd(BURST_SCHOOLS, 4, whole.settings.kafka.partitions, seed=2)
    task = Task(crowd, PASSES.name, size.burst, size.burst_per_s, outage_ms=6 * 3_600_000)
    generator = await asyncio.to_thread(Generator.start, task, whole.settings)
    try:
        generator.go()
        await asyncio.to_thread(generator.process.wait)
        await whole.drained("flow", size.down_s)
    finally:
        generator.stop()


FAULTS: Final[dict[str, Fault]] = {
    "flow_killed": _flow_killed,
    "panic_worker_killed": _panic_worker_killed,
    "clickhouse_down": _clickhouse_down,
    "burst": _burst,
    "broker_down": _broker_down,
    "disk_full": _disk_full,
}


async def _measured(size: Size, faults: dict[str, "Fault"], seed: int) -> dict[str, Any]:
    longest_s = size.fault_s * 6 + size.down_s * 5 + 4 * size.burst / size.burst_per_s + 240
    buttons = Buttons(size.presses + round(longest_s * size.fault_presses_per_s), seed)
    began_s = time.monotonic()
    async with whole_stack(buttons, tell) as whole:
        crowd = Crowd(BURST_SCHOOLS, 4, whole.settings.kafka.partitions, seed=2)
        await asyncio.to_thread(register, crowd, whole.settings)
        whole.start_load(size.rate_per_s, size.schools, seed)
        watching, presser = Watching(whole), Presser(whole.panic_url, buttons)
        watching.start()
        spans: dict[str, tuple[int, int]] = {}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await _warm(watching, presser, session)
            sampled = await _in_browser(whole, presser, size, session)
            first = len(presser.presses)
            tell(f"{size.presses:,} presses, {size.presses_per_s:.0f} a second")
            load_per_s = await _load_per_s(
                whole,
                presser.press_for(size.presses / size.presses_per_s, size.presses_per_s, session),
            )
            spans["undisturbed"] = first, len(presser.presses)
            for name, fault in faults.items():
                tell(name)
                first = len(presser.presses)
                await _press_while(fault(whole, size), presser, size, session)
                spans[name] = first, len(presser.presses)
                await whole.healthy()
            await presser.finish()
        await watching.settle(presser.presses)
        undisturbed, *disturbed = (
            watching.figures(presser.presses[first:last]) for first, last in spans.values()
        )
        await watching.stop()
        every = watching.figures(presser.presses)
        whole.keep_logs = bool(every["lost"] or every["duplicated"])
        return {
            **undisturbed,
            "chromium": sampled,
            "lost": every["lost"],
            "duplicated": every["duplicated"],
            "troubles": watching.troubles(presser.presses),
            "unanswered": len(presser.presses) - len(presser.answered),
            "repeated_by_buttons": presser.repeats,
            "all_presses": len(presser.presses),
            "peak_events_per_s": size.rate_per_s,
            "load_events_per_s": load_per_s,
            "faults": dict(zip(faults, disturbed, strict=True)),
            "seconds": round(time.monotonic() - began_s, 1),
        }


async def _load_per_s(whole: Whole, meanwhile: Awaitable[None]) -> int:
    """Records a second that the broker took on the topics of devices while this went on: the load as it
    was, which a busy machine may not have sent."""
    before, began_s = await _produced(whole), time.monotonic()
    await meanwhile
    return round((await _produced(whole) - before) / (time.monotonic() - began_s))


async def _produced(whole: Whole) -> int:
    ends = await asyncio.to_thread(end_offsets, whole.settings)
    return sum(sum(of.values()) for of in ends.values())


async def _in_browser(
    whole: Whole, presser: Presser, size: Size, session: aiohttp.ClientSession
) -> dict[str, Any] | None:
    """A sample of presses, timed to their being on the page. A browser costs more than it measures,
    so it is closed before the others. None without a Chromium."""
    first = len(presser.presses)
    async with browser(whole.console, bearer(whole.settings.var)) as page:
        if page is None:
            return None
        tell("a sample in Chromium")
        # A page that has just begun draws the whole country first.
        await presser.press_for(size.fault_s / 2, BROWSER_PER_S, session)
        first = len(presser.presses)
        await presser.press_for(size.fault_s, BROWSER_PER_S, session)
        await asyncio.sleep(2)
        seen = await page.seen_ms()
    presses = presser.presses[first:]
    delays = [seen[p.alert] - p.due_ms for p in presses if p.alert in seen]
    missed = len(presses) - len(delays)
    return {"presses": len(presses), **percentiles(delays), "not_shown": missed}


async def _warm(watching: Watching, presser: Presser, session: aiohttp.ClientSession) -> None:
    """Until a press has come all the way: then everything is really up."""
    for _ in range(30):
        await presser.press_for(1.0, 2.0, session)
        if not watching._missing(presser.presses[:1], watching.police()):
            return
    raise RuntimeError("no press came all the way: see the logs of the parts")


async def _press_while(
    fault: Awaitable[None], presser: Presser, size: Size, session: aiohttp.ClientSession
) -> None:
    going = asyncio.ensure_future(fault)
    while not going.done():
        await presser.press_for(1.0, size.fault_presses_per_s, session)
    await going


async def _killed(size: Size, kills: int, seed: int) -> dict[str, Any]:
    """Each round kills each part once, at a moment of its own."""
    buttons = Buttons(round((kills * ROUND_S + 120) * size.fault_presses_per_s), seed)
    rng = random.Random(seed)
    async with whole_stack(buttons, tell) as whole:
        whole.start_load(size.rate_per_s, size.schools, seed)
        watching, presser = Watching(whole), Presser(whole.panic_url, buttons)
        watching.start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await _warm(watching, presser, session)
            for number in range(kills):
                tell(f"round {number + 1} of {kills}")
                await _press_while(_kill_each(whole, rng), presser, size, session)
            await presser.finish()
        await whole.healthy()
        await watching.settle(presser.presses)
        figures = watching.figures(presser.presses)
        whole.keep_logs = bool(figures["lost"] or figures["duplicated"])
        troubles = watching.troubles(presser.presses)
        await watching.stop()
    unanswered = len(presser.presses) - len(presser.answered)
    return {
        **figures,
        "troubles": troubles,
        "kills": dict.fromkeys(KILLED, kills),
        "unanswered": unanswered,
    }


async def _kill_each(whole: Whole, rng: random.Random) -> None:
    at_s = {name: rng.uniform(0, ROUND_S) for name in KILLED}
    began_s = time.monotonic()
    for name in sorted(at_s, key=lambda one: at_s[one]):
        await asyncio.sleep(max(0.0, began_s + at_s[name] - time.monotonic()))
        whole.supervisor.kill(await whole.acting() if name == "dispatch" else name)
    await asyncio.sleep(max(0.0, began_s + ROUND_S - time.monotonic()))
