"""A device is warned of an event exactly if the lanes will throw it away for its time."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Reason
from schemas.times import IN_FUTURE_MS, TOO_OLD_MS
from schemas.topics import TOPICS
from streams.gateway.answers import MOST_TOLD
from streams.gateway.api import warnings_of
from streams.gateway.body import CLOUD_EVENT, JSON, body_of
from streams.gateway.openapi import examples
from streams.gateway.read import Record, read_events, read_press
from streams.keys import Device
from streams.store.judge import Rejected, judge

NOW_MS = 1_790_000_000_000
BY_NAME = {topic.name: topic for topic in TOPICS}
OF_TIME = {Reason.TOO_OLD, Reason.IN_FUTURE}
TIMES = st.one_of(
    st.integers(0, 10**15),
    *(
        st.integers(NOW_MS + edge_ms - 2, NOW_MS + edge_ms + 2)
        for edge_ms in (-TOO_OLD_MS, 0, IN_FUTURE_MS)
    ),
)


def thrown_away(record: Record, kafka_ms: int) -> bool:
    """By the judge of every storing lane."""
    key = record.school.encode()
    why = judge(BY_NAME[record.topic], key, record.value, kafka_ms, lambda school: True)
    return isinstance(why, Rejected) and why.reason in OF_TIME


def sent(events: list[dict[str, Any]], media_type: str) -> bytes:
    if media_type == JSON:
        return json.dumps(events).encode()
    (one,) = events
    cloud = {
        "specversion": "1.0",
        "id": one["id"],
        "source": "/d",
        "type": one["type"],
        "data": one,
    }
    return json.dumps(cloud).encode()


@pytest.mark.parametrize("media_type", [JSON, CLOUD_EVENT])
@given(data=st.data())
def test_who_is_warned_is_whom_the_lanes_throw_away(media_type: str, data: st.DataObject) -> None:
    of_type = data.draw(st.sampled_from(sorted(examples())))
    event = examples()[of_type]
    device = Device(event["school"], event["device"])
    times = data.draw(st.lists(TIMES, min_size=1, max_size=1 if media_type != JSON else 4))
    body = body_of(
        sent([{**event, "time_ms": at_ms, "seq": n} for n, at_ms in enumerate(times)], media_type),
        {"content-type": media_type},
        "",
    )
    records, rejected = read_events(device, body, event["id"])
    if of_type.startswith("panic"):
        assert len(read_press(device, body, event["id"])) >= 1
    warned = warnings_of(records, NOW_MS) or []
    assert not rejected
    assert [one.at for one in warned] == [r.at for r in records if thrown_away(r, NOW_MS)]


def test_what_is_said_of_a_batch_is_bounded() -> None:
    event = examples()["pass"]
    events = [{**event, "time_ms": 0, "seq": n} for n in range(300)]
    body = body_of(json.dumps(events).encode(), {"content-type": JSON}, "")
    records, _ = read_events(Device(event["school"], event["device"]), body, event["id"])
    assert len(records) == 300
    assert len(warnings_of(records, NOW_MS) or []) == MOST_TOLD
