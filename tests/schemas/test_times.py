"""Whatever a device's clock says, it can be written down; and nobody goes past schemas.times."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.events import MAX_EXACT
from schemas.times import LAST_MS, utc
from streams.dc09 import format_frame, parse_time
from streams.dispatch.alarm import Alarm
from streams.dispatch.cap import cap_of
from streams.dispatch.centers import Center
from streams.dispatch.dc09 import frame_of
from streams.dispatch.decide import Kind
from streams.dispatch.webhook import webhook_of

REPOSITORY = Path(__file__).parents[2]
OURS = ("schemas", "streams", "dashboards", "deploy")


@given(st.integers(0, MAX_EXACT) | st.floats(-1e18, 1e18))
@example(LAST_MS)
@example(LAST_MS + 1)
@example(MAX_EXACT)
def test_no_time_is_beyond_words(at_ms: float) -> None:
    assert utc(at_ms).isoformat()
    if 0 <= at_ms <= LAST_MS:
        said = datetime.fromtimestamp(int(at_ms) // 1000, UTC)
        assert utc(at_ms).replace(microsecond=0) == said
        assert utc(at_ms).microsecond == int(at_ms) % 1000 * 1000


@given(
    st.integers(0, MAX_EXACT),
    st.integers(0, MAX_EXACT),
    st.sampled_from(Kind),
)
@example(MAX_EXACT, MAX_EXACT, Kind.UPDATE)
def test_an_alarm_of_any_clock_can_be_sent_by_every_adapter(
    pressed_ms: int, sent_ms: int, kind: Kind
) -> None:
    alarm = Alarm(
        message="m-1", kind=kind, alert="a" * 32, seq=1, sent_ms=sent_ms, school="KZ-75-00001",
        device="button-1", pressed_ms=pressed_ms, refers_to=(("m-0", sent_ms),),
    )  # fmt: skip
    center = Center(id="c", adapter="dc09", addresses=["127.0.0.1:1"], fields="H")
    assert cap_of(alarm, center)
    assert webhook_of(alarm)
    frame = frame_of(alarm, center)
    assert format_frame(frame)
    (said,) = frame.extended
    assert said.startswith("H") and parse_time(said[1:]) is not None


CALLS = {"fromtimestamp", "utcfromtimestamp", "gmtime", "localtime", "ctime"}


@pytest.mark.parametrize("room", OURS)
def test_nobody_else_makes_a_moment_of_a_number(room: str) -> None:
    found = {
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CALLS
    }
    assert {place.partition(":")[0] for place in found} <= {"schemas/times.py"}, found
