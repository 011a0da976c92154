"""What people do in the console, over HTTP. Every act is an event in Kafka and a line in the audit log."""

import asyncio
import secrets
from dataclasses import asdict
from typing import Annotated, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.console.access import Act, Data, Person
from dashboards.console.actions import (
    DrillWish,
    Refused,
    Wish,
    decide,
    drill,
    not_with_others,
)
from dashboards.console.audit import entries
from dashboards.console.desk import Desk
from dashboards.console.feeds import now_ms
from dashboards.console.presence import PresenceWish
from dashboards.console.refusals import Refusal, answer, body
from dashboards.console.said import Kept, NotSaid
from schemas.ids import uuid7
from schemas.steps import StepTaken, Took

log = structlog.get_logger(__name__)

MOST_ENTRIES: Final = 500
STEP_ID_BYTES: Final = 16


MOST_AT_ONCE: Final = 1_000


class Shown(BaseModel):
    """An alert as it was drawn when the button was pressed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=64)]
    seen: Annotated[int, Field(ge=0)]
    number: Annotated[int, Field(ge=0)]


class ManyWish(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    school: Annotated[str, Field(min_length=1, max_length=64)]
    alerts: Annotated[list[Shown], Field(alias="alarms", min_length=1, max_length=MOST_AT_ONCE)]


def routes(desk: Desk) -> list[Route]:
    booted_ms = now_ms()

    async def take_step(request: Request) -> Response:
        person = desk.acts(request, Act.STEP)
        wish = await body(request, Wish)
        step, kept = await take(request, person, request.path_params["id"], wish)
        return answer({"id": step.id, "kept": kept})

    async def acknowledge_many(request: Request) -> Response:
        """One school's presses of one button, each judged by itself as it was drawn."""
        person = desk.acts(request, Act.STEP)
        wish = await body(request, ManyWish)
        drawn = [alert for one in wish.alerts if (alert := desk.shown(person, one.id))]
        button = next((a["device"] for a in drawn if a["school"] == wish.school), "")
        told = []
        for one in wish.alerts:
            alert = desk.shown(person, one.id)
            refused = alert and not_with_others(alert, wish.school, button, one.number)
            single = Wish(took="acknowledged", seen=one.seen, number=one.number)
            try:
                if refused:
                    raise Refusal(refused.status, refused.code, refused.error)
                step, kept = await take(request, person, one.id, single)
                told.append({"id": one.id, "status": 200, "step": step.id, "kept": kept})
            except Refusal as refusal:
                told.append({"id": one.id, "status": refusal.status, **refusal.body})
        return answer({"alarms": told})

    async def take(
        request: Request, person: Person, id_: str, wish: Wish
    ) -> tuple[StepTaken, Kept]:
        """Raises Refusal."""
        async with desk.acting(id_):
            step = decide(
                desk.shown(person, id_), wish, person, now_ms(), secrets.token_hex(STEP_ID_BYTES)
            )
            if isinstance(step, Refused):
                raise Refusal(
                    step.status, step.code, step.error, by=step.by, took=step.took, ms=step.ms
                )
            _assignable(desk, step)
            kept = await desk.say(step)
        await desk.note_step(person, request, step, kept)
        return step, kept

    async def declare_drill(request: Request) -> Response:
        person = desk.acts(request, Act.DRILL)
        wish = await body(request, DrillWish)
        if wish.school not in desk.picture.schools or not desk.place(person, wish.school):
            raise Refusal(
                404, "no_school", f"the registry has no school {wish.school} in your places"
            )
        ends_ms = wish.starts_ms + wish.lasting_s * 1000
        if ends_ms <= now_ms():
            raise Refusal(422, "drill_over", "this drill would be over already")
        desk.drills += 1
        at_ms = now_ms()
        declared = drill(wish, person, at_ms, uuid7(at_ms), booted_ms, desk.drills)
        try:
            await desk.said.drill(declared)
        except NotSaid as trouble:
            raise Refusal(503, "kafka_away", str(trouble)) from None
        await desk.note(person, request, "drill.declared", **wish.model_dump(mode="json"))
        return answer({"id": declared.id})

    async def seen(request: Request) -> Response:
        """The browser says that a panic was put before somebody's eyes."""
        person = desk.acts(request, Act.STEP)
        alert = desk.shown(person, request.path_params["id"])
        if alert is None:
            raise Refusal(404, "no_alert", "there is no such alert")
        await desk.note(person, request, "panic.seen", alert=alert["id"], school=alert["school"])
        return answer({})

    async def looks(request: Request) -> Response:
        """Which alarm this page shows now, or none; said again every few seconds."""
        person = desk.acts(request, Act.STEP)
        wish = await body(request, PresenceWish)
        if wish.alarm is not None and desk.shown(person, wish.alarm) is None:
            raise Refusal(404, "no_alert", "there is no such alert")
        desk.presence.looks(desk.page_of(request), person.name, wish.alarm)
        desk.tell_presence()
        return answer({})

    async def review(request: Request) -> Response:
        person = desk.who(request)
        if not person.does(Act.REVIEW) or not person.sees_data(Data.AUDIT):
            raise Refusal(403, "supervisor_only", "only a supervisor reviews the audit log")
        before = request.query_params.get("before", "0")
        before_n = int(before) if before.isdecimal() and len(before) < 16 else 0
        try:
            async with desk.checking:
                verdict = await asyncio.to_thread(desk.checker.verify)
            newest = await asyncio.to_thread(entries, desk.audit.folder, MOST_ENTRIES, before_n)
        except (OSError, ValueError) as trouble:
            log.exception("the audit log can't be read", trouble=str(trouble)[:200])
            raise Refusal(503, "no_audit", "the audit log can't be read") from None
        await desk.note(person, request, "audit.reviewed", head=verdict.head)
        broken = asdict(verdict.broken) if verdict.broken else None
        return answer(
            {"entries": newest, "count": verdict.count, "head": verdict.head, "broken": broken}
        )

    return [
        Route("/api/alerts/{id}/steps", take_step, methods=["POST"]),
        Route("/api/alerts/{id}/seen", seen, methods=["POST"]),
        Route("/api/alarms/acknowledge", acknowledge_many, methods=["POST"]),
        Route("/api/presence", looks, methods=["POST"]),
        Route("/api/drills", declare_drill, methods=["POST"]),
        Route("/api/audit", review),
    ]


def _assignable(desk: Desk, step: StepTaken) -> None:
    """Raises Refusal for whom the school is none of the places."""
    if step.took is not Took.ASSIGNED:
        return
    to = next((one for one in desk.people() if one.login == step.target), None)
    if to is None or not to.does(Act.STEP):
        raise Refusal(422, "no_colleague", f"nobody called {step.target} may act here")
    if not desk.place(to, step.school):
        raise Refusal(409, "other_place", f"{step.target} is not there for this school")
