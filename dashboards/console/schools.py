"""Schools over HTTP: one with all that its reader may know, those that are silent, and finding one."""

import asyncio
import re
import time
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.console.access import Act, Data, Person
from dashboards.console.contacts import told
from dashboards.console.desk import Desk
from dashboards.console.feeds import now_ms
from dashboards.console.refusals import Refusal, answer
from dashboards.console.searching import found
from dashboards.console.silent import devices_of, silent_schools
from dashboards.console.standing import without_notes
from schemas.events import SCHOOL_PATTERN

log = structlog.get_logger(__name__)

DAY_S: Final = 86_400
ALMATY_S: Final = 5 * 3_600  # UTC+5 all over the country since March 2024
LOOK_FOR_S: Final = 600.0
"""So long a look that was logged shows mobile numbers."""
CALLED_AT_ONCE: Final = 200
"""Of so many of the longest silent the provider's number is told: who is called first."""


def routes(desk: Desk) -> list[Route]:
    picture = desk.picture
    looked: dict[tuple[str, str], float] = {}

    async def school(request: Request) -> Response:
        person = desk.who(request)
        id_ = _asked(person, request)
        eyes = desk.eyes(request, person)
        stored, contacts, _ = await asyncio.gather(
            desk.feeds.school(id_, reports=person.sees_data(Data.REPORTS)),
            _contacts(person, id_, mobiles=_may_dial(request, id_)),
            desk.note(person, request, "school.seen", school=id_),
        )
        open_alerts = (*picture.panics.values(), *picture.others.values())
        own = [a for a in open_alerts if a["school"] == id_]
        return answer(
            {
                "school": picture.schools[id_],
                "devices": devices_of(picture, id_),
                "alerts": own if eyes.notes else [without_notes(a) for a in own],
                "coordinates": picture.coordinates[id_],
                "stale": stored["stale"],
                "history": stored["history"],
                **contacts,
                **(_people(stored) if person.sees_data(Data.PEOPLE) else {}),
                **({"equipment": stored["equipment"]} if person.sees_data(Data.SECURITY) else {}),
                **({"reports": stored["reports"]} if person.sees_data(Data.REPORTS) else {}),
            }
        )

    async def look(request: Request) -> Response:
        """Mobile numbers, too, without an alarm: the log says who wanted them."""
        person = desk.acts(request, Act.STEP)
        id_ = _asked(person, request)
        await desk.note(person, request, "contacts.looked", school=id_)
        now_s = time.monotonic()
        for old in [key for key, at_s in looked.items() if now_s - at_s > LOOK_FOR_S]:
            del looked[old]
        looked[desk.page_of(request), id_] = now_s
        return answer(await _contacts(person, id_, mobiles=True))

    async def plan(request: Request) -> Response:
        """Of one floor: for an open panic of the school, or after a look."""
        person = desk.who(request)
        id_ = _asked(person, request)
        if not person.sees_data(Data.CONTACTS) or not _may_dial(request, id_):
            raise Refusal(403, "look_first", "floor plans are for an alarm, or for a look")
        found = await asyncio.to_thread(desk.contacts.plan, id_, request.path_params["floor"])
        if found is None:
            raise Refusal(404, "no_plan", "of this floor there is no plan")
        await desk.note(person, request, "plan.seen", school=id_)
        return Response(found.image, media_type=found.type)

    async def silent(request: Request) -> Response:
        person = desk.who(request)
        told = silent_schools(picture, person.place_of(picture.schools), now_ms())
        numbers = await _providers(person, [one["school"] for one in told[:CALLED_AT_ONCE]])
        return answer([{**one, "provider_phone": numbers.get(one["school"], "")} for one in told])

    async def search(request: Request) -> Response:
        person = desk.who(request)
        asked = request.query_params.get("q", "")
        return answer(found(picture.schools, asked, person.place_of(picture.schools)))

    def _asked(person: Person, request: Request) -> str:
        """Raises Refusal."""
        id_: str = request.path_params["id"]
        if not re.fullmatch(SCHOOL_PATTERN, id_):
            raise Refusal(422, "no_school_id", "a school's id looks like KZ-75-00001")
        if id_ not in picture.schools or not desk.place(person, id_):
            raise Refusal(404, "no_school", f"the registry has no school {id_}")
        return id_

    def _may_dial(request: Request, school: str) -> bool:
        alarm = picture.panics.get(request.query_params.get("for", ""))
        at_s = looked.get((desk.page_of(request), school), float("-inf"))
        of_this = alarm is not None and alarm["school"] == school
        return of_this or time.monotonic() - at_s <= LOOK_FOR_S

    async def _providers(person: Person, schools: list[str]) -> dict[str, str]:
        if not person.sees_data(Data.CONTACTS):
            return {}
        try:
            return await asyncio.to_thread(desk.contacts.providers, schools)
        except (OSError, ValueError) as trouble:
            log.exception("the contacts can't be read", trouble=str(trouble)[:200])
            return {}

    async def _contacts(person: Person, school: str, *, mobiles: bool) -> dict[str, Any]:
        if not person.sees_data(Data.CONTACTS):
            return {}
        try:
            record = await asyncio.to_thread(desk.contacts.school, school)
            floors = await asyncio.to_thread(desk.contacts.floors, school) if mobiles else []
            center = await asyncio.to_thread(
                desk.contacts.center, picture.schools[school]["center"]
            )
        except (OSError, ValueError) as trouble:
            log.exception("the contacts can't be read", trouble=str(trouble)[:200])
            return {**told(None, mobiles=False), "center": None, "contacts_stale": True}
        named = {"name": center.name, "phone": center.phone} if center else None
        return {**told(record, mobiles=mobiles), "center": named, "floors": floors}

    return [
        Route("/api/schools/{id}", school),
        Route("/api/schools/{id}/look", look, methods=["POST"]),
        Route("/api/schools/{id}/plans/{floor}", plan),
        Route("/api/silent", silent),
        Route("/api/search", search),
    ]


def _people(stored: dict[str, Any]) -> dict[str, Any]:
    """Who came and went, and how many are inside: since midnight, and never less than nobody."""
    now_s = now_ms() // 1000
    midnight_ms = (now_s - (now_s + ALMATY_S) % DAY_S) * 1000
    at_ms, inside = stored["inside"] or (0, 0)
    flow = {"flow": stored["flow"], "expected": stored["expected"]}
    return {**flow, "inside": max(0, inside) if at_ms >= midnight_ms else None}
