"""All alerts, and the pages that follow from them at a time. Pure: the clock is a parameter.

Calls of one group and channel become one page; when a channel would get pages of more than
``STORM_GROUPS`` groups at once, they become one page too, so that a country gone silent is one
message with its schools and not a thousand.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.alerts import AlertChanged, AlertKind
from schemas.events import is_canary
from schemas.life import Life
from schemas.steps import StepTaken
from streams.notify.asking import OF_AN_OUTAGE, Around, at_least, ended_ms, opening_of
from streams.notify.decide import LASTING_MS, NOTHING, DueCalls, wanted
from streams.notify.policy import Policies
from streams.paging.page import BEGIN, OVER, Call, Page, page

STORM_GROUPS: Final = 2
JOIN_BEFORE_HOLD: Final = frozenset({"opened", "resolved"})
"""Reasons that join a page of their group before their own hold is over."""
FORGET_AFTER_MS: Final = 2 * LASTING_MS


LEASES_AT_ONCE: Final = 500
BUILT_IN_ALONE: Final = Policies()


@dataclass
class PagedBefore:
    """What the outbox has from before: ids of calls; by which call each channel was told of an alert
    that it began; the alerts whose end is said; ids of calls that reached nobody."""

    made: set[str] = field(default_factory=set)
    told: dict[str, dict[str, Call]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    unreached: set[str] = field(default_factory=set)


class Pager:
    """``said`` is of before. ``leasing``: channels that hold an alert for a time only, and are told of
    it again and again while it lasts."""

    def __init__(
        self,
        policies: Policies,
        channels: Collection[str],
        said: PagedBefore | None = None,
        leasing: Collection[str] = (),
    ) -> None:
        self._policies = policies
        self._channels = list(channels)
        self.leasing = list(leasing)
        self.knows(said or PagedBefore())
        self._lives: dict[str, Life] = {}
        self._partition: dict[str, int] = {}
        self._alerts_of: dict[str, set[str]] = defaultdict(set)
        self._outages_of: dict[str, set[str]] = defaultdict(set)
        self._dirty: set[str] = set()
        self._again: list[tuple[int, str]] = []
        self._waiting: dict[str, list[Call]] = {}
        # Of what waits in groups: channel -> alerts, each with calls there.
        self._grouped: dict[str, dict[str, list[Call]]] = defaultdict(dict)
        # When an alert's calls may be said at the earliest, as was known when it was asked last.
        self._opening: list[tuple[int, str]] = []
        self._gates: dict[tuple[str, str], int] = {}
        self.canaries = 0
        self.undecided: dict[str, str] = {}
        """Alerts that could not be decided by the policies, and why; they go to everyone."""

    def knows(self, said: PagedBefore) -> None:
        """What was said so far, by the outbox."""
        self._said, self._made = said, said.made

    def changed(self, transition: AlertChanged, partition: int | None = None) -> bool:
        """Whether this transition was news."""
        if is_canary(transition.school):
            self.canaries += 1
            return False
        life = self._life(transition.id)
        if partition is not None:
            self._partition[transition.id] = partition
        if not life.changed(transition):
            return False
        self._alerts_of[transition.school].add(transition.id)
        self._dirty.add(transition.id)
        if transition.kind is AlertKind.OUTAGE:
            for school in transition.members:
                self._outages_of[school].add(transition.id)
            self._members_of(life)
        return True

    def took(self, step: StepTaken, kafka_ms: int, offset: int) -> None:
        if is_canary(step.school):
            return
        life = self._life(step.alert)
        if life.took(step, kafka_ms, offset):
            self._dirty.add(step.alert)
            if life.transitions and life.last.kind is AlertKind.OUTAGE:
                self._members_of(life)

    def made(self, said: Page) -> None:
        """The outbox has it."""
        for call in said.calls:
            self._made.update(call.makes)
            self._dirty.add(call.alert)
            if call.why in BEGIN:
                self._said.told.setdefault(call.alert, {})[call.channel] = call
                self._said.ended.discard(call.alert)
            elif call.why in OVER:
                self._said.ended.add(call.alert)

    def unreached(self, calls: Iterable[Call]) -> None:
        """Nobody could be told by these: who comes next is called."""
        for call in calls:
            self._said.unreached.add(call.id)
            self._dirty.add(call.alert)

    def leases(self, channel: str, now_ms: int) -> list[Page]:
        """What this channel was told of and what lasts still, acknowledged or not, however old: to be
        told so again before its lease runs out. No page to anybody."""
        calls = [
            by_channel[channel].model_copy(update={"why": "renewed"})
            for alert, by_channel in self._said.told.items()
            if channel in by_channel and self._lasts(alert)
        ]
        firsts = range(0, len(calls), LEASES_AT_ONCE)
        return [page(channel, calls[one : one + LEASES_AT_ONCE], now_ms) for one in firsts]

    def _lasts(self, alert: str) -> bool:
        """Of what is older than what we have read, nobody has said that it ended."""
        if alert in self._said.ended:
            return False
        life = self._lives.get(alert)
        return life is None or self._standing(life).open

    def pages(self, now_ms: int) -> list[Page]:
        """What is to be said now. Asked again until it is ``made``."""
        # Asked anew when due: quiet hours or planned work may have begun since.
        for due in (self._again, self._opening):
            while due and due[0][0] <= now_ms:
                self._dirty.add(heapq.heappop(due)[1])
        asked, self._dirty = self._dirty, set()
        for alert in asked:
            self._ask(alert, now_ms)
        calls = [call for alert in sorted(asked) for call in self._waiting.get(alert, [])]
        # Whatever may be said now is of an alert that was just asked.
        opened = [call for call in calls if self._opens_ms(call) <= now_ms]
        pages = [page(call.channel, [call], now_ms) for call in opened if not call.group]
        for channel in dict.fromkeys(call.channel for call in opened if call.group):
            grouped = [call for call in opened if call.group and call.channel == channel]
            pages += self._in_groups_or_alone(channel, grouped, now_ms)
        for alert in asked:
            self._look_when_it_opens(alert)
        return sorted(pages, key=lambda said: not said.urgent)

    def over(self, said: Page) -> frozenset[str]:
        """Alerts of this page that have ended, maybe while it waited for its channel."""
        lives = (self._lives.get(call.alert) for call in said.calls)
        return frozenset(life.id for life in lives if life and life.transitions and not life.open)

    @property
    def figures(self) -> dict[str, float]:
        waiting = sum(len(calls) for calls in self._waiting.values())
        return {
            "alerts": len(self._lives),
            "waiting_calls": waiting,
            "undecided": len(self.undecided),
        }

    def ended(self) -> set[str]:
        """Alerts that are known to be over."""
        return {alert for alert, life in self._lives.items() if life.transitions and not life.open}

    def forget(self, now_ms: int) -> None:
        """Drop what is over and was last heard of days ago. What is open stays: its lease, and who was
        told of it, last until its end."""
        for alert, life in list(self._lives.items()):
            if life.open:
                continue
            if now_ms - life.newest_ms < FORGET_AFTER_MS or alert in self._waiting:
                continue
            del self._lives[alert]
            self._partition.pop(alert, None)
            self.undecided.pop(alert, None)
            self._said.told.pop(alert, None)
            self._said.ended.discard(alert)
            for transition in life.transitions.values():
                self._alerts_of[transition.school].discard(alert)
                for school in transition.members:
                    self._outages_of[school].discard(alert)
        self._gates = {key: at for key, at in self._gates.items() if at > now_ms}

    def _life(self, alert: str) -> Life:
        return self._lives.setdefault(alert, Life(alert))

    def _members_of(self, outage: Life) -> None:
        for transition in outage.transitions.values():
            for school in transition.members:
                self._dirty |= self._alerts_of[school]

    def _ask(self, alert: str, now_ms: int) -> None:
        life = self._lives.get(alert)
        if life is None:
            return
        answer = self._decided(self._standing(life), now_ms)
        if answer.look_again_ms:
            heapq.heappush(self._again, (answer.look_again_ms, alert))
        for call in self._waiting.pop(alert, []):
            self._grouped[call.channel].pop(alert, None)
        if answer.calls:
            self._waiting[alert] = answer.calls
            for call in answer.calls:
                if call.group:
                    self._grouped[call.channel].setdefault(alert, []).append(call)

    def _decided(self, life: Life, now_ms: int) -> DueCalls:
        """What the policies say. One alert that they fail on is no other's trouble: it goes to everyone
        by the built-in rules, and at the very least once."""
        around = Around(partition=self._partition.get(life.id))
        for policies in (self._policies, BUILT_IN_ALONE):
            try:
                around = self._around(life)
                return wanted(
                    life, policies, self._channels, lambda c: self._has(life, c), around, now_ms
                )
            except Exception as trouble:
                self.undecided[life.id] = _why(trouble)
        try:
            return DueCalls(
                at_least(life, self._channels, lambda c: self._has(life, c), around, now_ms)
            )
        except Exception as trouble:
            self.undecided[life.id] = _why(trouble)
            return NOTHING

    def _has(self, life: Life, call: str) -> bool:
        return call in self._made or call in life.steps

    def _standing(self, life: Life) -> Life:
        """With the opening that the outbox remembers, where Kafka's is older than what we have read."""
        told = self._said.told.get(life.id)
        if life.transitions or not told:
            return life
        opening = opening_of(next(iter(told.values())))
        return Life(life.id, {0: opening}, life.steps)

    def _look_when_it_opens(self, alert: str) -> None:
        """What may be said already, too: it is asked again until it is made."""
        opens_ms = [self._opens_ms(call) for call in self._waiting.get(alert, [])]
        if opens_ms:
            heapq.heappush(self._opening, (min(opens_ms), alert))

    def _around(self, life: Life) -> Around:
        partition = self._partition.get(life.id)
        told = self._said.told.get(life.id, {})
        unreached = self._said.unreached.__contains__
        if partition is None and told:
            partition = next(iter(told.values())).partition
        if not life.transitions or life.last.kind not in OF_AN_OUTAGE:
            return Around(partition=partition, told=told, unreached=unreached)
        named = {life.last.outage} if life.last.outage else set()
        known = [
            self._lives[one]
            for one in sorted(named | self._outages_of.get(life.last.school, set()))
            if one in self._lives and self._lives[one].transitions
        ]
        still = next((one for one in known if one.open), None)
        cleared_ms = max((ended_ms(one) for one in known if not one.open), default=0)
        return Around(still, cleared_ms, partition, told, unreached)

    def _opens_ms(self, call: Call) -> int:
        """When this call may be said at the earliest, as far as is known now."""
        return max(call.due_ms, self._gates.get((call.group, call.channel), 0))

    def _in_groups_or_alone(self, channel: str, opened: list[Call], now_ms: int) -> list[Page]:
        try:
            return self._in_groups(channel, now_ms)
        except Exception as trouble:
            self.undecided[channel] = _why(trouble)
            return [page(channel, [call], now_ms) for call in opened]

    def _in_groups(self, channel: str, now_ms: int) -> list[Page]:
        pages: list[Page] = []
        groups: dict[str, list[Call]] = defaultdict(list)
        for calls in self._grouped[channel].values():
            for call in calls:
                groups[call.group].append(call)
        ready = {
            group
            for group, of_it in groups.items()
            if any(self._opens_ms(call) <= now_ms for call in of_it)
        }
        many = {group for group, of_it in groups.items() if group in ready or _new(of_it)}
        many -= {"resolved"}
        if ready - {"resolved"} and len(many) > STORM_GROUPS:
            together = [call for group in sorted(many) for call in _said(groups[group], now_ms)]
            pages += self._say(channel, together, {group: groups[group] for group in many}, now_ms)
            ready -= many
        for group in sorted(ready):
            said = _said(groups[group], now_ms)
            pages += self._say(channel, said, {group: groups[group]}, now_ms)
        return pages

    def _say(
        self, channel: str, calls: list[Call], groups: Mapping[str, list[Call]], now_ms: int
    ) -> list[Page]:
        """One page of ``calls``, out of all that waits in these groups."""
        for group, waiting in groups.items():
            gate_ms = now_ms + max((c.interval_ms for c in calls if c.group == group), default=0)
            self._gates[group, channel] = gate_ms
            for call in waiting:
                heapq.heappush(self._opening, (max(call.due_ms, gate_ms), call.alert))
        return [page(channel, calls, now_ms)] if calls else []


def _why(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"[:200]


def _new(calls: list[Call]) -> bool:
    return any(call.why == "opened" for call in calls)


def _said(calls: list[Call], now_ms: int) -> list[Call]:
    return [call for call in calls if call.due_ms <= now_ms or call.why in JOIN_BEFORE_HOLD]
