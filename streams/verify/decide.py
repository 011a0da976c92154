"""What speaks for a panic beside its presses. Pure: alerts, steps, reports and flow in, steps out.

Each kind of evidence is said once per alert and adds one to the score that the presses gave. Several
buttons are not counted here, since the panic lane does. The id of a step follows from the alert and the
kind, so that a repeat, after a restart too, is known as such.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.alerts import AlertChanged, AlertKind, Notice
from schemas.events import Category, HelpRequested, HelpTopic, IncidentReported, is_canary
from schemas.life import Life
from schemas.steps import MACHINE, StepTaken, Took, step_id

ACTOR: Final = f"{MACHINE}verify"
AROUND_MS: Final = 10 * 60_000
"""Reports within this time before or after a press, by Kafka's clock, speak for it."""
STALE_MS: Final = 5 * 60_000
"""A report older or newer than this by its own clock says nothing about now."""
SMALL: Final = 5
"""Fewer than this are not counted out: they could point at somebody."""

RUN_LEAST: Final = 20
RUN_TIMES: Final = 3
RUSH_LEAST: Final = 50
COLLAPSED_TO: Final = 5
"""To a fifth of what passes at least at this time."""
ENOUGH_WEEKS: Final = 2
"""Of earlier weeks, without which nothing is known to be usual."""

DANGER: Final = frozenset(
    {Category.VIOLENCE, Category.WEAPON, Category.INTRUDER, Category.SELF_HARM}
)
CALLS_FOR: Final = frozenset({HelpTopic.POLICE, HelpTopic.MEDICAL})


class Kind(StrEnum):
    """Of evidence."""

    REPORTS = "reports"
    EXITS = "exits"
    COLLAPSE = "collapse"


@dataclass(frozen=True, slots=True)
class Flow:
    """A school's turnstiles around now, and at the same time of the same weekday in earlier weeks.

    ``exits``: in the newest five minutes. ``passes``: in the five from ``calm_from_ms`` on, which are
    over. ``weeks``: of each earlier week with lessons, the most exits and the fewest passes in five
    minutes around this time. ``sure``: all turnstiles were heard after the calm minutes with nothing
    left to send, and what they had sent is stored, so that few passes mean that few passed.
    """

    exits: int
    passes: int
    calm_from_ms: int
    weeks: tuple[tuple[int, int], ...]
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of evidence; ``seen`` says it in words, without a person in it."""

    kind: Kind
    seen: str


@dataclass(slots=True)
class Scene:
    """What is known of all schools, from the topics. ``touched``: those with news to be weighed."""

    lives: dict[str, dict[str, Life]] = field(default_factory=lambda: defaultdict(dict))
    reports: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    touched: set[str] = field(default_factory=set)

    def heard(self, notice: Notice, kafka_ms: int, offset: int) -> None:
        """An alert's transition, or a step."""
        if isinstance(notice, AlertChanged):
            if notice.kind is AlertKind.PANIC and not is_canary(notice.school):
                self._life(notice.school, notice.id).changed(notice)
                self.touched.add(notice.school)
        elif isinstance(notice, StepTaken) and not is_canary(notice.school):
            # Also of alerts that are no panics: which, is known only when both topics are read.
            self._life(notice.school, notice.alert).took(notice, kafka_ms, offset)
            self.touched.add(notice.school)

    def reported(self, event: object, kafka_ms: int) -> None:
        """An event of the incident topic; most say nothing about a danger now."""
        if not isinstance(event, IncidentReported | HelpRequested):
            return
        if abs(kafka_ms - event.time_ms) <= STALE_MS and _alarming(event):
            self.reports[event.school].setdefault(event.id, kafka_ms)
            self.touched.add(event.school)

    def take_touched(self) -> set[str]:
        """The schools with news since the last time."""
        touched, self.touched = self.touched, set()
        return touched

    def weigh_reports(self, school: str, now_ms: int) -> list[StepTaken]:
        reports = self.reports.get(school, {}).values()
        if not reports:
            return []
        lives = self.lives.get(school, {}).values()
        return [s for life in lives for s in weigh(life, around(life, reports), now_ms)]

    def weigh_flow(self, school: str, flow: Flow, now_ms: int) -> list[StepTaken]:
        lives = self.lives.get(school, {}).values()
        return [s for life in lives for s in weigh(life, moved(life, flow, now_ms), now_ms)]

    def watched(self, now_ms: int) -> list[str]:
        """Schools whose turnstiles may say something now, those pressed last first."""
        pressed_ms = {
            school: max(fresh)
            for school, lives in self.lives.items()
            if (fresh := [ms for life in lives.values() for ms in _fresh(life, now_ms)])
        }
        return sorted(pressed_ms, key=lambda school: (-pressed_ms[school], school))

    def forget(self, before_ms: int) -> None:
        """What was last heard of before this (Kafka's clock)."""
        for reports in self.reports.values():
            for id_ in [id_ for id_, ms in reports.items() if ms < before_ms]:
                del reports[id_]
        for lives in self.lives.values():
            for id_ in [id_ for id_, life in lives.items() if life.newest_ms < before_ms]:
                del lives[id_]
        for kept in (self.reports, self.lives):
            for school in [school for school, known in kept.items() if not known]:
                del kept[school]

    def _life(self, school: str, alert: str) -> Life:
        return self.lives[school].setdefault(alert, Life(alert))


def around(life: Life, reports: Collection[int]) -> list[Found]:
    """``reports``: Kafka's times of the reports of danger at its school."""
    presses = _presses(life)
    near = sum(any(abs(ms - pressed) <= AROUND_MS for pressed in presses) for ms in reports)
    if not near:
        return []
    seen = f"reports of danger within {AROUND_MS // 60_000} minutes of a press: {_number(near)}"
    return [Found(Kind.REPORTS, seen)]


def moved(life: Life, flow: Flow, now_ms: int) -> list[Found]:
    """Whether people run out, or stopped coming through in the rush, unlike in earlier weeks."""
    fresh = _fresh(life, now_ms)
    if not fresh or len(flow.weeks) < ENOUGH_WEEKS:
        return []
    found = []
    most_exits = max(exits for exits, _ in flow.weeks)
    if flow.exits >= max(RUN_LEAST, RUN_TIMES * most_exits):
        seen = (
            f"a run of exits: {_number(flow.exits)} in 5 minutes, "
            f"at this time usually at most {_number(most_exits)}"
        )
        found.append(Found(Kind.EXITS, seen))
    fewest_passes = min(passes for _, passes in flow.weeks)
    after_a_press = flow.calm_from_ms >= min(fresh)
    collapsed = fewest_passes >= RUSH_LEAST and flow.passes * COLLAPSED_TO <= fewest_passes
    if collapsed and after_a_press and flow.sure:
        seen = (
            f"the flow collapsed: passes in 5 minutes {_number(flow.passes)}, "
            f"at this time usually at least {_number(fewest_passes)}"
        )
        found.append(Found(Kind.COLLAPSE, seen))
    return found


def weigh(life: Life, found: Sequence[Found], now_ms: int) -> list[StepTaken]:
    """The steps for what was not said yet. They only raise, and the fold counts them (schemas.life)."""
    if not found or not _weighed(life):
        return []
    said, steps = Life(life.id, dict(life.transitions), dict(life.steps)), []
    for one in found:
        id_ = step_id(life.id, Took.VERIFIED, one.kind, 0)
        if id_ in said.steps:
            continue
        step = StepTaken(
            id=id_,
            alert=life.id,
            school=life.first.school,
            took=Took.VERIFIED,
            actor=ACTOR,
            time_ms=now_ms,
            target=one.kind,
        )
        before = said.score or 0
        said.took(step, now_ms, 0)
        score = said.score or 0
        follows = f"score {score}, was {before}" if score > before else f"score stays {score}"
        steps.append(step.model_copy(update={"note": f"{one.seen}; {follows}"}))
    return steps


def _weighed(life: Life) -> bool:
    """An open panic that is no drill, which is to stay at 0."""
    if not life.transitions or life.first.kind is not AlertKind.PANIC:
        return False
    return life.open and not life.drill and not is_canary(life.first.school)


def _presses(life: Life) -> list[int]:
    """Kafka's times of the presses that were fresh. A late one is of another time than its stamp."""
    return [t.decided_ms for t in life.causes() if not t.late] if _weighed(life) else []


def _fresh(life: Life, now_ms: int) -> list[int]:
    return [ms for ms in _presses(life) if 0 <= now_ms - ms <= AROUND_MS]


def _alarming(event: IncidentReported | HelpRequested) -> bool:
    if isinstance(event, IncidentReported):
        return event.category in DANGER
    return event.topic in CALLS_FOR


def _number(n: int) -> str:
    return f"fewer than {SMALL}" if n < SMALL else str(n)
