"""How one alert is shown: what its last transition says, and how its life stands. Pure."""

from typing import Any, Final

from schemas.alerts import AlertKind
from schemas.life import Life, Stamped
from schemas.steps import PHONE, StepTaken, Took

SHOWN_STEPS: Final = 60
SHOWN_MEMBERS: Final = 50
SHOWN_PLACES: Final = 5
OURS: Final = frozenset({AlertKind.MONITORING_IMPAIRED, AlertKind.PIPELINE_SILENT})


def standing(life: Life, received_ms: int) -> dict[str, Any]:
    """The alert for the screen. ``seen`` counts what people did: who acts says what they have seen.

    Times are Kafka's in ms, 0 for what has not happened. Raises ValueError for a life of which
    only steps are known.
    """
    said, last, closed = list(life.transitions.values()), life.last, life.closed
    timeline = life.timeline()
    explained = max((t for t in said if t.why), key=lambda t: t.number, default=None)
    return {
        **last.model_dump(mode="json", exclude={"members"}),
        "members": last.members[:SHOWN_MEMBERS],
        "members_count": len(last.members),
        "places": list(dict.fromkeys(t.place for t in said if t.place))[:SHOWN_PLACES],
        "buttons": sorted({t.device for t in said if t.device}),
        "count": max(t.count for t in said),
        "severity": life.severity.value,
        "drill": life.drill,
        "late": any(t.late for t in said),
        "duress": any(t.duress for t in said),
        "score": life.score,
        "why": explained.why if explained else [],
        "opened_ms": life.opened_ms,
        "raised_ms": life.raised_ms,
        "received_ms": received_ms,
        "state": state(life),
        "acknowledged_by": life.by(Took.ACKNOWLEDGED),
        "acknowledged_ms": life.first_ms(Took.ACKNOWLEDGED),
        "assigned_to": life.assigned_to,
        "dispatched_by": life.by(Took.DISPATCHED),
        "dispatched_ms": life.first_ms(Took.DISPATCHED),
        "arrived_ms": life.first_ms(Took.ARRIVED),
        "closed_by": closed.actor if closed else "",
        "closed_ms": life.steps[closed.id].kafka_ms if closed else 0,
        "outcome": life.outcome.value,
        "call": _to_call(timeline),
        "delivered_to": sorted(life.delivered_to()),
        "silenced_until_ms": _silenced_until_ms(timeline),
        "seen": sum(by_person(s.step) for s in timeline),
        "timeline": [_line(s) for s in timeline[-SHOWN_STEPS:]],
    }


def state(life: Life) -> str:
    """The furthest it has come: open, acknowledged, dispatched, arrived, closed or resolved."""
    if life.closed is not None:
        return "closed"
    if life.resolved:
        return "resolved"
    for took in (Took.ARRIVED, Took.DISPATCHED, Took.ACKNOWLEDGED):
        if life.first_ms(took):
            return took.value
    return "open"


def by_person(step: StepTaken) -> bool:
    return not step.by_machine


def without_notes(alert: dict[str, Any]) -> dict[str, Any]:
    """The same for somebody who may not read what people wrote. Of our own trouble the note is ours."""
    note = alert["note"] if alert["kind"] in OURS else ""
    return {**alert, "note": note, "timeline": [{**s, "note": ""} for s in alert["timeline"]]}


WALL_SHOWS: Final = (
    *("id", "number", "kind", "severity", "school", "scope", "outage", "state", "drill", "duress"),
    *("late", "unidentified", "score", "count", "members", "members_count"),
    *("opened_ms", "raised_ms", "acknowledged_ms", "dispatched_ms", "arrived_ms", "closed_ms"),
)


def for_wall(alert: dict[str, Any]) -> dict[str, Any]:
    """What everybody may see who passes by: nobody's name, word or number."""
    return {name: alert[name] for name in WALL_SHOWS if name in alert}


def _to_call(timeline: list[Stamped]) -> list[str]:
    """Whom dispatch says to call, in its order, each once."""
    targets = [s.step.target for s in timeline if s.step.took is Took.ESCALATED]
    return list(dict.fromkeys(t.removeprefix(PHONE) for t in targets if t.startswith(PHONE)))


def _silenced_until_ms(timeline: list[Stamped]) -> int:
    silences = [s.step.until_ms for s in timeline if s.step.took is Took.SILENCED]
    return silences[-1] if silences else 0


def _line(stamped: Stamped) -> dict[str, Any]:
    step = stamped.step
    return {
        "id": step.id,
        "took": step.took.value,
        "actor": step.actor,
        "ms": stamped.kafka_ms,
        "target": step.target,
        "note": step.note,
        "outcome": step.outcome.value,
    }
