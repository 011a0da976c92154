"""The watchdog: outside the stream, it looks, sends canaries, and pages by a path of its own.

`python -m streams watchdog`. It needs nothing of ours to page: neither Kafka nor the notifier. It
pings a watchdog elsewhere after each round in which nothing that it had to say is stuck, so that its
own end, or that of its channels, is noticed too.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from uuid import uuid4

import structlog
from aiokafka.errors import KafkaError

from schemas.alerts import AlertKind
from schemas.private import NotPrivate
from schemas.settings import Settings
from schemas.steps import Took
from streams.paging.channel import Channel
from streams.paging.channels import load_channels, load_ping
from streams.paging.files import Unusable
from streams.paging.page import Call, Page, page
from streams.paging.retry import NotDelivered, next_try_ms
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import CannotStart, Service, Source
from streams.watchdog.alerts import Alerts, FindingChange
from streams.watchdog.canary import BEAT_PERIOD_S, BY_GATEWAY, Canaries
from streams.watchdog.decide import Change, Findings, Seen
from streams.watchdog.gateway import ByGateway, load_key
from streams.watchdog.probe import TROUBLE, lost, offsets, sick, stored_age_s
from streams.watchdog.publish import publish, restore

log = structlog.get_logger(__name__)

AGAIN_AFTER_S: Final = 5.0
SILENT_AFTER_S: Final = 60.0
"""Without a round for so long it says itself that it is not ready."""

T = TypeVar("T")


class Watchdog:
    """Raises as load_channels, load_ping and load_key do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        told = settings.watchdog
        self._channels = load_channels(told.channels_file)
        self._ping = None if told.ping_file is None else load_ping(told.ping_file)
        self._key = None if told.gateway_key_file is None else load_key(told.gateway_key_file)
        self._findings = Findings()
        self._alerts = Alerts(paged=told.channels_file is not None)
        self._news = asyncio.Event()
        self._canaries: Canaries | None = None
        self._no_canaries = ""
        self._refused: tuple[int, ...] = ()
        self._gateway = self._gateway_panic = ""
        self._unsaid: set[asyncio.Task[None]] = set()
        self._deaf: set[tuple[str, str]] = set()
        self._checked_at_s = 0.0
        self._pings = self._lost_pings = 0
        if told.channels_file is None:
            log.warning("no channels are configured: findings are logged, and nobody is paged")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            group.create_task(self._publish())
            if self._settings.watchdog.canaries:
                group.create_task(self._send_canaries())

    async def _send_canaries(self) -> None:
        while True:
            canaries = Canaries(self._settings.kafka)
            by_gateway = None if self._key is None else ByGateway(self._settings, self._key)
            try:
                await canaries.start()
                if by_gateway is not None:
                    await by_gateway.start()
                self._canaries, self._no_canaries = canaries, ""
                async with asyncio.TaskGroup() as group:
                    group.create_task(canaries.listen())
                    group.create_task(self._beat(canaries))
                    group.create_task(self._press(canaries))
                    if by_gateway is not None:
                        group.create_task(self._beat_by_gateway(by_gateway))
                        group.create_task(self._press_by_gateway(by_gateway, canaries))
            except (KafkaError, ExceptionGroup) as trouble:
                self._no_canaries = f"canaries can't be sent: {_first(trouble)}"
                log.warning(self._no_canaries)
            finally:
                await canaries.stop()
                if by_gateway is not None:
                    await by_gateway.stop()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _beat(self, canaries: Canaries) -> None:
        while True:
            began_s = time.monotonic()
            self._refused = await canaries.beat()
            await asyncio.sleep(max(0.0, BEAT_PERIOD_S - (time.monotonic() - began_s)))

    async def _press(self, canaries: Canaries) -> None:
        while True:
            await canaries.press()
            await asyncio.sleep(self._settings.watchdog.press_every_s)

    async def _beat_by_gateway(self, gateway: ByGateway) -> None:
        while True:
            began_s = time.monotonic()
            self._gateway = await gateway.beat()
            await asyncio.sleep(max(0.0, BEAT_PERIOD_S - (time.monotonic() - began_s)))

    async def _press_by_gateway(self, gateway: ByGateway, canaries: Canaries) -> None:
        """As a button does: the same press until it is taken."""
        while True:
            press = gateway.press()
            canaries.awaits(press.id, BY_GATEWAY)
            while why := await gateway.send_press(press):
                self._gateway_panic = why
                await asyncio.sleep(AGAIN_AFTER_S)
            self._gateway_panic = ""
            await asyncio.sleep(self._settings.watchdog.press_every_s)

    async def _publish(self) -> None:
        """The findings as alerts, whenever Kafka takes them."""
        restored = False
        while True:
            try:
                if not restored:
                    await restore(self._settings.kafka, self._alerts, self._adopt)
                    restored = True
                await publish(self._settings.kafka, self._alerts, self._news)
            except (KafkaError, OSError) as trouble:
                log.warning("alerts of the watchdog wait for Kafka", why=_first(trouble))
            await asyncio.sleep(AGAIN_AFTER_S)

    def _adopt(self, open_: Mapping[str, str]) -> None:
        for name, note in open_.items():
            self._findings.adopt(name, note, time.monotonic())

    async def _look(self) -> None:
        while True:
            began_s = time.monotonic()
            for change in self._findings.look(await self._seen()):
                self._say(change)
            self._checked_at_s = time.time()
            await self._report()
            pause_s = self._settings.watchdog.every_s - (time.monotonic() - began_s)
            await asyncio.sleep(max(0.1, pause_s))

    async def _seen(self) -> Seen:
        settings = self._settings
        found, stored, gone, ill = await asyncio.gather(
            _tried(lambda: offsets(settings.kafka)),
            _tried(lambda: stored_age_s(settings.clickhouse)),
            _tried(lambda: lost(settings.clickhouse)),
            asyncio.to_thread(sick, settings.watchdog.health_urls),
        )
        committed, ends = found[0] or ({}, {})
        canaries = self._canaries
        return Seen(
            at_s=time.monotonic(),
            kafka=found[1] or self._no_canaries,
            clickhouse=stored[1],
            stored_age_s=stored[0],
            press_sent_s=None if canaries is None else canaries.unanswered_since_s(),
            gateway=self._gateway,
            gateway_panic=self._gateway_panic,
            gateway_press_sent_s=None
            if canaries is None
            else canaries.unanswered_since_s(by_gateway=True),
            canaries_refused=self._refused,
            committed=committed,
            ends=ends,
            unhealthy=ill.unhealthy,
            deaf=ill.deaf,
            lost=gone[0] or {},
        )

    def _say(self, change: Change) -> None:
        log.warning(
            "finding" if change.opened else "finding is over", name=change.name, why=change.detail
        )
        if not change.repeated:
            self._alerts.changed(_at_clock_times(change))
            self._news.set()
        for name, channel in self._channels.items():
            said = _page_of(name, change)
            for receiver in channel.receivers():
                task = asyncio.create_task(self._deliver(name, channel, said, receiver))
                self._unsaid.add(task)
                task.add_done_callback(self._unsaid.discard)

    async def _deliver(self, name: str, channel: Channel, said: Page, receiver: str) -> None:
        """Until it is taken or refused for good: the key stays the same. Who refused is deaf until
        they take a page."""
        attempts = unclear = 0
        while True:
            try:
                await channel.deliver(said, self._settings.notify.link, receiver=receiver)
                self._deaf.discard((name, receiver))
                return
            except NotDelivered as why:
                attempts, unclear = attempts + 1, unclear + why.unclear
                log.error("a page of the watchdog was not taken", channel=name, why=str(why))
                now_ms = int(time.time() * 1000)
                next_ms = next_try_ms(why, attempts, unclear, said.made_ms, now_ms)
            except Exception:  # a page that our own code fails on must not end the looking
                log.exception("a page of the watchdog failed in our own code", channel=name)
                next_ms = None
            if next_ms is None:
                self._deaf.add((name, receiver))
                return
            await asyncio.sleep((next_ms - now_ms) / 1000)

    async def _report(self) -> None:
        if self._ping is None or self._unsaid or self._deaf:
            return
        try:
            await self._ping.ask("GET")
            self._pings += 1
        except NotDelivered as why:
            self._lost_pings += 1
            log.warning("the watchdog elsewhere was not reached", why=str(why))

    # How it is

    def sources(self) -> dict[str, Source]:
        """Its own rounds; what it finds in them does not make it sick."""
        age_s = time.time() - self._checked_at_s if self._checked_at_s else None
        return {"looks": Source(age_s, SILENT_AFTER_S, needed=True)}

    def says(self) -> dict[str, dict[str, str]]:
        return {"findings": self._findings.open}

    def figures(self) -> list[Figure]:
        answered_s = None if self._canaries is None else self._canaries.answered_after_s
        said = {
            "checked_at_seconds": self._checked_at_s,
            "pages_unsaid": len(self._unsaid),
            "receivers_deaf": len(self._deaf),
            "pings_total": self._pings,
            "lost_pings_total": self._lost_pings,
            **({} if answered_s is None else {"press_to_alert_seconds": answered_s}),
        }
        found = [Figure("watchdog_finding", 1, (name,)) for name in self._findings.open]
        return [*figures(said, prefix="watchdog_"), *found]


async def _tried(ask: Callable[[], T]) -> tuple[T | None, str]:
    """The answer, or why there is none."""
    try:
        return await asyncio.to_thread(ask), ""
    except TROUBLE as trouble:
        return None, _first(trouble)


def _first(trouble: BaseException) -> str:
    while isinstance(trouble, BaseExceptionGroup):
        trouble = trouble.exceptions[0]
    return " ".join(str(trouble).split())[:200] or type(trouble).__name__


def _at_clock_times(change: Change) -> FindingChange:
    now_ms = int(time.time() * 1000)
    since_ms = now_ms - round((time.monotonic() - change.since_s) * 1000)
    return FindingChange(change.name, change.detail, change.opened, since_ms, now_ms)


def _page_of(channel: str, change: Change) -> Page:
    call = Call(
        id=uuid4().hex,
        alert=change.name,
        school="",
        kind=f"{AlertKind.PIPELINE_SILENT}: {change.name}",
        channel=channel,
        why="repeated" if change.repeated else "opened" if change.opened else "resolved",
        took=Took.NOTIFIED,
        due_ms=0,
    )
    return page(channel, [call], int(time.time() * 1000))


def service(settings: Settings) -> Service:
    """Raises CannotStart when its files can't be used."""
    for client in ("kafka", "clickhouse_driver"):  # said once, and better, as a finding
        logging.getLogger(client).setLevel(logging.CRITICAL)
    try:
        it = Watchdog(settings)
    except (Unusable, NotPrivate, OSError) as trouble:
        raise CannotStart(str(trouble)) from trouble
    return Service(
        name="watchdog", run=it.run, sources=it.sources, says=it.says, figures=it.figures
    )
