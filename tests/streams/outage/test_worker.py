"""An outage worker against a real broker."""

import asyncio
import time

import pytest

from schemas.alerts import Status, StatusChanged
from schemas.topics import ALERTS, REGISTRY, STATUS
from tests.streams.outage.schools import registered
from tests.streams.transport.cluster import eventually
from tests.streams.workers import Lane

pytestmark = pytest.mark.broker


async def say(lane: Lane, schools: list[str], status: Status) -> None:
    """Together: what is said one by one may take longer than a burst is gathered for."""
    before = Status.ONLINE if status is Status.OFFLINE else Status.OFFLINE
    now_ms = int(time.time() * 1000)
    said = (
        StatusChanged(
            school=school, status=status, previous=before, since_ms=now_ms - 50, decided_ms=now_ms
        )
        for school in schools
    )
    await asyncio.gather(
        *(lane.send(STATUS.name, one.school, one.model_dump_json().encode()) for one in said)
    )


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
        # Who joins after the naming is told by an update: wait for all, not for the first notice.
        await eventually(
            lambda: [set(a["members"]) for a in heard.of(kind="outage")][-1:] == [set(gone[:15])]
        )
        first = heard.of(kind="outage")[0]
        assert (first["action"], first["number"]) == ("opened", 0)
        assert first["scope"].startswith("provider:kt")

        worker.kill()
        await say(lane, gone[15:], Status.OFFLINE)
        await lane.start("outage")
        await say(lane, gone, Status.ONLINE)
        await eventually(lambda: any(a["action"] == "resolved" for a in heard.of(kind="outage")))
    said = heard.of(kind="outage")
    assert {a["id"] for a in said} == {first["id"]}
    assert said[-1]["members"] == []
    by_number = {a["number"]: a for a in said}
    assert sorted(by_number) == list(range(len(by_number)))
    assert all(a == by_number[a["number"]] for a in said), "said again in other words"
