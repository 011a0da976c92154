"""Schools with turnstiles, and the records of their days."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.alerts import AlertChanged, Status, StatusChanged
from schemas.events import (
    DaysOff,
    DeviceKind,
    ExpectedDevice,
    Maintenance,
    Names,
    Ownership,
    SchoolRegistered,
    Shift,
)
from streams.arrivals.decide import Arrivals
from streams.arrivals.feed import Feed, register, status
from streams.arrivals.school import BEFORE_BELL_MS, day_of, is_weekend
from tests.streams.workers import uuid7

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
TUESDAY: Final = 1_795_460_400_000
"""2026-11-24 00:00 at UTC+5."""
BELL: Final = TUESDAY + 8 * HOUR
RUSH: Final = BELL - BEFORE_BELL_MS
JUDGED: Final = BELL + 20 * MINUTE
SCHOOLS: Final = tuple(f"KZ-75-{number:05}" for number in range(1, 6))
QUIET: Final = SCHOOLS[0]


class Said(NamedTuple):
    """A record as Kafka has it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def registered(
    school: str, days_off: tuple[DaysOff, ...] = (), works: tuple[Maintenance, ...] = ()
) -> bytes:
    turnstiles = [
        ExpectedDevice(device=f"turnstile-{n}", kind=DeviceKind.TURNSTILE, period_s=60)
        for n in (1, 2)
    ]
    event = SchoolRegistered(
        id=uuid7(),
        school=school,
        device="registry",
        time_ms=TUESDAY,
        boot=1,
        seq=1,
        names=Names(kk=school, ru=school, en=school),
        region=school[:5],
        district="Centre",
        latitude=43.2,
        longitude=76.9,
        pupils=500,
        ownership=Ownership.PUBLIC,
        shifts=[Shift(bells=["08:00", "08:45", "13:00"])],
        provider="kt",
        devices=turnstiles,
        days_off=list(days_off),
        maintenance=list(works),
    )
    return event.model_dump_json().encode()


def alive(school: str, device: str, at_ms: int, now: Status = Status.ONLINE) -> bytes:
    return (
        StatusChanged(
            school=school,
            device=device,
            kind="turnstile" if device else "",
            status=now,
            previous=Status.UNKNOWN if now is Status.ONLINE else Status.ONLINE,
            since_ms=at_ms,
            decided_ms=at_ms,
        )
        .model_dump_json()
        .encode()
    )


def passed(
    school: str, time_ms: int, seq: int, card: int = 0, outcome: str = "granted", device: int = 1
) -> bytes:
    return (
        f'{{"type":"pass","id":"x","school":"{school}","device":"turnstile-{device}","v":1,'
        f'"time_ms":{time_ms},"boot":1,"seq":{seq},"direction":"in","outcome":"{outcome}",'
        f'"card":"{card or seq:016x}"}}'
    ).encode()


@dataclass
class World:
    """One partition, and what its decisions said."""

    arrivals: Arrivals = field(default_factory=Arrivals)
    said: list[AlertChanged] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = Feed(self.arrivals)

    def open(self, schools: tuple[str, ...] = SCHOOLS, **more: tuple) -> None:  # type: ignore[type-arg]
        for school in schools:
            self.register(school, registered(school, **more))
            self.tell(school, "", TUESDAY - 3 * DAY)
            for device in ("turnstile-1", "turnstile-2"):
                self.tell(school, device, TUESDAY - 3 * DAY)

    def register(self, school: str, value: bytes | None) -> None:
        self.said += register(self.arrivals, Said(0, 0, school.encode(), value))

    def tell(self, school: str, device: str, at_ms: int, now: Status = Status.ONLINE) -> None:
        status(self.arrivals, Said(0, at_ms, b"", alive(school, device, at_ms, now)))

    def hear(self, records: list[Said]) -> None:
        self.said += self.feed.hear(records)

    def passes(self, school: str, at_ms: int, value: bytes) -> None:
        self.hear([Said(self.feed.next_offset, at_ms, school.encode(), value)])

    def prove(self, to_ms: int) -> None:
        self.said += self.arrivals.advance(to_ms)

    def prove_all(self, from_ms: int, to_ms: int) -> None:
        for at_ms in range(from_ms, to_ms + 1, 30_000):
            self.prove(at_ms)

    def rush(self, schools: tuple[str, ...] = SCHOOLS, days: int = 0) -> None:
        """Pupils come from 07:15 to 08:00 of that day; time is proven to the judgement."""
        self.prove(RUSH + days * DAY - HOUR)
        self.prove_all(RUSH + days * DAY - HOUR, RUSH + days * DAY)
        self.hear(arriving(schools, days, self.feed.next_offset))
        if not schools:
            self.prove_all(RUSH + days * DAY, BELL + days * DAY)
        self.prove_all(BELL + days * DAY, JUDGED + days * DAY)


def arriving(schools: tuple[str, ...], days: int, offset: int = 0) -> list[Said]:
    """One pass a minute and school around the bell."""
    found: list[Said] = []
    for minute in range(1, 45):
        for school in schools:
            at_ms = RUSH + days * DAY + minute * MINUTE
            value = passed(school, at_ms, at_ms // 1_000)
            found.append(Said(offset + len(found), at_ms, school.encode(), value))
    return found


def two_school_days(now_ms: int) -> tuple[int, int]:
    """The last two that are over, in days after the Tuesday of the other tests."""
    found: list[int] = []
    day = day_of(now_ms) - 1
    while len(found) < 2:
        if not is_weekend(day):
            found.append(day - day_of(TUESDAY))
        day -= 1
    return found[1], found[0]


def days_passes(schools: tuple[str, ...], day: int, proving: str) -> list[Said]:
    """With one of the school ``proving`` every half a minute, so that each moment is proven."""
    records = arriving(schools, day)
    for at_ms in range(RUSH - 2 * MINUTE, JUDGED + 2 * MINUTE, MINUTE // 2):
        stamp_ms = at_ms + day * DAY
        value = passed(proving, stamp_ms, stamp_ms // 1_000, device=2)
        records.append(Said(0, stamp_ms, proving.encode(), value))
    return sorted(records, key=lambda record: record.timestamp)
