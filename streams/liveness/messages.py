"""Decisions as messages, in the order in which they must be acknowledged. Pure."""

from collections.abc import Iterable

from schemas.alerts import AlertChanged, StatusChanged
from schemas.topics import ALERTS, STATUS
from streams.liveness.school import Decision
from streams.outbox import Message


def steps(decided: Iterable[Decision]) -> list[list[Message]]:
    """Messages in as few steps as keep, for each school, an alert after the status that opens it,
    and a status after the alert that it ends; each step is acknowledged before the next is sent."""
    found: list[list[Message]] = []
    level: dict[str, tuple[int, bool]] = {}
    for decision in decided:
        is_alert = isinstance(decision, AlertChanged)
        at, was_alert = level.get(decision.school, (0, is_alert))
        at += is_alert is not was_alert
        level[decision.school] = (at, is_alert)
        if at == len(found):
            found.append([])
        found[at].append(message(decision))
    return found


def message(decision: Decision) -> Message:
    value = decision.model_dump_json().encode()
    if isinstance(decision, StatusChanged):
        # Compaction keeps the last word about each device.
        return Message(STATUS.name, f"{decision.school}/{decision.device}".encode(), value)
    return Message(ALERTS.name, decision.school.encode(), value)
