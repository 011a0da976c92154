"""The rest of the simulated day: two years of incidents, and an hour of the pipeline's own figures."""

import random
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from loadtest.simulator.country import School
from streams.processes import PROCESSES, parts
from tests.dashboards.grafana.truth import LOCAL, Day, stamp

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


def months_back(now: datetime, count: int) -> list[date]:
    local = now + LOCAL
    return [
        date(local.year + (local.month - 1 - n) // 12, (local.month - 1 - n) % 12 + 1, 1)
        for n in range(count)
    ]


def add_incidents(day: Day, rng: random.Random) -> None:
    names, weights = zip(*CATEGORIES, strict=True)

    def happened(month: date, measure: str, school: School, *cells: tuple[str, str]) -> None:
        for dimension, cell in (("all", "all"), ("region", school.region), *cells):
            day.incidents[month, measure, dimension, cell] += 1

    first = day.schools[0]
    at = day.now - timedelta(hours=2)
    day.event(
        "incidents",
        first.id,
        at,
        kafka_time=day.start,
        type="incident.reported",
        channel="phone",
        category="other",
        place="gym",
        text="in a child's words",
    )
    cells = [(str(program), "with") for program in first.programs]
    cells += [
        (name, "without")
        for name in ("kiva", "dosbollike", "probilim")
        if (name, "with") not in cells
    ]
    (month,) = months_back(at, 1)
    happened(month, "reports", first, ("category", "other"), ("channel", "phone"), *cells)

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


LANES = tuple(row.name for row in PROCESSES if row.kind == "lane")
PARTS = {
    part.name: lanes
    for part in parts()
    if (lanes := tuple(row.name for row in part.rows if row.kind == "lane"))
    and part.name != "panic-b"
}
"""By process: a small machine has several lanes in one."""


def add_pipeline(day: Day) -> None:
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
        handled = 1_000 * (360 - tick) if tick > 100 else 1_000 * (101 - tick)  # a restart
        for part, lanes in PARTS.items():
            spent = len(lanes) * handled * 20e-6
            day.rows["pipeline_metrics"].append(
                _sample(at, part, part, "cpu_seconds_total", "", spent)
            )
        for part, lane in ((part, lane) for part, lanes in PARTS.items() for lane in lanes):
            for metric, value, topic in (
                ("events_total", handled, ""),
                ("watermark_age_seconds", 2.5, ""),
                ("latency_p99_seconds", 0.2, ""),
                ("lag_records", 30, f"saqshy.{lane}"),
            ):
                day.rows["pipeline_metrics"].append(_sample(at, part, lane, metric, topic, value))
        for metric, value, topic in (
            ("rows_inserted_total", 5_000 * (360 - tick), ""),
            ("parts", 12, "passes"),
        ):
            day.rows["pipeline_metrics"].append(_sample(at, "clickhouse", "", metric, topic, value))
        for metric, seconds in (("watchdog_age_seconds", 3), ("press_to_alert_seconds", 0.4)):
            day.rows["pipeline_metrics"].append(_sample(at, "watchdog", "", metric, "", seconds))


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
