"""Which calls an alert asks for, now and next. Pure: lives, policies and the time in, calls out.

A call is asked for until its id is known as made, so a restart neither forgets one nor repeats it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from schemas.alerts import PAGED_BY_WATCHDOG, Action, AlertChanged, AlertKind, Severity
from schemas.events import is_canary
from schemas.life import Life
from schemas.steps import PHONE, Took, step_id
from streams.notify.page import OVER, Call, Why
from streams.notify.policy import EXEMPT, Level, Policies, Rule

LASTING_MS: Final = 24 * 3_600_000
"""After this nobody is paged for it any more: it is work, not news. What is exempt is said once even
then, if it never was: we may have been away."""
LOOK_AGAIN_MS: Final = 5_000
GAVE_UP: Final = 3
"""So many failed attempts, and the next level is called without waiting."""
LOG: Final = "log"
"""The channel of those who have none: what would be said is logged and recorded."""
RESOLVED_INTERVAL_MS: Final = 300_000
OF_AN_OUTAGE: Final = frozenset(
    {AlertKind.SCHOOL_OFFLINE, AlertKind.NO_PASSES, AlertKind.BUFFER_GROWING, AlertKind.PANIC_BLIND}
)
"""What an outage explains. All but the last is taken in by it; the last is named beside it."""
ATTENDED: Final = frozenset({Took.ACKNOWLEDGED, Took.ASSIGNED, Took.DISPATCHED, Took.ARRIVED})


@dataclass(frozen=True, slots=True)
class Around:
    """What else is known: the open outage that it is part of, when one that it was in cleared."""

    outage: Life | None = None
    cleared_ms: int = 0
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """``look_again_ms``: when time alone may change the answer; 0 for never."""

    calls: list[Call]
    look_again_ms: int = 0


NOTHING: Final = Wanted([])


def region_of(school: str) -> str:
    return school[:5] if school.startswith("KZ-") else ""


def ended_ms(life: Life) -> int:
    """Kafka's time of the end of an alert that is not open. What is told of the end later moves it
    not."""
    closed = life.closed
    if closed is not None:
        return life.steps[closed.id].kafka_ms
    return _endings(life)[0].decided_ms


def _endings(life: Life) -> list[AlertChanged]:
    """The resolution that stands, and the corrections of it, by number; none while it lasts."""
    told: list[AlertChanged] = []
    for _, transition in sorted(life.transitions.items(), reverse=True):
        if transition.action is not Action.RESOLVED:
            break
        told.insert(0, transition)
    return told


def wanted(
    life: Life,
    policies: Policies,
    channels: Collection[str],
    made: Callable[[str], bool],
    around: Around,
    now_ms: int,
) -> Wanted:
    """The calls that this alert asks for and that are not ``made``; some are due later."""
    if not life.transitions or is_canary(life.last.school) or life.drill:
        return NOTHING
    if PAGED_BY_WATCHDOG in life.last.why:
        return NOTHING
    kind, severity = life.last.kind, life.severity
    school = life.last.school
    region = region_of(school)
    rule = policies.rule(kind, severity, region)
    exempt = kind in EXEMPT or severity is Severity.PANIC
    it = _Asking(life, rule, policies.levels(rule, channels), made, around, exempt)
    if not life.open:
        return Wanted(it.over(now_ms))
    if now_ms - it.base_ms > LASTING_MS:
        return Wanted(it.first_word()) if exempt else NOTHING
    if not exempt:
        if around.outage is not None:
            return NOTHING
        if life.silenced(now_ms) or policies.held(kind, severity, school, region, now_ms):
            return Wanted([], now_ms + LOOK_AGAIN_MS)
    calls = [*it.levels(), *it.to_telephone()]
    repeats = [] if set(channels) == {LOG} else it.repeats(now_ms)
    calls, repeats = _once(calls, repeats, now_ms)
    again_ms = min((c.due_ms for c in repeats if c.due_ms > now_ms), default=0)
    return Wanted([*calls, *repeats], again_ms)


def _once(calls: list[Call], repeats: list[Call], now_ms: int) -> tuple[list[Call], list[Call]]:
    """Who hears of it now for the first time, late, is not told the same again as a repeat."""
    due = {call.channel: call for call in calls if call.due_ms <= now_ms}
    spared = {r.channel: r.id for r in repeats if r.due_ms <= now_ms and r.channel in due}
    told = [
        call.model_copy(update={"also": spared[call.channel]})
        if call.due_ms <= now_ms and call.channel in spared
        else call
        for call in calls
    ]
    return told, [r for r in repeats if r.id not in spared.values()]


@dataclass(frozen=True, slots=True)
class _Asking:
    life: Life
    rule: Rule
    chain: list[Level]
    made: Callable[[str], bool]
    around: Around
    exempt: bool

    @property
    def base_ms(self) -> int:
        return (
            self.life.since_ms if self.exempt else max(self.life.since_ms, self.around.cleared_ms)
        )

    @property
    def alone(self) -> bool:
        """A panic is never grouped, whatever the policies say."""
        return not self.rule.group or self.life.severity is Severity.PANIC

    @property
    def attended(self) -> bool:
        if self.life.since_reopened(ATTENDED):
            return True
        outage = self.around.outage
        return outage is not None and bool(outage.since_reopened(ATTENDED))

    def due_ms(self, number: int) -> int:
        """When this level of the chain is called, if nobody attends to it before."""
        hold_ms = 0 if self.alone else self.rule.hold_s * 1000
        if number == 0 and self.exempt:
            return self.base_ms + hold_ms
        if number > 0 and self._unreachable(number - 1):
            return self.base_ms
        return self.base_ms + max(hold_ms, self.chain[number].after_s * 1000)

    def _unreachable(self, number: int) -> bool:
        """Whether nobody of a level could be reached."""
        steps = self.life.since_reopened({Took.FAILED, Took.NOTIFIED, Took.ESCALATED})
        reached = {s.step.target for s in steps if s.step.took is not Took.FAILED}
        failed = {s.step.target for s in steps if s.step.attempt >= GAVE_UP}
        names = set(self.chain[number].channels)
        return not names & reached and names <= failed

    def levels(self) -> list[Call]:
        """A panic is said once, even when somebody was faster; the rest stops for who attends."""
        calls = []
        for number, level in enumerate(self.chain):
            if self.attended and not (number == 0 and self.life.severity is Severity.PANIC):
                break
            why: Why = "escalated" if number else "opened"
            calls += [
                self._call(name, why, str(number), self.due_ms(number)) for name in level.channels
            ]
        return [call for call in calls if not self.made(call.id)]

    def first_word(self) -> list[Call]:
        return [call for call in self.levels() if call.why == "opened"]

    def repeats(self, now_ms: int) -> list[Call]:
        """The repeat that is due and the one to come. In a group they fall on common times."""
        every_ms = self.rule.repeat_s * 1000
        if not every_ms or self.attended:
            return []
        from_ms = self.base_ms if self.alone else 0
        earliest_ms = self.due_ms(0) + every_ms // 2
        # The first that is late enough is told now: who is asked again only when it is due must know.
        first = max(1, -((from_ms - earliest_ms) // every_ms))
        slot = (now_ms - from_ms) // every_ms
        calls = []
        for number in sorted({max(slot, first), max(slot + 1, first)}):
            due_ms = from_ms + number * every_ms
            names = {
                name
                for level_number, level in enumerate(self.chain)
                if self.due_ms(level_number) < due_ms
                for name in level.channels
            }
            calls += [self._call(name, "repeated", f"r{number}", due_ms) for name in sorted(names)]
        return [call for call in calls if not self.made(call.id)]

    def to_telephone(self) -> list[Call]:
        """Dispatch names a person whom no machine calls: who was called until then is told so."""
        if self.attended:
            return []
        calls = []
        for named in sorted(self.life.since_reopened({Took.ESCALATED})):
            if named.step.target.startswith(PHONE):
                due_ms = max(named.kafka_ms, self.due_ms(0))
                names = {
                    name
                    for number, level in enumerate(self.chain)
                    if self.due_ms(number) <= due_ms
                    for name in level.channels
                }
                what = f"telephone:{named.step.id}"
                calls += [self._call(name, "telephone", what, due_ms) for name in sorted(names)]
        return [call for call in calls if not self.made(call.id)]

    def over(self, now_ms: int) -> list[Call]:
        """To whoever was told that it began: its end, and once more its true end if the rule asks
        for that and the end had been said before."""
        end_ms = ended_ms(self.life)
        if now_ms - end_ms > LASTING_MS:
            return []
        told = {
            name
            for number, level in enumerate(self.chain)
            for name in level.channels
            if self.made(self._id(name, "escalated" if number else "opened", str(number)))
        }
        due_ms = end_ms + (0 if self.alone else max(20, self.rule.hold_s) * 1000)
        calls = []
        if self.rule.resolved:
            calls += [self._call(name, "resolved", "over", due_ms) for name in sorted(told)]
        for late in _endings(self.life)[1:] if self.rule.corrected else []:
            if late.decided_ms > due_ms or not self.rule.resolved:
                what, late_ms = f"corrected:{late.number}", max(due_ms, late.decided_ms)
                calls += [self._call(name, "corrected", what, late_ms) for name in sorted(told)]
        return [call for call in calls if not self.made(call.id)]

    def _id(self, channel: str, why: Why, what: str) -> str:
        return step_id(self.life.id, _took(why), channel, f"{self.life.reopenings}:{what}")

    def _call(self, channel: str, why: Why, what: str, due_ms: int) -> Call:
        last = self.life.last
        return Call(
            id=self._id(channel, why, what),
            alert=self.life.id,
            school=last.school,
            kind=last.kind,
            channel=channel,
            why=why,
            took=_took(why),
            due_ms=due_ms,
            group="" if self.alone else self._group(why),
            interval_ms=RESOLVED_INTERVAL_MS if why in OVER else self.rule.interval_s * 1000,
            partition=self.around.partition,
            urgent=self.exempt and why not in OVER,
        )

    def _group(self, why: Why) -> str:
        if why in OVER:
            return "resolved"
        if self.around.outage is not None:
            return f"outage:{self.around.outage.id}"
        if self.life.last.kind is AlertKind.OUTAGE:
            return f"outage:{self.life.id}"
        return f"{self.rule.name}:{region_of(self.life.last.school)}"


def _took(why: Why) -> Took:
    return Took.ESCALATED if why == "escalated" else Took.NOTIFIED
