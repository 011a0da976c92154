"""Transitions and steps for these tests."""

from typing import Any

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from schemas.steps import StepTaken, Took

SCHOOL = "KZ-75-00001"


def changed(
    alert: str = "alert-1",
    number: int = 0,
    at_ms: int = 0,
    kind: AlertKind = AlertKind.PANIC,
    **fields: Any,
) -> AlertChanged:
    severity = Severity.PANIC if kind is AlertKind.PANIC else Severity.CRITICAL
    told = {
        "id": alert,
        "number": number,
        "kind": kind,
        "severity": severity,
        "action": Action.UPDATED if number else Action.OPENED,
        "school": SCHOOL,
        "time_ms": at_ms,
        "decided_ms": at_ms,
    }
    return AlertChanged.model_validate(told | fields)


def step(took: Took, alert: str = "alert-1", at_ms: int = 1, **fields: Any) -> StepTaken:
    told = {
        "id": f"step-{took}-{alert}-{at_ms}",
        "alert": alert,
        "school": SCHOOL,
        "took": took,
        "actor": "aigul",
        "time_ms": at_ms,
    }
    return StepTaken.model_validate(told | fields)
