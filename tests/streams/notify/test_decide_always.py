"""What no policy, silence or outage may change of who is paged."""

from datetime import UTC, datetime, time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import AlertKind, Severity
from schemas.life import Life
from schemas.steps import StepTaken, Took, step_id
from streams.notify.decide import LASTING_MS
from streams.notify.policy import Chain, Level, Policies, Quiet, Rule, Window
from tests.streams.notify.alerts import SCHOOL, changed, step
from tests.streams.notify.test_decide import CHANNELS, asked, life

KINDS = st.sampled_from(list(AlertKind))
ACTS = st.sampled_from(sorted(set(Took) - {Took.CLOSED, Took.REOPENED}))
BEFORE = st.integers(0, 100)


@st.composite
def policies(draw: st.DrawFn) -> Policies:
    """Anything that somebody may write, also against every good sense."""
    seconds = st.integers(0, 8 * 3_600)
    names = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=2)
    waits = sorted(draw(st.lists(seconds, min_size=1, max_size=3)))
    chain = Chain(levels=[Level(after_s=wait, channels=draw(names)) for wait in waits])
    rules = st.builds(
        Rule,
        name=st.sampled_from("abc"),
        kinds=st.lists(KINDS, max_size=2),
        severities=st.lists(st.sampled_from(list(Severity)), max_size=2),
        regions=st.lists(st.sampled_from(["KZ-75", "KZ-11"]), max_size=1),
        chain=st.sampled_from(["drawn", "everyone"]),
        hold_s=seconds,
        group=st.booleans(),
        interval_s=seconds,
        repeat_s=seconds,
    )
    always = Window(starts=datetime.fromtimestamp(0, UTC), ends=datetime(2100, 1, 1, tzinfo=UTC))
    night = Quiet(from_=time(0), until=time(23, 59, 59), severities=list(Severity))
    return Policies(
        chains={"drawn": chain},
        rules=draw(st.lists(rules, max_size=3, unique_by=lambda rule: rule.name)),
        quiet=draw(st.lists(st.just(night), max_size=1)),
        maintenance=draw(st.lists(st.just(always), max_size=1)),
    )


def steps_before(draw: st.DrawFn) -> list[StepTaken]:
    return [
        StepTaken(
            id=f"step-000{number}",
            alert="alert-1",
            school=SCHOOL,
            took=draw(ACTS),
            actor="aigul",
            time_ms=at_ms,
            target=draw(st.sampled_from(CHANNELS)),
            until_ms=10**12,
        )
        for number, at_ms in enumerate(sorted(draw(st.lists(BEFORE, max_size=6))))
    ]


def open_outage() -> Life:
    outage = Life("outage")
    outage.changed(changed("outage", kind=AlertKind.OUTAGE, members=[SCHOOL], school=""))
    outage.took(step(Took.ACKNOWLEDGED, "outage"), 1, 1)
    return outage


@given(policies(), st.data(), st.booleans())
def test_nothing_keeps_a_panic_from_being_said_at_once_and_alone(
    whatever: Policies, data: st.DataObject, in_outage: bool
) -> None:
    before = data.draw(st.composite(steps_before)())
    press = changed(
        at_ms=data.draw(BEFORE),
        late=data.draw(st.booleans()),
        duress=data.draw(st.booleans()),
        unidentified=data.draw(st.booleans()),
        severity=data.draw(st.sampled_from(list(Severity))) if before else Severity.PANIC,
    )
    more = [changed(number=1, at_ms=50, drill=data.draw(st.booleans()))]
    around = {"outage": open_outage()} if in_outage else {}
    if press.severity is not Severity.PANIC and more[0].drill:
        return  # no machine says so: the panic lane has no other severity for a real press
    calls = asked(life(press, *before, *more), 100, whatever, **around)
    first = [call for call in calls if call.why == "opened"]
    assert first
    assert all(not call.group and call.urgent for call in first)


@given(policies(), st.data(), st.booleans())
def test_nothing_keeps_back_a_school_that_cannot_press(
    whatever: Policies, data: st.DataObject, in_outage: bool
) -> None:
    """At most its hold, and until somebody has acknowledged."""
    attending = {Took.ACKNOWLEDGED, Took.ASSIGNED, Took.DISPATCHED, Took.ARRIVED}
    before = [s for s in data.draw(st.composite(steps_before)()) if s.took not in attending]
    blind = changed(kind=AlertKind.PANIC_BLIND)
    around: dict[str, Any] = {}
    if in_outage:
        around["outage"] = Life("outage")
        around["outage"].changed(changed("outage", kind=AlertKind.OUTAGE, members=[SCHOOL]))
    it = life(blind, *before)
    rule = whatever.rule(AlertKind.PANIC_BLIND, it.severity, "KZ-75")
    calls = asked(it, rule.hold_s * 1000, whatever, **around)
    assert [call for call in calls if call.why == "opened"]


@given(policies(), st.integers(0, LASTING_MS), st.integers(0, LASTING_MS))
def test_the_same_call_has_the_same_id_whenever_it_is_asked_for(
    whatever: Policies, first_ms: int, second_ms: int
) -> None:
    one = {c.id: c.channel for c in asked(life(changed()), first_ms, whatever) if c.why == "opened"}
    other = {c.id: c.channel for c in asked(life(changed()), second_ms, whatever)}
    assert one.items() <= other.items()
    assert all(
        key == step_id("alert-1", Took.NOTIFIED, channel, "0:0") for key, channel in one.items()
    )
