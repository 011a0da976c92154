"""From the outbox to each receiver of each channel, one message and one answer at a time."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from schemas.settings import Settings
from streams.notify.disk import Disk
from streams.notify.messages import Entry, Piece
from streams.notify.outbox import Outbox
from streams.paging.channel import Channel
from streams.paging.page import Call, Page
from streams.paging.retry import NotDelivered

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
"""Messages under way per receiver."""
AGAIN_AFTER_S: Final = 1.0
FINISH_WITHIN_S: Final = 10.0


class Sender:
    """``over``: which alerts of a page have ended; ``unreached``: told of calls that nobody could get.

    Raises as Outbox does.
    """

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, Channel],
        over: Callable[[Page], frozenset[str]],
        unreached: Callable[[list[Call]], None],
    ) -> None:
        self._link = settings.notify.link
        self._channels = channels
        self._over, self._unreached = over, unreached
        self._receivers = {name: it.receivers() for name, it in channels.items()}
        self._wake = {
            (name, one): asyncio.Event() for name, all_ in self._receivers.items() for one in all_
        }
        self._sending: set[asyncio.Task[None]] = set()
        self._unkept: set[str] = set()
        self.to_say = asyncio.Event()
        self.disk = Disk()
        self.outbox = Outbox(settings.var / "notify", self._cut)
        self.figures: dict[str, float] = dict.fromkeys(
            (
                "attempts_total",
                "delivered_total",
                "failed_attempts_total",
                "refused_total",
                "renewed_total",
                "failed_renewals_total",
            ),
            0,
        )

    def _cut(self, said: Page) -> list[Piece]:
        if said.channel not in self._channels:
            return []
        try:
            ranges = self._channels[said.channel].pieces(said, self._link)
        except Exception:  # one page that can't be cut is no other's trouble
            log.exception("a page is sent whole", channel=said.channel)
            ranges = [(0, len(said.calls))]
        return [
            Piece(receiver, number, first, until)
            for receiver in self._receivers[said.channel]
            for number, (first, until) in enumerate(ranges)
        ]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, receiver in self._wake:
                group.create_task(self._send_all(name, receiver))

    async def finish(self) -> None:
        """What is under way gets a moment."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=FINISH_WITHIN_S)

    def wake(self, channel: str) -> None:
        for receiver in self._receivers.get(channel, ()):
            self._wake[channel, receiver].set()

    async def renew(self, channel: str, pages: Iterable[Page]) -> None:
        """Tell it again what lasts. What it doesn't take now it is told the next time."""
        for page in pages:
            try:
                await self._channels[channel].deliver(page, self._link, self._over(page))
                self.figures["renewed_total"] += len(page.calls)
            except NotDelivered as why:
                self.figures["failed_renewals_total"] += 1
                log.warning("what lasts could not be told again", channel=channel, why=str(why))

    def send_unkept(self, pages: list[Page]) -> None:
        """Urgent pages are sent even if the outbox cannot be written."""
        for page in pages:
            if page.urgent and page.id not in self._unkept and page.channel in self._channels:
                self._unkept.add(page.id)
                self._spawn(self._try(page))

    async def _try(self, page: Page) -> None:
        try:
            await self._channels[page.channel].deliver(page, self._link)
        except NotDelivered as why:
            log.error("an unkept page was not delivered", channel=page.channel, why=str(why))

    async def _send_all(self, name: str, receiver: str) -> None:
        wake = self._wake[name, receiver]
        rate = self._channels[name].per_minute
        mine: set[asyncio.Task[None]] = set()
        while True:
            wake.clear()
            free = AT_ONCE - len(mine)
            try:
                entries = await self.disk(self.outbox.take, name, _now_ms(), free, receiver, rate)
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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _send(self, name: str, entry: Entry) -> None:
        self.figures["attempts_total"] += 1
        if entry.again:
            log.warning("sent again after a crash, under the same key", page=entry.page.id)
        try:
            over = self._over(entry.page)
            await self._channels[name].deliver(entry.page, self._link, over, entry.receiver)
        except NotDelivered as why:
            await self._note_failure(name, entry, why)
        except Exception as error:
            log.exception("a page failed in our own code", channel=name)
            await self._note_failure(name, entry, NotDelivered(type(error).__name__))
        else:
            self.figures["delivered_total"] += 1
            await self._on_disk(lambda: self.outbox.sent(entry, _now_ms()))
        self.to_say.set()

    async def _note_failure(self, name: str, entry: Entry, why: NotDelivered) -> None:
        self.figures["failed_attempts_total"] += 1
        self.figures["refused_total"] += why.final
        log.warning(
            "a page was not taken",
            channel=name,
            receiver=entry.receiver,
            why=str(why),
            attempt=entry.attempts,
            given_up=why.final,
        )
        unreached: list[Call] = []
        await self._on_disk(lambda: unreached.extend(self.outbox.failed(entry, why, _now_ms())))
        if unreached:
            self._unreached(unreached)

    async def _on_disk(self, do: Callable[[], None]) -> None:
        """Until it is there: a page whose end isn't written would be sent again at the next start."""
        while True:
            try:
                await self.disk(do)
                return
            except sqlite3.Error as trouble:
                log.critical("the outbox can't be written", why=str(trouble))
                await asyncio.sleep(AGAIN_AFTER_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
