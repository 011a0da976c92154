"""Who is paged for what, when, and how often. What a file may say is judged as a whole, at the start.

Whatever is accepted here works later: a time that means nothing, or something else than who wrote it
thinks, is refused with its place and what to write. docs/paging.md shows a file.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from schemas.alerts import AlertKind, Severity
from schemas.events import SCHOOL_PATTERN
from schemas.regions import REGIONS
from schemas.times import utc

EVERYONE: Final = "everyone"
EXEMPT: Final = frozenset({AlertKind.PANIC, AlertKind.PANIC_BLIND})
"""Never grouped away, absorbed, silenced, kept for the morning or under maintenance."""

_HOUR_S: Final = 3_600


def _seconds(most_s: int) -> object:
    return Field(ge=0, le=most_s, strict=True)


# An alert is news for a day. The longest hold and interval, or wait and interval, end within it, so
# that nothing that is accepted here means never.
_Hold = Annotated[int, _seconds(8 * _HOUR_S)]
_Interval = Annotated[int, _seconds(8 * _HOUR_S)]
_Wait = Annotated[int, _seconds(12 * _HOUR_S)]
_Attended = Annotated[int, _seconds(7 * 24 * _HOUR_S)]
_Yes = Annotated[bool, Field(strict=True)]


def _written(pattern: str, how: str) -> BeforeValidator:
    """Pydantic would take a number, also one in quotes, as seconds since 1970 or midnight."""

    def judged(told: object) -> object:
        if isinstance(told, time | datetime) or (isinstance(told, str) and re.match(pattern, told)):
            return told
        raise ValueError(how)

    return BeforeValidator(judged)


_WHOLE_TIME: Final = "write date, time and offset: 2026-11-25T18:00:00+05:00"
_OfDay = Annotated[
    time, _written(r"[0-9]{2}:[0-9]{2}", 'write hours and minutes in quotes: "22:00"')
]
_Moment = Annotated[datetime, _written(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.", _WHOLE_TIME)]


def _region(code: str) -> str:
    if code not in REGIONS:
        raise ValueError("there is no such region: write one of ISO 3166-2, such as KZ-75")
    return code


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _InPlaces(_Told):
    regions: list[str] = []

    @field_validator("regions")
    @classmethod
    def _there(cls, codes: list[str]) -> list[str]:
        return [_region(code) for code in codes]


class Level(_Told):
    after_s: _Wait = 0
    channels: Annotated[list[str], Field(min_length=1)]


class Chain(_Told):
    levels: Annotated[list[Level], Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        waits = [level.after_s for level in self.levels]
        if waits != sorted(waits):
            raise ValueError("levels must stand in the order of after_s")
        return self


class Rule(_InPlaces):
    """``hold_s``: wait so long, as an outage may take it in. ``group``: one page per region, and
    the next ``interval_s`` later. ``repeat_s``: again while nobody acknowledges; 0 for never.
    ``corrected``: say it too when the true end of what is over becomes known afterwards.
    ``attended_s``: what somebody attends to, and no panic, is said again when it is still open so long
    after; 0 for never."""

    name: Annotated[str, Field(min_length=1)]
    kinds: list[AlertKind] = []
    severities: list[Severity] = []
    chain: str = EVERYONE
    hold_s: _Hold = 0
    group: _Yes = True
    interval_s: _Interval = 60
    repeat_s: _Wait = 0
    resolved: _Yes = True
    corrected: _Yes = False
    attended_s: _Attended = 4 * _HOUR_S

    def fits(self, kind: AlertKind, severity: Severity, region: str) -> bool:
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.severities or severity in self.severities)
            and (not self.regions or region in self.regions)
        )


class Quiet(_InPlaces):
    """Local time of ``zone``, over midnight where ``until`` is the earlier."""

    from_: Annotated[_OfDay, Field(alias="from")]
    until: _OfDay
    zone: str = "Asia/Almaty"
    severities: list[Severity] = [Severity.INFO, Severity.WARNING]

    @field_validator("from_", "until")
    @classmethod
    def _local(cls, at: time) -> time:
        if at.tzinfo is not None:
            raise ValueError("write local time without an offset; zone says where it holds")
        if at.microsecond:
            raise ValueError("write hours, minutes and at most whole seconds")
        return at

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in available_timezones() - {"localtime"}:  # which the host decides
            raise ValueError("there is no such time zone: write one such as Asia/Almaty")
        return zone

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_ == self.until:
            raise ValueError(
                "from and until are the same time: that is no hour at all, or all of them"
            )
        if self.severities and set(self.severities) <= {Severity.PANIC}:
            raise ValueError("a panic is never kept for the morning: name other severities")
        return self

    def concerns(self, severity: Severity, region: str) -> bool:
        return severity in self.severities and (not self.regions or region in self.regions)

    def holds(self, now_ms: int) -> bool:
        now = utc(now_ms).astimezone(ZoneInfo(self.zone)).time()
        if self.from_ <= self.until:
            return self.from_ <= now < self.until
        return now >= self.from_ or now < self.until

    def next_end_ms(self, now_ms: int) -> int:
        """When it ends next, later than now."""
        zone = ZoneInfo(self.zone)
        today = utc(now_ms).astimezone(zone).date()
        ends = (
            datetime.combine(today + timedelta(days=days), self.until, zone) for days in range(3)
        )
        return next(ms for end in ends if (ms := round(end.timestamp() * 1000)) > now_ms)


class Window(_InPlaces):
    """Planned work: what is open in it waits for its end. Empty lists: all of them."""

    starts: _Moment
    ends: _Moment
    schools: list[str] = []
    kinds: list[AlertKind] = []

    @field_validator("starts", "ends")
    @classmethod
    def _with_offset(cls, at: datetime) -> datetime:
        # A guess of the zone is five hours wrong for who thought of another one.
        if at.tzinfo is None:
            raise ValueError(_WHOLE_TIME)
        return at.astimezone(UTC)

    @field_validator("schools")
    @classmethod
    def _are_schools(cls, schools: list[str]) -> list[str]:
        for school in schools:
            if re.fullmatch(SCHOOL_PATTERN, school) is None:
                raise ValueError("write a school as KZ-<region>-<number>, such as KZ-75-00001")
            _region(school[:5])
        return schools

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.starts >= self.ends:
            raise ValueError("it ends before it starts: ends must be later than starts")
        if self.kinds and set(self.kinds) <= EXEMPT:
            raise ValueError(
                "a panic, or a school that cannot press, is never held: name other kinds"
            )
        return self

    def concerns(self, kind: AlertKind, school: str, region: str) -> bool:
        return (
            (not self.regions or region in self.regions)
            and (not self.schools or school in self.schools)
            and (not self.kinds or kind in self.kinds)
        )

    def holds(self, now_ms: int) -> bool:
        return self.starts <= utc(now_ms) < self.ends

    @property
    def ends_ms(self) -> int:
        return round(self.ends.timestamp() * 1000)


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
    def _fits_together(self) -> Self:
        for rule in self.rules:
            if rule.chain != EVERYONE and rule.chain not in self.chains:
                raise ValueError(f"rule {rule.name!r} names a chain that is not there")
        if EVERYONE in self.chains:
            raise ValueError(
                f"a chain may not be called {EVERYONE!r}: that is all channels at once"
            )
        twice = [name for name, count in Counter(r.name for r in self.rules).items() if count > 1]
        if twice:
            raise ValueError(f"two rules are called {twice[0]!r}: give each a name of its own")
        for severity in Severity:
            for region in {"", *(code for quiet in self.quiet for code in quiet.regions)}:
                if self.quiet and self._awake_ms(severity, region, 0) is None:
                    raise ValueError(f"the quiet hours leave no time of the day for {severity}")
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
        return any(q.holds(now_ms) for q in self._quiet_for(severity, region)) or any(
            w.holds(now_ms) for w in self.maintenance if w.concerns(kind, school, region)
        )

    def worked_until_ms(self, kind: AlertKind, school: str, region: str, now_ms: int) -> int:
        """When the last planned work ended that held this; 0 for none."""
        ends_ms = (w.ends_ms for w in self.maintenance if w.concerns(kind, school, region))
        return max((at_ms for at_ms in ends_ms if at_ms <= now_ms), default=0)

    def awake_ms(self, severity: Severity, region: str, at_ms: int) -> int:
        """The first time from then on that no quiet hour keeps."""
        awake_ms = self._awake_ms(severity, region, at_ms)
        return at_ms if awake_ms is None else awake_ms

    def _awake_ms(self, severity: Severity, region: str, at_ms: int) -> int | None:
        quiet = self._quiet_for(severity, region)
        ends_ms = at_ms, *(q.next_end_ms(at_ms) for q in quiet)
        free = (ms for ms in sorted(ends_ms) if not any(q.holds(ms) for q in quiet))
        return next(free, None)

    def _quiet_for(self, severity: Severity, region: str) -> list[Quiet]:
        return [quiet for quiet in self.quiet if quiet.concerns(severity, region)]


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


def without_use(policies: Policies) -> Iterable[Rule]:
    """Rules that never count, as those before them take all that they fit."""
    combinations = [
        (kind, severity, region)
        for kind in AlertKind
        for severity in Severity
        for region in ("", *sorted(REGIONS))
    ]
    used = {policies.rule(*one).name for one in combinations}
    return (rule for rule in policies.rules if rule.name not in used)
