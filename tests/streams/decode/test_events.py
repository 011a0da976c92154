"""Liveness hears exactly what the archive stores, as far as the bytes tell."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.alerts import Reason
from schemas.events import Heartbeat
from schemas.topics import HEARTBEATS
from streams.decode.events import MAX_VALUE_BYTES, EventDecoder
from streams.liveness.feed import Feed
from streams.store.judge import Rejected, judge
from tests.streams.liveness.test_decide import S, liveness
from tests.streams.liveness.test_feed import Row, heartbeat

FIELDS = sorted(Heartbeat.model_fields)
numbers = st.sampled_from(
    [0, 1, -1, -100, 100, 101, 15, 86_400, 86_401, 10**15, 2**31, 2**32, 2**53, 2**63, 2**64]
)
texts = st.sampled_from(
    ["", "heartbeat", "pass", "gateway", "KZ-75-00001", "KZ-75-00001\n", "x" * 40]
)
values = st.one_of(
    *(numbers, numbers.map(float), texts, st.none(), st.booleans(), st.just([]), st.just("15")),
    *(st.integers(), st.floats(), st.text(max_size=5)),
)
changes = st.dictionaries(st.sampled_from([*FIELDS, "else"]), values, max_size=2)
TIME_IS_NO_QUESTION_OF_BYTES = {Reason.TOO_OLD, Reason.IN_FUTURE}
KAFKA_MS = 1_790_000_000_000


@settings(deadline=None, max_examples=300)
@given(changes, st.sets(st.sampled_from(FIELDS), max_size=1), st.binary(max_size=3))
@example({"period_s": 0}, set(), b"")
@example({"period_s": -100}, set(), b"")
@example({"period_s": 31_536_000}, set(), b"")
@example({"period_s": 10**15}, set(), b"")
@example({"else": "x" * 5_000}, set(), b"")
@example({"else": "x" * MAX_VALUE_BYTES}, set(), b"")
def test_what_the_archive_rejects_is_no_heartbeat_and_all_else_is_one(
    changed: dict[str, Any], left_out: set[str], tail: bytes
) -> None:
    event = json.loads(heartbeat()) | changed
    value = json.dumps({k: v for k, v in event.items() if k not in left_out}).encode() + tail
    key, kafka_ms = S.encode(), KAFKA_MS
    judged = judge(HEARTBEATS, key, value, kafka_ms, lambda _: True)
    rejected = isinstance(judged, Rejected) and judged.reason not in TIME_IS_NO_QUESTION_OF_BYTES
    feed = Feed(liveness())
    feed.hear([Row(0, kafka_ms, key, value)])
    assert feed.unreadable == rejected
    decoded: Any
    [decoded] = EventDecoder(Heartbeat).decode([value])
    if isinstance(judged, Heartbeat):
        assert decoded.period_s == judged.period_s
        assert (decoded.boot, decoded.seq) == (judged.boot, judged.seq)
