"""What a DC-09 frame of a known account means. Pure: frame in, event or answer out.

| the frame's token | its data say | it means |
|---|---|---|
| of an event | a call for help | EVENT: a press |
| of an event | a test | EVENT: a test of the button |
| of an event | another event of the standards | NOTHING |
| of an event | nothing legible, or a code of no standard | UNREADABLE |
| NULL | no call for help | EVENT: a heartbeat |
| of a receiver | whatever | UNSUPPORTED |
| any other | no call for help | UNSUPPORTED |
| NULL, any other | a call for help | UNREADABLE |

A frame that is damaged or odd can be trusted with less: a press is UNREADABLE then, and only an event
that is written as the standard has it shows that nobody called.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.events import Heartbeat, PanicPressed, PanicTest
from schemas.ids import uuid7
from streams.dc09 import CALLS, EVENT_TOKENS, RECEIVER_TOKENS, DataEvent, Frame, Kind, read_data
from streams.gateway.accounts import Account

NULL: Final = "NULL"


class Meaning(StrEnum):
    EVENT = "event"
    NOTHING = "nothing"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Signal:
    """``duress`` and ``place`` are what an unreadable frame still says of them."""

    meaning: Meaning
    event: PanicPressed | PanicTest | Heartbeat | None = None
    duress: bool = False
    place: str = ""

    @property
    def is_call(self) -> bool:
        """Whether somebody may be asking for help."""
        return self.meaning is Meaning.UNREADABLE or isinstance(self.event, PanicPressed)

    @property
    def what(self) -> Hashable:
        """What it says, whenever it says so: a press and what is left of it are the same."""
        if self.is_call:
            return self.duress, self.place
        return self.meaning, None if self.event is None else self.event.type


def read_signal(frame: Frame, account: Account, received_ms: int, *, odd: bool = False) -> Signal:
    """``frame`` in the clear; ``odd``: it left its sender as it is, but is not as the standard has it. A
    panel's own count of boots does not exist, so its time stands in.
    """
    if frame.token in RECEIVER_TOKENS:
        return Signal(Meaning.UNSUPPORTED)
    said = read_data(frame.token, frame.data, frame.account)
    if said.kind in CALLS:
        return _call(said, frame, account, received_ms, odd=odd)
    if frame.token == NULL:
        return Signal(Meaning.EVENT, _heartbeat(frame, account, received_ms))
    if frame.token not in EVENT_TOKENS:
        return Signal(Meaning.UNSUPPORTED)
    if said.kind is None or (odd and not said.firm):
        return Signal(Meaning.UNREADABLE)
    if said.kind is Kind.TEST:
        return Signal(Meaning.EVENT, PanicTest(**_envelope(frame, account, received_ms)))
    return Signal(Meaning.NOTHING)


def read_damaged(frame: Frame, account: Account, received_ms: int) -> Signal:
    """What is left of a frame that was damaged on its way, or cut off. ``frame`` has its token, data and
    timestamp as far as they are legible.
    """
    if frame.token in RECEIVER_TOKENS:
        return Signal(Meaning.UNSUPPORTED)
    said = read_data(frame.token, frame.data, frame.account)
    if said.kind in CALLS:
        return _call(said, frame, account, received_ms, odd=True)
    if said.kind is not None and said.firm:
        return Signal(Meaning.NOTHING)
    # Without a token it was meant as an event if it has data behind its account.
    behind = frame.data.upper().partition(f"#{frame.account}|")[2]
    meant = frame.token in EVENT_TOKENS or (frame.token != NULL and behind.strip() != "")
    return Signal(Meaning.UNREADABLE if meant else Meaning.UNSUPPORTED)


def _call(
    said: DataEvent, frame: Frame, account: Account, received_ms: int, *, odd: bool
) -> Signal:
    duress, place = said.kind is Kind.DURESS, _place(said)
    if odd or not said.placed or frame.token not in EVENT_TOKENS:
        return Signal(Meaning.UNREADABLE, None, duress, place)
    envelope = _envelope(frame, account, received_ms)
    pressed = PanicPressed(**envelope, duress=duress, place=place or None)
    return Signal(Meaning.EVENT, pressed, duress, place)


def _place(said: DataEvent) -> str:
    zone = f"zone {said.zone}" if said.zone else ""
    if said.kind is not Kind.MEDICAL:
        return zone
    return f"{zone}, medical call".removeprefix(", ")


def _heartbeat(frame: Frame, account: Account, received_ms: int) -> Heartbeat:
    envelope = _envelope(frame, account, received_ms)
    return Heartbeat(
        **envelope,
        kind=account.kind,
        period_s=account.period_s,
        link_pct=100,
        provider=account.provider,
        buffered=0,
        clock_offset_ms=max(min(envelope["time_ms"] - received_ms, 2**31 - 1), -(2**31)),
    )


def _envelope(frame: Frame, account: Account, received_ms: int) -> dict[str, Any]:
    time_ms = received_ms if frame.time_s is None else max(frame.time_s * 1000, 0)
    what = f"{account.school}|{account.device}|{frame.token}|{frame.seq}|{frame.data}|{time_ms}"
    return {
        "id": uuid7(time_ms, what.encode()),
        "school": account.school,
        "device": account.device,
        "time_ms": time_ms,
        "boot": time_ms,
        "seq": frame.seq,
    }
