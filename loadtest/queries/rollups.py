"""Thirty days of the whole country inside the engine: registry from Python, the rest from SQL."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

from loadtest.simulator.country import School, center_of, country

MIGRATIONS: Final = Path(__file__).parents[2] / "schemas" / "clickhouse"
FILLING: Final = Path(__file__).parent / "rollups.sql"
DAYS: Final = 30

_STEP: Final = re.compile(r"^-- step: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    sql: str


def tables(run: Callable[[str], Any]) -> None:
    """Create every table and view; ``run`` runs one statement in the engine."""
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for statement in path.read_text().split(";\n"):
            if statement.strip():
                run(statement)


def steps(schools: int, seed: int) -> Iterator[Step]:
    """The statements that fill the tables, in order."""
    made = country(seed, schools)
    offsets = count()
    yield _lines("registry", (_registered(school, next(offsets)) for school in made))
    yield _lines("facilities", (_equipment(school, next(offsets)) for school in made))
    _, *parts = _STEP.split(FILLING.read_text())
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        yield Step(name, sql.strip().removesuffix(";").replace("{schools}", str(schools)))


def _lines(table: str, rows: Iterator[Mapping[str, Any]]) -> Step:
    text = "\n".join(json.dumps(row) for row in rows)
    return Step(table, f"INSERT INTO {table} FORMAT JSONEachRow {text}")


def _envelope(school: School, offset: int, days_ago: int) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "kafka_partition": 0,
        "kafka_offset": offset,
        "kafka_time": at,
        "school": school.id,
        "device": "gateway-1",
        "time": at,
        "boot": 1,
        "seq": 1,
    }


def _registered(school: School, offset: int) -> dict[str, Any]:
    devices = school.devices()
    return {
        **_envelope(school, offset, 1100),
        "name_kk": school.kk,
        "name_ru": school.ru,
        "name_en": school.en,
        "region": school.region,
        "district": school.district,
        "latitude": school.latitude,
        "longitude": school.longitude,
        "pupils": school.pupils,
        "ownership": "private" if school.private else "public",
        "special": school.special,
        "shifts": len(school.shifts),
        "bells": [list(shift) for shift in school.shifts],
        "provider": school.provider,
        "programs": [str(program) for program in school.programs],
        "teacher_assistants": school.assistants,
        "devices": [name for name, _ in devices],
        "device_kinds": [str(kind) for _, kind in devices],
        "device_periods_s": [60] * len(devices),
        "center": center_of(school.region) if school.police_link else "",
    }


def _equipment(school: School, offset: int) -> dict[str, Any]:
    _, company, expires = school.contract or ("", "", None)
    return {
        **_envelope(school, offset, 100),
        "type": "equipment.changed",
        "turnstiles": school.turnstiles,
        "panic_buttons": school.buttons,
        "gateways": 1,
        "police_link": school.police_link,
        "contract_company": company,
        "contract_expires": expires,
    }
