"""What is coalesced, against the rule in its own words: whatever is pressed, closed and waited for."""

import json
from collections import defaultdict
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.alerts import Action
from streams.gateway.coalesce import BURST, LATEST_WITHIN_S, PER_S, REMEMBERED, Coalescing
from streams.gateway.known import Known
from streams.panic.decide import ALARM_LASTS_MS
from tests.streams.gateway.parts import NOW_MS, event

MINUTE_MS = 60_000
A_MINUTE = BURST + round(60 * PER_S)
SCHOOLS = ("KZ-75-00001", "KZ-75-00002")
BUTTONS = ("button-1", "button-2")


@dataclass(frozen=True)
class Heard:
    """A press that was written, as the panic workers spoke of it."""

    at_ms: int
    school: str
    button: str
    alarm: str
    grade: tuple[bool, bool, bool]
    drill: bool
    place: str


class Presses(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.known = Known()
        self.known.rebuilt()
        self.coalescing: Coalescing[Heard] = Coalescing()
        self.now_ms = NOW_MS
        self.number = 0
        self.heard: list[Heard] = []
        self.closed_ms: dict[str, int] = {}
        self.coalesced = 0

    @initialize(drill=st.booleans())
    def a_drill(self, drill: bool) -> None:
        if drill:
            said = event(
                "drill.declared", 0, device="console", devices=["button-1"], supervisor="s",
                starts_ms=NOW_MS + 20_000, lasting_s=60,
            )  # fmt: skip
            self.known.record(
                SCHOOLS[0].encode(), json.dumps(said).encode(), NOW_MS, replayed=False
            )

    def press(self, school: str, button: str, duress: bool, late: bool, place: str) -> bool:
        """One press; whether it was written."""
        self.number += 1
        self.now_ms += 1
        time_ms = self.now_ms - (10 * MINUTE_MS if late else 0)
        fields = {"school": school, "device": button, "duress": duress, "place": place or None}
        value = json.dumps(event("panic.pressed", self.number, time_ms=time_ms, **fields)).encode()
        said = self.known.foresee(school.encode(), value, self.now_ms)
        assert said is not None
        device = school, button
        carrier = self.coalescing.carrier(device, said, self.now_ms / 1000)
        if carrier is None:
            (alert,) = self.known.press(school.encode(), value, self.now_ms)
            grade = alert.late, alert.unidentified, alert.duress
            heard = Heard(self.now_ms, school, button, alert.id, grade, alert.drill, alert.place)
            self.coalescing.wrote(device, said, alert.id, heard)
            self.heard.append(heard)
            # What was foreseen is what the workers say.
            assert said.alarm == (None if alert.action is Action.OPENED else alert.id)
            return True
        self.coalesced += 1
        alarm = [one for one in self.heard if one.alarm == carrier.alarm]
        theirs = [one for one in alarm if (one.school, one.button) == device]
        # Its alarm is open, and was not closed since it was last heard of.
        assert alarm[-1].school == school
        assert self.now_ms - alarm[-1].at_ms <= ALARM_LASTS_MS
        assert self.closed_ms.get(carrier.alarm, 0) <= alarm[-1].at_ms
        # The same button said the same in it: never another's word, another duress, another lateness.
        assert carrier in theirs
        assert carrier.grade == (late, False, duress)
        assert not (duress and carrier.drill)
        # And its place, unless it has had more places in this minute than a button can have.
        lately = {one.place for one in theirs if self.now_ms - one.at_ms <= MINUTE_MS}
        assert place in {one.place for one in theirs} or len(lately) >= BURST
        # It will be heard soon.
        assert self.coalescing.again_s(device, self.now_ms / 1000) <= LATEST_WITHIN_S
        return False

    @rule(
        school=st.sampled_from(SCHOOLS),
        button=st.sampled_from(BUTTONS),
        duress=st.booleans(),
        late=st.booleans(),
        place=st.sampled_from(["", "gate", "room 12"]),
        times=st.sampled_from([1, 1, 2, 40]),
    )
    def presses(
        self, school: str, button: str, duress: bool, late: bool, place: str, times: int
    ) -> None:
        for _ in range(times):
            self.press(school, button, duress, late, place)

    @rule(school=st.sampled_from(SCHOOLS), button=st.sampled_from(BUTTONS))
    def presses_from_everywhere(self, school: str, button: str) -> None:
        for number in range(80):
            self.press(school, button, False, False, f"room {number}")

    @rule()
    def an_operator_closes(self) -> None:
        if self.heard:
            alarm = self.heard[-1].alarm
            self.known.closed(alarm)
            self.now_ms += 1
            self.closed_ms[alarm] = self.now_ms
            last = self.heard[-1]
            assert self.press(last.school, last.button, last.grade[2], last.grade[0], last.place)

    @rule(seconds=st.sampled_from([1, 2, 5, 30, 61, 599, 601]))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1000

    @rule(school=st.sampled_from(SCHOOLS), button=st.sampled_from(BUTTONS))
    def what_was_said_last_may_be_written(self, school: str, button: str) -> None:
        again_s = self.coalescing.again_s((school, button), self.now_ms / 1000)
        assert again_s <= LATEST_WITHIN_S
        self.now_ms += round(again_s * 1000) + 1
        assert self.press(school, button, False, False, "")

    @invariant()
    def no_device_writes_more_than_so_much_a_minute(self) -> None:
        by_device = defaultdict(list)
        for one in self.heard:
            if self.now_ms - one.at_ms < MINUTE_MS:
                by_device[one.school, one.button].append(one)
        for theirs in by_device.values():
            first_of = {(one.alarm, one.grade) for one in theirs}
            closes = sum(self.now_ms - at_ms < MINUTE_MS for at_ms in self.closed_ms.values())
            assert len(theirs) <= 2 * A_MINUTE + len(first_of) + closes + 1
            assert len({one.place for one in theirs}) <= 2 * A_MINUTE


TestPresses = Presses.TestCase
TestPresses.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)


def test_a_flood_is_thirty_at_once_and_then_one_every_two_seconds() -> None:
    world = Presses()
    for _ in range(6_000):  # a minute
        world.now_ms += 9
        world.press(SCHOOLS[0], BUTTONS[0], False, False, "")
    assert A_MINUTE - 1 <= len(world.heard) <= A_MINUTE
    assert world.press(SCHOOLS[1], BUTTONS[0], False, False, "")
    assert world.press(SCHOOLS[0], BUTTONS[1], False, False, "")
    assert world.press(SCHOOLS[0], BUTTONS[0], True, False, "")


def test_tests_and_cancels_have_a_budget_of_their_own() -> None:
    it: Coalescing[int] = Coalescing()
    written = 0
    for number in range(1_000):
        if it.carrier("test of button-1", None, 0.0) is None:
            it.wrote("test of button-1", None, None, number)
            written += 1
    assert written == BURST
    assert it.carrier("button-1", None, 0.0) is None


def test_what_it_remembers_is_bounded() -> None:
    it: Coalescing[int] = Coalescing()
    for number in range(REMEMBERED + 500):
        it.carrier(number, None, 0.0)
    assert len(it._flows) == REMEMBERED
