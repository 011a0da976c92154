"""Which calls an alert asks for, now and next. Pure: lives, policies and the time in, calls out.

A call is asked for until its id is known as made, so a restart neither forgets one nor repeats it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from schemas.alerts import Severity
from schemas.events import is_canary
from schemas.life import Life
from streams.notify.asking import ATTENDED, NEVER_MS, Around, Asking, region_of
from streams.notify.policy import EXEMPT, Level, Policies, Rule
from streams.paging.page import Call

LASTING_MS: Final = 24 * 3_600_000
"""After this nobody is paged for it any more: it is work, not news. What is exempt is said once even
then, if it never was: we may have been away."""
LOOK_AGAIN_MS: Final = 5_000
LOG: Final = "log"
"""The channel of those who have none: what would be said is logged and recorded."""


@dataclass(frozen=True, slots=True)
class DueCalls:
    """``look_again_ms``: when time alone may change the answer; 0 for never."""

    calls: list[Call]
    look_again_ms: int = 0


NOTHING: Final = DueCalls([])


def wanted(
    life: Life,
    policies: Policies,
    channels: Collection[str],
    made: Callable[[str], bool],
    around: Around,
    now_ms: int,
) -> DueCalls:
    """The calls that this alert asks for and that are not ``made``; some are due later."""
    if not life.transitions or is_canary(life.last.school) or life.drill:
        return NOTHING
    if life.last.paged_elsewhere:
        return NOTHING
    kind, severity = life.last.kind, life.severity
    school = life.last.school
    region = region_of(school)
    rule = policies.rule(kind, severity, region)
    exempt = kind in EXEMPT or severity is Severity.PANIC
    asking = Asking(life, rule, policies.levels(rule, channels), made, around, exempt)
    if not life.open:
        return DueCalls(asking.over(now_ms))
    if not exempt:
        if around.outage is not None:
            return NOTHING
        if life.silenced(now_ms) or policies.held(kind, severity, school, region, now_ms):
            return DueCalls([], now_ms + LOOK_AGAIN_MS)
    lapses_ms = _lapses_ms(life, rule, around)
    lapsed = lapses_ms <= now_ms
    cleared_ms = 0 if exempt else around.cleared_ms
    held_ms = 0 if exempt else _held_until_ms(life, policies, now_ms)
    resumed_ms = max(cleared_ms, held_ms, lapses_ms if lapsed else 0)
    hold_ms = asking.hold_ms
    base_ms = max(life.since_ms, cleared_ms, resumed_ms - hold_ms)
    if severity is Severity.PANIC:
        base_ms = min(base_ms, now_ms)  # our clock may be behind Kafka's
    if not exempt:
        # Of quiet hours only the first counts: they come again each night, and no alert is news for ever.
        base_ms = policies.awake_ms(severity, region, base_ms + hold_ms) - hold_ms
    asking = replace(
        asking,
        everyone_else=_everyone_else(asking.levels, channels) if exempt else [],
        base_ms=base_ms,
        resumed_ms=resumed_ms if resumed_ms > life.since_ms else 0,
        lapsed=lapsed,
    )
    look_again_ms = lapses_ms if now_ms < lapses_ms < NEVER_MS else 0
    if now_ms - asking.base_ms > LASTING_MS:
        return DueCalls(asking.first_word() if exempt else [], look_again_ms)
    calls = [*asking.by_levels(), *asking.to_telephone()]
    repeats = [] if set(channels) == {LOG} else [*asking.resumed(), *asking.repeats(now_ms)]
    calls, repeats = _once(calls, repeats, now_ms)
    again_ms = [c.due_ms for c in repeats if c.due_ms > now_ms]
    return DueCalls(
        [*calls, *repeats],
        min([*again_ms, look_again_ms] if look_again_ms else again_ms, default=0),
    )


def _held_until_ms(life: Life, policies: Policies, now_ms: int) -> int:
    """When the last silence or planned work ended that held it; 0 for none.

    The day in which it is news begins then: a hold is meant to put a page off, not to swallow it.
    """
    kind, school = life.last.kind, life.last.school
    worked_ms = policies.worked_until_ms(kind, school, region_of(school), now_ms)
    return max(worked_ms, life.silence_ended_ms(now_ms))


def _lapses_ms(life: Life, rule: Rule, around: Around) -> int:
    """When it stops to count as attended to; NEVER_MS for a panic, which dispatch follows to its end.

    Who acknowledges a school that comes and goes has not seen it fall silent for good, and no
    transition says so: its alert is open already (docs/liveness.md). So an acknowledgement holds for
    some hours, like those of other pagers.
    """
    if not rule.attended_s or life.severity is Severity.PANIC:
        return NEVER_MS
    steps = life.since_reopened(ATTENDED)
    if around.outage is not None:
        steps += around.outage.since_reopened(ATTENDED)
    if not steps:
        return NEVER_MS
    return max(step.kafka_ms for step in steps) + rule.attended_s * 1000


def _everyone_else(levels: list[Level], channels: Collection[str]) -> list[str]:
    """Called only when nobody of the chain can be reached."""
    return sorted(set(channels) - {name for level in levels for name in level.channels} - {LOG})


def _once(calls: list[Call], repeats: list[Call], now_ms: int) -> tuple[list[Call], list[Call]]:
    """Who hears of it now for the first time, late, is not told the same again as a repeat."""
    due = {call.channel: call for call in calls if call.due_ms <= now_ms}
    spared = {r.channel: r.id for r in repeats if r.due_ms <= now_ms and r.channel in due}
    told = [
        call.model_copy(update={"also": (*call.also, spared[call.channel])})
        if call.due_ms <= now_ms and call.channel in spared
        else call
        for call in calls
    ]
    return told, [r for r in repeats if r.id not in spared.values()]
