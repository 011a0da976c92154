"""Which calls an alert asks for; and that nothing keeps a panic, or a school that can't press, back."""

from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from schemas.life import Life
from schemas.steps import StepTaken, Took
from streams.notify.asking import Around
from streams.notify.decide import LASTING_MS, wanted
from streams.notify.policy import Chain, Level, Policies, Quiet, Rule, Window
from streams.paging.page import Call
from tests.streams.notify.alerts import SCHOOL, changed, step

DUTY = Policies(
    chains={
        "duty": Chain(
            levels=[
                Level(channels=["phone"]),
                Level(after_s=60, channels=["chief", "phone"]),
                Level(after_s=120, channels=["minister"]),
            ]
        )
    },
    rules=[
        Rule(name="panic", kinds=[AlertKind.PANIC], chain="duty", repeat_s=30),
        Rule(name="rest", chain="duty", hold_s=20, repeat_s=300),
    ],
)
CHANNELS = ["phone", "chief", "minister"]


def life(*happened: AlertChanged | StepTaken) -> Life:
    it = Life("alert-1")
    for offset, one in enumerate(happened):
        if isinstance(one, StepTaken):
            it.took(one, one.time_ms, offset)
        else:
            it.changed(one)
    return it


def asked(it: Life, now_ms: int, policies: Policies = DUTY, **around: Any) -> list[Call]:
    calls = wanted(
        it, policies, CHANNELS, lambda call: call in it.steps, Around(**around), now_ms
    ).calls
    return [call for call in calls if call.due_ms <= now_ms]


def said(it: Life, now_ms: int, policies: Policies = DUTY) -> list[tuple[str, str]]:
    """What is due now, which is then recorded as said."""
    calls = asked(it, now_ms, policies)
    for call, made in [(one, made) for one in calls for made in one.makes]:
        it.took(
            StepTaken(
                id=made,
                alert=call.alert,
                school=call.school,
                took=call.took,
                actor="saqshy:notify",
                time_ms=now_ms,
                target=call.channel,
            ),
            now_ms,
            1000,
        )
    return sorted((call.why, call.channel) for call in calls)


def offline(at_ms: int = 0, **fields: Any) -> AlertChanged:
    return changed(at_ms=at_ms, kind=AlertKind.SCHOOL_OFFLINE, **fields)


def test_a_panic_is_said_at_once_repeated_and_escalated_until_somebody_acknowledges() -> None:
    it = life(changed())
    assert said(it, 0) == [("opened", "phone")]
    assert said(it, 10_000) == []
    assert said(it, 30_000) == [("repeated", "phone")]
    assert said(it, 60_000) == [
        ("escalated", "chief"),
        ("escalated", "phone"),
    ]
    assert said(it, 90_000) == [("repeated", "chief"), ("repeated", "phone")]
    it.took(step(Took.ACKNOWLEDGED, at_ms=100_000), 100_000, 2_000)
    assert said(it, 130_000) == []


def test_what_was_missed_is_said_once_and_not_for_each_time_it_was_missed() -> None:
    it = life(changed())
    assert said(it, 3_600_000) == [
        ("escalated", "chief"),
        ("escalated", "minister"),
        ("escalated", "phone"),
        ("opened", "phone"),
    ]
    assert said(it, 3_600_001) == []


def test_a_school_that_comes_back_while_its_page_is_held_pages_nobody() -> None:
    it = life(offline())
    assert said(it, 19_999) == []
    it.changed(offline(19_999, number=1, action=Action.RESOLVED))
    assert said(it, 60_000) == []


def test_who_was_told_that_it_began_is_told_that_it_is_over() -> None:
    it = life(offline())
    assert said(it, 20_000) == [("opened", "phone")]
    it.changed(offline(30_000, number=1, action=Action.RESOLVED))
    assert said(it, 50_000) == [("resolved", "phone")]
    assert said(it, 60_000) == []


def end(at_ms: int, number: int = 1) -> AlertChanged:
    note = "by its buffered heartbeats silent from 0 to 1" if number > 1 else ""
    return offline(at_ms, number=number, action=Action.RESOLVED, note=note)


def correcting(**fields: Any) -> Policies:
    rule = DUTY.rules[1].model_copy(update={"corrected": True, **fields})
    return DUTY.model_copy(update={"rules": [rule]})


def heard(
    happened: list[AlertChanged | StepTaken], policies: Policies, until_ms: int
) -> list[tuple[str, str]]:
    """What is said of this as it comes, a look each five seconds."""
    it, calls = life(), []
    coming = sorted(happened, key=lambda one: one.time_ms)
    for now_ms in range(0, until_ms, 5_000):
        while coming and coming[0].time_ms <= now_ms:
            one = coming.pop(0)
            if isinstance(one, StepTaken):
                it.took(one, one.time_ms, now_ms)
            else:
                it.changed(one)
        if it.transitions:
            calls += said(it, now_ms, policies)
        assert not (it.resolved and it.open)
    return calls


@given(
    st.integers(0, 200).map(lambda s: s * 1_000),
    st.integers(1, 200).map(lambda s: s * 1_000),
    st.lists(
        st.tuples(
            st.sampled_from([Took.ACKNOWLEDGED, Took.CLOSED, Took.REOPENED, Took.SILENCED]),
            st.integers(1, 400_000),
        ),
        max_size=3,
        unique_by=lambda one: one[1],
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_correction_of_the_end_neither_pages_nor_reopens(
    lasted_ms: int, later_ms: int, acts: list[tuple[Took, int]], resolved: bool
) -> None:
    steps = [step(took, at_ms=at_ms) for took, at_ms in acts]
    happened = [offline(), end(lasted_ms), *steps]
    corrected = [*happened, end(lasted_ms + later_ms, 2)]
    silent = correcting(corrected=False, resolved=resolved)
    once = heard(happened, silent, 500_000)
    assert heard(corrected, silent, 500_000) == once
    extra = heard(corrected, correcting(resolved=resolved), 500_000)
    told = {channel for why, channel in once if why in ("opened", "escalated")}
    also = [one for one in extra if one[0] == "corrected"]
    assert [one for one in extra if one[0] != "corrected"] == once
    assert {channel for _, channel in also} <= told
    assert len(also) == len(set(also))


def test_who_was_told_of_the_end_is_told_of_its_correction_where_the_rule_says_so() -> None:
    it = life(offline())
    said(it, 20_000, correcting())
    it.changed(end(30_000))
    assert said(it, 50_000, correcting()) == [("resolved", "phone")]
    it.changed(end(90_000, 2))
    assert said(it, 90_000) == []
    assert said(it, 90_000, correcting()) == [("corrected", "phone")]
    assert said(it, 91_000, correcting()) == []


def test_a_correction_that_comes_a_day_later_is_no_late_end() -> None:
    it = life(offline(), end(30_000))
    it.took(step(Took.NOTIFIED), 1, 1)
    it.changed(end(LASTING_MS + 60_000, 2))
    assert said(it, LASTING_MS + 60_000, correcting()) == []


@pytest.mark.parametrize(
    "by_itself", [{"paged_by": "saqshy:watchdog"}, {"why": ["paged by the watchdog"]}]
)
def test_what_the_watchdog_pages_by_itself_nobody_else_does(by_itself: dict[str, Any]) -> None:
    """Before there was ``paged_by``, words in ``why`` said so."""
    silent = changed(kind=AlertKind.PIPELINE_SILENT, school="", **by_itself)
    assert said(life(silent), LASTING_MS) == []
    assert said(life(silent.model_copy(update={"paged_by": "", "why": ["no answer"]})), 60_000)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(("cause", "told"), [("opened", True), ("resolved", False)])
def test_who_was_told_of_the_end_only_is_not_told_of_the_next(
    cause: str, told: bool, before: bool
) -> None:
    """By what the step was sent for; before it said so, by its note."""
    words = {"note": cause} if before else {"cause": cause, "note": "in other words"}
    it = life(offline(), end(30_000))
    it.took(step(Took.NOTIFIED, actor="saqshy:notify", target="chief", **words), 25_000, 1)
    ends = said(it, 60_000)
    assert (("resolved", "chief") in ends) is told


def test_a_person_whom_no_machine_calls_is_said_to_be_telephoned_once() -> None:
    it = life(changed())
    assert said(it, 0) == [("opened", "phone")]
    it.took(step(Took.ESCALATED, at_ms=2_000, target="phone:duty desk, +7 727 000 00 00"), 2_000, 5)
    assert said(it, 2_000) == [("telephone", "phone")]
    assert said(it, 3_000) == []


def test_nobody_is_told_to_telephone_for_what_somebody_attends_to() -> None:
    it = life(changed())
    said(it, 0)
    it.took(step(Took.ACKNOWLEDGED, at_ms=1_000), 1_000, 4)
    it.took(step(Took.ESCALATED, at_ms=2_000, target="phone:duty desk"), 2_000, 5)
    assert said(it, 2_000) == []


def test_a_person_named_phone_is_not_the_channel_of_that_name() -> None:
    """The chain goes on to its next level when its channels fail, whoever is to be telephoned."""
    failed = step(Took.FAILED, at_ms=3, target="phone", attempt=3)
    named = step(Took.ESCALATED, at_ms=2, target="phone:phone")
    assert ("escalated", "chief") in said(life(changed(), failed, named), 10)


def test_a_press_after_a_close_pages_anew() -> None:
    it = life(changed())
    said(it, 0)
    it.took(step(Took.CLOSED, at_ms=5_000), 5_000, 2)
    assert said(it, 5_000) == [("resolved", "phone")]
    it.changed(changed(number=1, at_ms=9_000))
    assert said(it, 9_000) == [("opened", "phone")]


def test_the_next_level_is_called_at_once_when_nobody_of_this_one_can_be_reached() -> None:
    failed = [
        step(Took.FAILED, at_ms=n, target="phone", attempt=n).model_copy(
            update={"id": f"failed-{n}"}
        )
        for n in (1, 2, 3)
    ]
    assert [c.channel for c in asked(life(changed(), *failed[:2]), 10)] == ["phone"]
    assert [c.channel for c in asked(life(changed(), *failed), 10)] == ["phone", "chief", "phone"]


def test_a_school_in_an_open_outage_is_not_paged_and_is_when_it_stays_silent_after() -> None:
    outage = Life("outage")
    outage.changed(changed("outage", kind=AlertKind.OUTAGE, members=[SCHOOL], school=""))
    assert asked(life(offline()), 60_000, outage=outage) == []
    assert asked(life(offline()), 609_999, cleared_ms=590_000) == []
    assert [c.why for c in asked(life(offline()), 610_000, cleared_ms=590_000)] == ["opened"]


def test_a_school_that_cannot_press_is_named_beside_the_outage() -> None:
    outage = Life("outage")
    outage.changed(changed("outage", kind=AlertKind.OUTAGE, members=[SCHOOL], school=""))
    blind = life(changed(kind=AlertKind.PANIC_BLIND))
    (call,) = asked(blind, 20_000, outage=outage)
    assert (call.group, call.urgent) == ("outage:outage", True)


@pytest.mark.parametrize(
    ("hour", "due"), [(21, True), (22, False), (3, False), (6, False), (7, True)]
)
def test_quiet_hours_hold_what_may_wait_over_midnight(hour: int, due: bool) -> None:
    night = DUTY.model_copy(
        update={"quiet": [Quiet(from_=time(22), until=time(7), zone="Asia/Almaty")]}
    )
    at_ms = int(datetime(2026, 11, 25, hour, 30, tzinfo=UTC).timestamp() * 1000) - 5 * 3_600_000
    warning = offline(at_ms - 30_000, severity=Severity.WARNING)
    critical = offline(at_ms - 30_000)
    assert bool(asked(life(warning), at_ms, night)) is due
    assert asked(life(critical), at_ms, night)


def test_planned_work_holds_its_schools_until_it_ends() -> None:
    window = Window(
        starts=datetime.fromtimestamp(0, UTC),
        ends=datetime.fromtimestamp(60, UTC),
        schools=[SCHOOL],
    )
    planned = DUTY.model_copy(update={"maintenance": [window]})
    assert asked(life(offline()), 59_999, planned) == []
    assert asked(life(offline()), 60_000, planned)
    assert asked(life(offline(school="KZ-75-00002")), 59_999, planned)


def test_a_silence_holds_until_it_ends() -> None:
    it = life(offline(), step(Took.SILENCED, until_ms=60_000))
    assert asked(it, 59_999) == []
    assert asked(it, 60_000)


def test_drills_and_canaries_page_nobody() -> None:
    assert asked(life(changed(drill=True)), 0) == []
    assert asked(life(changed(school="KZ-00-90003")), 0) == []
    promoted = life(changed(drill=True), step(Took.PROMOTED))
    assert [c.why for c in asked(promoted, 1)] == ["opened"]


def test_after_a_day_it_is_work_and_no_news() -> None:
    assert asked(life(offline()), LASTING_MS)
    assert asked(life(offline()), LASTING_MS + 1) == []
    it = life(changed())
    assert said(it, LASTING_MS + 1) == [("opened", "phone")]  # we were away: once all the same
    assert said(it, LASTING_MS + 60_000) == []
