"""Whatever happens between an alert and a receiver: heard once it is due, not again and again, to its end.

A real Pager over a real Outbox. Receivers take, refuse, fail, put off, or are silent with and without
having heard; the notifier is killed between a send and its note; people act; rules change.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from schemas.alerts import Action, AlertKind
from schemas.steps import Took
from streams.notify.messages import Entry
from streams.notify.policy import Chain, Level, Policies, Rule
from streams.paging.retry import NotDelivered
from tests.streams.notify.alerts import changed, step
from tests.streams.notify.duty import Duty, Mood, Receiver

RATE = 12
CHAINS = {
    "one": Chain(levels=[Level(channels=["chats"])]),
    "two": Chain(levels=[Level(channels=["chats"]), Level(after_s=60, channels=["hook", "am"])]),
    "all": Chain(levels=[Level(channels=["hook", "chats", "am"])]),
}
SETS = [
    Policies(
        chains=CHAINS,
        rules=[
            Rule(name="panic", kinds=[AlertKind.PANIC], chain=chain, repeat_s=repeat_s),
            Rule(name="rest", chain=chain, hold_s=hold_s, group=group, repeat_s=repeat_s),
        ],
    )
    for chain, repeat_s, hold_s, group in [
        ("one", 0, 0, True),
        ("two", 60, 20, True),
        ("all", 300, 5, False),
        ("one", 60, 20, False),
    ]
]
KINDS = st.sampled_from([AlertKind.PANIC, AlertKind.PANIC_BLIND, AlertKind.SCHOOL_OFFLINE])
MOODS = st.sampled_from(["takes", "refuses", "fails", "put off", "silent", "takes and is silent"])
PLACES = st.sampled_from([("chats", "a"), ("chats", "b"), ("hook", ""), ("am", "")])
ALERTS = st.integers(0, 5)
SETTLED_S = 2 * 3_600
"""After a lost answer the next try may be an hour away."""


class Courses(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="courses-"))
        chats = {"a": Receiver(), "b": Receiver()}
        receivers = {"chats": chats, "hook": {"": Receiver()}, "am": {"": Receiver()}}
        self.duty = Duty(self.folder, SETS[1], receivers, {"chats": RATE}, leasing=("am",))
        self.numbers: Counter[str] = Counter()
        self.open: dict[str, AlertKind] = {}
        self.made = 0
        self.interrupted: Counter[tuple[str, str]] = Counter()

    @rule(kind=KINDS, count=st.sampled_from([1, 1, 2, 7, 20]))
    def raised(self, kind: AlertKind, count: int) -> None:
        for _ in range(count):
            alert = f"alert-{self.made}"
            self.made += 1
            self.open[alert] = kind
            school = f"KZ-75-{self.made:05}"
            self.duty.say(changed(alert, at_ms=self.duty.now_ms, kind=kind, school=school))
        self.duty.tick()

    def _one(self, number: int) -> str | None:
        return sorted(self.open)[number % len(self.open)] if self.open else None

    @rule(number=ALERTS, took=st.sampled_from([Took.ACKNOWLEDGED, Took.SILENCED, Took.NOTED]))
    def acted(self, number: int, took: Took) -> None:
        if (alert := self._one(number)) is not None:
            now_ms = self.duty.now_ms
            until_ms = now_ms + 600_000 if took is Took.SILENCED else 0
            id_ = f"step-{len(self.duty.log)}"
            self.duty.say(step(took, alert, now_ms, until_ms=until_ms, id=id_ + "-acted"))

    @rule(number=ALERTS, closed=st.booleans())
    def ended(self, number: int, closed: bool) -> None:
        if (alert := self._one(number)) is not None:
            self._end(alert, closed)

    def _end(self, alert: str, closed: bool) -> None:
        kind, now_ms = self.open.pop(alert), self.duty.now_ms
        if closed:
            self.duty.say(step(Took.CLOSED, alert, now_ms))
        else:
            self.duty.say(changed(alert, 1, now_ms, kind, action=Action.RESOLVED))

    @rule(place=PLACES, mood=MOODS)
    def behaves(self, place: tuple[str, str], mood: Mood) -> None:
        self.duty.receivers[place[0]][place[1]].mood = mood

    @rule(seconds=st.sampled_from([1, 5, 25, 90]))
    def waits(self, seconds: int) -> None:
        self.duty.wait(seconds, 1.0 if seconds < 30 else 5.0)

    @rule()
    def is_killed_while_it_sends(self) -> None:
        """The receiver may have it, and nobody noted so."""

        def interrupted(receiver: Receiver, entry: Entry) -> None:
            try:
                receiver.get(entry.page, self.duty.now_ms)
            except NotDelivered:
                return
            for message in entry.messages:
                self.interrupted.update((message.piece.receiver, c.id) for c in message.calls)
                receiver.taken.subtract(call.id for call in message.calls)

        for said in (pages := self.duty.pager.pages(self.duty.now_ms)):
            self.duty.pages.append(said)
        self.duty.outbox.put(pages)
        self.duty.each(interrupted)
        self.duty.restart()

    @rule(which=st.sampled_from(SETS))
    def is_started_with_other_rules(self, which: Policies) -> None:
        self.duty.policies = which
        self.duty.restart()

    @invariant()
    def the_rate_is_kept(self) -> None:
        for receiver in self.duty.receivers["chats"].values():
            assert receiver.most_in_a_minute() <= RATE

    @invariant()
    def what_was_taken_is_not_sent_again(self) -> None:
        for receivers in self.duty.receivers.values():
            for name, receiver in receivers.items():
                assert all(count <= 1 for count in receiver.taken.values())
                heard = Counter(call.id for _, call in receiver.heard)
                for call, count in heard.items():
                    assert count <= 6 + self.interrupted[name, call]

    @invariant()
    def steps_are_few(self) -> None:
        assert len(self.duty.steps(Took.FAILED)) <= 3 * len(self.duty.pages)

    def teardown(self) -> None:
        try:
            self._settles()
        finally:
            self.duty.outbox.close()
            shutil.rmtree(self.folder)

    def _wait_long(self) -> None:
        self.duty.wait(30, 3.0)
        self.duty.wait(600, 30.0)
        self.duty.wait(SETTLED_S, 300.0)

    def _settles(self) -> None:
        duty = self.duty
        for receivers in duty.receivers.values():
            for receiver in receivers.values():
                receiver.mood = "takes"
        self._wait_long()
        everyone = [r for receivers in duty.receivers.values() for r in receivers.values()]
        for alert, kind in self.open.items():
            life = duty.pager._lives[alert]
            if kind in (AlertKind.PANIC, AlertKind.PANIC_BLIND) and not life.since_reopened(
                {Took.ACKNOWLEDGED}
            ):
                assert any(receiver.whys(alert) for receiver in everyone), alert
            if life.since_reopened({Took.ACKNOWLEDGED}) and kind is not AlertKind.PANIC:
                continue
            for receiver in duty.receivers["chats"].values():  # whom each of the rules names first
                if not receiver.moods & {"refuses", "silent", "takes and is silent"}:
                    assert receiver.whys(alert), alert
        told = [
            (receiver, alert)
            for receiver in everyone
            for alert in self.open
            if set(receiver.whys(alert)) & {"opened", "escalated"}
        ]
        for alert in list(self.open):
            self._end(alert, closed=False)
        self._wait_long()
        for receiver, alert in told:
            assert "resolved" in receiver.whys(alert), alert
        self.the_rate_is_kept()
        self.what_was_taken_is_not_sent_again()
        self.steps_are_few()


def campaign(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Courses,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_course_is_heard_to_its_end() -> None:
    campaign(6, 20)


@pytest.mark.faults
def test_many_long_courses_are_heard_to_their_end() -> None:
    campaign(600, 50)
