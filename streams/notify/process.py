"""The notifier: alerts and steps in, pages out. `python -m streams notify`, one per installation.

What is decided is on disk before Kafka's offsets are committed, and stays there until the channel
took it and Kafka has the step that says so. It reads two days back at each start, so that the
state needs no store of its own.
"""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

import structlog
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.alerts import AlertChanged
from schemas.logs import configure_logs
from schemas.private import NotPrivate
from schemas.settings import Settings
from schemas.steps import StepTaken
from schemas.topics import STEPS
from streams.notify.channels import load_channels
from streams.notify.deliver import deliver
from streams.notify.feed import Feed, Heard
from streams.notify.files import Unusable
from streams.notify.http import application
from streams.notify.outbox import Entry, InUse, Outbox
from streams.notify.page import Page
from streams.notify.pager import Pager
from streams.notify.policy import load_policies
from streams.notify.web import NotDelivered
from streams.runtime.direct import AskAgain, Said
from streams.until_stopped import until_stopped

log = structlog.get_logger(__name__)

TICK_S: Final = 0.2
AT_ONCE: Final = 8
"""Pages under way per channel."""
SAY_AT_MOST: Final = 200
AGAIN_AFTER_S: Final = 1.0
COMMIT_EVERY_S: Final = 2.0
FORGET_EVERY_S: Final = 3_600.0
FINISH_WITHIN_S: Final = 10.0

P = ParamSpec("P")
T = TypeVar("T")


class Notifier:
    """Raises as load_channels, load_policies and Outbox do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels = load_channels(settings.notify.channels_file)
        self._policies = load_policies(settings.notify.policies_file, self._channels)
        self._outbox = Outbox(settings.var / "notify")
        self._disk_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._pager = self._new_pager()
        self._direct: dict[tuple[str, int], Heard] = {}
        self._deciding = asyncio.Lock()
        self._wake = {name: asyncio.Event() for name in self._channels}
        self._something_to_say = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._unkept: set[str] = set()
        self._feed: Feed | None = None
        self._caught_up = False
        self._ready = False
        self._figures: dict[str, float] = dict.fromkeys(
            ("attempts_total", "delivered_total", "failed_attempts_total", "direct_total"), 0
        )
        if settings.notify.channels_file is None:
            log.warning("no channels are configured: pages are recorded, and nobody is paged")

    def _new_pager(self) -> Pager:
        return Pager(self._policies, self._channels, self._outbox.made())

    async def run(self) -> None:
        """Until cancelled; then pages under way get a moment to finish."""
        runner = web.AppRunner(
            application(
                self.health, self.exposition, self.direct, self._settings.gateway.direct_secret_file
            ),
            access_log=None,
        )
        await runner.setup()
        worker = self._settings.worker
        if worker.health_port:
            await web.TCPSite(runner, worker.health_host, worker.health_port).start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._tick())
                group.create_task(self._say())
                for name in self._channels:
                    group.create_task(self._send_all(name))
        finally:
            if self._sending:
                await asyncio.wait(self._sending, timeout=FINISH_WITHIN_S)
            await runner.cleanup()
            await self._disk(self._outbox.close)

    async def _disk(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """An fsync may take long: not on the loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk_thread, lambda: do(*args, **kwargs))

    # In

    async def direct(self, notice: Said) -> bool:
        """What could not be handed to Kafka in time. Raises AskAgain when its pages can't be kept."""
        self._figures["direct_total"] += 1
        told = Heard(notice, None, _now_ms(), 0)
        number = -1 if isinstance(notice, StepTaken) else notice.number
        self._direct.setdefault((notice.id, number), told)
        _fold(self._pager, told)
        kept = await self._decide()
        if isinstance(notice, StepTaken):
            return False  # the step itself is kept by dispatch
        if not kept:
            raise AskAgain("the outbox can't be written")
        return True

    async def _follow(self) -> None:
        while True:
            feed = Feed(self._settings.kafka)
            try:
                await self._read(feed)
            except KafkaError as trouble:
                log.warning("alerts can't be read; again soon", trouble=str(trouble)[:300])
            finally:
                self._caught_up = False
                await feed.stop()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _read(self, feed: Feed) -> None:
        """Rebuild beside what is known, so that nothing is judged by half of it."""
        await feed.start()
        self._feed = feed
        pager = await self._disk(self._new_pager)
        committed_s = 0.0
        async for heard, caught_up in feed.read():
            for one in heard:
                _fold(pager, one)
            if not caught_up:
                continue
            if not self._caught_up:
                for told in self._direct.values():
                    _fold(pager, told)
                self._pager, self._caught_up, self._ready = pager, True, True
                log.info("caught up", **pager.figures)
            kept = not heard or await self._decide()
            if kept and time.monotonic() - committed_s > COMMIT_EVERY_S:
                committed_s = time.monotonic()
                await feed.commit()

    # Decisions

    async def _tick(self) -> None:
        forgot_s = time.monotonic()
        while True:
            await self._decide()
            if time.monotonic() - forgot_s > FORGET_EVERY_S:
                forgot_s = time.monotonic()
                self._pager.forget(_now_ms())
                if self._caught_up:
                    self._direct.clear()
                with suppress(sqlite3.Error):
                    await self._disk(self._outbox.forget, _now_ms())
            await asyncio.sleep(TICK_S)

    async def _decide(self) -> bool:
        """Put what is to be said into the outbox; whether it is there."""
        async with self._deciding:
            pager = self._pager
            pages = pager.pages(_now_ms())
            if not pages:
                return True
            try:
                await self._disk(self._outbox.put, pages)
            except sqlite3.Error as trouble:
                log.critical("the outbox can't be written: pages go out unkept", why=str(trouble))
                self._send_unkept(pages)
                return False
            for page in pages:
                pager.made(page)
                self._wake[page.channel].set()
            return True

    def _send_unkept(self, pages: list[Page]) -> None:
        """Whose life may depend on it doesn't wait for a disk."""
        for page in pages:
            if page.urgent and page.id not in self._unkept:
                self._unkept.add(page.id)
                self._spawn(self._try(page))

    async def _try(self, page: Page) -> None:
        try:
            await deliver(self._channels[page.channel], page, self._settings.notify.link)
        except NotDelivered as why:
            log.error("an unkept page was not delivered", channel=page.channel, why=str(why))

    # Out

    async def _send_all(self, name: str) -> None:
        wake = self._wake[name]
        mine: set[asyncio.Task[None]] = set()
        while True:
            wake.clear()
            try:
                entries = await self._disk(self._outbox.take, name, _now_ms(), AT_ONCE - len(mine))
            except sqlite3.Error as trouble:
                log.error("the outbox can't be read", why=str(trouble))
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            for entry in entries:
                task = self._spawn(self._send(name, entry))
                mine.add(task)
                task.add_done_callback(mine.discard)
                task.add_done_callback(lambda _: wake.set())
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_AFTER_S):
                    await wake.wait()

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _send(self, name: str, entry: Entry) -> None:
        self._figures["attempts_total"] += 1
        if entry.again:
            log.warning("sent again after a crash, under the same key", page=entry.page.id)
        try:
            over = self._pager.over(entry.page)
            await deliver(self._channels[name], entry.page, self._settings.notify.link, over)
        except NotDelivered as why:
            await self._note_failure(name, entry, str(why), why.final)
        except Exception as error:
            log.exception("a page failed in our own code", channel=name)
            await self._note_failure(name, entry, type(error).__name__, False)
        else:
            self._figures["delivered_total"] += 1
            await self._on_disk(self._outbox.sent, entry, _now_ms())
        self._something_to_say.set()

    async def _note_failure(self, name: str, entry: Entry, why: str, final: bool) -> None:
        self._figures["failed_attempts_total"] += 1
        log.warning("a page was not taken", channel=name, why=why, attempt=entry.attempts)
        await self._on_disk(self._outbox.failed, entry, why, final, _now_ms())

    async def _on_disk(self, do: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Until it is there: a page whose end isn't written would be sent again at the next start."""
        while True:
            try:
                await self._disk(do, *args, **kwargs)
                return
            except sqlite3.Error as trouble:
                log.critical("the outbox can't be written", why=str(trouble))
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _say(self) -> None:
        """Steps to Kafka, until it has them all."""
        while True:
            try:
                await self._say_by(await self._producer())
            except KafkaError as trouble:
                log.warning("steps wait for Kafka", trouble=str(trouble)[:300])
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._settings.kafka.aiokafka_kwargs(), enable_idempotence=True, acks="all"
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _say_by(self, producer: AIOKafkaProducer) -> None:
        try:
            while True:
                self._something_to_say.clear()
                unsaid = await self._disk(self._outbox.to_say, SAY_AT_MOST)
                sent = [
                    await producer.send(
                        STEPS.name,
                        one.step.model_dump_json().encode(),
                        key=one.step.school.encode(),
                        partition=one.partition,
                    )
                    for one in unsaid
                ]
                await asyncio.gather(*sent)
                if unsaid:
                    await self._disk(self._outbox.said, [one.number for one in unsaid])
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_AFTER_S):
                        await self._something_to_say.wait()
        except sqlite3.Error as trouble:
            log.error("the outbox can't be read", why=str(trouble))
        finally:
            await producer.stop()

    # How it is

    def health(self) -> dict[str, Any]:
        return {
            "service": "notify",
            "ready": self._ready,
            "caught_up": self._caught_up,
            "channels": sorted(self._channels),
        }

    async def exposition(self) -> str:
        """Prometheus text format 0.0.4."""
        figures = {
            **self._figures,
            **self._pager.figures,
            **await self._disk(self._outbox.counts),
            "canaries_total": self._pager.canaries,
            "unreadable_total": self._feed.unreadable if self._feed else 0,
            "caught_up": int(self._caught_up),
        }
        lines = [f"saqshy_notify_{name} {value}" for name, value in figures.items()]
        lines.append(f'saqshy_cpu_seconds_total{{lane="notify"}} {sum(os.times()[:2])}')
        if self._feed is not None and self._caught_up:
            lines += [
                f'saqshy_lag{{lane="notify",topic="{topic}",partition="{partition}"}} {lag}'
                for (topic, partition), lag in (await self._feed.lag()).items()
            ]
        return "\n".join(lines) + "\n"


def _fold(pager: Pager, heard: Heard) -> None:
    match heard.notice:
        case AlertChanged():
            pager.changed(heard.notice, heard.partition)
        case StepTaken():
            pager.took(heard.notice, heard.kafka_ms, heard.offset)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _serve(settings: Settings) -> None:
    await until_stopped(Notifier(settings).run())


def main(settings: Settings) -> None:
    """Run until SIGTERM. Exits with 2 when channels or policies can't be used, saying why."""
    configure_logs(settings.log_format)
    try:
        asyncio.run(_serve(settings))
    except (Unusable, NotPrivate, InUse, OSError) as trouble:
        log.error("the notifier can't start", why=str(trouble))
        sys.exit(2)
