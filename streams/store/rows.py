"""Events as columns of their raw table, in the order of the table's column names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from schemas.alerts import AlertChanged, DeadLetter, StatusChanged
from schemas.events import (
    DrillDeclared,
    EquipmentChanged,
    Heartbeat,
    HelpRequested,
    IncidentRegistered,
    IncidentReported,
    InspectionCompleted,
    PanicCancelled,
    PanicPressed,
    PanicTest,
    Pass,
    SchoolRegistered,
)
from schemas.steps import StepTaken
from schemas.times import LAST_STORED_MS
from schemas.topics import (
    ALERTS,
    FACILITIES,
    HEARTBEATS,
    INCIDENTS,
    PANICS,
    PASSES,
    REGISTRY,
    STATUS,
    STEPS,
)
from streams.decode.fast import FastDecoder, columns

Row = tuple[Any, ...]
Columns = list[list[Any]]

MAX_UINT32: Final = 2**32 - 1

_ORIGIN = ("kafka_partition", "kafka_offset", "kafka_time")
_ENVELOPE = ("id", "school", "device", "time", "boot", "seq")


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` after those of the origin, filled by ``fill``. ``rollups``: what its views feed.

    ``fast`` decodes most events; ``fill`` then takes its events only. ``kept_days``: how long its rows
    stay at least, where that is shorter than an event may be late.
    """

    name: str
    columns: tuple[str, ...]
    fill: Callable[[Sequence[Any]], Columns]
    rollups: tuple[str, ...] = ()
    fast: FastDecoder | None = None
    kept_days: int = 30

    @property
    def all_columns(self) -> tuple[str, ...]:
        return (*_ORIGIN, *self.columns)


def _by_row(row: Callable[[Any], Row]) -> Callable[[Sequence[Any]], Columns]:
    def fill(events: Sequence[Any]) -> Columns:
        return [list(column) for column in zip(*map(row, events), strict=True)]

    return fill


def _by_name(*names: str) -> Callable[[Sequence[Any]], Columns]:
    return lambda events: columns(events, names)


def _envelope(e: Any) -> Row:
    return (e.id, e.school, e.device, e.time_ms, e.boot, e.seq)


def _panic(e: PanicPressed | PanicCancelled | PanicTest | DrillDeclared) -> Row:
    duress = isinstance(e, PanicPressed) and e.duress
    place = (e.place or "") if isinstance(e, PanicPressed) else ""
    press = e.press if isinstance(e, PanicCancelled) else ""
    passed = e.passed if isinstance(e, PanicTest) else True
    return (*_envelope(e), e.type, duress, place, press, passed)


def _incident(e: IncidentReported | IncidentRegistered | HelpRequested) -> Row:
    values = {
        "channel": getattr(e, "channel", ""),
        "category": getattr(e, "category", ""),
        "language": getattr(e, "language", ""),
        "place": getattr(e, "place", ""),
        "text": getattr(e, "text", None) or "",
        "case": getattr(e, "case", ""),
        "involvement": getattr(e, "involvement", ""),
        "severity": getattr(e, "severity", ""),
        "topic": getattr(e, "topic", ""),
    }
    return (*_envelope(e), e.type, *(str(value) for value in values.values()))


def _date32(day: date) -> date:
    """The nearest day that ClickHouse's Date32 holds; it makes 1970 of what lies before."""
    return max(date(1900, 1, 1), min(date(2299, 12, 31), day))


def _facility(e: EquipmentChanged | InspectionCompleted) -> Row:
    if isinstance(e, InspectionCompleted):
        findings = (
            [f.code for f in e.findings],
            [f.severity.value for f in e.findings],
            [f.text for f in e.findings],
        )
        return (*_envelope(e), e.type, 0, 0, 0, False, "", "", None, e.inspector, *findings)
    contract = (
        ("", "", None)
        if e.contract is None
        else (e.contract.number, e.contract.company, _date32(e.contract.expires_on))
    )
    installed = (e.turnstiles, e.panic_buttons, e.gateways, e.police_link)
    return (*_envelope(e), e.type, *installed, *contract, "", [], [], [])


def _school(e: SchoolRegistered) -> Row:
    return (
        *_envelope(e),
        *(e.names.kk, e.names.ru, e.names.en, e.region, e.district, e.latitude, e.longitude),
        *(e.pupils, e.ownership.value, e.special, len(e.shifts), [s.bells for s in e.shifts]),
        *(e.provider, [p.value for p in e.programs], e.teacher_assistants),
        [d.device for d in e.devices],
        [d.kind.value for d in e.devices],
        [d.period_s for d in e.devices],
        e.center,
        [d.vendor for d in e.devices],
    )


def _stored(event_ms: int) -> int:
    """No event's time is judged here: an alert lasts, whatever the clock of its device said."""
    return min(event_ms, LAST_STORED_MS)


def _status(e: StatusChanged) -> Row:
    return (
        e.school,
        e.device,
        e.kind,
        e.status.value,
        e.previous.value,
        _stored(e.since_ms),
        e.decided_ms,
    )


def _alert(e: AlertChanged) -> Row:
    return (
        *(e.id, e.number, e.kind.value, e.severity.value, e.action.value, e.school, e.device),
        *(
            _stored(e.time_ms),
            e.decided_ms,
            min(e.count, MAX_UINT32),
            e.event,
            e.unidentified,
            e.note,
        ),
        *(e.late, e.duress, e.drill, e.score, e.why, e.scope, e.members, e.outage, e.cause.value),
    )


def _step(e: StepTaken) -> Row:
    return (
        *(e.id, e.alert, e.school, e.took.value, e.actor, _stored(e.time_ms), e.target),
        *(min(e.attempt, MAX_UINT32), e.note, e.outcome.value, e.until_ms, e.score, e.upto),
    )


def _sizes(family: str) -> tuple[str, ...]:
    return tuple(f"{family}_{size}" for size in ("1m", "5m", "1h"))


_SIGNED: Final = ("id", "school", "device", "time_ms", "boot", "seq")
_PASS: Final = ("direction", "outcome", "card")
_HEARTBEAT: Final = (
    *("kind", "period_s", "battery_pct", "link_pct", "provider", "buffered", "clock_offset_ms"),
)

TABLE_OF: Final = {
    PASSES.name: Table(
        "passes",
        (*_ENVELOPE, *_PASS),
        _by_name(*_SIGNED, *_PASS),
        _sizes("flow"),
        FastDecoder(Pass),
    ),
    HEARTBEATS.name: Table(
        "heartbeats",
        (*_ENVELOPE, *_HEARTBEAT),
        _by_name(*_SIGNED, *_HEARTBEAT),
        _sizes("heartbeats"),
        FastDecoder(Heartbeat),
        kept_days=3,
    ),
    PANICS.name: Table(
        "panics",
        (*_ENVELOPE, "type", "duress", "place", "press", "passed"),
        _by_row(_panic),
        _sizes("panics"),
    ),
    INCIDENTS.name: Table(
        "incidents",
        (
            *_ENVELOPE,
            *("type", "channel", "category", "language", "place", "text"),
            *("case_number", "involvement", "severity", "topic"),
        ),
        _by_row(_incident),
        _sizes("incidents"),
    ),
    FACILITIES.name: Table(
        "facilities",
        (
            *_ENVELOPE,
            *("type", "turnstiles", "panic_buttons", "gateways", "police_link", "contract_number"),
            *("contract_company", "contract_expires", "inspector"),
            *("finding_codes", "finding_severities", "finding_texts"),
        ),
        _by_row(_facility),
    ),
    REGISTRY.name: Table(
        "registry",
        (
            *_ENVELOPE,
            *("name_kk", "name_ru", "name_en", "region", "district", "latitude", "longitude"),
            *("pupils", "ownership", "special", "shifts", "bells", "provider", "programs"),
            "teacher_assistants",
            *("devices", "device_kinds", "device_periods_s", "center", "device_vendors"),
        ),
        _by_row(_school),
    ),
    STATUS.name: Table(
        "status_history",
        ("school", "device", "kind", "status", "previous", "since", "decided"),
        _by_row(_status),
    ),
    ALERTS.name: Table(
        "alert_transitions",
        (
            *("id", "number", "kind", "severity", "action", "school", "device", "time", "decided"),
            *("count", "event", "unidentified", "note"),
            *("late", "duress", "drill", "score", "why", "scope", "members", "outage", "cause"),
        ),
        _by_row(_alert),
    ),
    STEPS.name: Table(
        "alert_steps",
        (
            *("id", "alert", "school", "took", "actor", "time", "target"),
            *("attempt", "note", "outcome", "until", "score", "upto"),
        ),
        _by_row(_step),
    ),
}

DEAD_LETTER_COLUMNS: Final = (
    *("topic", "kafka_partition", "kafka_offset", "kafka_time"),
    *("reason", "path", "detail", "sha256", "size_bytes"),
)


def dead_letter_row(d: DeadLetter) -> Row:
    origin = (d.topic, d.partition, d.offset, d.kafka_time_ms)
    return (*origin, d.reason.value, d.path, d.detail, d.sha256, d.size_bytes)
