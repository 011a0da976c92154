"""What to do about one panic now. Pure: how it stands, its way and the time in; sends and calls out.

Everything is told from the steps taken (schemas.life): the id of each follows from what it is about,
so whoever knows the steps, this process or the next one, comes to the same plan.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Final

from schemas.alerts import AlertKind
from schemas.events import is_canary
from schemas.life import Life
from schemas.steps import MACHINE, PHONE, PanicOutcome, StepTaken, Took, step_id
from streams.dispatch.centers import Center, Way

LATE_MS: Final = 5 * 60_000
"""What is older is never sent by itself: a human decides."""
CERTAIN: Final = 2
"""At this score a center's operator is not waited for."""
FIRST_PAUSE_MS: Final = 250
LONGEST_PAUSE_MS: Final = 5_000
ACTOR: Final = f"{MACHINE}dispatch"
CENTER: Final = "center:"
ANSWERED: Final = frozenset({Took.ACKNOWLEDGED, Took.DISPATCHED, Took.ARRIVED})


class Kind(StrEnum):
    ALERT = "alert"
    UPDATE = "update"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Send:
    """Attempt ``attempt`` (from 1) to tell ``center``. ``message`` is the same for every attempt.

    ``about`` and ``epoch_ms`` (when the alert was last reopened) tell its steps from others.
    """

    center: str
    kind: Kind
    message: str
    about: str
    attempt: int
    score: int
    epoch_ms: int


@dataclass(frozen=True, slots=True)
class Tell:
    """A step by which notify and console bring a person, or the next center, into it."""

    took: Took
    target: str
    level: int
    note: str
    id: str


@dataclass(slots=True)
class Plan:
    """``wake_ms``: look again then, though nothing may have happened; None: no need."""

    sends: list[Send] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    wake_ms: int | None = None

    def wake(self, at_ms: int) -> None:
        self.wake_ms = at_ms if self.wake_ms is None else min(self.wake_ms, at_ms)


def decide(life: Life, way: Way, now_ms: int, in_flight: Collection[str]) -> Plan:
    """``in_flight``: messages that an attempt of this process is under way for.

    Any other attempt without a result is taken for unknown, and made again.
    """
    plan = Plan()
    if not life.transitions or life.first.kind is not AlertKind.PANIC:
        return plan
    if is_canary(life.first.school):
        return plan
    case = _Case(life, way, now_ms, in_flight, life.reopened_ms, plan)
    if life.open:
        _open(case)
    elif life.outcome in (PanicOutcome.FALSE, PanicOutcome.DRILL):
        _call_off(case)
    return plan


@dataclass(frozen=True, slots=True)
class _Case:
    life: Life
    way: Way
    now_ms: int
    in_flight: Collection[str]
    epoch_ms: int
    plan: Plan

    def id_of(self, took: Took, target: str, about: str, attempt: int) -> str:
        return step_of(self.life, self.epoch_ms, took, target, about, attempt)

    def taken(self, took: Took, target: str, about: str, attempt: int) -> int | None:
        """When it was taken, None for not yet."""
        stamped = self.life.steps.get(self.id_of(took, target, about, attempt))
        return None if stamped is None else stamped.kafka_ms

    def attempts(self, center: str, about: str) -> int:
        return next(n for n in count() if self.taken(Took.SENT, center, about, n + 1) is None)

    def delivered(self, center: str, about: str) -> bool:
        attempts = range(1, self.attempts(center, about) + 1)
        return any(self.taken(Took.DELIVERED, center, about, n) is not None for n in attempts)

    def told(self) -> list[Center]:
        """The centers that have it."""
        return [c for c in self.way.centers if self.delivered(c.id, Kind.ALERT)]


def step_of(life: Life, epoch_ms: int, took: Took, target: str, about: str, attempt: int) -> str:
    """The id of a step of ours; ``epoch_ms`` is when the alert was last reopened."""
    return step_id(life.id, took, target, f"{epoch_ms}/{about}/{attempt}")


def step(life: Life, what: Send | Tell, took: Took, now_ms: int, note: str) -> StepTaken:
    """The step for a send or its result, or for a call."""
    if isinstance(what, Tell):
        id_, target, attempt, score = what.id, what.target, what.level, None
    else:
        target, attempt, score = what.center, what.attempt, what.score
        id_ = step_of(life, what.epoch_ms, took, target, what.about, attempt)
    return StepTaken(
        id=id_,
        alert=life.id,
        school=life.first.school,
        took=took,
        actor=ACTOR,
        time_ms=now_ms,
        target=target,
        attempt=attempt,
        note=note[:1000],
        score=score,
    )


def _open(case: _Case) -> None:
    life = case.life
    promoted_ms = max((s.kafka_ms for s in life.since_reopened({Took.PROMOTED})), default=0)
    if life.drill:
        _rehearse(case)
        return
    causes = life.causes()
    # A person who opens it again stands behind what was pressed before.
    presses = causes or list(life.transitions.values())
    fresh_ms = [p.decided_ms for p in presses if not p.late and not p.drill]
    if fresh_ms and not causes:
        fresh_ms = [life.reopened_ms]
    asked_ms = [*fresh_ms, promoted_ms] if promoted_ms else fresh_ms
    young = bool(asked_ms) and case.now_ms - max(asked_ms) <= LATE_MS
    tried = any(case.attempts(c.id, Kind.ALERT) for c in case.way.centers)
    if case.way.centers and (young or tried):
        _to_police(case, min(asked_ms), promoted=bool(promoted_ms), young=young)
        return
    began_ms = min((p.decided_ms for p in causes), default=life.reopened_ms)
    if not case.way.centers:
        why = case.way.trouble or "the school has no link to a center"
    else:
        why = "late or replayed: a human decides on dispatch"
    _call(case, "human", began_ms, why, [PHONE + p for p in case.way.people], at_once=True)


def _to_police(case: _Case, began_ms: int, *, promoted: bool, young: bool) -> None:
    life, own = case.life, case.way.centers[0]
    score = life.score or 0
    held_ms = began_ms + round(own.hold_s * 1000)
    certain = promoted or score >= CERTAIN or any(p.duress for p in life.causes())
    if certain or life.since_reopened({Took.VERIFIED}):
        held_ms = began_ms
    if case.now_ms < held_ms:
        case.plan.wake(held_ms)
        return
    told = case.told()
    if told and own.acknowledged_by == "receiver":
        _update(case, told, score, young=young)
        return
    following = [c for c in case.way.centers if c is not own]
    to = [CENTER + c.id for c in following] + [PHONE + p for p in case.way.people]
    # The clock runs from the first attempt: what came late to us was not refused by anybody yet.
    sent_ms = case.taken(Took.SENT, own.id, Kind.ALERT, 1)
    _call(case, "police", case.now_ms if sent_ms is None else sent_ms, "not acknowledged", to)
    _update(case, told, score, young=young)
    for center in [own, *(c for c in following if _escalated_to(case, c))] if young else []:
        _send(case, center, Kind.ALERT, Kind.ALERT, score)


def _escalated_to(case: _Case, center: Center) -> bool:
    steps = case.life.since_reopened({Took.ESCALATED})
    planned = (tell.target for tell in case.plan.tells)
    return CENTER + center.id in {*(s.step.target for s in steps), *planned}


def _update(case: _Case, told: list[Center], score: int, *, young: bool) -> None:
    """Once more when it has become more certain than the center knows."""
    for center in told if young else []:
        delivered = case.life.since_reopened({Took.DELIVERED})
        known = max((s.step.score or 0 for s in delivered if s.step.target == center.id), default=0)
        if score > known:
            _send(case, center, Kind.UPDATE, f"update-{score}", score)


def _rehearse(case: _Case) -> None:
    """A drill goes to a person; to a center only if it wants drills, marked as such."""
    target = PHONE + case.way.people[0]
    id_ = case.id_of(Took.NOTIFIED, target, "drill", 0)
    if id_ not in case.life.steps:
        case.plan.tells.append(Tell(Took.NOTIFIED, target, 0, "a declared drill", id_))
    pressed_ms = max((p.decided_ms for p in case.life.causes()), default=0)
    if case.now_ms - pressed_ms <= LATE_MS:
        for center in case.way.centers[:1]:
            if center.drills and not case.delivered(center.id, Kind.ALERT):
                _send(case, center, Kind.ALERT, Kind.ALERT, 0)


def _call_off(case: _Case) -> None:
    """Somebody found it false: whoever was told is told so, too."""
    closed_ms = max(s.kafka_ms for s in case.life.steps.values() if s.step.took is Took.CLOSED)
    if case.now_ms - closed_ms <= LATE_MS:
        for center in case.told():
            _send(case, center, Kind.CANCEL, Kind.CANCEL, 0)


def _call(
    case: _Case, about: str, began_ms: int, why: str, to: list[str], *, at_once: bool = False
) -> None:
    """One after the other on the clock, until somebody has answered."""
    if case.life.since_reopened(ANSWERED):
        return
    ladder = [(n + 1, after_s) for n, after_s in enumerate(case.way.escalation_s)]
    if at_once:
        ladder = [(0, 0.0), *ladder]
    for at, (level, after_s) in enumerate(ladder):
        target = to[min(at, len(to) - 1)]
        due_ms = began_ms + round(after_s * 1000)
        if case.now_ms < due_ms:
            case.plan.wake(due_ms)
            return
        id_ = case.id_of(Took.ESCALATED, target, about, level)
        if id_ not in case.life.steps:
            note = why if not after_s else f"{why}, {after_s:g} s"
            case.plan.tells.append(Tell(Took.ESCALATED, target, level, note, id_))


def _send(case: _Case, center: Center, kind: Kind, about: str, score: int) -> None:
    """The next attempt, if it is due: the receivers in turn, with a pause after each round."""
    message = case.id_of(Took.SENT, center.id, about, 0)
    if message in case.in_flight or case.delivered(center.id, about):
        return
    attempts = case.attempts(center.id, about)
    failed_ms = case.taken(Took.FAILED, center.id, about, attempts)
    if failed_ms is not None:
        due_ms = failed_ms + pause_ms(attempts, len(center.addresses))
        if case.now_ms < due_ms:
            case.plan.wake(due_ms)
            return
    send = Send(center.id, kind, message, about, attempts + 1, score, case.epoch_ms)
    case.plan.sends.append(send)


def pause_ms(attempts: int, receivers: int) -> int:
    """After the ``attempts``-th attempt failed."""
    rounds, within = divmod(attempts, receivers)
    if within or not rounds:
        return 0
    doubled: int = FIRST_PAUSE_MS << min(rounds - 1, 10)
    return min(LONGEST_PAUSE_MS, doubled)
