"""What people do in the console, over HTTP. Every act is an event in Kafka and a line in the audit log."""

import asyncio
import secrets
import time
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.console.access import Act, Data, Person
from dashboards.console.actions import DrillWish, Refused, Wish, decide, drill
from dashboards.console.audit import Broken, entries, verify
from dashboards.console.desk import Desk, Refusal, answer, body
from dashboards.console.feeds import now_ms
from dashboards.console.said import Kept, NotSaid
from dashboards.console.shift import ACCEPTED, ARMED, OFFERED, Offer
from schemas.ids import uuid7
from schemas.steps import StepTaken, Took

MOST_ENTRIES: Final = 500
STEP_ID_BYTES: Final = 16


class OfferWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=1000)] = ""


class AcceptWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    offer: Annotated[str, Field(min_length=1, max_length=64)]


class ArmedWish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    heard: bool


def routes(desk: Desk) -> list[Route]:
    booted_ms = now_ms()

    async def take_step(request: Request) -> Response:
        person = desk.acts(request, Act.STEP)
        wish = await body(request, Wish)
        id_ = request.path_params["id"]
        async with desk.acting(id_):
            step = decide(
                _seen(desk, person, id_), wish, person, now_ms(), secrets.token_hex(STEP_ID_BYTES)
            )
            if isinstance(step, Refused):
                raise Refusal(step.status, step.error, by=step.by, took=step.took, ms=step.ms)
            kept = await _say(step)
        what = wish.model_dump(mode="json", exclude_defaults=True)
        await desk.note(person, request, "step", **what, alert=id_, school=step.school, kept=kept)
        return answer({"id": step.id, "kept": kept})

    async def _say(step: StepTaken) -> Kept:
        try:
            at = await desk.said.step(step)
        except NotSaid as trouble:
            raise Refusal(503, str(trouble)) from None
        # Shown at once, not when it has come back: the next act must know of it.
        desk.picture.step(step, at.kafka_ms, at.offset)
        desk.stream.wake()
        return at.kept

    async def declare_drill(request: Request) -> Response:
        person = desk.acts(request, Act.DRILL)
        wish = await body(request, DrillWish)
        if wish.school not in desk.picture.schools or not _place(desk, person, wish.school):
            raise Refusal(404, f"the registry has no school {wish.school} in your places")
        ends_ms = wish.starts_ms + wish.lasting_s * 1000
        if ends_ms <= now_ms():
            raise Refusal(422, "this drill would be over already")
        desk.drills += 1
        at_ms = now_ms()
        declared = drill(wish, person, at_ms, uuid7(at_ms), booted_ms, desk.drills)
        try:
            await desk.said.drill(declared)
        except NotSaid as trouble:
            raise Refusal(503, str(trouble)) from None
        await desk.note(person, request, "drill.declared", **wish.model_dump(mode="json"))
        return answer({"id": declared.id})

    async def seen(request: Request) -> Response:
        """The browser says that a panic was put before somebody's eyes."""
        person = desk.acts(request, Act.STEP)
        alert = _seen(desk, person, request.path_params["id"])
        if alert is None:
            raise Refusal(404, "there is no such alert")
        await desk.note(person, request, "panic.seen", alert=alert["id"], school=alert["school"])
        return answer({})

    async def armed(request: Request) -> Response:
        """At the start of a shift: the test tone was heard, or not."""
        person = desk.acts(request, Act.SHIFT)
        wish = await body(request, ArmedWish)
        await desk.note(person, request, ARMED, heard=wish.heard)
        return answer({})

    async def shift(request: Request) -> Response:
        person = desk.who(request)
        if not person.does(Act.SHIFT):
            raise Refusal(403, f"a {person.role} has no shift")
        place = person.place_of(desk.picture.schools)
        mine = [a["id"] for a in desk.picture.panics.values() if place(a["school"])]
        offers = [_told(desk, offer) for offer in desk.shifts.offers.values()]
        return answer({"open": mine, "offers": offers})

    async def offer_shift(request: Request) -> Response:
        person = desk.acts(request, Act.SHIFT)
        wish = await body(request, OfferWish)
        place = person.place_of(desk.picture.schools)
        alerts = [a["id"] for a in desk.picture.panics.values() if place(a["school"])]
        id_ = secrets.token_hex(8)
        await desk.note(person, request, OFFERED, offer=id_, note=wish.note, alerts=alerts)
        return answer({"offer": id_, "open": alerts})

    async def accept_shift(request: Request) -> Response:
        person = desk.acts(request, Act.SHIFT)
        wish = await body(request, AcceptWish)
        offer = desk.shifts.offered(wish.offer)
        if offer is None:
            raise Refusal(409, "somebody has accepted this shift already, or it was offered anew")
        if offer.by == person.login:
            raise Refusal(409, "a shift is handed to somebody else")
        for id_ in offer.alerts:
            if _theirs(desk, id_, offer):
                async with desk.acting(id_):
                    await _say(_assigned(desk, id_, person, offer))
        await desk.note(person, request, ACCEPTED, offer=offer.id, giver=offer.by)
        return answer({"alerts": list(offer.alerts)})

    async def review(request: Request) -> Response:
        person = desk.who(request)
        if not person.does(Act.REVIEW) or not person.sees_data(Data.AUDIT):
            raise Refusal(403, "only a supervisor reviews the audit log")
        before = request.query_params.get("before", "0")
        before_n = int(before) if before.isdecimal() and len(before) < 16 else 0
        try:
            count, head, broken = await asyncio.to_thread(verify, desk.audit.path)
        except FileNotFoundError:
            count, head, broken = 0, "", None
        newest = await asyncio.to_thread(entries, desk.audit.path, MOST_ENTRIES, before_n)
        await desk.note(person, request, "audit.reviewed", head=head)
        return answer({"entries": newest, "count": count, "head": head, "broken": _broken(broken)})

    return [
        Route("/api/alerts/{id}/steps", take_step, methods=["POST"]),
        Route("/api/alerts/{id}/seen", seen, methods=["POST"]),
        Route("/api/drills", declare_drill, methods=["POST"]),
        Route("/api/shift", shift),
        Route("/api/shift/armed", armed, methods=["POST"]),
        Route("/api/shift/offer", offer_shift, methods=["POST"]),
        Route("/api/shift/accept", accept_shift, methods=["POST"]),
        Route("/api/audit", review),
    ]


def _place(desk: Desk, person: Person, school: str) -> bool:
    return person.place_of(desk.picture.schools)(school)


def _seen(desk: Desk, person: Person, id_: str) -> dict[str, Any] | None:
    """The alert as it stands now; None when there is none such in this person's places."""
    held = desk.picture.held.get(id_)
    if held is None or not held.shown or not _place(desk, person, held.shown["school"]):
        return None
    return held.shown


def _theirs(desk: Desk, id_: str, offer: Offer) -> bool:
    """Whether the giver was at work on this alert, which is still open."""
    alert = desk.picture.panics.get(id_)
    return alert is not None and offer.by in (alert["acknowledged_by"], alert["assigned_to"])


def _assigned(desk: Desk, id_: str, to: Person, offer: Offer) -> StepTaken:
    return StepTaken(
        id=secrets.token_hex(STEP_ID_BYTES),
        alert=id_,
        school=desk.picture.panics[id_]["school"],
        took=Took.ASSIGNED,
        actor=to.login,
        time_ms=time.time_ns() // 1_000_000,
        target=to.login,
        note=f"shift taken over from {offer.by}",
        upto=int(desk.picture.panics[id_]["number"]),
    )


def _told(desk: Desk, offer: Offer) -> dict[str, Any]:
    still = [id_ for id_ in offer.alerts if id_ in desk.picture.panics]
    return {
        "id": offer.id,
        "by": offer.by,
        "at_ms": offer.at_ms,
        "note": offer.note,
        "alerts": still,
    }


def _broken(broken: Broken | None) -> dict[str, Any] | None:
    return None if broken is None else {"line": broken.line, "what": broken.what}
