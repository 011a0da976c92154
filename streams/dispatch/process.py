"""`python -m streams dispatch`: hears panics, sends them to the police, until SIGTERM.

Needs neither ClickHouse nor another lane; without Kafka it goes on with what the gateway tells it
directly, and keeps its steps until Kafka is back. A second one stands by, and acts when the first is gone.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from schemas.settings import Settings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, STEPS
from streams.dispatch.adapters import adapter_of
from streams.dispatch.alarm import Adapter
from streams.dispatch.centers import Center, Centers, CentersWrong, load
from streams.dispatch.journal import Journal
from streams.dispatch.kafka import NoticeReader, StepWriter
from streams.dispatch.leader_lock import LeaderLock
from streams.dispatch.service import Dispatch
from streams.runtime.direct import DirectNotice, door
from streams.runtime.kafka.clock import KafkaClock
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import CannotStart, Service, Source

log = structlog.get_logger(__name__)

ALONE_AFTER_S: Final = 5.0
"""So long Kafka is waited for at the start; then the gateway's word and the journal are enough."""
REFUSED_AFTER_S: Final = 1.0
"""The same when nobody listens there at all."""
FLUSH_STEPS_WITHIN_S: Final = 2.0
"""What Kafka has not taken by then waits in the journal for the next start."""


def service(settings: Settings) -> Service:
    """Raises CannotStart when the centers file is wrong and never was right."""
    folder = settings.var / "dispatch"
    try:
        centers = _centers(settings.dispatch.centers_file, folder / "centers.good.json")
    except CentersWrong as error:
        raise CannotStart(str(error)) from error
    it = Process(settings, centers, folder)
    return Service(
        name="dispatch",
        run=it.run,
        ready=it.ready,
        sources=it.sources,
        says=it.says,
        figures=it.figures,
        routes=[door("dispatch", settings.gateway.direct_secret_file, it.told)],
    )


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


class Process:
    """The parts of dispatch, and the order in which they begin and end."""

    def __init__(self, settings: Settings, centers: Centers, folder: Path) -> None:
        self._centers = centers.centers
        self._clock = KafkaClock(time.time(), time.monotonic())
        self._journal = Journal(folder / "journal.db")
        self._step_writer = StepWriter(settings.kafka, self._journal.published)
        self._adapters = {center.id: adapter_of(center) for center in centers.centers}
        self._dispatch = Dispatch(
            centers,
            self._adapters,
            self._journal,
            self._step_writer.say,
            lambda: self._clock.now_ms(time.monotonic()),
        )
        self._notices = NoticeReader(settings.kafka, self._dispatch, self._journal, self._clock)
        self._links, self._leader = Links(), LeaderLock(folder / "lock")

    async def run(self) -> None:
        """Until cancelled."""
        work = [
            self._notices.run(),
            self._step_writer.run(),
            self._dispatch.forget_hourly(),
            self._act(),
        ]
        tasks = [asyncio.create_task(job) for job in work]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in ended:
                task.result()
        finally:
            await self._dispatch.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._step_writer.drained.wait(), FLUSH_STEPS_WITHIN_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for adapter in self._adapters.values():
                await adapter.close()
            await self._journal.close()

    async def _act(self) -> None:
        await self._leader.acquired()
        log.info("ours to act")
        kept = self._journal.open(int(time.time() * 1000))
        self._notices.knows_schools = bool(kept.schools)
        self._dispatch.restore(kept)
        for step in kept.pending:
            self._step_writer.say(step)
        await _speak_when_ready(self._notices, self._dispatch)
        await asyncio.gather(
            *(
                self._links.watch(center, n, self._adapters[center.id])
                for center in self._centers
                if center.supervision_s
                for n in range(len(center.addresses))
            )
        )

    async def told(self, notice: DirectNotice) -> bool:
        if isinstance(notice, StepTaken):
            return await self._dispatch.told_step(notice)
        await self._dispatch.told(notice)
        return self._journal.working

    # How it is

    def ready(self) -> bool:
        """As soon as it decides, also without Kafka or a disk, as another process would do no more; or
        while it stands by."""
        return self._dispatch.speaking or not self._leader.ours

    def sources(self) -> dict[str, Source]:
        return dict.fromkeys((ALERTS.name, STEPS.name), Source(self._notices.age_s))

    def says(self) -> dict[str, Any]:
        return {
            "acts": self._leader.ours,
            "caught_up": self._notices.caught_up,
            "kafka": self._notices.connected,
            "journal": self._journal.working,
            "links": {
                f"{center} {address}": up for (center, address), up in self._links.up.items()
            },
        }

    def figures(self) -> list[Figure]:
        counters = self._dispatch.counters
        said = {
            "acts": int(self._leader.ours),
            "sent_total": counters.sent,
            "delivered_total": counters.delivered,
            "failed_total": counters.failed,
            "escalated_total": counters.escalated,
            "direct_total": counters.direct,
            "canaries_total": counters.canaries,
            "steps_waiting": self._step_writer.waiting,
            "journal_failures_total": self._journal.failures,
            **({} if self._notices.age_s is None else {"kafka_age_seconds": self._notices.age_s}),
        }
        links = [Figure("dispatch_link_up", int(up), link) for link, up in self._links.up.items()]
        return [*figures(said, prefix="dispatch_"), *links]


async def _speak_when_ready(reader: NoticeReader, dispatch: Dispatch) -> None:
    """When the past is known; at once when there is no Kafka to know it from."""
    began_s = time.monotonic()
    while not reader.caught_up:
        waited_s = time.monotonic() - began_s
        if not reader.connected and waited_s > (
            REFUSED_AFTER_S if reader.refused else ALONE_AFTER_S
        ):
            log.warning("going on without Kafka")
            break
        await asyncio.sleep(0.02)
    await dispatch.speak()
