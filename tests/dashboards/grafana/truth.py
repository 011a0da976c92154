"""What is true of the simulated day, and the rows that say so, collected while they are made."""

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from loadtest.simulator.country import School

LOCAL = timedelta(hours=5)

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
    """``steps``: when each was first taken, in Kafka's time, since it was last reopened."""

    school: str
    opened: datetime
    steps: dict[str, datetime] = field(default_factory=dict)
    outcome: str = ""
    drill: bool = False
    late: bool = False
    center: str = ""
    """That it was sent to; the school's own is another matter."""
    reopened: datetime | None = None

    @property
    def waiting(self) -> datetime:
        return self.reopened or self.opened

    @property
    def open(self) -> bool:
        return "closed" not in self.steps

    def seconds(self, step: str) -> float:
        return (self.steps[step] - self.waiting).total_seconds()


@dataclass
class Together:
    """An outage of many schools, as the stream names it."""

    scope: str
    members: list[str]
    opened: datetime
    named: datetime
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
    together: list[Together] = field(default_factory=list)
    centers: dict[str, str] = field(default_factory=dict)
    """Of each school, by the registry; empty for none."""
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
