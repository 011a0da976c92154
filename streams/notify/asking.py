"""The calls of one alert, one kind of reason at a time. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from schemas.life import Life
from schemas.steps import PHONE, Took, step_id
from streams.notify.policy import Level, Rule
from streams.paging.page import ACTOR, OVER, Call, Why

NEVER_MS: Final = 2**62
GAVE_UP: Final = 3
"""So many failed attempts, and the next level is called without waiting."""
UNREACHED_REPEAT_S: Final = 60
"""A panic, or a school that cannot press, of which nobody at all could be told is tried so often,
whatever its rule says of repeats."""
END_SAID_WITHIN_MS: Final = 24 * 3_600_000
"""An end that is older is no news any more."""
END_HOLD_MS: Final = 20_000
RESOLVED_INTERVAL_MS: Final = 300_000
OF_AN_OUTAGE: Final = frozenset(
    {AlertKind.SCHOOL_OFFLINE, AlertKind.NO_PASSES, AlertKind.BUFFER_GROWING, AlertKind.PANIC_BLIND}
)
"""What an outage explains. All but the last is taken in by it; the last is named beside it."""
ATTENDED: Final = frozenset({Took.ACKNOWLEDGED, Took.ASSIGNED, Took.DISPATCHED, Took.ARRIVED})


def _none(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Around:
    """What else is known: the open outage that it is part of, when one that it was in cleared; by which
    call each channel was told that it began, and whether a call, by its id, could reach nobody."""

    outage: Life | None = None
    cleared_ms: int = 0
    partition: int | None = None
    told: Mapping[str, Call] = field(default_factory=dict)
    unreached: Callable[[str], bool] = _none


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


@dataclass(frozen=True)
class Asking:
    """``base_ms``: from when its levels and its day count. ``resumed_ms``: when a hold, or somebody's
    attention, last ended, which is then ``lapsed``; 0 for never. ``everyone_else``: the channels that
    the chain does not name."""

    life: Life
    rule: Rule
    levels: list[Level]
    made: Callable[[str], bool]
    around: Around
    exempt: bool
    base_ms: int = 0
    resumed_ms: int = 0
    lapsed: bool = False
    everyone_else: list[str] = field(default_factory=list)

    @cached_property
    def panic(self) -> bool:
        return self.life.severity is Severity.PANIC

    @cached_property
    def alone(self) -> bool:
        """A panic is never grouped, whatever the policies say."""
        return not self.rule.group or self.panic

    @property
    def hold_ms(self) -> int:
        return 0 if self.alone else self.rule.hold_s * 1000

    @cached_property
    def attended(self) -> bool:
        if self.lapsed:
            return False
        if self.life.since_reopened(ATTENDED):
            return True
        outage = self.around.outage
        return outage is not None and bool(outage.since_reopened(ATTENDED))

    @cached_property
    def chain(self) -> list[tuple[int, list[str]]]:
        """Its levels: when each is called, if nobody attends to it before, and whom."""
        unreachable = self._unreachable
        chain = []
        for number, level in enumerate(self.levels):
            due_ms = self.base_ms + max(self.hold_ms, level.after_s * 1000)
            if number == 0 and self.exempt:
                due_ms = self.base_ms + self.hold_ms
            if number > 0 and unreachable[number - 1]:
                due_ms = self.base_ms
            chain.append((due_ms, level.channels))
        if self.everyone_else and all(unreachable):
            chain.append((self.base_ms, self.everyone_else))
        return chain

    @cached_property
    def _unreachable(self) -> list[bool]:
        """Of each level whether nobody could be reached, as the outbox knows or, without it, Kafka."""
        steps = self.life.since_reopened({Took.FAILED, Took.NOTIFIED, Took.ESCALATED})
        reached = {s.step.target for s in steps if s.step.took is not Took.FAILED}
        failed = {s.step.target for s in steps if s.step.attempt >= GAVE_UP}
        return [
            all(
                name not in reached
                and (name in failed or self.around.unreached(self._level_id(name, number)))
                for name in level.channels
            )
            for number, level in enumerate(self.levels)
        ]

    @cached_property
    def _epoch(self) -> int:
        return self.life.reopenings

    def by_levels(self) -> list[Call]:
        """A panic is said once, even when somebody was faster; the rest stops for who attends."""
        calls = []
        for number, (due_ms, names) in enumerate(self.chain):
            if self.attended and not (number == 0 and self.panic):
                break
            why: Why = "escalated" if number else "opened"
            calls += [self._call(name, why, str(number), due_ms) for name in names]
        if self.resumed_ms:
            # Who hears of it for the first time after a hold is not told so a second time.
            calls = [
                call.model_copy(update={"also": (self._resumed_id(call.channel),)})
                for call in calls
            ]
        return [call for call in calls if not self.made(call.id)]

    def first_word(self) -> list[Call]:
        return [call for call in self.by_levels() if call.why == "opened"]

    def resumed(self) -> list[Call]:
        """It is open still after a hold, or hours after somebody attended to it: who was told before is
        told again, once."""
        if not self.resumed_ms or self.attended:
            return []
        chain = self.chain
        told = {
            name
            for number, (_, names) in enumerate(chain)
            for name in names
            if self.made(self._level_id(name, number))
        }
        calls = [self._call(name, "repeated", self._resumed, chain[0][0]) for name in sorted(told)]
        return [call for call in calls if not self.made(call.id)]

    @property
    def _resumed(self) -> str:
        return f"resumed:{self.resumed_ms}"

    def _resumed_id(self, channel: str) -> str:
        return self._id(channel, "repeated", self._resumed)

    def repeats(self, now_ms: int) -> list[Call]:
        """The repeat that is due and the one to come. In a group they fall on common times."""
        if self.attended:
            return []
        chain = self.chain
        every_ms = self._every_s() * 1000
        if not every_ms:
            return []
        # Of a fixed time, so that a number means the same repeat after a hold.
        from_ms = self.life.since_ms if self.alone else 0
        earliest_ms = chain[0][0] + every_ms // 2
        # The first that is late enough is told now: who is asked again only when it is due must know.
        first = max(1, -((from_ms - earliest_ms) // every_ms))
        slot = (now_ms - from_ms) // every_ms
        calls = []
        for number in sorted({max(slot, first), max(slot + 1, first)}):
            due_ms = from_ms + number * every_ms
            names = {name for level_ms, of_it in chain if level_ms < due_ms for name in of_it}
            calls += [self._call(name, "repeated", f"r{number}", due_ms) for name in sorted(names)]
        return [call for call in calls if not self.made(call.id)]

    def _every_s(self) -> int:
        if self.rule.repeat_s or not self.exempt:
            return self.rule.repeat_s
        return UNREACHED_REPEAT_S if all(self._unreachable) else 0

    def to_telephone(self) -> list[Call]:
        """Dispatch names a person whom no machine calls: who was called until then is told so."""
        if self.attended:
            return []
        chain = self.chain
        calls = []
        for named in sorted(self.life.since_reopened({Took.ESCALATED})):
            if named.step.target.startswith(PHONE):
                due_ms = max(named.kafka_ms, chain[0][0])
                names = {name for level_ms, of_it in chain if level_ms <= due_ms for name in of_it}
                what = f"telephone:{named.step.id}"
                calls += [self._call(name, "telephone", what, due_ms) for name in sorted(names)]
        return [call for call in calls if not self.made(call.id)]

    def over(self, now_ms: int) -> list[Call]:
        """To whoever was told that it began: its end, and once more its true end if the rule asks
        for that and the end had been said before. What was said counts, not what today's rules say."""
        end_ms = ended_ms(self.life)
        if now_ms - end_ms > END_SAID_WITHIN_MS:
            return []
        told = self._told()
        due_ms = end_ms + (0 if self.alone else max(END_HOLD_MS, self.hold_ms))
        calls = []
        if self.rule.resolved:
            calls += [self._call(n, "resolved", "over", due_ms, told[n]) for n in sorted(told)]
        for late in _endings(self.life)[1:] if self.rule.corrected else []:
            if late.decided_ms > due_ms or not self.rule.resolved:
                what, late_ms = f"corrected:{late.number}", max(due_ms, late.decided_ms)
                calls += [self._call(n, "corrected", what, late_ms, told[n]) for n in sorted(told)]
        return [call for call in calls if not self.made(call.id)]

    def _told(self) -> dict[str, int]:
        """The channels that heard of it since it was last opened, by the outbox, by Kafka's steps or by
        the ids of their calls; each with how often it had been opened again by then."""
        now = self._epoch
        told = {name: max(now, c.epoch) for name, c in self.around.told.items() if c.epoch >= now}
        for stamped in self.life.since_reopened({Took.NOTIFIED, Took.ESCALATED}):
            step = stamped.step
            if step.actor == ACTOR and step.target and (step.cause or step.note) not in OVER:
                told.setdefault(step.target, now)
        for number, level in enumerate(self.levels):
            for name in level.channels:
                if self.made(self._level_id(name, number)):
                    told.setdefault(name, now)
        return told

    def _level_id(self, channel: str, number: int) -> str:
        return self._id(channel, "escalated" if number else "opened", str(number))

    def _id(self, channel: str, why: Why, what: str, epoch: int | None = None) -> str:
        epoch = self._epoch if epoch is None else epoch
        return step_id(self.life.id, _took(why), channel, f"{epoch}:{what}")

    def _call(
        self, channel: str, why: Why, what: str, due_ms: int, epoch: int | None = None
    ) -> Call:
        last = self.life.last
        return Call(
            id=self._id(channel, why, what, epoch),
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
            panic=self.panic,
            began_ms=self.life.opened_ms,
            epoch=self._epoch if epoch is None else epoch,
        )

    def _group(self, why: Why) -> str:
        if why in OVER:
            return "resolved"
        if self.around.outage is not None:
            return f"outage:{self.around.outage.id}"
        if self.life.last.kind is AlertKind.OUTAGE:
            return f"outage:{self.life.id}"
        return f"{self.rule.name}:{region_of(self.life.last.school)}"


def at_least(
    life: Life,
    channels: Collection[str],
    made: Callable[[str], bool],
    around: Around,
    now_ms: int,
) -> list[Call]:
    """One word to everyone of what is open, whatever else is known of it, as the first level's."""
    if not life.transitions or life.resolved or life.last.drill:
        return []
    last = life.last
    panic = last.kind is AlertKind.PANIC or last.severity is Severity.PANIC
    calls = [
        Call(
            id=step_id(life.id, Took.NOTIFIED, name, "0:0"),
            alert=life.id,
            school=last.school,
            kind=last.kind,
            channel=name,
            why="opened",
            took=Took.NOTIFIED,
            due_ms=now_ms,
            partition=around.partition,
            urgent=panic,
            panic=panic,
            began_ms=last.time_ms,
        )
        for name in sorted(channels)
    ]
    return [call for call in calls if not made(call.id)]


def opening_of(told: Call) -> AlertChanged:
    """The opening of an alert as far as the call that told of it knows it."""
    return AlertChanged(
        id=told.alert,
        number=0,
        kind=AlertKind(told.kind),
        severity=Severity.PANIC if told.panic else Severity.CRITICAL,
        action=Action.OPENED,
        school=told.school,
        time_ms=told.began_ms,
        decided_ms=told.due_ms,
    )


def _took(why: Why) -> Took:
    return Took.ESCALATED if why == "escalated" else Took.NOTIFIED
