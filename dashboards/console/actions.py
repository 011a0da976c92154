"""What an operator may do about an alert now. Pure: how it stands and a wish in, a step or a refusal
out.

Whoever acts says how many acts of people they have seen (``seen``), so that of two at once the second
learns who was first instead of doing it again; and up to which press (``number``), so that nobody closes
one that came while they reached for the button.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboards.console.access import SUPERVISED, Act, Person, Role
from schemas.alerts import AlertKind
from schemas.events import DeviceId, DrillDeclared, SchoolId, TimeMs
from schemas.steps import MACHINE, PanicOutcome, StepTaken, Took

LONGEST_SILENCE_MS: Final = 24 * 3_600_000
DRILL_DEVICE: Final = "console"

ByPeople = Literal[
    "acknowledged",
    "assigned",
    "silenced",
    "dispatched",
    "arrived",
    "verified",
    "noted",
    "promoted",
    "closed",
    "reopened",
]
# These say what somebody knows and change nothing that another may have decided.
_NEVER_COLLIDE: Final = frozenset({Took.NOTED, Took.VERIFIED})
_ONCE: Final = {
    Took.ACKNOWLEDGED: ("acknowledged_by", "acknowledged_ms"),
    Took.DISPATCHED: ("dispatched_by", "dispatched_ms"),
    Took.ARRIVED: ("", "arrived_ms"),
}


class Wish(BaseModel):
    """The body of a request. ``seen`` and ``number`` are the alert's as it was shown when the button was
    pressed; without a ``number``, as it is now.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    took: ByPeople
    seen: Annotated[int, Field(ge=0)]
    number: Annotated[int | None, Field(ge=0)] = None
    note: Annotated[str, Field(max_length=1000)] = ""
    outcome: PanicOutcome = PanicOutcome.NONE
    target: Annotated[str, Field(max_length=120)] = ""
    until_ms: TimeMs = 0
    score: Annotated[int | None, Field(ge=0, le=4)] = None


class DrillWish(BaseModel):
    """The body of a drill's declaration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    school: SchoolId
    devices: Annotated[list[DeviceId], Field(max_length=1000)] = []
    starts_ms: TimeMs
    lasting_s: Annotated[int, Field(ge=60, le=3_600)]


@dataclass(frozen=True, slots=True)
class Refused:
    """``status`` is HTTP's. ``by`` and ``took`` name who was first, where somebody was."""

    status: int
    code: str
    error: str
    by: str = ""
    took: str = ""
    ms: int = 0


def decide(
    alert: dict[str, Any] | None, wish: Wish, person: Person, now_ms: int, step_id: str
) -> StepTaken | Refused:
    """``alert`` as dashboards.console.standing shows it, None when there is none such."""
    took = Took(wish.took)
    if not person.does(Act.STEP):
        return Refused(403, "looks_on", f"a {person.role} looks on: sign in as an operator to act")
    if took in SUPERVISED and person.role is not Role.SUPERVISOR:
        return Refused(403, "supervisor_only", f"only a supervisor may say {took}")
    if alert is None:
        return Refused(404, "no_alert", "there is no such alert, or it was over long ago")
    refused = _contradicted(alert, took, wish, now_ms) or _collided(alert, took, wish)
    if refused is not None:
        return refused
    return StepTaken(
        id=step_id,
        alert=alert["id"],
        school=alert["school"],
        took=took,
        actor=person.login,
        time_ms=now_ms,
        target=wish.target,
        note=wish.note,
        outcome=wish.outcome,
        until_ms=wish.until_ms,
        score=wish.score,
        upto=_upto(alert, wish),
    )


def not_with_others(alert: dict[str, Any], school: str, button: str, number: int) -> Refused | None:
    """Why a press is answered by itself, not among the many of one school's ``button``. ``number`` is the
    alert's as it was drawn.
    """
    if alert["kind"] != AlertKind.PANIC:
        return Refused(409, "no_panic", "only presses are answered together")
    if alert["school"] != school:
        return Refused(409, "other_school", "it is another school's")
    if alert["duress"]:
        return Refused(409, "duress_alone", "a duress alarm is answered by itself")
    several = len(alert["buttons"]) > 1 or any(" buttons" in reason for reason in alert["why"])
    if alert["device"] != button or several:
        return Refused(409, "other_button", "another button was pressed: answer it by itself")
    if alert["number"] > number:
        return Refused(
            409, "pressed_again", "it was pressed again meanwhile; look and decide again"
        )
    return None


def _upto(alert: dict[str, Any], wish: Wish) -> int:
    """Never more than there is: nobody has seen what is yet to come."""
    newest = int(alert["number"])
    return newest if wish.number is None else min(wish.number, newest)


def _contradicted(alert: dict[str, Any], took: Took, wish: Wish, now_ms: int) -> Refused | None:
    """What makes no sense about this alert, whoever asks."""
    panic = alert["kind"] in (AlertKind.PANIC, AlertKind.PANIC_BLIND)
    over = alert["state"] in ("closed", "resolved")
    if took is Took.SILENCED:
        if panic:
            return Refused(
                409, "never_silenced", "a panic is never silenced: acknowledge it, or close it"
            )
        if not now_ms < wish.until_ms <= now_ms + LONGEST_SILENCE_MS:
            return Refused(422, "silence_too_long", "a silence ends within 24 hours: until_ms")
    if took is Took.CLOSED and alert["kind"] == AlertKind.PANIC and not wish.outcome:
        return Refused(422, "outcome_missing", "say what the panic was: real, false or drill")
    if took is Took.ASSIGNED and not wish.target:
        return Refused(422, "target_missing", "say whom it is assigned to: target")
    if took is Took.NOTED and not wish.note.strip():
        return Refused(422, "note_empty", "an empty note says nothing")
    if took is Took.VERIFIED and wish.score is None:
        return Refused(422, "score_missing", "say what the verification gave: score, 0 to 4")
    if took is Took.PROMOTED and not alert["drill"]:
        return Refused(409, "no_drill", "it is no drill")
    if took is Took.REOPENED and alert["state"] != "closed":
        return Refused(409, "not_closed", "nobody has closed it")
    if over and took not in (Took.REOPENED, *_NEVER_COLLIDE):
        return Refused(
            409, "over", "it is over", alert["closed_by"], alert["state"], int(alert["closed_ms"])
        )
    return None


def _collided(alert: dict[str, Any], took: Took, wish: Wish) -> Refused | None:
    """Somebody was first."""
    if took in _NEVER_COLLIDE:
        return None
    by, at = _ONCE.get(took, ("", ""))
    if at and alert[at]:
        who = alert[by] if by else _last(alert, took.value).get("actor", "")
        return Refused(409, "already", f"already {took}", who, took.value, int(alert[at]))
    if took is Took.CLOSED and _upto(alert, wish) < alert["number"]:
        return Refused(
            409, "pressed_again", "it was pressed again meanwhile; look and decide again"
        )
    if wish.seen < alert["seen"]:
        last = _last(alert)
        return Refused(
            409,
            "somebody_was_first",
            "somebody was first; look at what was done and decide again",
            last.get("actor", ""),
            last.get("took", ""),
            last.get("ms", 0),
        )
    return None


def _last(alert: dict[str, Any], took: str = "") -> dict[str, Any]:
    """The last act of a person, or the first of one kind."""
    lines = [s for s in alert["timeline"] if not s["actor"].startswith(MACHINE)]
    if took:
        return next((s for s in lines if s["took"] == took), {})
    return lines[-1] if lines else {}


def drill(
    wish: DrillWish, person: Person, now_ms: int, event_id: str, boot: int, seq: int
) -> DrillDeclared:
    """Raises pydantic's ValidationError for a supervisor's name that the contract refuses."""
    return DrillDeclared(
        id=event_id,
        school=wish.school,
        device=DRILL_DEVICE,
        time_ms=now_ms,
        boot=boot,
        seq=seq,
        devices=wish.devices,
        supervisor=person.login,
        starts_ms=wish.starts_ms,
        lasting_s=wish.lasting_s,
    )
