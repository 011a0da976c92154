"""Handing a shift over: what is open is listed, and somebody else accepts it. Pure.

The state is what the audit log says of it, so that it survives a restart without a file of its own.
"""

from dataclasses import dataclass, field
from typing import Any, Final

OFFERED: Final = "shift.offered"
ACCEPTED: Final = "shift.accepted"
ARMED: Final = "sound.armed"
LOOK_BACK: Final = 5_000
"""So many entries of the audit log are read to know what was offered."""


@dataclass(frozen=True, slots=True)
class Offer:
    """``alerts`` that were open when the shift was offered."""

    id: str
    by: str
    at_ms: int
    note: str
    alerts: tuple[str, ...]


@dataclass(slots=True)
class Shifts:
    """The offers that nobody has accepted yet, one of each giver at most."""

    offers: dict[str, Offer] = field(default_factory=dict)

    def heard(self, entry: dict[str, Any]) -> None:
        """An entry of the audit log; others than of shifts are nothing here."""
        if entry.get("did") == OFFERED:
            offer = Offer(
                str(entry["offer"]),
                str(entry["who"]),
                int(entry["at_ms"]),
                str(entry.get("note", "")),
                tuple(entry.get("alerts", ())),
            )
            self.offers[offer.by] = offer
        elif entry.get("did") == ACCEPTED:
            self.offers = {by: o for by, o in self.offers.items() if o.id != entry.get("offer")}

    def offered(self, id_: str) -> Offer | None:
        return next((offer for offer in self.offers.values() if offer.id == id_), None)
