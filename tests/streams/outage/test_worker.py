"""An outage worker against a real broker."""

import asyncio
import time

import pytest

from schemas.alerts import Status, StatusChanged
from schemas.events import Names, Ownership, SchoolRegistered, Shift
from schemas.topics import ALERTS, REGISTRY, STATUS
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane, uuid7

pytestmark = pytest.mark.broker


def registered(school: str, provider: str) -> bytes:
    event = SchoolRegistered(
        id=uuid7(),
        school=school,
        device="registry",
        time_ms=int(time.time() * 1000),
        boot=1,
        seq=1,
        names=Names(kk=school, ru=school, en=school),
        region=school[:5],
        district="Centre",
        latitude=43.2,
        longitude=76.9,
        pupils=500,
        ownership=Ownership.PUBLIC,
        shifts=[Shift(bells=["08:00", "13:00"])],
        provider=provider,
        devices=[],
    )
    return event.model_dump_json().encode()


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
        await asyncio.sleep(4)
        await say(lane, [*gone[:15], schools[40]], Status.OFFLINE)
        await eventually(lambda: bool(heard.of(kind="outage")), 40)
        first = heard.of(kind="outage")[0]
        assert first["action"] == "opened" and set(first["members"]) == set(gone[:15])
        assert first["scope"].startswith("provider:kt")

        worker.kill()
        await say(lane, gone[15:], Status.OFFLINE)
        await lane.start("outage")
        await say(lane, gone[1:], Status.ONLINE)
        await asyncio.sleep(1)
        await say(lane, gone[:1], Status.ONLINE)
        await eventually(
            lambda: any(a["action"] == "resolved" for a in heard.of(kind="outage")), 60
        )
    said = heard.of(kind="outage")
    assert {a["id"] for a in said} == {first["id"]}
    assert said[-1]["members"] == [] and len({a["number"] for a in said}) <= 3
