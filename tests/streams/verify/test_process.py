"""The service against a real broker."""

import signal
from pathlib import Path

import aiohttp
import pytest

from deploy.embedded.ports import free_port
from schemas.events import EVENT
from schemas.settings import KafkaSettings, Settings, WorkerSettings
from schemas.topics import ALERTS, INCIDENTS, STEPS
from tests.streams.dispatch.stories import pressed
from tests.streams.notify.test_process import until
from tests.streams.transport.broker import Broker
from tests.streams.verify.test_decide import reported
from tests.streams.workers import Lane, settings_for

# The first two share a partition.
FIRST, SECOND, OTHER = "KZ-75-00051", "KZ-75-00055", "KZ-75-00053"
WITHIN_S = 120.0


async def _status(port: int) -> int:
    """Of /health; 0 while nobody listens."""
    url = f"http://127.0.0.1:{port}/health"
    try:
        async with aiohttp.ClientSession() as web, web.get(url) as answer:
            assert (await answer.json())["service"] == "verify"
            return answer.status
    except aiohttp.ClientError:
        return 0


async def _ready(port: int) -> bool:
    return await _status(port) == 200


@pytest.mark.broker
async def test_a_report_beside_a_press_raises_the_score_once_also_after_a_kill(
    lane_broker: Broker, tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(lane_broker, tmp_path).model_copy(
        update={"worker": WorkerSettings(health_port=port)}
    )
    async with Lane(settings) as lane, lane.heard(STEPS.name) as steps:
        now_ms = await _kafka_ms(lane)

        async def press(school: str, number: int = 0) -> None:
            transition = pressed(school, now_ms, number)
            await lane.send(ALERTS.name, school, transition.model_dump_json().encode())

        async def report(school: str) -> None:
            event = reported(school, now_ms)
            await lane.send(INCIDENTS.name, school, EVENT.dump_json(event))

        await report(FIRST)
        await press(FIRST)
        await lane.send(INCIDENTS.name, FIRST, b"no event at all")
        process = await lane.start("verify")
        await until(lambda: steps.of(took="verified", school=FIRST), WITHIN_S)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await report(FIRST)
        await lane.start("verify")
        await until(lambda: _ready(port), WITHIN_S)
        await press(FIRST, number=1)
        await press(OTHER)
        # What is heard after all that was sent before proves that nothing was said twice.
        await press(SECOND)
        await report(SECOND)
        await until(lambda: steps.of(took="verified", school=SECOND), WITHIN_S)
        (step,) = steps.of(took="verified", school=FIRST)
        assert (step["target"], step["actor"], step["alert"]) == (
            "reports",
            "saqshy:verify",
            _id(FIRST),
        )
        assert len(steps.of(took="verified", school=SECOND)) == 1
        assert steps.of(school=OTHER) == []


async def _kafka_ms(lane: Lane) -> int:
    """The broker's clock, by which presses and reports are near each other."""
    sent = await lane.producer.send_and_wait(STEPS.name, b"{}", key=b"nobody", partition=0)
    return int(sent.timestamp)


def _id(school: str) -> str:
    return pressed(school).id


async def test_without_kafka_it_lives_and_says_that_it_is_not_ready(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(
        var=tmp_path,
        kafka=KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}"),
        worker=WorkerSettings(health_port=port),
    )
    process = await Lane(settings).start("verify")
    try:
        await until(lambda: _status(port), WITHIN_S)
        assert await _status(port) == 503
        assert process.returncode is None
    finally:
        process.terminate()
    assert await process.wait() == 0
