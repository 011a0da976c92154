"""What a DC-09 frame of a known account means. Pure: frame in, event or answer out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.events import Heartbeat, PanicPressed, PanicTest
from schemas.ids import uuid7
from streams.dc09 import ContactId, Frame, SiaDcs, contact_id, parse_contact_id, parse_sia_dcs
from streams.gateway.accounts import Account

# Contact ID and SIA codes of the same events.
PRESSED: Final = {contact_id.PANIC, "PA"}
UNDER_DURESS: Final = {contact_id.DURESS, contact_id.SILENT, "HA"}
# Manual, periodic, and as the panel's own report on one.
TESTED: Final = {"601", "602", "603", "RP", "RX", "TX"}
# The button is back, or the panel says that its alarm is over: no cancel, which a person says.
RELEASED: Final = {"PH", "PR", "HH", "HR"}


class Meaning(StrEnum):
    EVENT = "event"
    NOTHING = "nothing"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Signal:
    meaning: Meaning
    event: PanicPressed | PanicTest | Heartbeat | None = None


def read_signal(frame: Frame, account: Account, received_ms: int) -> Signal:
    """``frame`` in the clear. A panel's own count of boots does not exist, so its time stands in."""
    if frame.token == "NULL":  # noqa: S105
        return Signal(Meaning.EVENT, _heartbeat(frame, account, received_ms))
    if frame.token == "ADM-CID":  # noqa: S105
        said = parse_contact_id(frame.data)
        return (
            Signal(Meaning.UNREADABLE)
            if said is None
            else _contact(said, frame, account, received_ms)
        )
    if frame.token == "SIA-DCS":  # noqa: S105
        told = parse_sia_dcs(frame.data)
        return (
            Signal(Meaning.UNREADABLE) if told is None else _sia(told, frame, account, received_ms)
        )
    return Signal(Meaning.UNSUPPORTED)


def _contact(said: ContactId, frame: Frame, account: Account, received_ms: int) -> Signal:
    if said.event in PRESSED | UNDER_DURESS and said.qualifier == contact_id.RESTORED:
        return Signal(Meaning.NOTHING)
    return _event(said.event, f"zone {said.zone}", frame, account, received_ms)


def _sia(said: SiaDcs, frame: Frame, account: Account, received_ms: int) -> Signal:
    if said.code in RELEASED:
        return Signal(Meaning.NOTHING)
    place = f"zone {said.number}" if said.number else ""
    return _event(said.code, place, frame, account, received_ms)


def _event(code: str, place: str, frame: Frame, account: Account, received_ms: int) -> Signal:
    envelope = _envelope(frame, account, received_ms)
    if code in PRESSED | UNDER_DURESS:
        duress = code in UNDER_DURESS
        pressed = PanicPressed(**envelope, duress=duress, place=place or None)
        return Signal(Meaning.EVENT, pressed)
    if code in TESTED:
        return Signal(Meaning.EVENT, PanicTest(**envelope))
    return Signal(Meaning.UNSUPPORTED)


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
