"""Every event on the wire: one envelope, one union discriminated by ``type``.

An event is one flat JSON object, UTF-8, keyed in Kafka by its school. Readers ignore fields that
they do not know, so a writer may add optional ones; what else may change is judged by
schemas.compatibility.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MAX_EXACT: Final = 2**53 - 1  # larger integers lose digits in JSON readers that use doubles
UUID7_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
SCHOOL_PATTERN: Final = r"^KZ-[0-9]{2}-[0-9]{5}$"
DEVICE_PATTERN: Final = r"^[a-z][a-z0-9-]{0,31}$"
CARD_PATTERN: Final = r"^[0-9a-f]{16}$"
PROVIDER_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,31}$"

CANARY_PATTERN: Final = re.compile(r"KZ-00-9[0-9]{4}\Z")

EventId = Annotated[str, Field(pattern=UUID7_PATTERN, description="UUIDv7 (RFC 9562), lower case")]
SchoolId = Annotated[
    str, Field(pattern=SCHOOL_PATTERN, description="KZ-<ISO 3166-2 region>-<number>")
]
DeviceId = Annotated[str, Field(pattern=DEVICE_PATTERN, description="unique within its school")]
CardId = Annotated[
    str, Field(pattern=CARD_PATTERN, description="keyed pseudonym of a card, never its number")
]
ProviderId = Annotated[str, Field(pattern=PROVIDER_PATTERN)]
RegionId = Annotated[str, Field(pattern=r"^KZ-[0-9]{2}$", description="ISO 3166-2")]
TimeMs = Annotated[
    int, Field(ge=0, le=MAX_EXACT, description="event time by the device's clock, ms since 1970")
]
Count = Annotated[int, Field(ge=0, le=MAX_EXACT)]
Percent = Annotated[int, Field(ge=0, le=100)]
ShortText = Annotated[str, Field(min_length=1, max_length=120)]
FreeText = Annotated[str, Field(max_length=4000)]
BellTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


class PassOutcome(StrEnum):
    """Granted, or why the turnstile stayed shut."""

    GRANTED = "granted"
    UNKNOWN_CARD = "unknown_card"
    EXPIRED_CARD = "expired_card"
    BLOCKED_CARD = "blocked_card"
    WRONG_TIME = "wrong_time"
    PASSBACK = "passback"


class DeviceKind(StrEnum):
    TURNSTILE = "turnstile"
    PANIC_BUTTON = "panic_button"
    GATEWAY = "gateway"
    POLICE_LINK = "police_link"


class Channel(StrEnum):
    QR = "qr"
    PHONE = "phone"
    STAFF = "staff"


class Category(StrEnum):
    BULLYING = "bullying"
    VIOLENCE = "violence"
    HARASSMENT = "harassment"
    WEAPON = "weapon"
    SELF_HARM = "self_harm"
    INTRUDER = "intruder"
    CYBER = "cyber"
    OTHER = "other"


class Language(StrEnum):
    KK = "kk"
    RU = "ru"
    EN = "en"


class Involvement(StrEnum):
    """Whether a minor is said to have done the crime or to have suffered it."""

    BY_MINOR = "by_minor"
    AGAINST_MINOR = "against_minor"


class CrimeSeverity(StrEnum):
    MINOR = "minor"
    MEDIUM = "medium"
    SERIOUS = "serious"
    PARTICULARLY_SERIOUS = "particularly_serious"


class HelpTopic(StrEnum):
    PSYCHOLOGIST = "psychologist"
    POLICE = "police"
    MEDICAL = "medical"
    OTHER = "other"


class Ownership(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class Program(StrEnum):
    KIVA = "kiva"
    DOSBOLLIKE = "dosbollike"
    PROBILIM = "probilim"


class FindingSeverity(StrEnum):
    REMARK = "remark"
    VIOLATION = "violation"
    DANGER = "danger"


class Contract(BaseModel):
    """Strict and immutable; unknown fields of a newer writer are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Envelope(Contract):
    """What every event carries, whatever its type.

    ``boot`` changes whenever the device starts anew; ``seq`` counts up within one boot. Together
    with school and device they name one event for good, however often it is sent.
    """

    id: EventId
    school: SchoolId
    device: DeviceId
    time_ms: TimeMs
    boot: Count
    seq: Count
    v: Literal[1] = 1


class Pass(Envelope):
    """Somebody went through a turnstile, or was kept out by it."""

    type: Literal["pass"] = "pass"
    direction: Annotated[Direction, Field(strict=False)]
    outcome: Annotated[PassOutcome, Field(strict=False)]
    card: CardId


class PanicPressed(Envelope):
    """A panic button was pressed. ``duress`` asks for help without showing it at the school. ``place``:
    where in the school; empty or none: the registry may know where the button is.
    """

    type: Literal["panic.pressed"] = "panic.pressed"
    duress: bool = False
    place: ShortText | None = None


class PanicCancelled(Envelope):
    """Somebody at the school says that a press was a mistake. It never closes an alarm."""

    type: Literal["panic.cancelled"] = "panic.cancelled"
    press: EventId


class PanicTest(Envelope):
    """The weekly test of a button."""

    type: Literal["panic.test"] = "panic.test"
    passed: bool = True


class DrillDeclared(Envelope):
    """A drill: presses of these devices (all of the school's when empty) inside it are not real.

    Both ends on Kafka's clock. ``supervisor`` answers for it.
    """

    type: Literal["drill.declared"] = "drill.declared"
    devices: Annotated[list[DeviceId], Field(max_length=1000)] = []
    supervisor: ShortText
    starts_ms: TimeMs
    lasting_s: Annotated[int, Field(ge=60, le=3_600)]


class Heartbeat(Envelope):
    """A device is alive; the next heartbeat is due after ``period_s``."""

    type: Literal["heartbeat"] = "heartbeat"
    kind: Annotated[DeviceKind, Field(strict=False)]
    period_s: Annotated[int, Field(ge=1, le=86_400)]
    battery_pct: Percent | None = None
    link_pct: Percent
    provider: ProviderId
    buffered: Annotated[int, Field(ge=0, le=2**32 - 1, description="events not yet sent")]
    clock_offset_ms: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class IncidentReported(Envelope):
    """A report of a child, a parent or staff. Carries no address and no name of the reporter."""

    type: Literal["incident.reported"] = "incident.reported"
    channel: Annotated[Channel, Field(strict=False)]
    category: Annotated[Category, Field(strict=False)]
    language: Annotated[Language, Field(strict=False)]
    place: ShortText
    text: FreeText | None = None


class IncidentRegistered(Envelope):
    """A crime by or against a minor, as the police registered it."""

    type: Literal["incident.registered"] = "incident.registered"
    case: ShortText
    involvement: Annotated[Involvement, Field(strict=False)]
    severity: Annotated[CrimeSeverity, Field(strict=False)]
    category: Annotated[Category, Field(strict=False)]


class HelpRequested(Envelope):
    """Somebody asked for help through a QR code."""

    type: Literal["help.requested"] = "help.requested"
    topic: Annotated[HelpTopic, Field(strict=False)]
    language: Annotated[Language, Field(strict=False)]
    text: FreeText | None = None


class SecurityContract(Contract):
    number: ShortText
    company: ShortText
    expires_on: Annotated[date, Field(strict=False)]


class EquipmentChanged(Envelope):
    """What is installed at a school from now on; the whole state, not a difference."""

    type: Literal["equipment.changed"] = "equipment.changed"
    turnstiles: Annotated[int, Field(ge=0, le=999)]
    panic_buttons: Annotated[int, Field(ge=0, le=999)]
    gateways: Annotated[int, Field(ge=0, le=999)]
    police_link: bool
    contract: SecurityContract | None = None


class Finding(Contract):
    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,39}$")]
    severity: Annotated[FindingSeverity, Field(strict=False)]
    text: Annotated[str, Field(max_length=1000)] = ""


class InspectionCompleted(Envelope):
    """An anti-terrorism inspection and what it found."""

    type: Literal["inspection.completed"] = "inspection.completed"
    inspector: ShortText
    findings: Annotated[list[Finding], Field(max_length=200)]


class Names(Contract):
    kk: Annotated[str, Field(min_length=1, max_length=200)]
    ru: Annotated[str, Field(min_length=1, max_length=200)]
    en: Annotated[str, Field(min_length=1, max_length=200)]


class Shift(Contract):
    """One shift of the school day, local time. The first bell begins it, the last one ends it."""

    bells: Annotated[list[BellTime], Field(min_length=2, max_length=40)]


class ExpectedDevice(Contract):
    """``vendor``: who made it. ``place``: where in the school it is. Empty when the registry does not
    know."""

    device: DeviceId
    kind: Annotated[DeviceKind, Field(strict=False)]
    period_s: Annotated[int, Field(ge=1, le=86_400)]
    vendor: Annotated[str, Field(max_length=60)] = ""
    place: Annotated[str, Field(max_length=120)] = ""


class DaysOff(Contract):
    """Days without lessons, both ends included: holidays, quarantine. Devices still live."""

    first: Annotated[date, Field(strict=False)]
    last: Annotated[date, Field(strict=False)]
    reason: Annotated[str, Field(max_length=60)] = ""


class Maintenance(Contract):
    """Planned work: these devices (all when empty) may be silent, and nobody is paged for it."""

    starts_ms: TimeMs
    ends_ms: TimeMs
    devices: Annotated[list[DeviceId], Field(max_length=1000)] = []


class SchoolRegistered(Envelope):
    """The registry's record of a school; a newer record replaces an older one whole.

    ``center`` is the police operational control center that its panics go to, empty for none: then
    a named person is called. ``days_off`` and ``maintenance`` hold its own and its region's.
    """

    type: Literal["school.registered"] = "school.registered"
    names: Names
    region: RegionId
    district: ShortText
    latitude: Annotated[float, Field(ge=-90, le=90, strict=False)]
    longitude: Annotated[float, Field(ge=-180, le=180, strict=False)]
    pupils: Annotated[int, Field(ge=0, le=100_000)]
    ownership: Annotated[Ownership, Field(strict=False)]
    special: bool = False
    shifts: Annotated[list[Shift], Field(min_length=1, max_length=3)]
    provider: ProviderId
    programs: Annotated[list[Annotated[Program, Field(strict=False)]], Field(max_length=20)] = []
    teacher_assistants: Annotated[int, Field(ge=0, le=10_000)] = 0
    devices: Annotated[list[ExpectedDevice], Field(max_length=1000)]
    center: Annotated[str, Field(max_length=32)] = ""
    days_off: Annotated[list[DaysOff], Field(max_length=100)] = []
    maintenance: Annotated[list[Maintenance], Field(max_length=100)] = []


PanicEvent = PanicPressed | PanicCancelled | PanicTest | DrillDeclared
IncidentEvent = IncidentReported | IncidentRegistered | HelpRequested
FacilityEvent = EquipmentChanged | InspectionCompleted

Event = Annotated[
    Pass
    | PanicPressed
    | PanicCancelled
    | PanicTest
    | DrillDeclared
    | Heartbeat
    | IncidentReported
    | IncidentRegistered
    | HelpRequested
    | EquipmentChanged
    | InspectionCompleted
    | SchoolRegistered,
    Field(discriminator="type"),
]

EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
"""Validates and serialises one event: ``EVENT.validate_json(data)``, ``EVENT.dump_json(event)``."""

EVENT_MODELS: Final[tuple[type[Envelope], ...]] = (
    Pass,
    PanicPressed,
    PanicCancelled,
    PanicTest,
    DrillDeclared,
    Heartbeat,
    IncidentReported,
    IncidentRegistered,
    HelpRequested,
    EquipmentChanged,
    InspectionCompleted,
    SchoolRegistered,
)


def is_canary(school: str) -> bool:
    """Whether this is no school but the watchdog's own: it is never shown, paged or dispatched."""
    return CANARY_PATTERN.match(school) is not None
