"""How an alert stands: one fold over its transitions and steps, the same for every reader. Pure.

Theory of operation. A *transition* is what a lane said of the alert (topic of alerts); a *step* is what a
person, an adapter or a pager did about it (topic of steps). The two topics are read side by side, so the
fold may depend only on what was said and on Kafka's stamps, never on the order of arrival.

1. Everything is told at least once. A transition is known by its number, a step by its id. Of equal ones the
   earliest counts: two panic workers say the same, and what the gateway told directly was decided earlier.
2. The lane alone opens, updates and resolves. Only people close and reopen. An alert is open when the lane
   has not resolved it and nobody has closed it since its last cause.
3. A *cause* is an opening or another press. A cause that the closer had not seen opens the alert again. What
   a step's actor had seen is said by the step itself (``upto``), for it may reach Kafka long after it was
   taken: the console keeps it while Kafka is away. Where it does not say so, Kafka's order does. So a press
   that nobody has seen is never closed by anybody.
4. "Since it was reopened" cuts the steps: who acknowledged or was assigned before counts no more, and a step
   whose actor had not seen the press that reopened it belongs to before, whenever Kafka got it.
5. Of two people who act at once, the earlier in Kafka did; of one millisecond, a press is the later.

What is not nice: the whole course is read anew after each word about the alert. Alerts have few words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from schemas.steps import PanicOutcome, StepTaken, Took

NEVER_SILENCED: Final = frozenset({AlertKind.PANIC, AlertKind.PANIC_BLIND})
POLICE: Final = frozenset({Took.SENT, Took.DELIVERED, Took.FAILED})
HIGHEST_SCORE: Final = 4
_AFTER_ALL_OF_THIS_MS: Final = 2**63
_END: Final = (_AFTER_ALL_OF_THIS_MS, 0)


@dataclass(frozen=True, slots=True, order=True)
class Stamped:
    """A step with the broker's time and place, by which the first of two acts is told."""

    kafka_ms: int
    offset: int
    step: StepTaken = field(compare=False)


@dataclass(slots=True)
class Life:
    """One alert. Times are Kafka's, in ms; 0 for what has not happened."""

    id: str
    transitions: dict[int, AlertChanged] = field(default_factory=dict)
    steps: dict[str, Stamped] = field(default_factory=dict)
    # Its course, and of how many transitions and steps; who forgets some of them need not say so.
    _known: "_Course | None" = field(default=None, init=False, repr=False, compare=False)
    _known_of: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)

    def changed(self, transition: AlertChanged) -> bool:
        """Whether this transition was news. Of equal numbers the earliest decision counts.

        The lanes' two workers say the same; what the gateway told directly was decided earlier.
        """
        known = self.transitions.get(transition.number)
        if known is None or (known != transition and _order(transition) < _order(known)):
            self.transitions[transition.number] = transition
            self._known = None
        return known is None

    def took(self, step: StepTaken, kafka_ms: int, offset: int) -> bool:
        """Whether this step was news. The earliest of equal ids counts."""
        stamped = Stamped(kafka_ms, offset, step)
        known = self.steps.get(step.id)
        if known is not None and known <= stamped:
            return False
        self.steps[step.id] = stamped
        self._known = None
        return known is None

    @property
    def first(self) -> AlertChanged:
        """The earliest transition known. Raises ValueError when only steps are known yet."""
        return self.transitions[min(self.transitions)]

    @property
    def last(self) -> AlertChanged:
        return self.transitions[max(self.transitions)]

    @property
    def opened_ms(self) -> int:
        """Event time: when it became true."""
        return min(t.time_ms for t in self.transitions.values())

    @property
    def newest_ms(self) -> int:
        """Kafka's time of what was last heard of it; 0 for nothing."""
        decided = (t.decided_ms for t in self.transitions.values())
        return max((*decided, *(s.kafka_ms for s in self.steps.values())), default=0)

    @property
    def raised_ms(self) -> int:
        """Kafka's time of the newest cause for alarm: an opening, a press, a reopening."""
        causes = (t.decided_ms for t in self.transitions.values() if _raises(t))
        return max(causes, default=0)

    @property
    def resolved(self) -> bool:
        """The lane itself says that it is over."""
        return bool(self.transitions) and self.last.action is Action.RESOLVED

    @property
    def closed(self) -> StepTaken | None:
        """The step that closed it, unless it was opened again since, by a person or a press that was
        not seen when it was taken.

        Of two who close at once, the earlier in Kafka did.
        """
        return self._course().closed

    @property
    def open(self) -> bool:
        return bool(self.transitions) and not self.resolved and self.closed is None

    @property
    def outcome(self) -> PanicOutcome:
        return PanicOutcome.NONE if self.closed is None else self.closed.outcome

    @property
    def drill(self) -> bool:
        """A declared drill, unless a press outside it came or somebody promoted it."""
        presses = [t for t in self.transitions.values() if _raises(t)]
        return bool(presses) and all(t.drill for t in presses) and not self._of({Took.PROMOTED})

    @property
    def severity(self) -> Severity:
        if not self.drill and any(t.severity is Severity.PANIC for t in self.transitions.values()):
            return Severity.PANIC
        promoted = self._of({Took.PROMOTED})
        return Severity.PANIC if promoted else self.last.severity

    @property
    def score(self) -> int | None:
        """What the presses gave, and one for each kind of evidence; or what a person says, if that is
        higher. It never takes back, and the order in which presses and evidence came is nothing to it.
        """
        pressed = [t.score for t in self.transitions.values() if t.score is not None]
        by_people = [s.step.score for s in self.steps.values() if s.step.score is not None]
        weighed = [min(HIGHEST_SCORE, max(pressed) + len(self.evidence()))] if pressed else []
        return max([*weighed, *by_people], default=None)

    def evidence(self) -> set[str]:
        """The kinds of evidence that were found for it (streams.verify)."""
        found = self._of({Took.VERIFIED})
        return {s.step.target for s in found if s.step.target and s.step.score is None}

    @property
    def reopened_ms(self) -> int:
        """Kafka's time at which it was last opened again after a close; 0 for never."""
        return max(self._course().since[0], 0)

    def causes(self) -> list[AlertChanged]:
        """The openings and presses since then, by number; none when a person opened it again."""
        return sorted(self._course().causes, key=lambda t: t.number)

    def first_ms(self, took: Took) -> int:
        """When this was first done since the alert was last closed or opened; 0 for never."""
        return min((s.kafka_ms for s in self.since_reopened({took})), default=0)

    def by(self, took: Took) -> str:
        """Who did this first since then; empty for nobody. Two at once: the earlier in Kafka."""
        first = min(self.since_reopened({took}), default=None)
        return "" if first is None else first.step.actor

    @property
    def assigned_to(self) -> str:
        last = max(self.since_reopened({Took.ASSIGNED}), default=None)
        return "" if last is None else last.step.target

    def silenced(self, now_ms: int) -> bool:
        """By the last word on it. Never a panic, nor a school that could not send one."""
        if not self.transitions or self.severity is Severity.PANIC:
            return False
        if any(t.kind in NEVER_SILENCED and not t.drill for t in self.transitions.values()):
            return False
        last = max(self._of({Took.SILENCED}), default=None)
        return last is not None and last.step.until_ms > now_ms

    def silence_ended_ms(self, now_ms: int) -> int:
        """When the last silence ended, by its own time or by the next word on it; 0 for none."""
        words = sorted(self._of({Took.SILENCED}))
        taken_back = [*(word.kafka_ms for word in words[1:]), _AFTER_ALL_OF_THIS_MS]
        ends = [
            min(word.step.until_ms, at_ms)
            for word, at_ms in zip(words, taken_back, strict=False)
            if word.step.until_ms > word.kafka_ms
        ]
        return max((at_ms for at_ms in ends if at_ms <= now_ms), default=0)

    def delivered_to(self) -> set[str]:
        """The police centers that have acknowledged it."""
        return {s.step.target for s in self._of({Took.DELIVERED})}

    def timeline(self) -> list[Stamped]:
        """All steps in the order in which Kafka has them."""
        return sorted(self.steps.values())

    @property
    def reopenings(self) -> int:
        """How often it was opened again, which makes the pages of each time different."""
        return self._course().reopenings

    @property
    def since_ms(self) -> int:
        """Since when it is open as it is now: Kafka's time of its opening or last reopening."""
        reopened_ms = self._course().since[0]
        causes = (t.decided_ms for t in self.transitions.values() if _raises(t))
        return reopened_ms if reopened_ms >= 0 else min(causes, default=0)

    def since_reopened(self, which: Iterable[Took]) -> list[Stamped]:
        """Steps of these kinds since the alert was last opened again by a person or by a press. What was
        done by somebody who had not seen that press is none of them, whenever Kafka got it.
        """
        course = self._course()
        return [
            s
            for s in self._of(which)
            if (s.kafka_ms, s.offset) > course.since
            and (s.step.upto is None or s.step.upto >= course.by_number)
        ]

    def _course(self) -> "_Course":
        """Presses, closes and reopenings, each press before the first word of who had seen it."""
        of = len(self.transitions), len(self.steps)
        if self._known is None or self._known_of != of:
            self._known, self._known_of = self._read(), of
        return self._known

    def _read(self) -> "_Course":
        course = _Course()
        unseen = sorted((t for t in self.transitions.values() if _raises(t)), key=_place)
        for word in sorted(self._of({Took.CLOSED, Took.REOPENED})):
            for press in [t for t in unseen if seen_by(word, t)]:
                course.pressed(press, (word.kafka_ms, word.offset - 1))
                unseen.remove(press)
            course.said(word)
        for press in unseen:
            course.pressed(press)
        return course

    def _of(self, which: Iterable[Took]) -> list[Stamped]:
        wanted = set(which)
        return [s for s in self.steps.values() if s.step.took in wanted]


@dataclass(slots=True)
class _Course:
    """``since``: the place in Kafka after which steps are about how it stands now. ``by_number``: of the
    press that opened it again; -1 for none. ``causes``: the presses since then.
    """

    closed: StepTaken | None = None
    since: tuple[int, int] = (-1, -1)
    by_number: int = -1
    reopenings: int = 0
    causes: list[AlertChanged] = field(default_factory=list)
    _last_word: tuple[int, int] = (-1, -1)

    def pressed(self, press: AlertChanged, before: tuple[int, int] = _END) -> None:
        """A press that the last word's speaker had not seen, and the next one's, ``before``, had."""
        if self.closed is not None:
            own = press.decided_ms, _AFTER_ALL_OF_THIS_MS
            self._reopened(min(max(own, self._last_word), before))
            self.by_number = press.number
        self.causes.append(press)

    def said(self, word: Stamped) -> None:
        self._last_word = word.kafka_ms, word.offset
        if word.step.took is Took.CLOSED:
            self.closed = self.closed or word.step
        elif self.closed is not None:
            self._reopened(self._last_word)
            self.by_number = -1

    def _reopened(self, at: tuple[int, int]) -> None:
        self.closed, self.since = None, at
        self.reopenings += 1
        self.causes.clear()


def seen_by(stamped: Stamped, transition: AlertChanged) -> bool:
    """Whether who took this step knew of this transition. Where the step does not say so, Kafka's order
    does; of one millisecond, the press is the later.
    """
    if stamped.step.upto is not None:
        return transition.number <= stamped.step.upto
    return transition.decided_ms < stamped.kafka_ms


def _place(transition: AlertChanged) -> tuple[int, int]:
    return transition.decided_ms, transition.number


def _raises(transition: AlertChanged) -> bool:
    """An update raises anew when it is a press: not a cancel, and not an outage's new members."""
    if transition.action is Action.OPENED:
        return True
    is_press = transition.kind is AlertKind.PANIC and not transition.cancels
    return transition.action is Action.UPDATED and is_press


def _order(transition: AlertChanged) -> tuple[int, str]:
    return transition.decided_ms, transition.model_dump_json()
