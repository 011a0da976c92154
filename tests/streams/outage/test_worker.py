"""An outage worker against a real broker."""

import time

import pytest

from schemas.alerts import Status, StatusChanged
from schemas.topics import ALERTS, REGISTRY, STATUS
from tests.streams.outage.schools import registered
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane

pytestmark = pytest.mark.broker


async def say(lane: Lane, schools: list[str], status: Status) -> None:
    before = Status.ONLINE if status is Status.OFFLINE else Status.OFFLINE
    for school in schools:
        now_ms = int(time.time() * 1000)
        said = StatusChanged(
            school=school, status=status, previous=before, since_ms=now_ms - 50, decided_ms=now_ms
        )
        await lane.send(STATUS.name, school, said.model_dump_json().encode())


async def test_one_incident_that_a_killed_worker_does_not_double(lane: Lane) -> None:
    region = "KZ-31"
    schools = [f"{region}-{number:05}" for number in range(1, 61)]
    gone = schools[:20]
    for school in schools:
        provider = "kt" if school in gone else "alatau"
        await lane.send(REGISTRY.name, school, registered(school, provider))
    await say(lane, schools, Status.ONLINE)
    async with lane.heard(ALERTS.name) as heard:
        worker = await lane.start("outage")
        await say(lane, [*gone[:15], schools[40]], Status.OFFLINE)
        await eventually(lambda: bool(heard.of(kind="outage")), 40)
        first = heard.of(kind="outage")[0]
        assert first["action"] == "opened" and set(first["members"]) == set(gone[:15])
        assert first["scope"].startswith("provider:kt")

        worker.kill()
        await say(lane, gone[15:], Status.OFFLINE)
        await lane.start("outage")
        await say(lane, gone, Status.ONLINE)
        await eventually(
            lambda: any(a["action"] == "resolved" for a in heard.of(kind="outage")), 60
        )
    said = heard.of(kind="outage")
    assert {a["id"] for a in said} == {first["id"]}
    assert said[-1]["members"] == [] and len({a["number"] for a in said}) <= 3
