"""An operator's step is taken while Kafka is away: acted on at once, kept, and said to Kafka once."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashboards.console import said as said_module
from dashboards.console.said import Kept, NotSaid, StepWriter
from loadtest.simulator.police import Police
from schemas.alerts import AlertChanged
from schemas.steps import PanicOutcome, StepTaken, Took
from schemas.topics import STEPS
from tests.streams.dispatch.stories import SCHOOL, pressed
from tests.streams.dispatch.test_process import now_ms, raise_, register, settled
from tests.streams.dispatch.test_process import started as dispatching
from tests.streams.transport.broker import Broker
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Heard, Lane, settings_for

pytestmark = pytest.mark.broker
CALLED_OFF = "406"


@pytest.fixture
async def police() -> AsyncIterator[Police]:
    police = Police(late_s=1.0)
    yield police
    await police.stop()


@pytest.fixture
async def lane(broker: Broker, tmp_path: Path, police: Police) -> AsyncIterator[Lane]:
    there = f"127.0.0.1:{await police.start()}"
    async with Lane(settled(settings_for(broker, tmp_path), tmp_path, there)) as lane:
        yield lane


def step(alarm: AlertChanged, took: Took, **fields: object) -> StepTaken:
    told = {"id": f"{took}-{now_ms()}", "alert": alarm.id, "school": alarm.school, "took": took}
    return StepTaken.model_validate(
        told | {"actor": "aigerim", "time_ms": now_ms(), "upto": 0} | fields
    )


def saying(lane: Lane) -> StepWriter:
    url = f"http://127.0.0.1:{lane.settings.worker.health_port}/direct"
    return StepWriter(lane.kafka, [url], lane.settings.gateway.direct_secret_file)


def of(heard: Heard, one: StepTaken) -> int:
    return len(heard.of(id=one.id))


async def test_a_close_while_kafka_stands_still_reaches_the_police_and_later_kafka(
    broker: Broker, lane: Lane, police: Police, monkeypatch: pytest.MonkeyPatch
) -> None:
    def patience(kafka_s: float) -> None:
        """A busy machine's Kafka is not one that is away, nor its dispatch."""
        monkeypatch.setattr(said_module, "HAND_OVER_AFTER_S", kafka_s)
        monkeypatch.setattr(said_module, "WITHIN_S", 60.0)
        monkeypatch.setattr(said_module, "DIRECT_WITHIN_S", 60.0)

    await register(lane, SCHOOL)
    alarm = pressed(at_ms=now_ms(), first=f"handed-over-{now_ms()}")
    async with lane.heard(STEPS.name) as heard:
        process = await dispatching(lane)
        await raise_(lane, alarm)
        await eventually(lambda: bool(heard.of(alert=alarm.id, took="delivered")))
        said = saying(lane)
        try:
            patience(60.0)
            assert (await said.step(step(alarm, Took.ACKNOWLEDGED))).kept is Kept.KAFKA
            patience(0.5)
            broker.signal(signal.SIGSTOP)
            closed = step(alarm, Took.CLOSED, outcome=PanicOutcome.FALSE)
            assert (await said.step(closed)).kept is Kept.DISPATCH
            await eventually(
                lambda: (alarm.id, CALLED_OFF) in {(a.alert, a.event) for a in police.alarms()}
            )
            # What comes after it goes the same way, and what dispatch has is on its disk.
            note = step(alarm, Took.NOTED, note="it was a ball")
            assert (await said.step(note)).kept is Kept.DISPATCH
            process.kill()
            await process.wait()
            broker.signal(signal.SIGCONT)
            await dispatching(lane)
            await eventually(lambda: of(heard, closed) > 0 and of(heard, note) > 0, 60)
            order = [n["id"] for _, n in heard.notices if n["id"] in (closed.id, note.id)]
            assert order.index(closed.id) < order.index(note.id)
            assert said.handed_over == 2
            for one in (closed, note):
                said.seen(one)
            patience(60.0)
            assert (await said.step(step(alarm, Took.REOPENED))).kept is Kept.KAFKA
        finally:
            broker.signal(signal.SIGCONT)
            await said.stop()


async def test_where_nobody_takes_it_the_operator_is_told(broker: Broker, lane: Lane) -> None:
    said = saying(lane)  # nobody listens there
    try:
        await said.ready()
        broker.signal(signal.SIGSTOP)
        began_s = time.monotonic()
        with pytest.raises(NotSaid):
            await said.step(step(pressed(at_ms=now_ms()), Took.ACKNOWLEDGED))
        assert time.monotonic() - began_s > 1.0  # Kafka got its time
    finally:
        broker.signal(signal.SIGCONT)
        await said.stop()
