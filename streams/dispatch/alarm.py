"""One message to a center, as every adapter gets it. Kept in the journal, so a repeat is the same."""

from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from schemas.life import Life
from schemas.steps import Took
from streams.dispatch.centers import Center
from streams.dispatch.decide import Kind, Send
from streams.dispatch.school_address import SchoolAddress

MOST_PLACES: Final = 5


class Alarm(BaseModel):
    """``message`` is the idempotency key, ``seq`` the DC-09 sequence number (1 to 9999).

    ``places``: where in the school. ``refers_to``: (message, sent_ms) of what an update or cancel is
    about. Times in ms since 1970.
    """

    model_config = ConfigDict(frozen=True)

    message: str
    kind: Kind
    alert: str
    seq: Annotated[int, Field(ge=1, le=9999)]
    sent_ms: int
    school: str
    school_name: str = ""
    region: str = ""
    district: str = ""
    latitude: float | None = None
    longitude: float | None = None
    device: str = ""
    places: tuple[str, ...] = ()
    event: str = ""
    pressed_ms: int = 0
    presses: int = 1
    score: int = 0
    why: tuple[str, ...] = ()
    duress: bool = False
    drill: bool = False
    unidentified: bool = False
    refers_to: tuple[tuple[str, int], ...] = ()


class Receipt(BaseModel):
    """What came of one attempt. ``note`` says to whom and, if not ``taken``, why not."""

    model_config = ConfigDict(frozen=True)

    taken: bool
    note: str


class Adapter(Protocol):
    """How one center is reached. It never raises for what the other side does."""

    async def send(self, alarm: Alarm, receiver: int) -> Receipt:
        """One attempt at one of the center's addresses; bounded by ``ack_timeout_s``."""

    async def check(self, receiver: int) -> Receipt:
        """Whether the link works, without an alarm."""

    async def close(self) -> None: ...


def alarm_of(
    life: Life,
    send: Send,
    school: SchoolAddress | None,
    seq: int,
    now_ms: int,
    refers_to: tuple[tuple[str, int], ...] = (),
) -> Alarm:
    first, last = life.first, life.last
    return Alarm(
        message=send.message,
        kind=send.kind,
        alert=life.id,
        seq=seq,
        sent_ms=now_ms,
        school=first.school,
        school_name=school.name if school else "",
        region=school.region if school else "",
        district=school.district if school else "",
        latitude=school.latitude if school else None,
        longitude=school.longitude if school else None,
        device=first.device,
        places=tuple(_places(life, school)),
        event=first.event,
        pressed_ms=first.time_ms,
        presses=last.count,
        score=send.score,
        why=(*last.why, *_found(life)),
        duress=any(t.duress for t in life.transitions.values()),
        drill=life.drill,
        unidentified=first.unidentified,
        refers_to=refers_to,
    )


def _places(life: Life, school: SchoolAddress | None) -> list[str]:
    """Where in the school it was pressed, each once, the newest first: as the press says, else as the
    registry says of the button."""
    known = school.places if school else {}
    presses = sorted(life.transitions.values(), key=lambda t: -t.number)
    places = [t.place or known.get(t.device, "") for t in presses]
    return [place for place in dict.fromkeys(places) if place][:MOST_PLACES]


def _found(life: Life) -> list[str]:
    """What speaks for it beside the presses. A machine's words only: they name nobody."""
    steps = (s.step for s in life.timeline())
    return [s.note for s in steps if s.took is Took.VERIFIED and s.by_machine]


def receiver_of(center: Center, attempt: int) -> int:
    """The address of this attempt: the primary first, then in turn."""
    return (attempt - 1) % len(center.addresses)
