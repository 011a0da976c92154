"""Handing a shift over, over HTTP: what is open is offered, and somebody of the same places accepts it."""

import secrets
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.console.access import Act, Person
from dashboards.console.acts import STEP_ID_BYTES
from dashboards.console.desk import Desk
from dashboards.console.feeds import now_ms
from dashboards.console.refusals import Refusal, answer, body
from dashboards.console.shift import Offer, may_accept, theirs
from schemas.steps import StepTaken, Took


class OfferWish(BaseModel):
    """``to``: the login of whom it is offered to; empty for any colleague of the same places."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=1000)] = ""
    to: Annotated[str, Field(max_length=120)] = ""


class WhichOffer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    offer: Annotated[str, Field(min_length=1, max_length=64)]


class ArmedWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    heard: bool


def routes(desk: Desk) -> list[Route]:
    async def armed(request: Request) -> Response:
        """At the start of a shift: the test tone was heard, or not."""
        person = desk.acts(request, Act.SHIFT)
        wish = await body(request, ArmedWish)
        await desk.note(person, request, "sound.armed", heard=wish.heard)
        return answer({})

    async def shift(request: Request) -> Response:
        person = desk.who(request)
        if not person.does(Act.SHIFT):
            raise Refusal(403, "no_shift", f"a {person.role} has no shift")
        offers = [
            _told(desk, offer) for offer in desk.shifts.offers(now_ms()) if _for(person, offer)
        ]
        return answer({"open": _open(person), "offers": offers})

    async def offer_shift(request: Request) -> Response:
        person = desk.acts(request, Act.SHIFT)
        wish = await body(request, OfferWish)
        offer = Offer(
            id=secrets.token_hex(8),
            by=person.login,
            places=person.places,
            at_ms=now_ms(),
            note=wish.note,
            alerts=tuple(_open(person)),
            to=wish.to,
        )
        if wish.to and not any(
            one.login == wish.to and one.does(Act.SHIFT) and _takes(one, offer)
            for one in desk.people()
        ):
            raise Refusal(409, "other_place", f"{wish.to} is not there for all of your places")
        desk.shifts.offer(offer)
        alerts = list(offer.alerts)
        await desk.note(
            person,
            request,
            "shift.offered",
            wish.note,
            offer=offer.id,
            alerts=alerts,
            target=wish.to,
        )
        return answer({"offer": offer.id, "open": alerts})

    async def withdraw_shift(request: Request) -> Response:
        person = desk.acts(request, Act.SHIFT)
        offer = _offered(person, await body(request, WhichOffer))
        if offer.by != person.login:
            raise Refusal(403, "not_yours", "only who has offered a shift withdraws it")
        desk.shifts.take(offer.id)
        await desk.note(person, request, "shift.withdrawn", offer=offer.id)
        return answer({})

    async def refuse_shift(request: Request) -> Response:
        """Who was named says no; the giver sees it, and keeps the shift."""
        person = desk.acts(request, Act.SHIFT)
        offer = _offered(person, await body(request, WhichOffer))
        if offer.to != person.login:
            raise Refusal(403, "not_yours", "only who was named refuses a shift")
        desk.shifts.offer(offer.model_copy(update={"refused_by": person.login}))
        await desk.note(person, request, "shift.refused", offer=offer.id, giver=offer.by)
        return answer({})

    async def accept_shift(request: Request) -> Response:
        person = desk.acts(request, Act.SHIFT)
        offer = _offered(person, await body(request, WhichOffer))
        if offer.by == person.login:
            raise Refusal(409, "own_shift", "a shift is handed to somebody else")
        # Away before anything waits, so that of two who accept one has it.
        desk.shifts.take(offer.id)
        handed = []
        try:
            for id_ in offer.alerts:
                async with desk.acting(id_):
                    alert = desk.shown(person, id_)
                    if (
                        alert is None
                        or id_ not in desk.picture.panics
                        or not theirs(alert, offer.by)
                    ):
                        continue
                    step = _assigned(alert, person, offer)
                    kept = await desk.say(step)
                handed.append(id_)
                await desk.note_step(person, request, step, kept)
        except Refusal:
            desk.shifts.put_back(offer)
            raise
        await desk.note(
            person, request, "shift.accepted", offer=offer.id, giver=offer.by, alerts=handed
        )
        return answer({"alerts": list(offer.alerts)})

    def _open(person: Person) -> list[str]:
        sees = person.place_of(desk.picture.schools)
        return [alert["id"] for alert in desk.picture.panics.values() if sees(alert["school"])]

    def _takes(person: Person, offer: Offer) -> bool:
        held = [desk.picture.held[id_] for id_ in offer.alerts if id_ in desk.picture.held]
        of_alerts = [one.shown["school"] for one in held if one.shown]
        return may_accept(person, offer, desk.picture.schools, of_alerts)

    def _for(person: Person, offer: Offer) -> bool:
        return offer.by == person.login or _takes(person, offer)

    def _offered(person: Person, which: WhichOffer) -> Offer:
        """Raises Refusal. What is not for this person is not there."""
        offers = desk.shifts.offers(now_ms())
        offer = next((one for one in offers if one.id == which.offer and _for(person, one)), None)
        if offer is None:
            raise Refusal(
                409, "no_offer", "somebody has accepted this shift already, or it was offered anew"
            )
        return offer

    return [
        Route("/api/shift", shift),
        Route("/api/shift/armed", armed, methods=["POST"]),
        Route("/api/shift/offer", offer_shift, methods=["POST"]),
        Route("/api/shift/withdraw", withdraw_shift, methods=["POST"]),
        Route("/api/shift/refuse", refuse_shift, methods=["POST"]),
        Route("/api/shift/accept", accept_shift, methods=["POST"]),
    ]


def _assigned(alert: dict[str, Any], to: Person, offer: Offer) -> StepTaken:
    return StepTaken(
        id=secrets.token_hex(STEP_ID_BYTES),
        alert=alert["id"],
        school=alert["school"],
        took=Took.ASSIGNED,
        actor=to.login,
        time_ms=now_ms(),
        target=to.login,
        note=f"shift taken over from {offer.by}",
        upto=int(alert["number"]),
    )


def _told(desk: Desk, offer: Offer) -> dict[str, Any]:
    still = [id_ for id_ in offer.alerts if id_ in desk.picture.panics]
    return {
        "id": offer.id,
        "by": offer.by,
        "to": offer.to,
        "refused_by": offer.refused_by,
        "at_ms": offer.at_ms,
        "note": offer.note,
        "alerts": still,
    }
