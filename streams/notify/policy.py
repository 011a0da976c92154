"""Who is paged for what, when, and how often: the policies file (TOML), checked as a whole.

[quiet]                                   # nobody is paged for these then; it waits
from = "22:00"
until = "07:00"
severities = ["info", "warning"]

[chains.duty]
levels = [
  { after_s = 0, channels = ["duty-phone"] },
  { after_s = 60, channels = ["supervisor-sms", "duty-phone"] },
]

[[rules]]                                 # the first that fits counts
name = "panics of Almaty"
kinds = ["panic", "panic_blind"]
regions = ["KZ-75"]
chain = "duty"
repeat_s = 60

[[maintenance]]
starts = 2026-11-25T18:00:00+05:00
ends = 2026-11-25T20:00:00+05:00
regions = ["KZ-75"]
"""

from collections.abc import Collection
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.alerts import AlertKind, Severity
from schemas.times import utc
from streams.notify.files import Unusable, toml

EVERYONE: Final = "everyone"
EXEMPT: Final = frozenset({AlertKind.PANIC, AlertKind.PANIC_BLIND})
"""Never grouped away, absorbed, silenced, kept for the morning or under maintenance."""

_Seconds = Annotated[int, Field(ge=0, le=7 * 86_400)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Level(_Told):
    after_s: _Seconds = 0
    channels: Annotated[list[str], Field(min_length=1)]


class Chain(_Told):
    levels: Annotated[list[Level], Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        waits = [level.after_s for level in self.levels]
        if waits != sorted(waits):
            raise ValueError("levels must stand in the order of after_s")
        return self


class Rule(_Told):
    """``hold_s``: wait so long, as an outage may take it in. ``group``: one page per region, and
    the next ``interval_s`` later. ``repeat_s``: again while nobody acknowledges; 0 for never.
    ``corrected``: say it too when the true end of what is over becomes known afterwards."""

    name: Annotated[str, Field(min_length=1)]
    kinds: list[AlertKind] = []
    severities: list[Severity] = []
    regions: list[str] = []
    chain: str = EVERYONE
    hold_s: _Seconds = 0
    group: bool = True
    interval_s: _Seconds = 60
    repeat_s: _Seconds = 0
    resolved: bool = True
    corrected: bool = False

    def fits(self, kind: AlertKind, severity: Severity, region: str) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.severities or severity in self.severities)
            and (not self.regions or region in self.regions)
        )


class Quiet(_Told):
    """Local time of ``zone``, over midnight where ``until`` is the earlier."""

    from_: Annotated[time, Field(alias="from")]
    until: time
    zone: str = "Asia/Almaty"
    severities: list[Severity] = [Severity.INFO, Severity.WARNING]
    regions: list[str] = []

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("there is no such time zone") from None
        return zone

    def holds(self, severity: Severity, region: str, now_ms: int) -> bool:
        if severity not in self.severities or (self.regions and region not in self.regions):
            return False
        now = utc(now_ms).astimezone(ZoneInfo(self.zone)).time()
        if self.from_ <= self.until:
            return self.from_ <= now < self.until
        return now >= self.from_ or now < self.until


class Window(_Told):
    """Planned work: what is open in it waits for its end. Empty lists: all of them."""

    starts: datetime
    ends: datetime
    regions: list[str] = []
    schools: list[str] = []
    kinds: list[AlertKind] = []

    def holds(self, kind: AlertKind, school: str, region: str, now_ms: int) -> bool:
        now = utc(now_ms)
        return (
            _aware(self.starts) <= now < _aware(self.ends)
            and (not self.regions or region in self.regions)
            and (not self.schools or school in self.schools)
            and (not self.kinds or kind in self.kinds)
        )


class Policies(_Told):
    chains: dict[str, Chain] = {}
    rules: list[Rule] = []
    quiet: list[Quiet] = []
    maintenance: list[Window] = []

    @field_validator("quiet", mode="before")
    @classmethod
    def _one_or_many(cls, told: object) -> object:
        return [told] if isinstance(told, dict) else told

    @model_validator(mode="after")
    def _chains_exist(self) -> Self:
        for rule in self.rules:
            if rule.chain != EVERYONE and rule.chain not in self.chains:
                raise ValueError(f"rule {rule.name!r} names a chain that is not there")
        return self

    def rule(self, kind: AlertKind, severity: Severity, region: str) -> Rule:
        """The first that fits, else the built-in: nothing is left without a way to people."""
        for rule in (*self.rules, *BUILT_IN):
            if rule.fits(kind, severity, region):
                return rule
        raise AssertionError("the last built-in rule fits everything")

    def levels(self, rule: Rule, channels: Collection[str]) -> list[Level]:
        """The chain's levels with the channels that there are; all of them where none is left."""
        chain = self.chains.get(rule.chain)
        known = [
            Level(after_s=level.after_s, channels=there)
            for level in (chain.levels if chain else [])
            if (there := [name for name in level.channels if name in channels])
        ]
        return known or [Level(channels=sorted(channels))]

    def held(
        self, kind: AlertKind, severity: Severity, school: str, region: str, now_ms: int
    ) -> bool:
        """By quiet hours or planned work. What is exempt never is."""
        if kind in EXEMPT or severity is Severity.PANIC:
            return False
        return any(q.holds(severity, region, now_ms) for q in self.quiet) or any(
            window.holds(kind, school, region, now_ms) for window in self.maintenance
        )


BUILT_IN: Final = (
    Rule(name="panic", kinds=[AlertKind.PANIC], group=False, repeat_s=60),
    Rule(name="panic (promoted)", severities=[Severity.PANIC], group=False, repeat_s=60),
    Rule(name="panic-blind", kinds=[AlertKind.PANIC_BLIND], hold_s=20, repeat_s=300),
    Rule(
        name="many",
        kinds=[AlertKind.OUTAGE, AlertKind.MONITORING_IMPAIRED, AlertKind.PIPELINE_SILENT],
        repeat_s=900,
    ),
    Rule(name="critical", severities=[Severity.CRITICAL], hold_s=20, repeat_s=900),
    Rule(name="warning", severities=[Severity.WARNING], hold_s=20, repeat_s=3_600),
    Rule(name="info", hold_s=60, interval_s=900, resolved=False),
)


def load_policies(path: Path | None, channels: Collection[str]) -> Policies:
    """The policies of this file, the built-in ones without it.

    Raises Unusable when it is wrong or names channels that are not there, and OSError.
    """
    if path is None:
        return Policies()
    try:
        policies = Policies.model_validate(toml(path, path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None
    named = {
        name
        for chain in policies.chains.values()
        for level in chain.levels
        for name in level.channels
    }
    if missing := sorted(named - set(channels)):
        raise Unusable(f"{path} names channels that are not there: {', '.join(missing)}")
    return policies


def explained(error: ValidationError) -> str:
    """Where and why, without the values: they may be secrets."""
    return "; ".join(
        f"{'.'.join(str(step) for step in one['loc']) or 'as a whole'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False)
    )


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
