"""From what the watchdog saw to what is wrong. Pure: observations and the time in, findings out.

A finding opens when its symptom has held for a while and ends when it has been gone for a while, so
that a restart of ours pages nobody and a flutter is one page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

PRESS_SEEN_WITHIN_S: Final = 5.0
STALE_AFTER_S: Final = 120.0
LAG_RECORDS: Final = 200_000
FROZEN_AFTER_S: Final = 60.0
GONE_FOR_S: Final = 60.0
SAY_AGAIN_AFTER_S: Final = 900.0

HOLDS_S: Final[Mapping[str, float]] = {
    "panic canary": 0.0,
    "gateway canary": 15.0,
    "gateway panic canary": 15.0,
    "kafka": 15.0,
    "heartbeat canary": 15.0,
    "health": 20.0,
    "clickhouse": 30.0,
    "freshness": 30.0,
    "lag": 60.0,
    "frozen": 0.0,
    "lost": 0.0,
}
"""How long each symptom must hold. Those of 0 have waited already."""

Place = tuple[str, str, int]
"""group, topic, partition"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One round of looking. Times are monotonic seconds; empty texts are good news.

    ``press_sent_s``: when the oldest canary press was sent that no alert has answered.
    ``gateway`` and ``gateway_panic``: why its listeners did not take, or pass on, the last canary;
    ``gateway_press_sent_s``: as ``press_sent_s``, of those that it took.
    ``stored_age_s``: since ClickHouse's newest heartbeat; None when it has none of the last day.
    ``lost``: what of a topic was deleted before it was stored, by topic, as was found lately.
    ``committed`` and ``ends``: offsets by place; ``unhealthy``: names of processes and why;
    ``deaf``: of those that are ready, and which sources they have not heard from for too long.
    """

    at_s: float
    kafka: str = ""
    clickhouse: str = ""
    stored_age_s: float | None = None
    press_sent_s: float | None = None
    gateway: str = ""
    gateway_panic: str = ""
    gateway_press_sent_s: float | None = None
    canaries_refused: tuple[int, ...] = ()
    committed: Mapping[Place, int] = field(default_factory=dict)
    ends: Mapping[Place, int] = field(default_factory=dict)
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    deaf: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """``name`` begins with the kind of HOLDS_S, ``since_s`` is when its symptom began. ``opened`` False:
    it is over."""

    name: str
    detail: str
    opened: bool
    since_s: float
    repeated: bool = False


@dataclass(slots=True)
class _Symptom:
    since_s: float
    last_s: float
    detail: str
    said_s: float | None = None


class Findings:
    """What is wrong, and since when."""

    def __init__(self) -> None:
        self._symptoms: dict[str, _Symptom] = {}
        self._moved: dict[Place, tuple[int, float]] = {}

    @property
    def open(self) -> dict[str, str]:
        return {name: s.detail for name, s in self._symptoms.items() if s.said_s is not None}

    def adopt(self, name: str, detail: str, at_s: float) -> None:
        """The watchdog before said that this is open: it is said again, or ends, but does not begin."""
        symptom = self._symptoms.setdefault(name, _Symptom(at_s, at_s, detail))
        if symptom.said_s is None:
            symptom.said_s = at_s - SAY_AGAIN_AFTER_S

    def look(self, seen: Seen) -> list[Change]:
        """What begins, ends, or must be said again with this round."""
        present = dict(self._symptoms_in(seen))
        for name, detail in present.items():
            known = self._symptoms.setdefault(name, _Symptom(seen.at_s, seen.at_s, detail))
            known.last_s, known.detail = seen.at_s, detail
        changes = []
        for name, symptom in list(self._symptoms.items()):
            if name not in present and symptom.said_s is None:
                del self._symptoms[name]
            elif name not in present and seen.at_s - symptom.last_s >= GONE_FOR_S:
                del self._symptoms[name]
                changes.append(Change(name, symptom.detail, False, symptom.since_s))
            elif name in present and self._is_due(name, symptom, seen.at_s):
                repeated = symptom.said_s is not None
                symptom.said_s = seen.at_s
                changes.append(Change(name, symptom.detail, True, symptom.since_s, repeated))
        return changes

    def _is_due(self, name: str, symptom: _Symptom, at_s: float) -> bool:
        if symptom.said_s is not None:
            return at_s - symptom.said_s >= SAY_AGAIN_AFTER_S
        return at_s - symptom.since_s >= HOLDS_S[name.partition(":")[0]]

    def _symptoms_in(self, seen: Seen) -> Iterable[tuple[str, str]]:
        if seen.kafka:
            yield "kafka", seen.kafka
        if seen.clickhouse:
            yield "clickhouse", seen.clickhouse
        if seen.stored_age_s is not None and seen.stored_age_s > STALE_AFTER_S:
            yield "freshness", f"newest stored heartbeat is {seen.stored_age_s:.0f} s old"
        waited_s = 0.0 if seen.press_sent_s is None else seen.at_s - seen.press_sent_s
        unanswered = waited_s > PRESS_SEEN_WITHIN_S
        if unanswered:
            yield "panic canary", f"a press has not become an alert for {waited_s:.0f} s"
        if seen.canaries_refused:
            partitions = ", ".join(str(number) for number in seen.canaries_refused)
            yield "heartbeat canary", f"Kafka did not take those of partitions {partitions}"
        yield from self._of_gateway(seen, unanswered)
        for name, why in seen.unhealthy.items():
            yield f"health:{name}", why
        if not (seen.kafka or seen.clickhouse):  # then the source is what is wrong
            for name, why in seen.deaf.items():
                yield f"health:{name}", why
        for topic, what in seen.lost.items():
            yield f"lost:{topic}", what
        yield from self._of_offsets(seen)

    def _of_gateway(self, seen: Seen, unanswered: bool) -> Iterable[tuple[str, str]]:
        """What is Kafka's, or the panic workers', is said as theirs and not as the gateway's."""
        if seen.kafka or seen.canaries_refused:
            return
        if seen.gateway:
            yield "gateway canary", seen.gateway
        sent_s = seen.gateway_press_sent_s
        waited_s = 0.0 if sent_s is None else seen.at_s - sent_s
        if seen.gateway_panic:
            yield "gateway panic canary", seen.gateway_panic
        elif waited_s > PRESS_SEEN_WITHIN_S and not unanswered:
            yield "gateway panic canary", f"a press it took is no alert after {waited_s:.0f} s"

    def _of_offsets(self, seen: Seen) -> Iterable[tuple[str, str]]:
        """A lag that does not shrink is a lane too slow; one that stands still, a lane that hangs."""
        lags: dict[str, int] = {}
        frozen: dict[str, float] = {}
        for place, offset in seen.committed.items():
            lag = seen.ends.get(place, offset) - offset
            before = self._moved.get(place)
            if before is None or before[0] != offset or lag <= 0:
                self._moved[place] = (offset, seen.at_s)
            else:
                frozen[place[0]] = max(frozen.get(place[0], 0.0), seen.at_s - before[1])
            lags[place[0]] = lags.get(place[0], 0) + max(0, lag)
        for group, stood_s in frozen.items():
            if stood_s > FROZEN_AFTER_S:
                yield (
                    f"frozen:{group}",
                    f"nothing committed for {stood_s:.0f} s though there is more",
                )
        for group, lag in lags.items():
            if lag > LAG_RECORDS:
                yield f"lag:{group}", f"{lag} records behind"
