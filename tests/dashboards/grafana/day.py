"""A small country on one day, as rows, and what is true of it, counted while it is made."""

import random
from collections import Counter
from datetime import datetime, timedelta

from loadtest.simulator.country import School, country
from tests.dashboards.grafana.day_alerts import add_alerts
from tests.dashboards.grafana.day_counts import add_incidents, add_pipeline
from tests.dashboards.grafana.truth import LOCAL, Day, Outage, stamp

SCHOOLS = 400
CANARY = "KZ-00-90001"


def make_day(seed: int, now: datetime) -> Day:
    rng = random.Random(seed)
    day = Day(now.replace(microsecond=0), country(seed, SCHOOLS))
    _registry(day)
    _canary(day)
    _facilities(day)
    _liveness(day, rng)
    _flow(day)
    _heartbeats(day)
    _tests(day)
    add_alerts(day, rng, [s.id for s in day.schools if (s.region, s.district) == big_district(day)])
    add_incidents(day, rng)
    add_pipeline(day)
    return day


def _registry(day: Day) -> None:
    registered = day.now - timedelta(days=1100)
    for school in day.schools:
        kinds = school.devices()
        day.centers[school.id] = f"center-{school.region}" if school.police_link else ""
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
                center=day.centers[school.id],
            )


def _canary(day: Day) -> None:
    """The watchdog's own school is heard, presses and fails like any other; no dashboard shows it."""
    like = day.schools[0]
    kinds = [("gateway-1", "gateway"), ("button-1", "panic_button")]
    day.event(
        "registry",
        CANARY,
        day.start,
        name_kk="canary",
        name_ru="canary",
        name_en="canary",
        region="KZ-00",
        district="canary",
        latitude=like.latitude,
        longitude=like.longitude,
        pupils=1_000,
        devices=[name for name, _ in kinds],
        device_kinds=[kind for _, kind in kinds],
        device_periods_s=[60, 60],
    )
    at = day.now - timedelta(hours=1)
    for device in ("gateway-1", ""):
        day.add(
            "status_history",
            CANARY,
            at,
            device=device,
            status="offline",
            previous="online",
            since=stamp(at),
            decided=stamp(at),
        )
    day.event("panics", CANARY, at, device="button-1", type="panic.pressed")
    day.event("passes", CANARY, at, direction="in", outcome="granted", card="0" * 16)
    day.add(
        "alert_transitions",
        CANARY,
        at,
        id="canary",
        number=0,
        kind="panic",
        severity="panic",
        action="opened",
        time=stamp(at),
        decided=stamp(at),
        count=1,
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
    for one in hit:
        _outage(day, one, day.now - timedelta(minutes=10), None, 68)
    for one in others[:3]:
        _outage(day, one, day.now - timedelta(minutes=30), None, 66)
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
    at = day.now - timedelta(hours=1)
    statuses = ("degraded", "degraded", "flapping", "maintenance")
    for one, status in zip(others[5:9], statuses, strict=True):
        _says(day, one, "", status, at, at)


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


def _tests(day: Day) -> None:
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
