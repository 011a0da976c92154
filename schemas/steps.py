"""What people and adapters did about an alert, append-only, beside what the lanes decided of it.

A lane's decision never waits for a step and never depends on one: the panic and liveness workers
do not read these. How an alert stands follows from both (schemas.life).
"""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.events import Contract, Count, ShortText, TimeMs

PHONE: Final = "phone:"
"""Begins the target of an escalation to a person whom no machine calls (docs/panic.md)."""


MACHINE: Final = "saqshy:"
"""Begins the actor of a step that no person took."""


class Took(StrEnum):
    """What was done."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    NOTIFIED = "notified"
    ESCALATED = "escalated"
    VERIFIED = "verified"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    SILENCED = "silenced"
    DISPATCHED = "dispatched"
    ARRIVED = "arrived"
    NOTED = "noted"
    PROMOTED = "promoted"
    CLOSED = "closed"
    REOPENED = "reopened"


class PanicOutcome(StrEnum):
    """What a panic turned out to be."""

    NONE = ""
    REAL = "real"
    FALSE = "false"
    DRILL = "drill"


class StepTaken(Contract):
    """One step. ``id`` makes a repeat known as such; ``alert`` and ``school`` say where it belongs.

    ``actor`` is a person's login, or ``saqshy:<process>`` for a machine. ``target`` is the center,
    the channel or the person it was done to. ``time_ms`` is the actor's clock; Kafka's own stamp
    orders the steps. ``until_ms`` ends a silence. ``score`` is 0 to 4 on the lines of AVS-01; ``verified``
    without one is evidence of the kind in ``target``, which adds one to what the presses gave. ``upto`` is
    the number of the newest transition that the actor had seen: what is newer was not meant. None:
    whatever Kafka had before it. ``cause`` is what a page was sent for (streams.paging.page.Why); of before,
    and of other steps, empty. ``note`` is for people.
    """

    type: Literal["alert.step"] = "alert.step"
    id: Annotated[str, Field(min_length=8, max_length=64)]
    alert: Annotated[str, Field(min_length=1, max_length=64)]
    school: str
    took: Annotated[Took, Field(strict=False)]
    actor: ShortText
    time_ms: TimeMs
    target: Annotated[str, Field(max_length=120)] = ""
    attempt: Count = 0
    note: Annotated[str, Field(max_length=1000)] = ""
    outcome: Annotated[PanicOutcome, Field(strict=False)] = PanicOutcome.NONE
    until_ms: TimeMs = 0
    score: Annotated[int | None, Field(ge=0, le=4)] = None
    upto: Annotated[int | None, Field(ge=0)] = None
    cause: Annotated[str, Field(max_length=40)] = ""

    @property
    def by_machine(self) -> bool:
        return self.actor.startswith(MACHINE)


def step_id(alert: str, took: Took, target: str, epoch: int | str) -> str:
    """The id of a machine's step: the same when it is taken again for the same reason."""
    return sha256(f"{alert}|{took}|{target}|{epoch}".encode()).hexdigest()[:32]
