"""The notifier: alerts and steps in, pages out. `python -m streams notify`, one per installation.

What is decided is on disk before Kafka's offsets are committed, and stays there until the channel
took it and Kafka has the step that says so. It reads two days back at each start, so that the
state needs no store of its own.
"""

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from schemas.alerts import AlertChanged
from schemas.private import NotPrivate
from schemas.settings import Settings
from schemas.steps import StepTaken
from schemas.topics import ALERTS, STEPS
from streams.notify.feed import AT_MOST, GROUP, REBUILD_MS, NoticeRead, heard
from streams.notify.load import load_policies
from streams.notify.outbox import InUse
from streams.notify.pager import PagedBefore, Pager
from streams.notify.say import say_steps
from streams.notify.sender import Sender
from streams.paging.channels import load_channels
from streams.paging.files import Unusable
from streams.paging.page import Call, Page
from streams.runtime.direct import AskAgain, DirectNotice, door
from streams.runtime.kafka.reader import Followed, Reader
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import CannotStart, Service, Source

log = structlog.get_logger(__name__)

TICK_S: Final = 0.2
COMMIT_EVERY_S: Final = 2.0
FORGET_EVERY_S: Final = 3_600.0
RENEW_EVERY_S: Final = 300.0


class Notifier:
    """Raises as load_channels, load_policies and Outbox do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels = load_channels(settings.notify.channels_file)
        self._policies = load_policies(settings.notify.policies_file, self._channels)
        self._sender = Sender(settings, self._channels, self._over, self._unreached)
        self._outbox, self._disk = self._sender.outbox, self._sender.disk
        self._pager = self._new_pager(self._said())
        self._direct: dict[tuple[str, int], NoticeRead] = {}
        self._deciding = asyncio.Lock()
        self._reader = Reader(
            settings.kafka,
            [Followed(ALERTS.name, REBUILD_MS), Followed(STEPS.name, REBUILD_MS)],
            self._take,
            client_id="saqshy-notify",
            at_most=AT_MOST,
            polled=self._read_all,
            group=GROUP,
        )
        self._rebuilt = self._new_pager(PagedBefore())
        self._caught_up = False
        self._undecided_news = False
        self._committed_s = 0.0
        self._undecided: set[str] = set()
        self._figures: dict[str, float] = dict.fromkeys(
            ("direct_total", "unfolded_total", "unreadable_total"), 0
        )
        if settings.notify.channels_file is None:
            log.warning("no channels are configured: pages are recorded, and nobody is paged")
        for kept in self._outbox.direct():
            self._hear(kept)

    def _said(self) -> PagedBefore:
        box = self._outbox
        return PagedBefore(box.made(), box.told(), box.ended(), box.unreached())

    def _new_pager(self, said: PagedBefore) -> Pager:
        leasing = [name for name, it in self._channels.items() if it.forgets]
        return Pager(self._policies, self._channels, said, leasing)

    def _over(self, said: Page) -> frozenset[str]:
        return self._pager.over(said)

    def _unreached(self, calls: list[Call]) -> None:
        """Here rather than by Kafka's steps: the next level is called though Kafka is away."""
        self._pager.unreached(calls)

    async def run(self) -> None:
        """Until cancelled; then pages under way get a moment to finish."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reader.run())
                group.create_task(self._tick())
                group.create_task(self._renew())
                group.create_task(
                    say_steps(self._settings.kafka, self._outbox, self._disk, self._sender.to_say)
                )
                group.create_task(self._sender.run())
        finally:
            await self._sender.finish()
            await self._disk(self._outbox.close)

    # In

    async def direct(self, notice: DirectNotice) -> bool:
        """What could not be handed to Kafka in time. Raises AskAgain when its pages can't be kept."""
        self._figures["direct_total"] += 1
        self._hear(notice)
        kept = await self._decide()
        if isinstance(notice, StepTaken):
            return False  # the step itself is kept by dispatch
        try:
            await self._disk(self._outbox.keep, notice)
        except sqlite3.Error:
            kept = False
        if not kept:
            raise AskAgain("the outbox can't be written")
        return True

    def _hear(self, notice: DirectNotice) -> None:
        told = NoticeRead(notice, None, _now_ms(), 0)
        number = -1 if isinstance(notice, StepTaken) else notice.number
        self._direct.setdefault((notice.id, number), told)
        self._fold(self._pager, told)

    async def _take(self, _: TopicPartition, records: list[ConsumerRecord]) -> None:
        """What was before the start is rebuilt beside what is known, so that nothing is judged by half."""
        for record in records:
            if (one := heard(record)) is None:
                self._figures["unreadable_total"] += 1
            else:
                self._fold(self._pager if self._caught_up else self._rebuilt, one)
        self._undecided_news = True

    async def _read_all(self) -> None:
        """All that there is was read, for now."""
        if not self._reader.caught_up:
            return
        if not self._caught_up:
            for told in self._direct.values():
                self._fold(self._rebuilt, told)
            async with self._deciding:  # what was said while this was read is known, too
                self._rebuilt.knows(await self._disk(self._said))
                self._pager, self._caught_up = self._rebuilt, True
            log.info("caught up", **self._pager.figures)
        if self._undecided_news:
            # Shielded: a reader that is left behind must not end it between the disk and the pager.
            self._undecided_news = not await asyncio.shield(self._decide())
        if not self._undecided_news and time.monotonic() - self._committed_s > COMMIT_EVERY_S:
            self._committed_s = time.monotonic()
            await self._reader.commit()

    # Decisions

    async def _tick(self) -> None:
        forgot_s = time.monotonic()
        while True:
            await self._decide()
            if time.monotonic() - forgot_s > FORGET_EVERY_S:
                forgot_s = time.monotonic()
                self._pager.forget(_now_ms())
                with suppress(sqlite3.Error):
                    if self._caught_up:
                        done = list(self._direct)
                        self._direct.clear()
                        await self._disk(self._outbox.in_kafka, done)
                    await self._disk(self._outbox.forget, _now_ms(), self._pager.ended())
            await asyncio.sleep(TICK_S)

    async def _decide(self) -> bool:
        """Put what is to be said into the outbox; whether it is there."""
        async with self._deciding:
            pager = self._pager
            pages = pager.pages(_now_ms())
            self._tell_undecided(pager)
            if not pages:
                return True
            try:
                unreached = await self._disk(self._outbox.put, pages)
            except sqlite3.Error as trouble:
                log.critical("the outbox can't be written: pages go out unkept", why=str(trouble))
                self._sender.send_unkept(pages)
                return False
            for page in pages:
                pager.made(page)
                self._sender.wake(page.channel)
            if unreached:
                channels = sorted({call.channel for call in unreached})
                log.error("pages for channels that are not there any more", channels=channels)
                pager.unreached(unreached)
                self._sender.to_say.set()
            return True

    def _tell_undecided(self, pager: Pager) -> None:
        for about in pager.undecided.keys() - self._undecided:
            log.error(
                "the policies fail on this: it goes to everyone",
                about=about,
                why=pager.undecided[about],
            )
        self._undecided = set(pager.undecided)

    async def _renew(self) -> None:
        """Alertmanager keeps an alert in memory, and for a time: it is told again what lasts."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            if self._caught_up:
                for name in self._pager.leasing:
                    await self._sender.renew(name, self._pager.leases(name, _now_ms()))

    def _fold(self, pager: Pager, heard: NoticeRead) -> None:
        """One record that can't be taken in is not the end of all others."""
        try:
            match heard.notice:
                case AlertChanged():
                    pager.changed(heard.notice, heard.partition)
                case StepTaken():
                    pager.took(heard.notice, heard.kafka_ms, heard.offset)
        except Exception:
            self._figures["unfolded_total"] += 1
            log.exception("a record is passed over", partition=heard.partition, offset=heard.offset)

    # How it is

    def ready(self) -> bool:
        """Once it has read what there was; also without Kafka, as it pages what it is told."""
        return self._caught_up

    def sources(self) -> dict[str, Source]:
        return dict.fromkeys((ALERTS.name, STEPS.name), Source(self._reader.age_s))

    def says(self) -> dict[str, Any]:
        current = self._caught_up and self._reader.connected
        return {"caught_up": current, "channels": sorted(self._channels)}

    async def figures(self) -> list[Figure]:
        said = {
            **self._figures,
            **self._sender.figures,
            **self._pager.figures,
            **await self._disk(self._outbox.counts),
            "canaries_total": self._pager.canaries,
            "caught_up": int(self._caught_up and self._reader.connected),
        }
        lags = self._reader.lag if self._caught_up else {}
        return [
            *figures(said, prefix="notify_"),
            *(Figure("lag", n, ("notify", tp.topic, str(tp.partition))) for tp, n in lags.items()),
        ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def service(settings: Settings) -> Service:
    """Raises CannotStart when channels, policies or the outbox can't be used."""
    try:
        it = Notifier(settings)
    except (Unusable, NotPrivate, InUse, OSError, sqlite3.Error) as trouble:
        raise CannotStart(str(trouble)) from trouble
    return Service(
        name="notify",
        run=it.run,
        ready=it.ready,
        sources=it.sources,
        says=it.says,
        figures=it.figures,
        routes=[door("notify", settings.gateway.direct_secret_file, it.direct)],
    )
