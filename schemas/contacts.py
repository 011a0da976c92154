"""Whom to call at a school and at its police center. A class of records of its own: it is in no topic, no
table and no stream, and what is erased is gone (docs/console.md).
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import SchoolId, ShortText

Phone = Annotated[str, Field(pattern=r"^\+?[0-9][0-9 ()-]{1,24}$", description="as one dials it")]


class ContactRole(StrEnum):
    DUTY = "duty"
    DIRECTOR = "director"
    GUARD = "guard"
    PROVIDER = "provider"
    RECEPTION = "reception"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Contact(_Record):
    """``mobile``: a person's own number, shown only for an alarm or after a look that is logged."""

    role: ContactRole
    name: ShortText
    phone: Phone
    mobile: bool = False


class SchoolContacts(_Record):
    """All that is known of one school; a newer record replaces an older one whole."""

    school: SchoolId
    address: Annotated[str, Field(max_length=300)] = ""
    contacts: Annotated[tuple[Contact, ...], Field(max_length=20)] = ()


IMAGES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""By how they begin."""


class FloorPlan(_Record):
    """Of one floor, as PNG or JPEG; shown for an alarm, or after a look that is logged."""

    school: SchoolId
    floor: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,16}$")]
    image: Annotated[bytes, Field(max_length=5_000_000)]

    @property
    def type(self) -> str:
        """Its media type. Raises ValueError for what is neither of the two."""
        for beginning, media in IMAGES.items():
            if self.image.startswith(beginning):
                return media
        raise ValueError("a floor plan is a PNG or a JPEG")


class CenterContact(_Record):
    center: Annotated[str, Field(min_length=1, max_length=32)]
    name: ShortText
    phone: Phone


class Contacts(_Record):
    """A file of them."""

    schools: tuple[SchoolContacts, ...] = ()
    centers: tuple[CenterContact, ...] = ()
