"""The dispatch process against a real broker and real receivers."""

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from loadtest.simulator.police import Police
from schemas.alerts import AlertChanged
from schemas.settings import DispatchSettings, GatewaySettings, KafkaSettings, Settings
from schemas.topics import ALERTS, REGISTRY, STEPS
from streams.dispatch.journal import Journal
from streams.dispatch.school_address import address_of
from tests.streams.dispatch.stories import SCHOOL, UNLINKED, pressed, registered
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Heard, Lane, settings_for

pytestmark = pytest.mark.broker
SECRET = "between gateway and dispatch"


@pytest.fixture
async def police() -> AsyncIterator[Police]:
    police = Police(late_s=1.0)
    yield police
    await police.stop()


def settled(settings: Settings, folder: Path, *addresses: str, **fields: Any) -> Settings:
    """With a centers file whose center ``own`` has these receivers."""
    own = {"id": "own", "adapter": "dc09", "addresses": addresses, "ack_timeout_s": 60}
    file = folder / "centers.json"
    file.write_text(json.dumps({"people": ["chief"], "centers": [own | fields]}))
    secret = folder / "secret"
    secret.write_text(SECRET)
    return settings.model_copy(
        update={
            "dispatch": DispatchSettings(centers_file=file),
            "gateway": GatewaySettings(direct_secret_file=secret),
            "worker": settings.worker.model_copy(update={"health_port": free_port()}),
        }
    )


@pytest.fixture
async def lane(lane_broker: Broker, tmp_path: Path, police: Police) -> AsyncIterator[Lane]:
    """Its center's primary receiver is not there, its secondary is ``police``."""
    port = await police.start()
    there = f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}"
    async with Lane(settled(settings_for(lane_broker, tmp_path), tmp_path, *there)) as lane:
        yield lane


def impatient(lane: Lane) -> None:
    """Who does not answer at once has failed."""
    file = lane.settings.dispatch.centers_file
    assert file is not None
    file.write_text(file.read_text().replace('"ack_timeout_s": 60', '"ack_timeout_s": 0.3'))


async def health(settings: Settings) -> dict[str, Any] | None:
    url = f"http://127.0.0.1:{settings.worker.health_port}/health"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as answer:
                said: dict[str, Any] = await answer.json()
                return said if answer.status == 200 else None
        except aiohttp.ClientError:
            return None


async def started(lane: Lane) -> asyncio.subprocess.Process:
    process = await lane.start("dispatch")
    async with asyncio.timeout(60):
        while await health(lane.settings) is None:
            assert process.returncode is None, (lane.settings.var / "log-dispatch").read_text()
            await asyncio.sleep(0.05)
    return process


async def raise_(lane: Lane, transition: AlertChanged, times: int = 2) -> None:
    """As the two panic workers do."""
    for _ in range(times):
        await lane.send(ALERTS.name, transition.school, transition.model_dump_json().encode())


async def register(lane: Lane, school: str, center: str = "own") -> None:
    value = registered(school, center).model_dump_json().encode()
    await lane.send(REGISTRY.name, school, value)


def now_ms() -> int:
    return int(time.time() * 1000)


def took(heard: Heard, alert: str) -> list[str]:
    return [n["took"] for _, n in heard.notices if n["alert"] == alert]


async def test_a_broker_that_freezes_shows_in_its_health(lane: Lane, lane_broker: Broker) -> None:
    """Its reader has no group, so nobody else could see that it hears nothing."""

    async def hears(kafka: bool) -> None:
        async with asyncio.timeout(60):
            while (said := await health(lane.settings)) is None or said["kafka"] is not kafka:
                await asyncio.sleep(0.05)

    await started(lane)
    await hears(True)
    lane_broker.signal(signal.SIGSTOP)
    try:
        await hears(False)
    finally:
        lane_broker.signal(signal.SIGCONT)
    await hears(True)


async def test_a_panic_reaches_the_secondary_receiver_and_is_written_down(
    lane: Lane, police: Police
) -> None:
    """How long it takes is measured by `loadtest panic`; here the receiver has all the time to answer."""
    await register(lane, SCHOOL)
    async with lane.heard(STEPS.name) as heard:
        await started(lane)
        opened = pressed(at_ms=now_ms(), first=f"here-{now_ms()}")
        await raise_(lane, opened)
        await eventually(lambda: len(took(heard, opened.id)) == 4)
        assert took(heard, opened.id) == ["sent", "failed", "sent", "delivered"]
        assert [a.alert for a in police.alarms()].count(opened.id) == 1


async def test_a_school_without_a_link_and_a_late_press_go_to_a_person(
    lane: Lane, police: Police
) -> None:
    await register(lane, SCHOOL)
    await register(lane, UNLINKED, "")
    async with lane.heard(STEPS.name) as heard:
        await started(lane)
        unlinked = pressed(UNLINKED, now_ms(), first=f"unlinked-{now_ms()}")
        late = pressed(SCHOOL, now_ms(), first=f"late-{now_ms()}", late=True)
        await raise_(lane, unlinked)
        await raise_(lane, late)
        both = (unlinked.id, late.id)
        await eventually(lambda: all(took(heard, alert) for alert in both))
        targets = {n["alert"]: n["target"] for _, n in heard.notices}
        assert [targets[alert] for alert in both] == ["phone:chief"] * 2
        assert not {a.alert for a in police.alarms()} & {*both}


async def test_receivers_that_fail_in_every_way_get_it_once(lane: Lane, police: Police) -> None:
    """Each fault on one alarm; the attempts in between find nobody at the primary."""
    impatient(lane)
    police.faults += ["silence", "nak", "late", "garbage", "duh", "hang_up"]
    schools = [f"KZ-71-{n:05}" for n in range(4)]
    for school in schools:
        await register(lane, school)
    await started(lane)
    alerts = [pressed(school, now_ms(), first=f"f-{now_ms()}") for school in schools]
    for transition in alerts:
        await raise_(lane, transition)
    there = {transition.id for transition in alerts}
    await eventually(lambda: there <= {a.alert for a in police.alarms()})
    assert len([a for a in police.alarms() if a.alert in there]) == 4


@pytest.mark.parametrize("seed", [1])
async def test_killed_at_random_moments_it_loses_and_doubles_nothing(
    lane: Lane, police: Police, seed: int
) -> None:
    rng = random.Random(seed)
    schools = [f"KZ-72-{n:05}" for n in range(60)]
    for school in schools:
        await register(lane, school)
    async with lane.heard(STEPS.name) as heard:
        process = await started(lane)
        alerts = []
        for number, school in enumerate(schools):
            transition = pressed(school, now_ms(), first=f"k-{now_ms()}")
            alerts.append(transition.id)
            await raise_(lane, transition)
            if number % 15 == 14:
                await asyncio.sleep(rng.uniform(0, 0.05))
                process.kill()
                await process.wait()
                process = await started(lane)

        def received() -> list[str]:
            """Of this test: what an earlier one left behind with its journal is sent again."""
            return [a.alert for a in police.alarms() if a.alert in alerts]

        await eventually(lambda: len(received()) >= len(schools))
        await eventually(lambda: all("delivered" in took(heard, alert) for alert in alerts))
        ids = [n["id"] for _, n in heard.notices if n["took"] == "delivered"]
    assert sorted(received()) == sorted(alerts)
    said = {n["alert"] for _, n in heard.notices if n["id"] in set(ids)}
    assert set(alerts) <= said


async def test_without_kafka_the_gateways_word_is_enough(tmp_path: Path, police: Police) -> None:
    """The school's center is known from the journal; told twice it is sent once."""
    port = await police.start()
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", partitions=4)
    settings = settled(Settings(var=tmp_path, kafka=nowhere), tmp_path, f"127.0.0.1:{port}")
    journal = Journal(tmp_path / "dispatch" / "journal.db")
    journal.open(now_ms())
    await journal.schools([address_of(registered())])
    await journal.close()
    lane = Lane(settings)
    try:
        await started(lane)
        transition = pressed(at_ms=now_ms(), first="direct")
        url = f"http://127.0.0.1:{settings.worker.health_port}/direct"
        body = transition.model_dump_json()
        async with aiohttp.ClientSession() as session:
            async with session.post(url, data=body) as refused:
                assert refused.status == 401
            headers = {"X-Saqshy-Direct": SECRET}
            for _ in range(2):
                async with session.post(url, data=body, headers=headers) as answer:
                    assert (answer.status, await answer.json()) == (200, {"kept": True})
            async with session.post(url, data=b"{}", headers=headers) as wrong:
                assert wrong.status == 422
        await eventually(lambda: bool(police.alarms()))
        assert [a.alert for a in police.alarms()] == [transition.id]
        assert (await health(settings) or {})["kafka"] is False
    finally:
        for process in lane.processes:
            process.terminate()
            await process.wait()
    again = Journal(tmp_path / "dispatch" / "journal.db")
    kept = again.open(now_ms())
    assert [s.took.value for s in kept.pending] == ["sent", "delivered"]
    assert kept.told == [transition]
    await again.close()


async def test_a_wrong_centers_file_is_refused_until_it_was_right_once(
    tmp_path: Path, police: Police
) -> None:
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", partitions=4)
    settings = settled(Settings(var=tmp_path, kafka=nowhere), tmp_path, "127.0.0.1:1")
    file = settings.dispatch.centers_file
    assert file is not None
    right = file.read_text()
    file.write_text('{"centers": [{"id": "own"}]}')
    lane = Lane(settings)
    process = await lane.start("dispatch")
    assert await asyncio.wait_for(process.wait(), 60) == 2
    assert "adapter" in (tmp_path / "log-dispatch").read_text()
    file.write_text(right)
    first = await started(lane)
    first.terminate()
    assert await asyncio.wait_for(first.wait(), 60) == 0
    file.write_text("{")
    second = await started(lane)
    second.terminate()
    await second.wait()
