"""The police operational control centers: how each is reached, and who is called when it is not.

From one file, TOML or JSON (docs/panic.md describes it). Keys of centers stand in files of their own.
"""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self, assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.clear_text import Reaching, elsewhere, told, url_in_clear
from schemas.private import NotPrivate, SecretFile, closed, secret_files
from streams.dispatch.school_address import SchoolAddress

Seconds = Annotated[float, Field(ge=0, le=3_600)]
Ladder = Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=10)]
Person = Annotated[str, Field(min_length=1, max_length=100)]

AdapterKind = Literal["dc09", "cap", "webhook"]

ESCALATION_S: Final = (15.0, 30.0, 60.0)
DUTY_OFFICER: Final = "the duty officer of the operations center"


class CentersWrong(Exception):
    """The centers file can't be used; the message says what to change."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Center(_Part, Reaching):
    """One center. ``addresses``: the primary receiver, then the secondary ones; ``host:port`` for
    DC-09, URLs for CAP and webhook.

    ``hold_s``: so long an operator may look first, then it is sent by itself. ``drills``: gets drills,
    marked as exercises. ``acknowledged_by``: whose word ends the escalation, the receiver's or a
    person's. ``supervision_s``: how often the link is tested, 0 for never. ``account`` is ours there,
    for link tests; an alarm has its school's. ``fields``: which of the standard's extended fields its
    receiver can read: H time, I text, L place, S name.
    """

    id: Annotated[str, Field(min_length=1, max_length=32)]
    name: Annotated[str, Field(max_length=200)] = ""
    adapter: AdapterKind
    addresses: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)]
    key_file: SecretFile | None = None
    account: Annotated[str, Field(pattern=r"^[0-9A-F]{3,16}$")] = "5A0"
    prefix: Annotated[str, Field(pattern=r"^[0-9A-F]{1,6}$")] = "0"
    fields: Annotated[str, Field(pattern=r"^[HILS]*$")] = "HILS"
    people: tuple[Person, ...] = ()
    next: str = ""
    hold_s: Annotated[float, Field(ge=0, le=30)] = 0.0
    drills: bool = False
    acknowledged_by: Literal["receiver", "person"] = "receiver"
    escalation_s: Ladder | None = None
    ack_timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    supervision_s: Seconds = 60.0
    connections: Annotated[int, Field(ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _fits(self) -> Self:
        match self.adapter:
            case "dc09":
                if self.drills:
                    raise ValueError("DC-09 can't mark a drill, so drills must stay false")
            case "webhook":
                if self.key_file is None:
                    raise ValueError("a webhook is signed: give its key_file")
            case "cap":
                pass
            case other:
                assert_never(other)
        return self

    def in_clear(self) -> Iterator[tuple[str, str]]:
        match self.adapter:
            case "dc09":
                if self.key_file is None and any(elsewhere(self.addresses)):
                    yield "addresses", f"give center {self.id} a key_file"
            case "cap" | "webhook":
                if any(map(url_in_clear, self.addresses)):
                    yield "addresses", f"begin those of center {self.id} with https://"
            case other:
                assert_never(other)


class Region(_Part):
    people: tuple[Person, ...] = ()
    escalation_s: Ladder | None = None


class Centers(_Part):
    """``people`` are called for schools without a center, and when a center's own are not enough."""

    people: Annotated[tuple[Person, ...], Field(min_length=1)] = (DUTY_OFFICER,)
    escalation_s: Ladder = ESCALATION_S
    centers: tuple[Center, ...] = ()
    regions: dict[str, Region] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        ids = [center.id for center in self.centers]
        if len(set(ids)) != len(ids):
            raise ValueError("two centers have the same id")
        for center in self.centers:
            if center.next and (center.next not in ids or center.next == center.id):
                raise ValueError(f"center {center.id}: next names no other center")
        return self

    def by_id(self, center: str) -> Center | None:
        return next((one for one in self.centers if one.id == center), None)


@dataclass(frozen=True, slots=True)
class Way:
    """Of one school: its center and the next one, people in the order of calling, the clock.

    ``trouble`` says why there is no center, when that is a mistake somewhere.
    """

    centers: tuple[Center, ...] = ()
    people: tuple[str, ...] = (DUTY_OFFICER,)
    escalation_s: tuple[float, ...] = ESCALATION_S
    trouble: str = ""


def load(path: Path | None) -> Centers:
    """Raises CentersWrong."""
    if path is None:
        return Centers()
    try:
        text = path.read_text()
        said = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        centers = Centers.model_validate(said)
        for center in centers.centers:
            for _, key in secret_files(center):
                closed(key)
        return centers
    except NotPrivate as error:
        raise CentersWrong(f"{path}: {error}") from error
    except OSError as error:
        raise CentersWrong(f"The centers file can't be read: {error}") from error
    except ValidationError as error:
        raise CentersWrong(f"{path}: {told(error)}") from error
    except ValueError as error:
        raise CentersWrong(f"{path}: {error}") from error


def way_of(centers: Centers, school: SchoolAddress | None) -> Way:
    """The way of a school; of one that the registry does not know when None."""
    if school is None:
        return Way(
            (), centers.people, centers.escalation_s, "the registry does not know the school"
        )
    region = centers.regions.get(school.region, Region())
    center = centers.by_id(school.center) if school.center else None
    trouble = ""
    if school.center and center is None:
        trouble = f"center {school.center} is not in the centers file"
    own = center.people if center else ()
    people = tuple(dict.fromkeys([*own, *region.people, *centers.people]))
    ladder = (center and center.escalation_s) or region.escalation_s or centers.escalation_s
    following = centers.by_id(center.next) if center and center.next else None
    return Way(tuple(c for c in (center, following) if c), people, ladder, trouble)
