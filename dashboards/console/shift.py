"""Handing a shift over: what is open is listed, and somebody else accepts it.

Offers wait in a file of their own, with what the giver wrote; who accepts or withdraws one ends both.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dashboards.console.access import WHOLE_COUNTRY, Person
from dashboards.console.picture import everything
from dashboards.console.users import write_private

LONGEST_MS: Final = 24 * 3_600_000
"""An offer that nobody has accepted by then is over."""


class Offer(BaseModel):
    """``places`` of the giver and ``alerts`` that were open, when the shift was offered. ``to``: the login
    of whom it is offered to; empty for whoever may accept it. ``refused_by``: who of these has said no; the
    giver keeps it, and offers anew or withdraws.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    by: str
    places: tuple[str, ...]
    at_ms: int
    note: str
    alerts: tuple[str, ...]
    to: str = ""
    refused_by: str = ""


_OFFERS: Final = TypeAdapter(dict[str, Offer])


def offers_path(var: Path) -> Path:
    return var / "console" / "offers.json"


class Shifts:
    """The offers that nobody has accepted yet, one of each giver at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._offers = _OFFERS.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            self._offers = {}

    def offers(self, now_ms: int) -> list[Offer]:
        return [offer for offer in self._offers.values() if now_ms - offer.at_ms < LONGEST_MS]

    def offer(self, offer: Offer) -> None:
        """Instead of an earlier one of this giver. Raises OSError."""
        self._keep({**self._offers, offer.by: offer})

    def take(self, id_: str) -> Offer | None:
        """The offer, which nobody else can have now; None when there is none. Raises OSError."""
        offer = next((offer for offer in self._offers.values() if offer.id == id_), None)
        if offer is not None:
            self._keep({by: kept for by, kept in self._offers.items() if by != offer.by})
        return offer

    def put_back(self, offer: Offer) -> None:
        """What could not be carried out, unless the giver has offered anew. Raises OSError."""
        if offer.by not in self._offers:
            self.offer(offer)

    def _keep(self, offers: dict[str, Offer]) -> None:
        self._offers = offers
        write_private(self._path, json.dumps({by: o.model_dump() for by, o in offers.items()}))


def may_accept(
    person: Person, offer: Offer, schools: dict[str, dict[str, Any]], of_alerts: Iterable[str]
) -> bool:
    """Whether this person may read the offer and take it: all of the giver's places are this person's,
    too, and so is each school in ``of_alerts``. A note may speak of any school of the giver's.
    """
    if offer.refused_by or (offer.to and offer.to != person.login):
        return False
    sees = person.place_of(schools)
    if sees is everything:
        return True
    if not all(sees(school) for school in of_alerts):
        return False
    if set(offer.places) <= set(person.places):
        return True
    if WHOLE_COUNTRY in offer.places:
        return False
    places = set(offer.places) - {""}
    theirs = [id_ for id_, s in schools.items() if s["region"] in places or s["center"] in places]
    return bool(theirs) and all(map(sees, theirs))


def theirs(alert: dict[str, Any], giver: str) -> bool:
    """Whether it is the giver who is at work on this open alert: who it was assigned to last, else who
    acknowledged it. What was handed on is not theirs any more.
    """
    at_work: str = alert["assigned_to"] or alert["acknowledged_by"]
    return at_work == giver
