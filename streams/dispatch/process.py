"""`python -m streams dispatch`: hears panics, sends them to the police, until SIGTERM.

Needs neither ClickHouse nor another lane; without Kafka it goes on with what the gateway tells it
directly, and keeps its steps until Kafka is back. A second one stands by, and acts when the first is gone.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from schemas.settings import Settings
from schemas.steps import StepTaken
from streams.dispatch.adapters import adapter_of
from streams.dispatch.alarm import Adapter
from streams.dispatch.centers import Center, Centers, CentersWrong, load
from streams.dispatch.journal import Journal
from streams.dispatch.kafka import Ear, Mouth
from streams.dispatch.service import Dispatch
from streams.dispatch.turn import Turn
from streams.runtime.direct import HEADER, LARGEST_BYTES, Said, answer
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.logs import configure_logs

log = structlog.get_logger(__name__)

ALONE_AFTER_S: Final = 5.0
"""So long Kafka is waited for at the start; then the gateway's word and the journal are enough."""
REFUSED_AFTER_S: Final = 1.0
"""The same when nobody listens there at all."""
LAST_WORDS_S: Final = 2.0
"""What Kafka has not taken by then waits in the journal for the next start."""


def main(settings: Settings) -> None:
    """Raises SystemExit with a message when the centers file is wrong and never was right."""
    configure_logs(settings.log_format)
    folder = settings.var / "dispatch"
    try:
        centers = _centers(settings.dispatch.centers_file, folder / "centers.good.json")
    except CentersWrong as error:
        sys.exit(str(error))
    asyncio.run(_run(settings, centers, folder))


def _centers(path: Path | None, good: Path) -> Centers:
    """What the file says; what it last said when it is wrong now. Raises CentersWrong."""
    try:
        centers = load(path)
    except CentersWrong:
        if not good.exists():
            raise
        log.exception("the centers file is wrong: going on with what it said before")
        return load(good)
    with suppress(OSError):
        good.parent.mkdir(parents=True, exist_ok=True)
        good.write_text(centers.model_dump_json())
    if not centers.centers:
        log.warning("no center is configured: every panic goes to people only")
    return centers


class Links:
    """Whether each receiver answered its last link test: (center, address) -> up."""

    def __init__(self) -> None:
        self.up: dict[tuple[str, str], bool] = {}

    async def watch(self, center: Center, receiver: int, adapter: Adapter) -> None:
        """Until cancelled."""
        link = (center.id, center.addresses[receiver])
        while True:
            receipt = await adapter.check(receiver)
            if receipt.taken is not self.up.get(link):
                tell = log.info if receipt.taken else log.warning
                tell("link", center=center.id, up=receipt.taken, why=receipt.note)
            self.up[link] = receipt.taken
            await asyncio.sleep(center.supervision_s)


async def _run(settings: Settings, centers: Centers, folder: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = KafkaClock(time.time(), time.monotonic())
    journal = Journal(folder / "journal.db")
    mouth = Mouth(settings.kafka, journal.published)
    adapters = {center.id: adapter_of(center) for center in centers.centers}
    dispatch = Dispatch(
        centers, adapters, journal, mouth.say, lambda: clock.now_ms(time.monotonic())
    )
    ear, links, turn = Ear(settings.kafka, dispatch, journal, clock), Links(), Turn(folder / "lock")

    async def act() -> None:
        await turn.comes()
        log.info("ours to act")
        kept = journal.open(int(time.time() * 1000))
        ear.knows_schools = bool(kept.schools)
        dispatch.restore(kept)
        for step in kept.pending:
            mouth.say(step)
        await _speak_when_ready(ear, dispatch)
        await asyncio.gather(
            *(
                links.watch(center, n, adapters[center.id])
                for center in centers.centers
                if center.supervision_s
                for n in range(len(center.addresses))
            )
        )

    runner = await _serve(settings, _app(settings, dispatch, journal, ear, mouth, links, turn))
    work = [ear.run(), mouth.run(), dispatch.forget_hourly(), act()]
    tasks = [asyncio.create_task(job) for job in work]
    await stop.wait()
    await dispatch.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(mouth.silent.wait(), LAST_WORDS_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for adapter in adapters.values():
        await adapter.close()
    await runner.cleanup()
    await journal.close()


async def _speak_when_ready(ear: Ear, dispatch: Dispatch) -> None:
    """When the past is known; at once when there is no Kafka to know it from."""
    began_s = time.monotonic()
    while not ear.caught_up:
        waited_s = time.monotonic() - began_s
        if not ear.connected and waited_s > (REFUSED_AFTER_S if ear.refused else ALONE_AFTER_S):
            log.warning("going on without Kafka")
            break
        await asyncio.sleep(0.02)
    await dispatch.speak()


async def _serve(settings: Settings, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    if settings.worker.health_port:
        at = settings.worker
        await web.TCPSite(runner, at.health_host, at.health_port).start()
    return runner


def _app(
    settings: Settings,
    dispatch: Dispatch,
    journal: Journal,
    ear: Ear,
    mouth: Mouth,
    links: Links,
    turn: Turn,
) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BYTES)
    routes = web.RouteTableDef()

    @routes.get("/health")
    async def health(_: web.Request) -> web.Response:
        """Up as soon as it decides, also without Kafka or a disk, as another process would do no more; or
        while it stands by.
        """
        ready = dispatch.speaking or not turn.ours
        said = {
            "service": "dispatch",
            "ready": ready,
            "acts": turn.ours,
            "caught_up": ear.caught_up,
            "kafka": ear.connected,
            "kafka_age_s": ear.age_s,
            "journal": journal.working,
            "links": {f"{center} {address}": up for (center, address), up in links.up.items()},
        }
        return web.json_response(said, status=200 if ready else 503)

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:
        text = _exposition(dispatch, journal, ear, mouth, links, turn)
        return web.Response(text=text, content_type="text/plain")

    @routes.post("/direct")
    async def direct(request: web.Request) -> web.Response:
        secret_file = settings.gateway.direct_secret_file
        given = request.headers.get(HEADER, "")
        said = await answer("dispatch", secret_file, given, await request.read(), take)
        return web.json_response(said.body, status=said.status)

    async def take(notice: Said) -> bool:
        if isinstance(notice, StepTaken):
            return await dispatch.told_step(notice)
        await dispatch.told(notice)
        return journal.working

    app.add_routes(routes)
    return app


def _exposition(
    dispatch: Dispatch, journal: Journal, ear: Ear, mouth: Mouth, links: Links, turn: Turn
) -> str:
    """Prometheus text format 0.0.4."""
    counters = dispatch.counters
    figures: dict[str, float] = {
        "acts": int(turn.ours),
        "sent_total": counters.sent,
        "delivered_total": counters.delivered,
        "failed_total": counters.failed,
        "escalated_total": counters.escalated,
        "direct_total": counters.direct,
        "canaries_total": counters.canaries,
        "steps_waiting": mouth.waiting,
        "journal_failures_total": journal.failures,
    }
    lines = [f"saqshy_dispatch_{name} {value}" for name, value in figures.items()]
    lines.append(f'saqshy_cpu_seconds_total{{lane="dispatch"}} {sum(os.times()[:2])}')
    if ear.age_s is not None:
        lines.append(f"saqshy_dispatch_kafka_age_seconds {ear.age_s:.3f}")
    for (center, address), up in links.up.items():
        labels = f'center="{center}",address="{address}"'
        lines.append(f"saqshy_dispatch_link_up{{{labels}}} {int(up)}")
    return "\n".join(lines) + "\n"
