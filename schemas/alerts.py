"""What the decisions say: status of devices and schools, alerts, dead letters.

Ids are deterministic (schemas.alerts.alert_id), so that a replay of the same topic, or a second
active worker, says the same thing again instead of a new one, and readers keep the first.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.events import Contract, Count, TimeMs
from schemas.steps import StepTaken


class Status(StrEnum):
    """Of a device or a school. ``degraded`` is a school's alone: some of its devices are silent.

    ``flapping``: it comes and goes too often to say each. ``maintenance``: planned, nobody is paged.
    ``retired``: the registry does not list it any more.
    """

    UNKNOWN = "unknown"
    ONLINE = "online"
    LATE = "late"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    FLAPPING = "flapping"
    MAINTENANCE = "maintenance"
    RETIRED = "retired"


class AlertKind(StrEnum):
    """``outage``: many schools at once, with ``members``. ``pipeline_silent`` is the watchdog's.

    The kinds after it are devices that are alive but useless, and findings about them.
    """

    PANIC = "panic"
    SCHOOL_OFFLINE = "school_offline"
    PANIC_BLIND = "panic_blind"
    OUTAGE = "outage"
    MONITORING_IMPAIRED = "monitoring_impaired"
    PIPELINE_SILENT = "pipeline_silent"
    SECURITY = "security"
    NO_PASSES = "no_passes"
    STUCK_OPEN = "stuck_open"
    TEST_OVERDUE = "test_overdue"
    BUFFER_GROWING = "buffer_growing"
    CLOCK_SKEW = "clock_skew"
    LONG_PERIOD = "long_period"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    PANIC = "panic"


class Action(StrEnum):
    """A transition that a lane decides. What people do about it is a step (schemas.steps)."""

    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"  # a step since; what was once written stays readable
    RESOLVED = "resolved"


class Cause(StrEnum):
    """What made a lane say a transition of a panic. Other kinds say none."""

    UNSAID = ""
    PRESS = "press"
    CANCEL = "cancel"


CANCELLED: Final = "cancelled "
"""Begins the note of a device's cancel. Until there was ``cause``, only the note told it from a press."""
PAGED_BY_WATCHDOG: Final = "paged by the watchdog"
"""In ``why`` of an alert that has ``paged_by``. Until there was that, only these words told it."""


class StatusChanged(Contract):
    """The status of a device, or of a whole school when ``device`` is empty, from ``since_ms`` on.

    ``since_ms`` is event time (the last sign of life for offline), ``decided_ms`` is Kafka time.
    Of devices: ``fell_ms`` is when the trouble was decided that goes on, flapping included;
    ``flaps_ms`` weighs the falls of late, as of ``decided_ms``; ``findings`` is what is wrong with a
    device that is alive, by the kind of its alert, and since when in Kafka time.
    """

    type: Literal["status.changed"] = "status.changed"
    school: str
    device: str = ""
    kind: str = ""
    status: Annotated[Status, Field(strict=False)]
    previous: Annotated[Status, Field(strict=False)] = Status.UNKNOWN
    since_ms: TimeMs
    decided_ms: TimeMs
    fell_ms: TimeMs = 0
    flaps_ms: Count = 0
    findings: dict[str, TimeMs] = Field(default_factory=dict)


class AlertChanged(Contract):
    """One transition of one alert, append-only. ``id`` names the alert, ``number`` the transition.

    ``time_ms`` is when it became true (event time), ``decided_ms`` when we saw it (Kafka time).
    ``unidentified`` marks a panic raised from a record that could not be read whole. ``late``: the
    press was old, or replayed, so a human decides on dispatch. ``duress``: nothing may sound at the
    school. ``drill``: inside a declared drill. ``score`` is 0 to 4 on the lines of AVS-01, ``why``
    what it rests on. ``place`` is where in the school, as the press says. ``scope`` and ``members``
    are an outage's; ``outage`` names the one to which this alert belongs. ``cause`` is what a panic's
    transition is about. ``paged_by``: who pages it by channels of its own, so that nobody else does.
    ``note`` and ``why`` are for people: nothing is decided by their words, but for records of before.
    """

    type: Literal["alert.changed"] = "alert.changed"
    id: str
    number: Count
    kind: Annotated[AlertKind, Field(strict=False)]
    severity: Annotated[Severity, Field(strict=False)]
    action: Annotated[Action, Field(strict=False)]
    school: str
    device: str = ""
    time_ms: TimeMs
    decided_ms: TimeMs
    count: Annotated[int, Field(ge=1)] = 1
    event: str = ""
    unidentified: bool = False
    actor: str = ""
    note: str = ""
    late: bool = False
    duress: bool = False
    drill: bool = False
    score: Annotated[int | None, Field(ge=0, le=4)] = None
    why: list[str] = Field(default_factory=list, max_length=20)
    scope: str = ""
    members: list[str] = Field(default_factory=list, max_length=20_000)
    outage: str = ""
    place: Annotated[str, Field(max_length=120)] = ""
    cause: Annotated[Cause, Field(strict=False)] = Cause.UNSAID
    paged_by: Annotated[str, Field(max_length=120)] = ""

    def resolved(self, at_ms: int, note: str = "") -> "AlertChanged":
        """The transition after this one, that ends the alert at this time of Kafka's."""
        over = {"action": Action.RESOLVED, "time_ms": at_ms, "decided_ms": at_ms, "note": note}
        return self.model_copy(update={**over, "number": self.number + 1})

    @property
    def cancels(self) -> bool:
        """Whether it is a device's cancel, which raises nothing."""
        if self.cause is Cause.UNSAID:
            return self.note.startswith(CANCELLED)
        return self.cause is Cause.CANCEL

    @property
    def paged_elsewhere(self) -> bool:
        """Whether somebody pages it by channels of its own."""
        return bool(self.paged_by) or PAGED_BY_WATCHDOG in self.why


class Reason(StrEnum):
    """Why a record is a dead letter."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    INVALID = "invalid"
    UNKNOWN_SCHOOL = "unknown_school"
    WRONG_KEY = "wrong_key"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    TOO_LARGE = "too_large"
    DUPLICATE = "duplicate"
    EMPTY = "empty"
    KAFKA_TIME = "kafka_time"


class DeadLetter(Contract):
    """A record that no processor could use. The original bytes travel as the Kafka record's value;
    this is its JSON header ``saqshy``. ``path`` is a JSON pointer (RFC 6901), empty for the whole.
    ``kafka_time_ms`` is 0 when the record's was none of a broker's. With a header
    ``saqshy-without-bytes`` the value is left out, as it is too large: the record's topic has it.
    """

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Count
    kafka_time_ms: TimeMs
    reason: Annotated[Reason, Field(strict=False)]
    path: str = ""
    detail: Annotated[str, Field(max_length=300)] = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Count


Notice = Annotated[StatusChanged | AlertChanged | StepTaken, Field(discriminator="type")]
NOTICE: Final[TypeAdapter[Notice]] = TypeAdapter(Notice)


def alert_id(kind: AlertKind, scope: str, epoch: int | str) -> str:
    """The id of the alert of this kind about this scope (a school, a device) in this epoch.

    The epoch is what makes this occurrence different from the next one and is the same in every
    replay: the first press's event id, the time of the last heartbeat.
    """
    return sha256(f"{kind}|{scope}|{epoch}".encode()).hexdigest()[:32]
