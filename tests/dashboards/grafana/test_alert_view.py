"""The view published_alerts against schemas.life, which every other reader folds with: random courses of
alerts, with steps said twice, presses after a close and acts of one millisecond."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.alerts import Action, AlertChanged, AlertKind, Cause, Severity
from schemas.life import Life
from schemas.steps import PanicOutcome, StepTaken, Took
from tests.dashboards.grafana.engine import Engine
from tests.dashboards.grafana.truth import stamp

pytestmark = pytest.mark.broker

LIVES = 800
START_MS = 1_790_000_000_000
SCHOOL = "KZ-75-00001"
BY_PEOPLE = (Took.CLOSED, Took.REOPENED, Took.ACKNOWLEDGED, Took.DISPATCHED, Took.ARRIVED)
COLUMNS = ("last_severity", "waiting", "sent", "delivered", "acknowledged", "dispatched", "arrived",
           "closed", "resolved", "outcome", "drill", "score")  # fmt: skip


def _transitions(rng: random.Random, name: str) -> list[AlertChanged]:
    made = []
    now_ms = START_MS
    for number in range(rng.randint(1, 4)):
        now_ms += rng.randint(0, 6)
        action = (
            Action.OPENED
            if number == 0
            else rng.choice([Action.UPDATED, Action.UPDATED, Action.RESOLVED])
        )
        made.append(
            AlertChanged(
                id=name,
                number=number,
                kind=AlertKind.PANIC,
                severity=rng.choice([Severity.PANIC, Severity.INFO]),
                action=action,
                school=SCHOOL,
                time_ms=now_ms - rng.randint(0, 5),
                decided_ms=now_ms,
                note=rng.choice(["", "", "late", "cancelled by the school", "отменено"]),
                cause=rng.choice([Cause.UNSAID, Cause.UNSAID, Cause.PRESS, Cause.CANCEL]),
                drill=rng.random() < 0.4,
                score=rng.choice([None, None, 1, 3]),
            )
        )
    return made


def _steps(rng: random.Random, name: str) -> list[tuple[int, StepTaken]]:
    """With Kafka's time; ids repeat, as those of a machine that was killed do."""
    often = (
        [Took.CLOSED] * 4
        + [Took.REOPENED] * 2
        + [Took.ACKNOWLEDGED] * 2
        + [Took.VERIFIED] * 3
        + list(Took)
    )
    return [
        (
            START_MS + rng.randint(0, 25),
            StepTaken(
                id=f"{name}-{took}-{rng.randint(0, 3)}",
                alert=name,
                school=SCHOOL,
                took=took,
                actor="somebody",
                time_ms=START_MS,
                target=rng.choice(["exits", "reports"]) if took is Took.VERIFIED else "kz-75-ocs",
                outcome=rng.choice(list(PanicOutcome)),
                score=rng.choice([None, None, 2, 4]) if took is Took.VERIFIED else None,
                upto=_seen(rng) if took in BY_PEOPLE else None,
            ),
        )
        for took in rng.sample(often, rng.randint(0, 8))
    ]


def _seen(rng: random.Random) -> int | None:
    return rng.choice([None, 0, 1, 2, 3])


def _moment(ms: int) -> str | None:
    return stamp(datetime.fromtimestamp(ms / 1000, UTC)) if ms else None


def _wanted(life: Life) -> dict[str, Any]:
    closed = life.closed
    closed_ms = 0 if closed is None else life.steps[closed.id].kafka_ms
    ended = [t.decided_ms for t in life.transitions.values() if t.action is Action.RESOLVED]
    return {
        "last_severity": str(life.severity),
        "waiting": _moment(life.reopened_ms or life.opened_ms),
        **{
            str(took): _moment(life.first_ms(took))
            for took in (
                Took.SENT,
                Took.DELIVERED,
                Took.ACKNOWLEDGED,
                Took.DISPATCHED,
                Took.ARRIVED,
            )
        },
        "closed": _moment(closed_ms),
        "resolved": _moment(min(ended) if life.resolved else closed_ms),
        "outcome": str(life.outcome),
        "drill": life.drill,
        "score": -1 if life.score is None else life.score,
    }


@pytest.fixture(scope="module")
def lives() -> Iterator[tuple[dict[str, Life], dict[str, dict[str, Any]]]]:
    rng = random.Random(5)
    folded = {name: Life(name) for name in (f"alert-{n:04}" for n in range(LIVES))}
    transitions: list[dict[str, Any]] = []
    steps: list[tuple[int, StepTaken]] = []
    for name, life in folded.items():
        for said in _transitions(rng, name):
            life.changed(said)
            transitions.append(
                {
                    **said.model_dump(include={"id", "number", "school", "note", "drill", "score"}),
                    "kind": str(said.kind),
                    "severity": str(said.severity),
                    "action": str(said.action),
                    "cause": str(said.cause),
                    "time": _moment(said.time_ms),
                    "decided": _moment(said.decided_ms),
                    "kafka_time": _moment(said.decided_ms),
                    "count": 1,
                }
            )
        steps += _steps(rng, name)
    rows = []
    for offset, (kafka_ms, step) in enumerate(sorted(steps, key=lambda one: one[0]), start=1):
        folded[step.alert].took(step, kafka_ms, offset)
        rows.append(
            {
                **step.model_dump(
                    include={"id", "alert", "school", "actor", "target", "score", "upto"}
                ),
                "took": str(step.took),
                "outcome": str(step.outcome),
                "time": _moment(step.time_ms),
                "kafka_time": _moment(kafka_ms),
                "kafka_offset": offset,
            }
        )
    engine = Engine()
    for table, made in (("alert_transitions", transitions), ("alert_steps", rows)):
        half = len(made) // 2  # two parts, so that nothing rests on one merge
        engine.insert(table, made[:half])
        engine.insert(table, made[half:])
    found = engine.rows(f"SELECT id, {', '.join(COLUMNS)} FROM published_alerts")["data"]
    yield folded, {name: dict(zip(COLUMNS, row, strict=True)) for name, *row in found}
    engine.close()


def test_the_view_says_of_every_alert_what_the_fold_says(
    lives: tuple[dict[str, Life], dict[str, dict[str, Any]]],
) -> None:
    folded, found = lives
    assert set(found) == set(folded)
    wrong = {
        name: (found[name], wanted)
        for name, life in folded.items()
        if found[name] != (wanted := _wanted(life))
    }
    assert not wrong, (len(wrong), next(iter(wrong.items())))


def test_the_random_courses_hold_what_is_hard(
    lives: tuple[dict[str, Life], dict[str, dict[str, Any]]],
) -> None:
    folded, _ = lives
    assert sum(life.reopenings > 0 for life in folded.values()) > 30
    assert sum(life.closed is not None for life in folded.values()) > 30
    assert sum(life.drill for life in folded.values()) > 30
    assert sum(life.reopenings > 0 and not life.open for life in folded.values()) > 10
    assert sum(len(life.evidence()) > 1 for life in folded.values()) > 3
    assert sum(_unseen_reopened(life) for life in folded.values()) > 10
    said = [t for life in folded.values() for t in life.transitions.values()]
    assert len({(t.cause, t.note.startswith("cancelled ")) for t in said}) == 6


def _unseen_reopened(life: Life) -> bool:
    """By a press that Kafka had before the close."""
    words = [s for s in life.timeline() if s.step.took is Took.CLOSED and s.step.upto is not None]
    causes = life.causes()
    return life.reopenings > 0 and any(
        t.number > (s.step.upto or 0) and t.decided_ms < s.kafka_ms for s in words for t in causes
    )
