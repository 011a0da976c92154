"""``python -m loadtest panic``: from a pressed button to browser and police, while things break."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import aiohttp
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from dashboards.console.users import bearer
from deploy.panic_listener import Heard, listen
from loadtest.generator import Task
from loadtest.panic_browser import browser
from loadtest.panic_stack import Whole, whole_stack
from loadtest.passes import Crowd
from loadtest.pipeline import tell
from loadtest.pressing import Buttons, Press, Presser, percentiles, read_police
from loadtest.result import save
from loadtest.sending import Generator, register
from schemas.settings import Settings
from schemas.topics import ALERTS, PASSES

SHOWN_TROUBLES: Final = 20
SETTLE_S: Final = 120.0
SLOW_MS: Final = 5_000.0
PRESS_CODES: Final = ("120", "121")
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


@dataclass(slots=True)
class Watching:
    """What was heard of the presses: at the console's stream, on the alerts topic, by the police."""

    whole: Whole
    heard: Heard = field(default_factory=Heard)
    alerts_ms: dict[str, float] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        url = f"{self.whole.console}/events?only=panics"
        headers = bearer(self.whole.settings.var)
        self._tasks = [
            asyncio.create_task(listen(url, self.heard, headers)),
            asyncio.create_task(self._follow_alerts()),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow_alerts(self) -> None:
        kafka = self.whole.settings.kafka
        while True:
            consumer = AIOKafkaConsumer(**kafka.aiokafka_kwargs(), fetch_max_wait_ms=20)
            try:
                await consumer.start()
                tps = [TopicPartition(ALERTS.name, n) for n in range(kafka.partitions)]
                consumer.assign(tps)
                await consumer.seek_to_beginning(*tps)
                async for record in consumer:
                    event = json.loads(record.value or b"{}").get("event")
                    if event:
                        self.alerts_ms.setdefault(event, time.time() * 1000)
            except (KafkaError, OSError):
                await asyncio.sleep(0.5)
            finally:
                await consumer.stop()

    def police(self) -> dict[str, list[int]]:
        """Alert id -> the moments at which the police had an alarm of it, repeats dropped."""
        found: dict[str, list[int]] = {}
        path = self.whole.settings.var / "police" / "received.jsonl"
        for one in read_police(path):
            is_alarm = one["event"] in PRESS_CODES and one["qualifier"] == 1
            if is_alarm and not one["repeat"]:
                found.setdefault(one["alert"], []).append(one["at_ms"])
        return found

    async def settle(self, presses: Sequence[Press]) -> None:
        """Until every press was heard everywhere, or SETTLE_S is over."""
        until_s = time.monotonic() + SETTLE_S
        while True:
            if time.monotonic() > until_s or not self._missing(presses, self.police()):
                return
            await asyncio.sleep(0.5)

    def _missing(self, presses: Sequence[Press], police: dict[str, list[int]]) -> list[Press]:
        return [
            p
            for p in presses
            if p.event not in self.heard.delay_ms
            or p.event not in self.alerts_ms
            or p.alert not in police
        ]

    def figures(self, presses: Sequence[Press]) -> dict[str, Any]:
        """Of these presses."""
        police = self.police()
        delays = [self.heard.delay_ms[p.event] for p in presses if p.event in self.heard.delay_ms]
        to_topic = [
            self.alerts_ms[p.event] - p.due_ms for p in presses if p.event in self.alerts_ms
        ]
        acked = [police[p.alert][0] - p.due_ms for p in presses if p.alert in police]
        alerts = {p.alert for p in presses}
        doubled = {
            "console": sum(n - 1 for (a, _), n in self.heard.effects.items() if a in alerts),
            "police": sum(len(times) - 1 for a, times in police.items() if a in alerts),
        }
        return {
            "presses": len(presses),
            **percentiles(delays),
            "alert_topic_p99_ms": percentiles(to_topic)["p99_ms"],
            "police_ack_p50_ms": percentiles(acked)["p50_ms"],
            "police_ack_p99_ms": percentiles(acked)["p99_ms"],
            "police_ack_p999_ms": percentiles(acked)["p999_ms"],
            "lost": len(self._missing(presses, police)),
            "lost_at": {
                "console": self.heard.missing(p.event for p in presses),
                "alerts": sum(p.event not in self.alerts_ms for p in presses),
                "police": sum(p.alert not in police for p in presses),
            },
            "duplicated": sum(doubled.values()),
            "duplicated_at": doubled,
        }

    def troubles(self, presses: Sequence[Press]) -> list[dict[str, Any]]:
        """The first presses that were lost or doubled, or came very late, to look up in the logs."""
        police, found = self.police(), list[dict[str, Any]]()
        effects: dict[str, list[int]] = {}
        for (alert, _), times in self.heard.effects.items():
            effects.setdefault(alert, []).append(times)
        for p in presses:
            if len(found) == SHOWN_TROUBLES:
                break
            console = self.heard.delay_ms.get(p.event, SLOW_MS)
            acked = [at_ms - p.due_ms for at_ms in police.get(p.alert, [])]
            shown = effects.get(p.alert, [])
            slow = max([console, *acked]) >= SLOW_MS
            if slow or shown != [1] or len(acked) != 1:
                alerts = self.alerts_ms.get(p.event, 0) - p.due_ms
                said = {"console_ms": console, "alerts_ms": alerts, "police_ms": acked}
                found.append({"alert": p.alert, "due_ms": p.due_ms, "shown": shown, **said})
        return found


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


async def _broker_down(whole: Whole, size: Size) -> None:
    await whole.down("kafka", size.down_s, lambda: None)


async def _disk_full(whole: Whole, size: Size) -> None:
    """The disk of those who keep presses, while Kafka is away too: nothing is left but to tell."""
    await whole.down("kafka", size.fault_s, lambda: whole.fill_disk(True))
    whole.fill_disk(False)


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
            await presser.press_for(size.presses / size.presses_per_s, size.presses_per_s, session)
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
            "faults": dict(zip(faults, disturbed, strict=True)),
            "seconds": round(time.monotonic() - began_s, 1),
        }


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
        whole.supervisor.kill(name)
    await asyncio.sleep(max(0.0, began_s + ROUND_S - time.monotonic()))
