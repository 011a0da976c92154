"""Turns watchdog findings into alerts of kind pipeline_silent, so that the console shows them. Pure but
for the queue.

One alert of kind pipeline_silent per finding, from its beginning to its end, of no school; its
``scope`` is the finding's name. What Kafka has not taken is owed in order, and derived anew from what
stands on the topic: so a retry is the same record, and a watchdog that was restarted goes on with the
alerts of the one before.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.alerts import PAGED_BY_WATCHDOG, Action, AlertChanged, AlertKind, Severity, alert_id
from schemas.steps import MACHINE

ADVICE: Final[Mapping[str, str]] = {
    "panic canary": "Presses may not become alerts. Take calls by telephone, and look after Kafka "
    "and the panic workers: saqshy status.",
    "gateway canary": "Devices may not get through: what seems silent may be ours. Look after the "
    "gateway: var/log/gateway.log.",
    "gateway panic canary": "Presses may not get through the gateway. Take calls by telephone, and "
    "look after it: var/log/gateway.log.",
    "kafka": "Nothing goes on without it. Look after the brokers: saqshy doctor.",
    "heartbeat canary": "Silence of the schools of these partitions is not judged. Look after the "
    "brokers: saqshy doctor.",
    "health": "Look after this process: saqshy status, and its file in var/log.",
    "clickhouse": "Figures stand still; presses and silence do not need it. Look after the server.",
    "freshness": "What is stored is old. Look after ClickHouse and the flow worker: saqshy status.",
    "lag": "The lane is too slow. Start another worker of it: saqshy worker LANE.",
    "frozen": "The lane hangs. Restart its worker; it goes on where it stopped.",
    "lost": "Kafka deleted records before they were stored. Which ones: table losses in ClickHouse; what "
    "to do: docs/operations.md.",
}
"""What to do, by the kind of a finding."""


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding begins or ends. ``since_ms``: when its symptom began; ``now_ms``: when it was said."""

    name: str
    detail: str
    opened: bool
    since_ms: int
    now_ms: int


class Alerts:
    """``paged``: the watchdog has channels of its own, so that the notifier need not say it."""

    def __init__(self, *, paged: bool) -> None:
        self._paged = paged
        self._owed: deque[FindingChange] = deque()
        self._standing: dict[str, AlertChanged] = {}

    def changed(self, change: FindingChange) -> None:
        self._owed.append(change)

    def restored(self, said: Iterable[AlertChanged]) -> dict[str, str]:
        """Begin with what is on the topic: the notes of open findings of which nothing is owed."""
        latest: dict[str, AlertChanged] = {}
        for one in said:
            if one.id not in latest or latest[one.id].number < one.number:
                latest[one.id] = one
        self._standing = {
            id_: one for id_, one in latest.items() if one.action is not Action.RESOLVED
        }
        owed = {change.name for change in self._owed}
        return {one.scope: one.note for one in self._standing.values() if one.scope not in owed}

    def next(self) -> list[AlertChanged]:
        """What Kafka must take before ``taken``; empty when nothing is owed."""
        while self._owed:
            if due := self._transitions(self._owed[0]):
                return due
            self._owed.popleft()
        return []

    def taken(self, said: Iterable[AlertChanged]) -> None:
        self._owed.popleft()
        for one in said:
            if one.action is Action.RESOLVED:
                del self._standing[one.id]
            else:
                self._standing[one.id] = one

    def _transitions(self, change: FindingChange) -> list[AlertChanged]:
        standing = [one for one in self._standing.values() if one.scope == change.name]
        if change.opened:
            return [] if standing else [self._opened(change)]
        return [one.resolved(change.now_ms) for one in standing]

    def _opened(self, change: FindingChange) -> AlertChanged:
        advice = ADVICE[change.name.partition(":")[0]]
        return AlertChanged(
            id=alert_id(AlertKind.PIPELINE_SILENT, change.name, change.since_ms),
            number=0,
            kind=AlertKind.PIPELINE_SILENT,
            severity=Severity.CRITICAL,
            action=Action.OPENED,
            school="",
            time_ms=change.since_ms,
            decided_ms=change.now_ms,
            note=f"{change.detail}. {advice}",
            why=[PAGED_BY_WATCHDOG] if self._paged else [],
            paged_by=f"{MACHINE}watchdog" if self._paged else "",
            scope=change.name,
        )
