"""Canaries through a real gateway to a real broker, and what becomes of their presses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from deploy.canary_key import canary_key_file
from deploy.embedded.ports import free_port
from schemas.alerts import AlertKind
from schemas.events import is_canary
from schemas.life import Life
from schemas.settings import GatewaySettings, Settings, WatchdogSettings, WorkerSettings
from schemas.topics import ALERTS, HEARTBEATS, PANICS
from streams.dispatch import decide as dispatch
from streams.dispatch.centers import way_of
from streams.gateway.body import body_of
from streams.gateway.read import read_press
from streams.keys import Device, add, claimed
from streams.notify.asking import Around
from streams.notify.decide import NOTHING, wanted
from streams.notify.policy import Policies
from streams.paging.files import Unusable
from streams.panic.decide import PanicState, decide
from streams.watchdog import decide as watchdog_decide
from streams.watchdog import gateway as through
from streams.watchdog import process
from streams.watchdog.alerts import Alerts, FindingChange
from streams.watchdog.decide import HOLDS_S
from streams.watchdog.gateway import ByGateway, load_key
from streams.watchdog.process import Watchdog
from tests.streams.dispatch.stories import center, centers
from tests.streams.notify.test_process import until
from tests.streams.paging.receiver import private
from tests.streams.transport.broker import Broker
from tests.streams.workers import Heard, Lane, settings_for, uuid7

NOW_MS = 1_790_000_000_000


@dataclass
class Way:
    """A broker and the settings of a gateway and of a watchdog that goes through it."""

    lane: Lane

    @property
    def settings(self) -> Settings:
        return self.lane.settings

    async def gateway(self) -> asyncio.subprocess.Process:
        running = await self.lane.start("gateway")
        port = self.settings.worker.health_port
        async with asyncio.timeout(120), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/health") as answer:
                        if answer.status == 200:
                            return running
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

    async def by_gateway(self) -> ByGateway:
        key = load_key(canary_key_file(self.settings))
        it = ByGateway(self.settings, key)
        await it.start()
        return it


@pytest.fixture
async def way(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Way]:
    base = settings_for(lane_broker, tmp_path)
    port, panic_port = free_port(), free_port()
    told = {
        "gateway": GatewaySettings(port=port, panic_port=panic_port),
        "worker": WorkerSettings(health_port=free_port()),
        "watchdog": WatchdogSettings(
            every_s=0.2,
            press_every_s=1.0,
            gateway_key_file=canary_key_file(base),
            events_url=f"http://127.0.0.1:{port}",
            panic_url=f"http://127.0.0.1:{panic_port}",
        ),
    }
    async with Lane(base.model_copy(update=told)) as lane:
        yield Way(lane)


@pytest.mark.broker
async def test_both_listeners_pass_a_canary_on_and_a_dead_gateway_is_said(way: Way) -> None:
    running = await way.gateway()
    async with way.lane.heard(HEARTBEATS.name) as beats, way.lane.heard(PANICS.name) as presses:
        it = await way.by_gateway()
        try:
            assert await it.beat() == ""
            assert await it.beat() == ""
            press = it.press()
            assert await it.send_press(press) == ""
            assert await it.send_press(press) == ""
            running.kill()
            await running.wait()
            assert "is not reached" in await it.beat()
            assert "is not reached" in await it.send_press(it.press())
            await until(lambda: len(beats.of()) >= 2)
            await until(lambda: presses.of(id=press.id))
        finally:
            await it.stop()
    said = [*beats.of(), *presses.of()]
    assert all(is_canary(one["school"]) for one in said)
    assert len(said) == 3


@pytest.mark.broker
async def test_a_gateway_that_accepts_and_passes_nothing_on_is_found_out(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(_: web.Request) -> web.Response:
        return web.Response(status=202)

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401, text="who?")

    app = web.Application()
    app.router.add_post("/v1/events", accept)
    app.router.add_post("/v1/panic", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", way.settings.gateway.port).start()
    monkeypatch.setattr(through, "ARRIVES_WITHIN_S", 1.0)
    url = f"http://127.0.0.1:{way.settings.gateway.port}"
    watchdog = way.settings.watchdog.model_copy(update={"panic_url": url})
    way.lane.settings = way.settings.model_copy(update={"watchdog": watchdog})
    it = await way.by_gateway()
    try:
        assert "is not on the topic" in await it.beat()
        assert "401: who?" in await it.send_press(it.press())
    finally:
        await it.stop()
        await runner.cleanup()


@pytest.mark.broker
async def test_a_dead_gateway_is_one_alert_that_a_restarted_watchdog_ends(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in HOLDS_S:
        monkeypatch.setitem(HOLDS_S, kind, 0.5 if kind.startswith("gateway") else 1e6)  # type: ignore[arg-type]
    monkeypatch.setattr(watchdog_decide, "GONE_FOR_S", 1.0)
    monkeypatch.setattr(process, "BEAT_PERIOD_S", 0.3)
    monkeypatch.setattr(process, "AGAIN_AFTER_S", 0.5)
    unheard = way.settings.worker.model_copy(update={"health_port": 0})
    settings = way.settings.model_copy(update={"worker": unheard})

    def of(alerts: Heard, action: str) -> list[tuple[str, int]]:
        named = alerts.of(kind="pipeline_silent", scope="gateway canary", action=action)
        return [(one["id"], one["number"]) for one in named]

    async with way.lane.heard(ALERTS.name) as alerts:
        running = asyncio.create_task(Watchdog(settings).run())
        try:
            await until(lambda: of(alerts, "opened"))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        successor = Watchdog(settings)
        running = asyncio.create_task(successor.run())
        try:
            await until(lambda: "gateway canary" in successor._findings.open)
            await until(lambda: successor._gateway)
            await way.gateway()
            await until(lambda: of(alerts, "resolved"))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    opened, first = of(alerts, "opened")[0]
    # On a busy machine the gateway may be silent again by now, which is another alert.
    assert of(alerts, "resolved")[0] == (opened, first + 1)
    assert [id_ for id_, _ in of(alerts, "opened")].count(opened) == 1


@pytest.mark.parametrize("body", [b"", b'{"type": "panic.pressed"', None])
def test_a_press_with_a_canary_s_key_reaches_neither_police_nor_people(
    tmp_path: Path, body: bytes | None
) -> None:
    """Whatever it is: whole, broken, or in the name of a school."""
    said = claimed(f"Bearer {load_key(canary_key_file(Settings(var=tmp_path)))}")
    assert said is not None
    of_a_school = (
        b'{"id": "%s", "type": "panic.pressed", "school": "KZ-75-00001", "device": "button-1", '
        b'"time_ms": 1790000000000, "boot": 1, "seq": 1, "v": 1}' % uuid7().encode()
    )
    sent = body_of(of_a_school if body is None else body, {})
    for record in read_press(said[0], sent, uuid7()):
        raised = decide(PanicState(), record.school.encode(), record.value, NOW_MS)
        assert raised and all(one.kind is AlertKind.PANIC for one in raised)
        for one in raised:
            assert is_canary(one.school)
            life = Life(one.id)
            life.changed(one)
            plan = dispatch.decide(life, way_of(centers(center()), None), NOW_MS, ())
            assert (plan.sends, plan.tells) == ([], [])
            calls = wanted(life, Policies(), ["duty"], lambda _: False, Around(), NOW_MS)
            assert calls == NOTHING


def test_a_key_of_a_school_is_refused(tmp_path: Path) -> None:
    _, key = add({}, Device("KZ-75-00001", "button-1"), 0)
    with pytest.raises(Unusable, match="would reach the police"):
        load_key(private(tmp_path / "key", key))
    with pytest.raises(Unusable, match="holds no device key"):
        load_key(private(tmp_path / "nothing", "hello"))


@pytest.mark.parametrize("paged", [True, False])
def test_what_the_watchdog_pages_itself_the_notifier_does_not_page_again(paged: bool) -> None:
    alerts = Alerts(paged=paged)
    alerts.changed(FindingChange("kafka", "no answer", True, NOW_MS - 15_000, NOW_MS))
    opened = alerts.next()
    life = Life(opened[0].id)
    life.changed(opened[0])
    calls = wanted(life, Policies(), ["duty"], lambda _: False, Around(), NOW_MS).calls
    assert bool(calls) is not paged
