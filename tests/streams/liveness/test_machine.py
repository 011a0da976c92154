"""Any order of heartbeats, replays, proofs, restarts and changes of the registry."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas.alerts import Action, AlertChanged, Status, StatusChanged
from streams.liveness.calendar import ALWAYS, Calendar
from streams.liveness.decide import MAX_GAP_MS, Liveness
from streams.liveness.school import PANIC_PATH, Decision
from tests.streams.liveness.test_decide import (
    PERIOD_S,
    T0,
    TIMEOUT_MS,
    S,
    beat,
    liveness,
    pass_time,
)

KINDS = ("gateway", "panic_button", "turnstile", "police_link")
DEVICES = tuple((f"device-{n}", kind, PERIOD_S) for n, kind in enumerate(KINDS))
ALIVE = (Status.ONLINE, Status.FLAPPING)
MOVES = {
    Status.UNKNOWN: {Status.ONLINE, Status.OFFLINE, Status.MAINTENANCE},
    Status.ONLINE: {Status.LATE, Status.OFFLINE, Status.MAINTENANCE, Status.ONLINE},
    Status.LATE: {Status.ONLINE, Status.OFFLINE, Status.MAINTENANCE},
    Status.OFFLINE: {Status.ONLINE, Status.FLAPPING, Status.MAINTENANCE},
    Status.FLAPPING: {Status.ONLINE, Status.OFFLINE, Status.MAINTENANCE},
    Status.MAINTENANCE: {Status.ONLINE, Status.OFFLINE},
}


class AnyOrder(RuleBasedStateMachine):
    """Against the plain rule: who was heard, and how long ago in proven time."""

    def __init__(self) -> None:
        super().__init__()
        self.it = liveness()
        self.it.register(S, DEVICES)
        self.now = T0
        self.heard = dict.fromkeys((name for name, _, _ in DEVICES), T0)
        self.status = dict.fromkeys(self.heard, Status.UNKNOWN)
        self.last: dict[tuple[str, str], StatusChanged] = {}
        self.numbers: dict[str, list[AlertChanged]] = {}
        self.records: list[tuple[int, str, str, int]] = []
        self.dropped = 0
        self.work: tuple[int, int, frozenset[str]] | None = None

    def hear(self, said: Iterable[Decision], again: bool = False) -> None:
        for d in said:
            if isinstance(d, AlertChanged):
                seen = self.numbers.setdefault(d.id, [])
                if again and any(a.number == d.number for a in seen):
                    assert d in seen
                    continue
                assert d.number == len(seen)
                assert (d.action is Action.OPENED) == (d.number == 0)
                seen.append(d)
                continue
            self.last[d.school, d.device] = d
            if d.device:
                previous = self.status[d.device]
                if d.status not in (previous, Status.RETIRED):
                    assert d.status in MOVES[previous]
                if d.status is Status.OFFLINE:
                    assert self.heard[d.device] + TIMEOUT_MS <= d.decided_ms < self.now
                self.status[d.device] = d.status

    @rule(number=st.integers(0, 3), pause_ms=st.integers(0, MAX_GAP_MS))
    def beats(self, number: int, pause_ms: int) -> None:
        self.now += pause_ms
        name, kind, _ = DEVICES[number]
        self.hear(beat(self.it, self.now, name, kind))
        self.heard[name] = self.now
        self.records.append((self.now, name, kind, self.now))
        assert self.status[name] in ALIVE

    @rule(number=st.integers(0, 3), age=st.integers(4, 100))
    def an_old_one_comes(self, number: int, age: int) -> None:
        name, kind, _ = DEVICES[number]
        before = self.status[name]
        event_ms = self.now - age * PERIOD_S * 1000
        # As late again as the last one, and newer than it, would be a clock that is off.
        event_ms = min(event_ms, self.it.schools[S].devices[name].event_ms or event_ms)
        self.hear(beat(self.it, self.now, name, kind, event_ms=event_ms))
        self.records.append((self.now, name, kind, event_ms))
        assert (self.status[name] in ALIVE) <= (before in ALIVE)

    @rule(pause_ms=st.integers(0, MAX_GAP_MS))
    def is_idle(self, pause_ms: int) -> None:
        self.now += pause_ms
        self.hear(self.it.advance(self.now))

    @rule(seconds=st.integers(0, 120))
    def is_idle_for_long(self, seconds: int) -> None:
        for _ in range(seconds):
            self.is_idle(1_000)

    @rule(seconds=st.integers(11, 300))
    def proves_nothing_for_a_while(self, seconds: int) -> None:
        """The broker is away, or its clock steps forward."""
        self.now += seconds * 1_000
        self.heard = dict.fromkeys(self.heard, self.now)
        self.hear(self.it.advance(self.now))

    @rule(starts_s=st.integers(-60, 60), lasts_s=st.integers(1, 200), one=st.integers(0, 4))
    def work_is_planned(self, starts_s: int, lasts_s: int, one: int) -> None:
        devices = frozenset({DEVICES[one][0]}) if one < 4 else frozenset[str]()
        start_ms = self.now + starts_s * 1000
        self.work = (start_ms, start_ms + lasts_s * 1000, devices)
        self.hear(self.it.register(S, DEVICES, Calendar(works=(self.work,))))

    @rule(number=st.integers(0, 3))
    def a_device_is_dropped_and_listed_again(self, number: int) -> None:
        self.dropped += 1
        name = DEVICES[number][0]
        calendar = self.it.schools[S].calendar
        others = [device for device in DEVICES if device[0] != name]
        self.hear(self.it.register(S, others, calendar))
        self.hear(self.it.register(S, DEVICES, calendar))
        self.status[name], self.heard[name] = Status.UNKNOWN, self.now

    @rule()
    def a_new_owner_takes_over(self) -> None:
        self.hear(self.it.advance(self.now))
        heir = Liveness(misses=3, grace_ms=5_000)
        for said in self.last.values():
            heir.restore(said)
        heir.register(S, DEVICES, Calendar(works=(self.work,)) if self.work else ALWAYS)
        since_ms = self.now - TIMEOUT_MS - 60_000
        for kafka_ms, name, kind, event_ms in self.records:
            if kafka_ms >= since_ms:
                heir.recall(S, name, kind, PERIOD_S, event_ms, kafka_ms)
        # An idle span among what is recalled proves nothing to it: it begins anew from there.
        self.heard = {n: d.heard_ms for n, d in heir.schools[S].devices.items()}
        if heir.proven_ms and self.now - heir.proven_ms <= MAX_GAP_MS:
            self.heard = {n: max(at, self.heard[n]) for n, at in self.heard.items()}
        else:
            self.heard = dict.fromkeys(self.heard, self.now)
        self.it = heir
        self.hear(heir.advance(self.now), again=True)

    def devices(self) -> list[Any]:
        return [d for school in self.it.schools.values() for d in school.devices.values()]

    @invariant()
    def who_is_silent_is_offline_unless_it_was_planned(self) -> None:
        if self.it.proven_ms < self.now:
            return
        for name, status in self.status.items():
            planned = self.work and (not self.work[2] or name in self.work[2])
            counts_ms = self.heard[name]
            if planned and self.work and self.work[0] <= self.now:
                counts_ms = max(counts_ms, self.work[1])
            device = self.it.schools[S].devices[name]
            counts_ms = max(counts_ms, device.judged_ms)
            if counts_ms + TIMEOUT_MS < self.now:
                assert status is Status.OFFLINE, name

    @invariant()
    def a_panic_path_that_is_offline_is_alerted(self) -> None:
        offline = [d for d in self.devices() if d.kind in PANIC_PATH and d.status is Status.OFFLINE]
        is_open = [
            said
            for said in self.numbers.values()
            if said[0].kind == "panic_blind" and said[-1].action is Action.OPENED
        ]
        assert len(is_open) <= 1
        assert bool(is_open) >= bool(offline)

    @invariant()
    def each_device_has_its_deadline_and_dead_ones_are_few(self) -> None:
        entries = self.it._deadlines.heap
        for device in self.devices():
            if device.queued_ms:
                assert (device.queued_ms, S, device.name) in entries
            else:
                assert device.status is Status.OFFLINE
        assert len(entries) <= 3 * len(DEVICES) + 1 + 2 * self.dropped


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase

moves = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, MAX_GAP_MS), st.sampled_from(["beat", "old", "idle"])
    ),
    max_size=80,
)


@settings(deadline=None)
@given(moves, st.lists(st.integers(0, 80)))
def test_however_records_are_cut_into_batches_the_same_bytes_are_said(
    drawn: list[tuple[int, int, str]], sweeps: list[int]
) -> None:
    """A sweep after a record, at that record's time, is what a cut between batches makes."""

    def run(swept: set[int]) -> list[str]:
        it, now, said = liveness(), T0, list[Decision]()
        for n, (number, pause_ms, move) in enumerate(drawn):
            now += pause_ms
            name, kind, _ = DEVICES[number]
            event_ms = now - 10 * TIMEOUT_MS if move == "old" else now
            if move != "idle":
                said += beat(it, now, name, kind, event_ms=event_ms)
            if n in swept:
                said += it.advance(it.proven_ms)
        said += pass_time(it, now + 2 * TIMEOUT_MS)
        return [d.model_dump_json() for d in said]

    assert run(set(sweeps)) == run(set())


@settings(deadline=None)
@given(moves, st.integers(0, 80))
def test_a_new_owner_says_what_its_predecessor_would_have_said(
    drawn: list[tuple[int, int, str]], at: int
) -> None:
    """However it is restored, from the statuses and the heartbeats of the last window."""
    live = [(number, pause_ms) for number, pause_ms, move in drawn if move == "beat"]
    it, now, last = liveness(), T0, dict[tuple[str, str], StatusChanged]()
    records: list[tuple[int, int]] = []
    for number, pause_ms in live[:at]:
        now += pause_ms
        for said in beat(it, now, *DEVICES[number][:2]):
            if isinstance(said, StatusChanged):
                last[said.school, said.device] = said
        records.append((now, number))
    if not records:
        return
    heir = Liveness(misses=3, grace_ms=5_000)
    for said in last.values():
        heir.restore(said)
    for kafka_ms, number in records:
        if kafka_ms >= now - TIMEOUT_MS - 60_000:
            heir.recall(S, *DEVICES[number], kafka_ms, kafka_ms)
    heir.advance(now)  # says again what is open

    def goes_on(it: Liveness, now: int) -> set[str]:
        said = list[Decision]()
        for number, pause_ms in live[at:]:
            now += pause_ms
            said += beat(it, now, *DEVICES[number][:2])
        said += pass_time(it, now + 2 * TIMEOUT_MS)
        return {d.model_dump_json() for d in said}

    assert goes_on(heir, now) == goes_on(it, now)
