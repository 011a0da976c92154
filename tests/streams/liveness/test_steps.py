"""In which order statuses and alerts are said."""

import json

from schemas.alerts import AlertKind
from schemas.topics import ALERTS, STATUS
from streams.liveness.messages import steps
from streams.liveness.school import Decision
from tests.streams.liveness.test_decide import T0, beat, liveness, pass_time


def test_a_status_comes_before_the_alert_it_opens_and_after_the_one_it_ends() -> None:
    it = liveness()
    beat(it, T0)
    fell = [[m.topic for m in step] for step in steps(pass_time(it, T0 + 100_000))]
    returned = [[m.topic for m in step] for step in steps(beat(it, T0 + 100_000))]
    assert fell == [[STATUS.name] * 3, [ALERTS.name] * 2]
    assert returned == [[ALERTS.name] * 2, [STATUS.name] * 2]


def test_the_last_word_about_a_device_is_said_last() -> None:
    it = liveness()
    said = [*beat(it, T0), *pass_time(it, T0 + 100_000), *beat(it, T0 + 100_000)]
    values = [json.loads(m.value) for step in steps(said) for m in step]
    assert [v["status"] for v in values if v.get("device") == "gateway-1" and "status" in v] == [
        "online",
        "late",
        "offline",
        "online",
    ]
    actions = [v["action"] for v in values if v.get("kind") == AlertKind.SCHOOL_OFFLINE]
    assert actions == ["opened", "resolved"]


def test_many_schools_share_a_step() -> None:
    it = liveness()
    said: list[Decision] = []
    for number in range(50):
        said += it.hear(f"KZ-10-{number:05}", "gateway-1", "gateway", 15, T0, T0)
    assert len(steps(said)) == 1
    assert len(steps(pass_time(it, T0 + 100_000))) == 2
