"""The panic decisions, without a broker."""

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, Cause, Severity
from schemas.life import Life
from schemas.steps import StepTaken, Took
from streams.panic.decide import (
    ALARM_LASTS_MS,
    DECLARED_BEFORE_MS,
    LATE_MS,
    REBUILD_MS,
    SAME_BYTES_MS,
    PanicState,
    decide,
)

T0 = 1_790_000_000_000
Records = list[tuple[bytes | None, bytes | None, int]]
A, B = "KZ-75-00001", "KZ-10-00002"


def event(kind: str, school: str, number: int, kafka_ms: int, **fields: object) -> bytes:
    id_ = str(uuid.UUID(int=(T0 + number) << 80 | 7 << 76 | 2 << 62 | number))
    return json.dumps(
        {"id": id_, "type": kind, "school": school, "device": "button-1", "time_ms": kafka_ms}
        | {"boot": 1, "seq": number, "v": 1}
        | fields
    ).encode()


def press(school: str = A, number: int = 1, kafka_ms: int = T0) -> bytes:
    return event("panic.pressed", school, number, kafka_ms)


def drill(
    school: str,
    number: int,
    kafka_ms: int,
    devices: tuple[str, ...] = (),
    lasting_s: int = 600,
) -> bytes:
    fields = {"devices": list(devices), "supervisor": "A. Serikova", "lasting_s": lasting_s}
    return event("drill.declared", school, number, kafka_ms, starts_ms=kafka_ms, **fields)


def run(records: Records) -> list[AlertChanged]:
    state = PanicState()
    return [t for key, value, at in records for t in decide(state, key, value, at)]


def test_the_place_is_told_also_of_a_press_that_could_not_be_read_whole() -> None:
    whole = event("panic.pressed", A, 1, T0, place="room 12")
    broken = event("panic.pressed", A, 2, T0, place="room 14", seq="none")
    odd = event("panic.pressed", A, 3, T0, place="\x00", seq="none")
    said = run([(A.encode(), value, T0) for value in (whole, broken, odd, press(number=4))])
    assert [t.place for t in said] == ["room 12", "room 14", "", ""]


def test_a_press_opens_an_alarm() -> None:
    [opened] = run([(A.encode(), press(), T0)])
    assert (opened.action, opened.school, opened.number, opened.count) == (Action.OPENED, A, 0, 1)


def test_further_presses_collapse_into_the_alarm_with_a_count() -> None:
    said = run([(A.encode(), press(A, n, T0 + n), T0 + n) for n in range(3)])
    assert [t.count for t in said] == [1, 2, 3]
    assert len({t.id for t in said}) == 1


def test_two_schools_never_merge() -> None:
    said = run([(A.encode(), press(A, 1), T0), (B.encode(), press(B, 2), T0 + 1)])
    assert [t.school for t in said] == [A, B]
    assert said[0].id != said[1].id


def test_a_later_press_is_another_alarm() -> None:
    later = T0 + ALARM_LASTS_MS + 1
    first, second = run([(A.encode(), press(), T0), (A.encode(), press(A, 2, later), later)])
    assert second.action == Action.OPENED and second.id != first.id


def test_the_same_event_id_is_one_press() -> None:
    assert len(run([(A.encode(), press(), T0), (A.encode(), press(), T0 + 3_600_000)])) == 1


def test_a_sequence_that_repeats_is_no_duplicate() -> None:
    again = press(A, 1).replace(b'"seq": 1', b'"seq": 1, "extra": 1')
    other = json.dumps({**json.loads(again), "id": json.loads(press(A, 9))["id"]}).encode()
    assert len(run([(A.encode(), press(A, 1), T0), (A.encode(), other, T0 + 1)])) == 2


def test_a_cancel_never_closes() -> None:
    id_ = json.loads(press())["id"]
    said = run(
        [
            (A.encode(), press(), T0),
            (A.encode(), event("panic.cancelled", A, 2, T0, press=id_), T0 + 1),
        ]
    )
    assert [t.action for t in said] == [Action.OPENED, Action.UPDATED]


def test_a_test_is_no_alarm() -> None:
    assert run([(A.encode(), event("panic.test", A, 1, T0), T0)]) == []


def test_an_old_press_is_marked_for_a_human() -> None:
    [late] = run([(A.encode(), press(), T0 + 3_600_000)])
    assert (late.note, late.late) == ("late", True)


def test_a_replayed_press_is_marked_for_a_human() -> None:
    [said] = decide(PanicState(), A.encode(), press(), T0, replayed=True)
    assert (said.late, said.severity) == (True, Severity.PANIC)


def test_a_press_inside_a_drill_is_no_panic() -> None:
    said = run([(A.encode(), drill(A, 1, T0), T0), (A.encode(), press(A, 2), T0 + 1)])
    assert [(t.drill, t.severity, t.score) for t in said] == [(True, Severity.INFO, 0)]
    assert said[0].why == ["inside a drill that A. Serikova answers for"]


def test_a_press_after_a_drill_is_real_and_opens_an_alarm_of_its_own() -> None:
    after = T0 + 600_001
    said = run(
        [
            (A.encode(), drill(A, 1, T0), T0),
            (A.encode(), press(A, 2, T0 + 1), T0 + 1),
            (A.encode(), press(A, 3, after), after),
        ]
    )
    assert [(t.drill, t.action) for t in said] == [(True, Action.OPENED), (False, Action.OPENED)]
    assert said[0].id != said[1].id


def test_a_drill_of_another_button_or_school_changes_nothing() -> None:
    said = run(
        [
            (A.encode(), drill(A, 1, T0, ("button-2",)), T0),
            (B.encode(), drill(B, 2, T0), T0),
            (A.encode(), press(A, 3), T0 + 1),
        ]
    )
    assert [t.severity for t in said] == [Severity.PANIC]


def test_duress_and_an_old_press_are_real_inside_a_drill() -> None:
    declared = (A.encode(), drill(A, 1, T0), T0)
    [duress] = run([declared, (A.encode(), event("panic.pressed", A, 2, T0, duress=True), T0)])
    [old] = run([declared, (A.encode(), press(A, 3, T0 - LATE_MS - 1), T0)])
    assert (duress.drill, duress.duress, old.drill, old.late) == (False, True, False, True)


def test_a_drill_that_cannot_be_remembered_is_none() -> None:
    starts = T0 + DECLARED_BEFORE_MS + 1
    said = run(
        [
            (A.encode(), drill(A, 1, starts), T0),
            (A.encode(), press(A, 2, starts), starts),
        ]
    )
    assert not said[0].drill


def test_a_replayed_declaration_or_one_with_another_key_is_none() -> None:
    for key, replayed in ((A, True), (B, False)):
        state = PanicState()
        decide(state, key.encode(), drill(A, 1, T0), T0, replayed=replayed)
        [said] = decide(state, A.encode(), press(A, 2), T0 + 1)
        assert not said.drill


def test_the_score_rises_with_presses_and_buttons_and_says_why() -> None:
    def by(button: int, number: int) -> bytes:
        return press(A, number).replace(b"button-1", b"button-%d" % button)

    said = run([(A.encode(), by(b, n), T0 + n) for n, b in enumerate((1, 1, 2, 3, 4))])
    assert [t.score for t in said] == [1, 2, 3, 4, 4]
    assert said[0].why == ["one press"]
    assert said[3].why == ["pressed 4 times", "3 buttons or more"]


def test_garbage_raises_as_unidentified_with_what_is_known() -> None:
    [raised] = run([(A.encode(), b"\xff\x00garbage", T0)])
    assert (raised.unidentified, raised.school) == (True, A)
    [known] = run([(None, json.dumps({"school": B, "device": "button-2", "type": 7}).encode(), T0)])
    assert (known.school, known.device) == (B, "button-2")


def test_identical_garbage_raises_again_after_a_minute() -> None:
    later = T0 + SAME_BYTES_MS + 1
    assert len(run([(A.encode(), b"x", T0), (A.encode(), b"x", T0 + 10)])) == 1
    assert len(run([(A.encode(), b"x", T0), (A.encode(), b"x", later)])) == 2


def test_what_is_left_of_a_truncated_press_names_its_school_and_device() -> None:
    [raised] = run([(None, press()[:150], T0)])
    assert (raised.unidentified, raised.school, raised.device) == (True, A, "button-1")


def test_another_schools_event_id_silences_nobody() -> None:
    same_id = press(A, 1).replace(A.encode(), B.encode())
    assert [t.school for t in run([(A.encode(), press(), T0), (B.encode(), same_id, T0)])] == [A, B]


def test_a_cancel_with_a_presss_id_does_not_silence_the_press() -> None:
    cancel = event("panic.cancelled", A, 2, T0, press=json.loads(press(A, 1))["id"])
    said = run([(A.encode(), press(), T0), (A.encode(), cancel, T0), (A.encode(), press(A, 2), T0)])
    assert [t.count for t in said] == [1, 1, 2]


def test_bytes_seen_before_the_brokers_clock_was_set_back_raise() -> None:
    back = T0 - 3_600_000
    assert len(run([(A.encode(), b"x", T0), (A.encode(), b"x", back)])) == 2


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()))
def test_any_bytes_raise_as_unidentified(key: bytes | None, value: bytes | None) -> None:
    [raised] = run([(key, value, T0)])
    assert raised.unidentified


kinds = st.sampled_from(["press", "cancel", "test", "garbage", "empty", "replay"])
pauses = st.one_of(st.integers(0, 20 * 60_000), st.integers(0, 20 * 3_600_000))
steps = st.lists(st.tuples(kinds, st.sampled_from([A, B]), pauses), min_size=1, max_size=40)


def story(drawn: list[tuple[str, str, int]]) -> Records:
    at = T0
    records: Records = []
    for number, (kind, school, pause_ms) in enumerate(drawn):
        at += pause_ms
        value: bytes | None
        if kind == "press":
            value = press(school, number, at)
        elif kind == "cancel":
            value = event("panic.cancelled", school, number, at, press=json.loads(press())["id"])
        elif kind == "test":
            value = event("panic.test", school, number, at)
        elif kind == "garbage":
            value = b"garbage %d" % number
        elif kind == "empty":
            value = None
        else:
            value = records[-1][1] if records else b""
        records.append((school.encode(), value, at))
    return records


@given(steps)
def test_every_real_press_is_raised_whatever_comes_between(
    drawn: list[tuple[str, str, int]],
) -> None:
    records = story(drawn)
    raised = {t.event for t in run(records)}
    pressed = {json.loads(v)["id"] for _, v, _ in records if v and b"panic.pressed" in v}
    assert pressed <= raised


@given(steps)
def test_every_transition_says_whether_a_press_or_a_cancel_is_its_cause(
    drawn: list[tuple[str, str, int]],
) -> None:
    records = story(drawn)
    cancels = {json.loads(v)["id"] for _, v, _ in records if v and b"panic.cancelled" in v}
    for said in run(records):
        assert said.cause is (Cause.CANCEL if said.event in cancels else Cause.PRESS)
        # Readers of before tell them by the note.
        assert said.note.startswith("cancelled ") == said.cancels


@given(steps)
def test_transitions_are_numbered_without_gaps_and_of_one_school(
    drawn: list[tuple[str, str, int]],
) -> None:
    said = run(story(drawn))
    for alarm in {t.id for t in said}:
        its = [t for t in said if t.id == alarm]
        assert [t.number for t in its] == list(range(len(its)))
        assert len({t.school for t in its}) == 1


def placed(
    records: Records,
) -> list[tuple[int, AlertChanged]]:
    """The transitions with the index of the record that caused each."""
    state = PanicState()
    return [(n, t) for n, (k, v, at) in enumerate(records) for t in decide(state, k, v, at)]


@given(steps, st.integers(0, 40))
def test_a_worker_that_starts_again_says_the_same_bytes(
    drawn: list[tuple[str, str, int]], cut: int
) -> None:
    """It reads from some time before the cut, and speaks from the cut on."""
    records = story(drawn)
    cut = min(cut, len(records) - 1)
    since_ms = records[cut][2] - REBUILD_MS
    first = next(n for n, (_, _, at) in enumerate(records) if at >= since_ms)
    never_stopped = [(n, t.model_dump_json()) for n, t in placed(records) if n >= cut]
    started_again = [
        (first + n, t.model_dump_json()) for n, t in placed(records[first:]) if first + n >= cut
    ]
    assert started_again == never_stopped


WHAT = st.sampled_from(
    ["press", "duress", "drill", "drill-2", "cancel", "repeat", "replay", "garbage", "registry"]
)
CLOCK = st.one_of(st.integers(0, 20 * 60_000), st.integers(-3_600_000, 3_600_000))
DONE = st.lists(st.sampled_from([*Took]), max_size=6)


@given(st.lists(st.tuples(WHAT, st.sampled_from([A, B]), CLOCK), max_size=25), DONE)
def test_nothing_makes_a_real_press_not_raise(
    drawn: list[tuple[str, str, int]], done: list[Took]
) -> None:
    """Drills, repeats, replays, cancels, other records and steps of the broker's clock before it;
    then a press of a button that no drill names, and all that people may have done by then."""
    state, at, before = PanicState(), T0, b"x"
    for number, (what, school, pause_ms) in enumerate(drawn):
        at += pause_ms
        values = {
            "press": press(school, number, at),
            "duress": event("panic.pressed", school, number, at, duress=True),
            "drill": drill(school, number, at, ("button-2",)),
            "drill-2": drill(school, number, at, ("button-2", "button-3"), 3_600),
            "cancel": event("panic.cancelled", school, number, at, press=json.loads(press())["id"]),
            "garbage": b"garbage %d" % number,
            "registry": event("school.registered", school, number, at),
        }
        value = values.get(what, before)
        decide(state, school.encode(), value, at, replayed=what == "replay")
        before = value
    real = press(A, 1_000, at)
    [raised] = decide(state, A.encode(), real, at)
    assert (raised.severity, raised.drill, raised.late) == (Severity.PANIC, False, False)
    life = Life(raised.id)
    for number, took in enumerate(done):
        until_ms = at + 3_600_000 if took is Took.SILENCED else 0
        step = StepTaken(
            id=f"step-{number:04}", alert=raised.id, school=A, took=took, actor="somebody",
            time_ms=at, until_ms=until_ms,
        )  # fmt: skip
        life.took(step, at - 1, number)
    life.changed(raised)
    assert life.open and not life.silenced(at) and life.severity is Severity.PANIC


@given(
    st.lists(st.tuples(WHAT, st.sampled_from([A, B]), st.integers(0, 9 * 3_600_000)), min_size=1)
)
def test_a_worker_that_starts_again_knows_the_drills(drawn: list[tuple[str, str, int]]) -> None:
    at = T0
    records: Records = []
    for number, (what, school, pause_ms) in enumerate(drawn):
        at += pause_ms
        value = (
            event("drill.declared", school, number, at, supervisor="S", starts_ms=at + pause_ms)
            if what.startswith("drill")
            else press(school, number, at)
        ).replace(b'"starts_ms"', b'"lasting_s": 3600, "starts_ms"')
        records.append((school.encode(), value, at))
    since_ms = records[-1][2] - REBUILD_MS
    first = next(n for n, (_, _, then) in enumerate(records) if then >= since_ms)
    whole = [t for n, t in placed(records) if n == len(records) - 1]
    again = [t for n, t in placed(records[first:]) if first + n == len(records) - 1]
    assert again == whole


def unread(number: int, school: str = A) -> bytes:
    """As the gateway says what it could not read."""
    receipt = str(uuid.UUID(int=(T0 + number) << 80 | 7 << 76 | 2 << 62 | number))
    said = {"type": "panic.unread", "school": school, "device": "button-7", "receipt": receipt}
    return json.dumps(said | {"raw_base64": "AAAA"}).encode()


def test_what_the_gateway_could_not_read_has_the_same_id_whenever_kafka_gets_it() -> None:
    now, later = PanicState(), PanicState()
    (at_once,) = decide(now, A.encode(), unread(1), T0)
    (handed_over,) = decide(later, A.encode(), unread(1), T0 + 90_000)
    assert (at_once.id, at_once.event) == (handed_over.id, handed_over.event)
    assert at_once.unidentified
    assert (at_once.school, at_once.device) == (A, "button-7")


def test_what_the_gateway_could_not_read_is_raised_once_for_each_receipt() -> None:
    state = PanicState()
    assert len(decide(state, A.encode(), unread(1), T0)) == 1
    assert decide(state, A.encode(), unread(1), T0 + SAME_BYTES_MS + 1) == []
    assert len(decide(state, A.encode(), unread(2), T0 + SAME_BYTES_MS + 2)) == 1
