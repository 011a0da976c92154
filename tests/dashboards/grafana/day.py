"""A small country on one day, as rows, and what is true of it, counted while it is made."""

import random
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from loadtest.country import School, country

SCHOOLS = 400
LOCAL = timedelta(hours=5)
CATEGORIES = (
    ("bullying", 30),
    ("violence", 12),
    ("harassment", 8),
    ("weapon", 1),
    ("self_harm", 2),
    ("intruder", 3),
    ("cyber", 9),
    ("other", 6),
)

Rows = dict[str, list[dict[str, Any]]]


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


@dataclass
class Outage:
    school: str
    since: datetime
    decided: datetime
    until: datetime | None


@dataclass
class Panic:
    school: str
    opened: datetime
    acknowledged: datetime | None
    resolved: datetime | None


@dataclass
class Day:
    """``rows`` by table; all else is the truth that answers are checked against."""

    now: datetime
    schools: list[School]
    rows: Rows = field(default_factory=lambda: defaultdict(list))
    status: dict[str, str] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    panics: list[Panic] = field(default_factory=list)
    came_in: Counter[str] = field(default_factory=Counter)
    went_out: Counter[str] = field(default_factory=Counter)
    inside_today: int = 0
    overdue: set[tuple[str, str]] = field(default_factory=set)
    buttons: set[tuple[str, str]] = field(default_factory=set)
    incidents: Counter[tuple[date, str, str, str]] = field(default_factory=Counter)
    """(month, measure, dimension, cell) -> events, before anything is hidden."""
    dead: Counter[str] = field(default_factory=Counter)
    offset: int = 0
    """Of the last row. Incidents all come in on one day, since raw rows stand by day of arrival."""

    @property
    def start(self) -> datetime:
        return self.now - timedelta(days=1)

    def add(self, table: str, school: str, at: datetime, **values: Any) -> None:
        self.offset += 1
        kafka_time = values.pop("kafka_time", at)
        self.rows[table].append(
            {
                "kafka_partition": 0,
                "kafka_offset": self.offset,
                "kafka_time": stamp(kafka_time),
                "school": school,
                **values,
            }
        )

    def event(self, table: str, school: str, at: datetime, **values: Any) -> None:
        self.add(
            table,
            school,
            at,
            id=str(uuid.UUID(int=self.offset)),
            time=stamp(at),
            boot=1,
            seq=self.offset,
            **{"device": "gateway-1", **values},
        )


def make_day(seed: int, now: datetime) -> Day:
    rng = random.Random(seed)
    day = Day(now.replace(microsecond=0), country(seed, SCHOOLS))
    _registry(day)
    _facilities(day)
    _liveness(day, rng)
    _flow(day)
    _heartbeats(day)
    _panics(day, rng)
    _incidents(day, rng)
    _pipeline(day)
    return day


def _registry(day: Day) -> None:
    registered = day.now - timedelta(days=1100)
    for school in day.schools:
        kinds = school.devices()
        for pupils in (school.pupils + 1, school.pupils):  # the later record is the true one
            day.event(
                "registry",
                school.id,
                registered,
                name_kk=school.kk,
                name_ru=school.ru,
                name_en=school.en,
                region=school.region,
                district=school.district,
                latitude=school.latitude,
                longitude=school.longitude,
                pupils=pupils,
                ownership="private" if school.private else "public",
                special=school.special,
                shifts=len(school.shifts),
                bells=[list(shift) for shift in school.shifts],
                provider=school.provider,
                programs=[str(program) for program in school.programs],
                teacher_assistants=school.assistants,
                devices=[name for name, _ in kinds],
                device_kinds=[str(kind) for _, kind in kinds],
                device_periods_s=[60] * len(kinds),
            )


def _facilities(day: Day) -> None:
    for number, school in enumerate(day.schools):
        number_company_expiry = school.contract or ("", "", None)
        day.event(
            "facilities",
            school.id,
            day.now - timedelta(days=100),
            type="equipment.changed",
            turnstiles=school.turnstiles,
            panic_buttons=school.buttons,
            gateways=1,
            police_link=school.police_link,
            contract_number=number_company_expiry[0],
            contract_company=number_company_expiry[1],
            contract_expires=number_company_expiry[2],
        )
        if number % 10 == 0:
            day.event(
                "facilities",
                school.id,
                day.now - timedelta(hours=2),
                type="inspection.completed",
                inspector="I. Inspector",
                finding_codes=["doors", "cameras"],
                finding_severities=["danger" if number % 20 == 0 else "remark", "violation"],
                finding_texts=["", ""],
            )


def _says(day: Day, school: str, device: str, status: str, since: datetime, at: datetime) -> None:
    day.add(
        "status_history",
        school,
        at,
        device=device,
        kind="" if not device else "gateway",
        status=status,
        previous="unknown",
        since=stamp(since),
        decided=stamp(at),
    )
    if not device:
        day.status[school] = status


def _outage(day: Day, school: str, since: datetime, until: datetime | None, took_s: float) -> None:
    decided = since + timedelta(seconds=took_s)
    for device in ("gateway-1", ""):
        _says(day, school, device, "offline", since, decided)
        if until is not None:
            _says(day, school, device, "online", until, until + timedelta(seconds=1))
    day.outages.append(Outage(school, since, decided, until))


def big_district(day: Day) -> tuple[str, str]:
    return Counter((s.region, s.district) for s in day.schools).most_common(1)[0][0]


def _liveness(day: Day, rng: random.Random) -> None:
    for school in day.schools[:-1]:  # of the last one nothing was ever heard
        for device in ("gateway-1", ""):
            born = day.start - timedelta(days=3)
            _says(day, school.id, device, "online", born, born)
    hit = [s.id for s in day.schools if (s.region, s.district) == big_district(day)]
    others = [s.id for s in day.schools[:-1] if s.id not in hit]
    for school in hit:
        _outage(day, school, day.now - timedelta(minutes=10), None, 68)
    for school in others[:3]:
        _outage(day, school, day.now - timedelta(minutes=30), None, 66)
    for hours in (20, 15, 9):
        _outage(
            day,
            others[3],
            day.now - timedelta(hours=hours),
            day.now - timedelta(hours=hours - 1),
            rng.choice([65, 70]),
        )
    _outage(  # began before the day: only what lies within it counts
        day, others[4], day.start - timedelta(hours=2), day.start + timedelta(hours=1), 64
    )
    for school in others[5:7]:
        at = day.now - timedelta(hours=1)
        _says(day, school, "", "degraded", at, at)


def _flow(day: Day) -> None:
    local_midnight = (day.now + LOCAL).replace(hour=0, minute=0, second=0) - LOCAL

    def passes(school: School, at: datetime, direction: str, outcome: str = "granted") -> None:
        day.event(
            "passes",
            school.id,
            at,
            device="turnstile-1",
            direction=direction,
            outcome=outcome,
            card="0" * 16,
        )
        if at >= day.start and outcome == "granted":
            (day.came_in if direction == "in" else day.went_out)[school.id] += 1
            if at >= local_midnight:
                day.inside_today += 1 if direction == "in" else -1

    for school in day.schools:
        for k in range(10):
            passes(school, day.now - timedelta(hours=6) + timedelta(minutes=3 * k), "in")
        for k in range(4):
            passes(school, day.now - timedelta(hours=1) + timedelta(minutes=k), "out")
        passes(school, day.now - timedelta(hours=6), "in", "unknown_card")
    for week in (1, 2, 3, 4):
        for _ in range(8):
            passes(day.schools[0], day.now - timedelta(days=7 * week, hours=6), "in")


def _heartbeats(day: Day) -> None:
    for minute in range(120):
        for device, kind in day.schools[0].devices():
            day.event(
                "heartbeats",
                day.schools[0].id,
                day.now - timedelta(minutes=minute + 1),
                device=device,
                kind=str(kind),
                period_s=60,
                battery_pct=77 if kind == "panic_button" else None,
                link_pct=90,
                provider=day.schools[0].provider,
                buffered=minute,
                clock_offset_ms=-5,
            )


def _panics(day: Day, rng: random.Random) -> None:
    for number, school in enumerate(s for s in day.schools if s.buttons):
        for device, kind in school.devices():
            if kind != "panic_button":
                continue
            day.buttons.add((school.id, device))
            if number % 9 == 0 and device == "button-1":
                day.overdue.add((school.id, device))
                if number % 2:
                    continue  # never tested
                tested = day.now - timedelta(days=9)
            else:
                tested = day.now - timedelta(days=2)
            day.event("panics", school.id, tested, device=device, type="panic.test", passed=True)
    for k in range(12):
        school = day.schools[k * 7 % 60]
        opened = day.now - timedelta(hours=23) + timedelta(hours=1.9 * k)
        acknowledged = None if k == 11 else opened + timedelta(seconds=rng.choice([8, 21, 75]))
        resolved = None if k >= 10 else opened + timedelta(minutes=20)
        day.panics.append(Panic(school.id, opened, acknowledged, resolved))
        day.event("panics", school.id, opened, device="button-1", type="panic.pressed")
        if k % 4 == 0:
            cancelled = opened + timedelta(seconds=30)
            day.event("panics", school.id, cancelled, device="button-1", type="panic.cancelled")
        steps = [("opened", opened), ("acknowledged", acknowledged), ("resolved", resolved)]
        for twice in range(2):  # two workers say every transition
            for transition, (action, at) in enumerate(steps):
                if at is not None:
                    day.add(
                        "alert_transitions",
                        school.id,
                        at,
                        id=f"panic-{k}",
                        number=transition,
                        kind="panic",
                        severity="panic",
                        action=action,
                        device="button-1",
                        time=stamp(opened),
                        decided=stamp(at + timedelta(milliseconds=40 * twice)),
                        count=1,
                    )


def months_back(now: datetime, count: int) -> list[date]:
    local = now + LOCAL
    return [
        date(local.year + (local.month - 1 - n) // 12, (local.month - 1 - n) % 12 + 1, 1)
        for n in range(count)
    ]


def _incidents(day: Day, rng: random.Random) -> None:
    names, weights = zip(*CATEGORIES, strict=True)

    def happened(month: date, measure: str, school: School, *cells: tuple[str, str]) -> None:
        for dimension, cell in (("all", "all"), ("region", school.region), *cells):
            day.incidents[month, measure, dimension, cell] += 1

    for month in months_back(day.now, 26):
        for _ in range(260):
            school = rng.choice(day.schools)
            at = datetime(month.year, month.month, rng.randint(1, 28), 6, tzinfo=UTC)
            if at > day.now:
                continue
            which = rng.random()
            if which < 0.6:
                category = rng.choices(names, weights)[0]
                channel = rng.choices(["qr", "phone", "staff"], [80, 18, 2])[0]
                day.event(
                    "incidents",
                    school.id,
                    at,
                    kafka_time=day.start,
                    type="incident.reported",
                    channel=channel,
                    category=category,
                )
                running = {str(program) for program in school.programs}
                happened(
                    month,
                    "reports",
                    school,
                    ("category", category),
                    ("channel", channel),
                    *(
                        (program, "with" if program in running else "without")
                        for program in ("kiva", "dosbollike", "probilim")
                    ),
                )
            elif which < 0.8:
                involved = rng.choice(["by_minor", "against_minor"])
                severity = rng.choices(
                    ["minor", "medium", "serious", "particularly_serious"], [60, 25, 12, 3]
                )[0]
                day.event(
                    "incidents",
                    school.id,
                    at,
                    kafka_time=day.start,
                    type="incident.registered",
                    involvement=involved,
                    severity=severity,
                    category="violence",
                )
                happened(month, "crimes", school, ("kind", f"{involved} {severity}"))
            else:
                day.event(
                    "incidents",
                    school.id,
                    at,
                    kafka_time=day.start,
                    type="help.requested",
                    topic="medical",
                )
                happened(month, "help", school)


LANES = ("panic", "liveness", "flow", "incident", "archive")


def _pipeline(day: Day) -> None:
    for k, reason in enumerate(["not_json"] * 7 + ["invalid"] * 3):
        day.dead[reason] += 1
        day.rows["dead_letters"].append(
            {
                "topic": "saqshy.passes",
                "kafka_partition": 0,
                "kafka_offset": k,
                "kafka_time": stamp(day.now - timedelta(minutes=5)),
                "reason": reason,
                "sha256": sha256(bytes([k])).hexdigest(),
                "size_bytes": 100,
            }
        )
    for tick in range(360):
        at = day.now - timedelta(seconds=10 * tick)
        for lane in LANES:
            handled = 1_000 * (360 - tick) if tick > 100 else 1_000 * (101 - tick)  # a restart
            for metric, value, topic in (
                ("events_total", handled, ""),
                ("cpu_seconds_total", handled * 20e-6, ""),
                ("watermark_age_seconds", 2.5, ""),
                ("latency_p99_seconds", 0.2, ""),
                ("lag_records", 30, f"saqshy.{lane}"),
            ):
                day.rows["pipeline_metrics"].append(
                    _sample(at, f"{lane}-0", lane, metric, topic, value)
                )
        for metric, value, topic in (
            ("rows_inserted_total", 5_000 * (360 - tick), ""),
            ("parts", 12, "passes"),
        ):
            day.rows["pipeline_metrics"].append(_sample(at, "clickhouse", "", metric, topic, value))
        day.rows["pipeline_metrics"].append(
            _sample(at, "watchdog", "", "watchdog_age_seconds", "", 3)
        )


def _sample(
    at: datetime, source: str, lane: str, metric: str, topic: str, value: float
) -> dict[str, Any]:
    return {
        "sampled": at.strftime("%Y-%m-%d %H:%M:%S"),
        "source": source,
        "lane": lane,
        "metric": metric,
        "topic": topic,
        "value": value,
    }
