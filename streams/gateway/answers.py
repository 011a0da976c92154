"""What the HTTP listeners answer. The OpenAPI document is made from these models."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from streams.gateway.panics import Kept

MOST_TOLD: Final = 100
"""Of what is wrong with a batch, so much is said."""
Count = Annotated[int, Field(ge=0)]


class Rejection(BaseModel):
    """``at`` is the event's place in the batch, ``field`` a JSON pointer (RFC 6901)."""

    at: Count
    field: str
    detail: str


class Warned(Rejection):
    """What is taken and no lane will store; ``detail`` says what to do."""


Warnings = Annotated[list[Warned], Field(min_length=1, max_length=MOST_TOLD)]


class Accepted(BaseModel):
    """Kafka has the accepted events, and had the repeated ones before. ``warnings``: of the first that are
    taken and will not be stored."""

    accepted: Count
    repeated: Count
    rejected: list[Rejection]
    warnings: Warnings | None = None


class PressTaken(BaseModel):
    """``alerts`` are the ids that it raised or updated, ``told`` how many heard of it directly."""

    event: str
    kept: Kept
    alerts: list[str]
    told: Count


class Pressed(BaseModel):
    """The presses are raised and will not be lost, unless the warning says otherwise. ``warnings``: as of
    other events."""

    presses: Annotated[list[PressTaken], Field(min_length=1)]
    warning: str | None = None
    warnings: Warnings | None = None


class Problem(BaseModel):
    """Of RFC 9457."""

    type: Literal["about:blank"] = "about:blank"
    title: Annotated[str, Field(min_length=1)]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    rejected: list[Rejection] | None = None
