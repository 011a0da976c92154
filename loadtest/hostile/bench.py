"""``python -m loadtest hostile``: a press with a valid key, while others try to keep it from coming in."""

import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import psutil
import typer
from aiohttp import web
from aiokafka import ConsumerRecord, TopicPartition

from deploy.embedded.ports import free_port
from deploy.embedded.stack import stack_parts
from deploy.supervisor import Part, Supervisor
from deploy.topics import ensure_topics
from deploy.wiring import worker_parts
from loadtest.panic.pressing import BUTTON, Buttons, Press, Presser, percentiles
from loadtest.result import save
from loadtest.throughput.pipeline import tell
from schemas.settings import KafkaSettings, Settings, stack_file
from schemas.topics import ALERTS
from streams.runtime.kafka.reader import Followed, Reader

MEASURED: Final = ("gateway", "panic-a", "panic-b")
HOLDERS: Final = 4
"""Processes that hold the silent connections: one may have as many descriptors as the gateway."""
SETTLE_S: Final = 90.0
SAMPLE_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class Size:
    """``phase_s`` of each of the three, ``ramp_s`` before its presses begin."""

    idle: int = 20_000
    per_s: float = 10.0
    phase_s: float = 60.0
    ramp_s: float = 15.0


QUICK: Final = Size(2_000, 10.0, 10.0, 5.0)


def hostile(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller, to see it work.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print nothing but the figures")] = False,
    seed: Annotated[int, typer.Option(min=0, max=4095)] = 1,
) -> None:
    """Attack the gateway's ports and press buttons of other schools meanwhile. Under 8 minutes.

    A real broker, gateway and both panic workers run in a temporary folder. Three phases: 20,000 silent
    connections on the events port, each of an address of its own and back 5 s after it is closed; one
    key that floods the panic port as fast as one core can; the same with Kafka away. Presses are
    open-loop, each of a school of its own on a connection of its own, and timed from when they were
    due until they are answered and on the alerts topic (without Kafka: answered and told directly).
    The attackers run on the same machine as what they attack.

    \b
    Examples:
      python -m loadtest hostile
      python -m loadtest hostile --quick --json
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    say = (lambda _: None) if as_json else tell
    figures, more = asyncio.run(_measured(QUICK if quick else Size(), seed, say))
    path = save(Settings().var, "hostile", seed, {**figures, **more})
    say(json.dumps(more))
    say(f"saved as {path}")
    typer.echo(json.dumps(figures))
    if figures["lost"] or figures["refused"]:
        raise typer.Exit(1)


@dataclass(slots=True)
class PressTimes:
    """Presses on the alerts topic and those that were told directly: event to the wall clock's ms."""

    alerts_ms: dict[str, float] = field(default_factory=dict)
    told_ms: dict[str, float] = field(default_factory=dict)
    alarms: set[str] = field(default_factory=set)

    async def direct(self, request: web.Request) -> web.Response:
        self.told_ms.setdefault((await request.json())["event"], time.time() * 1000)
        return web.Response()

    async def follow(self, kafka: KafkaSettings) -> None:
        async def take(_: TopicPartition, records: list[ConsumerRecord]) -> None:
            for record in records:
                said = json.loads(record.value or b"{}")
                self.alarms.add(said.get("id", ""))
                self.alerts_ms.setdefault(said.get("event", ""), time.time() * 1000)

        await Reader(
            kafka, [Followed(ALERTS.name)], take, client_id="loadtest", fetch_wait_ms=20
        ).run()


@dataclass(slots=True)
class Under:
    """What is attacked."""

    settings: Settings
    supervisor: Supervisor
    kafka: Part
    heard: PressTimes
    peak_mb: float = 0.0

    async def sample(self) -> None:
        """The most that gateway and panic workers hold together."""
        while True:
            used = 0
            for name in MEASURED:
                with suppress(psutil.Error):
                    used += psutil.Process(self.supervisor.pid(name)).memory_info().rss
            self.peak_mb = max(self.peak_mb, used / 1e6)
            await asyncio.sleep(SAMPLE_EVERY_S)


@asynccontextmanager
async def _stack(buttons: Buttons, say: Any) -> AsyncIterator[Under]:
    heard = PressTimes()
    app = web.Application()
    app.add_routes([web.post("/direct", heard.direct)])
    runner = web.AppRunner(app)
    await runner.setup()
    with tempfile.TemporaryDirectory(
        prefix="saqshy-hostile-", ignore_cleanup_errors=True
    ) as folder:
        var, ear = Path(folder), free_port()
        await web.TCPSite(runner, "127.0.0.1", ear).start()
        supervisor = Supervisor(var / "log", lambda notice: say(f"{notice.part} {notice.what}"))
        base = Settings().model_copy(update={"var": var})
        kafka = stack_parts(base)[0]
        tasks: list[asyncio.Task[None]] = []
        try:
            await supervisor.start(kafka)
            gateway = base.gateway.model_copy(
                update={
                    "port": free_port(),
                    "panic_port": free_port(),
                    "direct_urls": [f"http://127.0.0.1:{ear}/direct"],
                }
            )
            written = json.loads(stack_file(var).read_text())
            settings = base.model_copy(
                update={"kafka": KafkaSettings(**written["kafka"]), "gateway": gateway}
            )
            await asyncio.to_thread(ensure_topics, settings)
            buttons.install(settings)
            await supervisor.start(*(p for p in worker_parts(settings) if p.name in MEASURED))
            under = Under(settings, supervisor, kafka, heard)
            tasks = [
                asyncio.create_task(under.sample()),
                asyncio.create_task(heard.follow(settings.kafka)),
            ]
            yield under
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await supervisor.stop()
            await runner.cleanup()
            kept = Settings().var / "loadtest" / "hostile-logs"
            shutil.copytree(var / "log", kept, dirs_exist_ok=True)


class _Attack:
    """One attacking process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *arguments: object, secret: str = "") -> "_Attack":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.hostile.attack", *map(str, arguments)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(f"{secret}\n".encode())
        return cls(process)

    async def stop(self) -> dict[str, Any]:
        """What it says that it did."""
        self._process.terminate()
        said, _ = await self._process.communicate()
        done: dict[str, Any] = json.loads(said)
        return done


async def _measured(size: Size, seed: int, say: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    began_s = time.monotonic()
    # The first one is stolen.
    buttons = Buttons(round(size.per_s * size.phase_s * 3) + 60, seed, used=1)
    async with _stack(buttons, say) as under:
        own = under.settings.gateway
        stolen = f"{buttons.school(0)}.{BUTTON}.{buttons.tokens[0]}"
        presser = Presser(f"http://127.0.0.1:{own.panic_port}/v1/panic", buttons)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            await _warm(presser, under.heard, session)
            presser.repeats = 0
            say(f"{size.idle:,} silent connections on the events port")
            each = size.idle // HOLDERS
            holders = [await _Attack.start("idle", own.port, each, 10 + n) for n in range(HOLDERS)]
            idle_presses = await _press(presser, size, session)
            held = [await holder.stop() for holder in holders]
            say("one key floods")
            flooder = await _Attack.start("flood", own.panic_port, secret=stolen)
            flood_presses = await _press(presser, size, session)
            floods = [await flooder.stop()]
            say("one key floods, and Kafka is away")
            await under.supervisor.stop_part("kafka")
            flooder = await _Attack.start("flood", own.panic_port, secret=stolen)
            away_presses = await _press(presser, size, session)
            floods.append(await flooder.stop())
            await under.supervisor.start(under.kafka)
            await presser.finish()
        alarms = {alarm: n for flood in floods for alarm, n in flood["alarms"].items()}
        await _settled(presser.presses, alarms, under.heard)
        heard = under.heard
        kafka_p99 = [
            _p99(presser, presses, heard.alerts_ms) for presses in (idle_presses, flood_presses)
        ]
        refused = presser.repeats + sum(
            n for flood in floods for status, n in flood["statuses"].items() if int(status) != 202
        )
        lost = sum(press.event not in heard.alerts_ms for press in presser.presses) + sum(
            n for flood in floods for alarm, n in flood["alarms"].items()
            if alarm not in heard.alarms
        )  # fmt: skip
        figures = {
            "idle_connections": sum(one["connections"] for one in held),
            "press_p99_ms": kafka_p99[0],
            "flood_press_p99_ms": kafka_p99[1],
            "flood_no_kafka_press_p99_ms": _p99(presser, away_presses, heard.told_ms),
            "refused": refused,
            "lost": lost,
            "memory_mb": round(under.peak_mb, 1),
        }
    more = {
        "idle": held,
        "floods": [{k: v for k, v in flood.items() if k != "alarms"} for flood in floods],
        "presses": len(presser.presses),
        "seconds": round(time.monotonic() - began_s, 1),
    }
    return figures, more


async def _press(presser: Presser, size: Size, session: aiohttp.ClientSession) -> Sequence[Press]:
    await asyncio.sleep(size.ramp_s)
    first = len(presser.presses)
    await presser.press_for(size.phase_s, size.per_s, session)
    return presser.presses[first:]


async def _warm(presser: Presser, heard: PressTimes, session: aiohttp.ClientSession) -> None:
    """Until a press has come all the way: then everything is really up."""
    for _ in range(30):
        await presser.press_for(1.0, 2.0, session)
        if presser.presses[0].event in heard.alerts_ms:
            return
    raise RuntimeError("no press came all the way: see the logs of the parts")


async def _settled(presses: Sequence[Press], alarms: dict[str, int], heard: PressTimes) -> None:
    """Until all that was answered is on the alerts topic, or SETTLE_S is over."""
    until_s = time.monotonic() + SETTLE_S
    while time.monotonic() < until_s:
        if all(p.event in heard.alerts_ms for p in presses) and heard.alarms >= set(alarms):
            return
        await asyncio.sleep(0.5)


def _p99(presser: Presser, presses: Sequence[Press], heard_ms: dict[str, float]) -> float | None:
    """Until a press was answered and heard; one that never was counts as an hour."""
    never_ms = 3_600_000.0
    delays = [
        max(
            presser.answer_ms.get(p.event, never_ms),
            heard_ms[p.event] - p.due_ms if p.event in heard_ms else never_ms,
        )
        for p in presses
    ]
    return percentiles(delays)["p99_ms"]
