"""The notifier as a process against a real broker and a real HTTPS receiver, also killed midway."""

import asyncio
import json
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from schemas.alerts import AlertChanged, AlertKind
from schemas.settings import GatewaySettings, NotifySettings, Settings, WorkerSettings
from schemas.topics import ALERTS, STEPS
from tests.streams.notify.alerts import changed, step
from tests.streams.paging.receiver import Receiver, private, receiver
from tests.streams.transport.broker import Broker
from tests.streams.workers import Lane, settings_for

pytestmark = pytest.mark.broker

SECRET = "direct-secret"


class Notifying:
    """A lane with a notifier that pages one receiver."""

    def __init__(self, lane: Lane, taken: Receiver) -> None:
        self.lane, self.taken = lane, taken
        self.url = f"http://127.0.0.1:{lane.settings.worker.health_port}"

    async def start(self) -> asyncio.subprocess.Process:
        process = await self.lane.start("notify")
        await until(self.ready)
        return process

    async def ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as web, web.get(f"{self.url}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def figure(self, name: str) -> float:
        async with aiohttp.ClientSession() as web, web.get(f"{self.url}/metrics") as answer:
            (line,) = re.findall(rf"^saqshy_notify_{name} (\S+)$", await answer.text(), re.M)
        return float(line)

    async def say(self, transition: AlertChanged) -> None:
        await self.lane.send(ALERTS.name, transition.school, transition.model_dump_json().encode())


async def until(holds: Callable[[], object], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while True:
        answer = holds()
        if await answer if asyncio.iscoroutine(answer) else answer:
            return
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def told(page: bytes, panic: AlertChanged) -> bool:
    return panic.id in {alert["id"] for alert in json.loads(page)["alerts"]}


def press(number: int, **fields: object) -> AlertChanged:
    now_ms = int(time.time() * 1000)
    school = f"KZ-75-{number:05}"
    return changed(uuid4().hex, at_ms=now_ms, school=school, **fields)  # type: ignore[arg-type]


@pytest.fixture
async def notifying(lane_broker: Broker, tmp_path: Path) -> AsyncIterator[Notifying]:
    async with receiver(tmp_path) as taken:
        channels = private(tmp_path / "channels.toml", taken.channel())
        secret_file = private(tmp_path / "direct", SECRET)
        base = settings_for(lane_broker, tmp_path)
        settings = Settings.model_validate(
            base.model_dump()
            | {
                "kafka": base.kafka,
                "worker": WorkerSettings(health_port=free_port()),
                "notify": NotifySettings(channels_file=channels),
                "gateway": GatewaySettings(direct_secret_file=secret_file),
            }
        )
        async with Lane(settings) as lane:
            yield Notifying(lane, taken)


async def test_a_panic_is_paged_once_and_the_step_says_so(notifying: Notifying) -> None:
    async with notifying.lane.heard(STEPS.name) as steps:
        await notifying.start()
        panic = press(1)
        await notifying.say(panic)
        await notifying.say(panic)  # the other panic worker says the same
        await until(lambda: notifying.taken.alerts()[panic.id, "opened"])
        await until(lambda: steps.of(alert=panic.id, took="notified"))
        (recorded,) = steps.of(alert=panic.id)
        assert recorded["actor"] == "saqshy:notify"
        assert recorded["target"] == "hook"
        assert [told(page, panic) for _, page in notifying.taken.requests].count(True) == 1


async def test_a_press_comes_through_the_direct_door_and_then_again_through_kafka(
    notifying: Notifying,
) -> None:
    await notifying.start()
    panic = press(2)
    body = panic.model_dump_json()
    async with aiohttp.ClientSession() as web:
        url = f"{notifying.url}/direct"
        for headers in ({}, {"X-Saqshy-Direct": "wrong"}):
            async with web.post(url, data=body, headers=headers) as answer:
                assert answer.status == 401
        ours = {"X-Saqshy-Direct": SECRET}
        async with web.post(url, data="{}", headers=ours) as answer:
            assert answer.status == 422
        outage = press(2, kind=AlertKind.OUTAGE).model_dump_json()
        async with web.post(url, data=outage, headers=ours) as answer:
            assert answer.status == 422
        async with web.post(url, data=body, headers=ours) as answer:
            assert answer.status == 200
    await until(lambda: notifying.taken.alerts()[panic.id, "opened"])
    later = press(3)
    await notifying.say(panic.model_copy(update={"decided_ms": panic.decided_ms + 700}))
    await notifying.say(later)
    await until(lambda: notifying.taken.alerts()[later.id, "opened"])
    pages = [page for _, page in notifying.taken.requests]
    assert [told(page, panic) for page in pages].count(True) == 1


async def test_canaries_bad_records_and_drills_page_nobody(notifying: Notifying) -> None:
    await notifying.start()
    # The tests of other rooms share the broker, and left some that can't be read.
    unreadable = await notifying.figure("unreadable_total")
    canaries = await notifying.figure("canaries_total")
    canary = press(4).model_copy(update={"school": "KZ-00-90000"})
    await notifying.say(canary)
    await notifying.lane.send(ALERTS.name, "KZ-75-00004", b"\xff not json")
    drill = press(4, drill=True)
    await notifying.say(drill)
    real = press(4)
    await notifying.say(real)
    await until(lambda: notifying.taken.alerts()[real.id, "opened"])
    pages = [page for _, page in notifying.taken.requests]
    assert not any(told(page, one) for page in pages for one in (canary, drill))
    assert await notifying.figure("unreadable_total") == unreadable + 1
    assert await notifying.figure("canaries_total") == canaries + 1


async def test_a_failed_attempt_is_recorded_and_tried_again(notifying: Notifying) -> None:
    async with notifying.lane.heard(STEPS.name) as steps:
        await notifying.start()
        panic = press(5)
        pages = notifying.taken.requests

        def refused_once(number: int) -> int:
            """Of this panic: alerts that other tests left open are paged meanwhile."""
            tells = [told(page, panic) for _, page in pages[:number]]
            return 503 if tells[-1] and sum(tells) == 1 else 200

        notifying.taken.answer = refused_once
        await notifying.say(panic)
        await until(lambda: steps.of(alert=panic.id, took="notified"))
        (failed,) = steps.of(alert=panic.id, took="failed")
        assert failed["attempt"] == 1
        assert "503" in failed["note"]
        keys = [h["Idempotency-Key"] for h, page in pages if told(page, panic)]
        assert len(keys) == 2
        assert len(set(keys)) == 1


async def test_killed_in_the_middle_it_loses_nothing_and_says_nothing_twice(
    notifying: Notifying,
) -> None:
    """The receiver answers late, so that each kill finds pages under way."""
    panics = [press(number) for number in range(100, 140)]
    ids = {panic.id for panic in panics}
    taken = notifying.taken
    channels = notifying.lane.settings.notify.channels_file
    assert channels is not None
    private(channels, taken.channel(timeout_s=2))
    async with notifying.lane.heard(STEPS.name) as steps:
        for more, part in ((4, panics[:20]), (6, panics[20:])):
            # One request in three hangs until the process is killed, after it was received.
            taken.answer = lambda number: 0 if number % 3 == 0 else 200
            process = await notifying.start()
            enough = len(taken.requests) + more
            for panic in part:
                await notifying.say(panic)
            await until(lambda enough=enough: len(taken.requests) >= enough)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        taken.answer = lambda number: 200
        await notifying.start()
        await until(lambda: {s["alert"] for s in steps.of(took="notified")} >= ids)
    # Alerts of other tests are on the topic too: the broker is theirs as well.
    mine = {key: count for key, count in taken.alerts().items() if key[0] in ids}
    assert mine == {(panic.id, "opened"): 1 for panic in panics}
    recorded = {s["id"] for s in steps.of(took="notified") if s["alert"] in ids}
    assert len(recorded) == len(panics)


async def test_what_somebody_has_acknowledged_is_not_repeated_after_a_restart(
    notifying: Notifying,
) -> None:
    """Rebuilt from Kafka alone: alerts and steps, whatever came first."""
    await notifying.start()
    old = changed("taken-" + uuid4().hex[:20], at_ms=int(time.time() * 1000) - 200_000)
    acknowledged = step("acknowledged", old.id, at_ms=old.decided_ms + 1)  # type: ignore[arg-type]
    await notifying.lane.send(STEPS.name, old.school, acknowledged.model_dump_json().encode())
    await notifying.say(old)
    await until(lambda: notifying.taken.alerts()[old.id, "opened"])
    (process,) = notifying.lane.processes
    process.terminate()
    assert await process.wait() == 0
    await notifying.start()
    last = press(6)
    await notifying.say(last)
    await until(lambda: notifying.taken.alerts()[last.id, "opened"])
    assert [told(page, old) for _, page in notifying.taken.requests].count(True) == 1


async def test_with_a_lost_outbox_kafka_tells_what_was_said(notifying: Notifying) -> None:
    async with notifying.lane.heard(STEPS.name) as steps:
        process = await notifying.start()
        old, new = press(7), press(8)
        await notifying.say(old)
        await until(lambda: steps.of(alert=old.id, took="notified"))
    process.terminate()
    await process.wait()
    shutil.rmtree(notifying.lane.settings.var / "notify")
    await notifying.start()
    await notifying.say(new)
    await until(lambda: notifying.taken.alerts()[new.id, "opened"])
    assert [told(page, old) for _, page in notifying.taken.requests].count(True) == 1
