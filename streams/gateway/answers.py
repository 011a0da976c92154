"""What the HTTP listeners answer. The OpenAPI document is made from these models."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from streams.gateway.panics import Kept

Count = Annotated[int, Field(ge=0)]


class Rejection(BaseModel):
    """``at`` is the event's place in the batch, ``field`` a JSON pointer (RFC 6901)."""

    at: Count
    field: str
    detail: str


class Accepted(BaseModel):
    """Kafka has the accepted events, and had the repeated ones before."""

    accepted: Count
    repeated: Count
    rejected: list[Rejection]


class PressTaken(BaseModel):
    """``alerts`` are the ids that it raised or updated, ``told`` how many heard of it directly."""

    event: str
    kept: Kept
    alerts: list[str]
    told: Count


class Pressed(BaseModel):
    """The presses are raised and will not be lost, unless the warning says otherwise."""

    presses: Annotated[list[PressTaken], Field(min_length=1)]
    warning: str | None = None


class Problem(BaseModel):
    """Of RFC 9457."""

    type: Literal["about:blank"] = "about:blank"
    title: Annotated[str, Field(min_length=1)]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    rejected: list[Rejection] | None = None
