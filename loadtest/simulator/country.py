"""A seeded country of schools: where they are, how large, and what is installed in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import cos, radians
from typing import Final
from zlib import crc32

import numpy as np

from loadtest.simulator.regions import PROVIDERS, REGIONS, Region, Town
from schemas.events import DeviceKind, Program

KM_PER_DEGREE: Final = 111.2
PUPILS_PER_SCHOOL: Final = 3_900_000 / 8_000
SPECIAL_SHARE: Final = 492 / 7_859
PRIVATE_SHARE: Final = 0.08
PRIVATE_LACKING: Final = 0.30
LACKING: Final = {"turnstiles": 0.02, "contract": 0.03, "buttons": 0.04, "police_link": 0.19}
ASSISTANTS_PER_SCHOOL: Final = 2_400 / 8_000
VENDORS: Final = ("Vendor A", "Vendor B", "Vendor C")
"""Of devices. Invented: real ones are nobody's to blame for what is simulated."""

PLACES: Final = ("1 этаж, вахта", "2 этаж, приёмная директора", "1 этаж, столовая", "спортзал")
"""Where buttons are."""

Periods = Mapping[DeviceKind, int]
"""Heartbeat period in seconds, by kind of device."""

PERIODS: Final[Periods] = {
    DeviceKind.GATEWAY: 15,
    DeviceKind.TURNSTILE: 60,
    DeviceKind.PANIC_BUTTON: 60,
    DeviceKind.POLICE_LINK: 60,
}

_MORNING: Final = ("08:00", "08:30", "09:00")
_AFTERNOON: Final = ("13:30", "14:00", "14:00")
_LESSON_MIN, _BREAK_MIN, _LESSONS = 45, 7, 6


@dataclass(frozen=True, slots=True)
class School:
    """``shifts``: per shift, the bells ("HH:MM") that begin its lessons, and the one that ends it.

    ``contract`` is (number, company, expiry), None where there is no licensed security.
    """

    id: str
    kk: str
    ru: str
    en: str
    region: str
    district: str
    latitude: float
    longitude: float
    pupils: int
    private: bool
    special: bool
    shifts: tuple[tuple[str, ...], ...]
    provider: str
    programs: tuple[Program, ...]
    assistants: int
    turnstiles: int
    buttons: int
    police_link: bool
    contract: tuple[str, str, str] | None

    @property
    def center(self) -> str:
        """The police center that its panics go to; empty for a school without a link."""
        return center_of(self.region) if self.police_link else ""

    def devices(self) -> list[tuple[str, DeviceKind]]:
        """Name and kind of every installed device, the gateway first."""
        return [
            ("gateway-1", DeviceKind.GATEWAY),
            *((f"turnstile-{n + 1}", DeviceKind.TURNSTILE) for n in range(self.turnstiles)),
            *((f"button-{n + 1}", DeviceKind.PANIC_BUTTON) for n in range(self.buttons)),
            *([("police-link", DeviceKind.POLICE_LINK)] if self.police_link else []),
        ]

    def place(self, device: str) -> str:
        """Where a button is; of the others nobody asks in a hurry."""
        kind, _, number = device.partition("-")
        return PLACES[int(number) % len(PLACES)] if kind == "button" else ""

    def vendor(self, kind: DeviceKind) -> str:
        """Who made its devices of this kind: a school buys all of a kind from one."""
        return VENDORS[crc32(f"{self.id}/{kind.value}".encode()) % len(VENDORS)]


def center_of(region: str) -> str:
    """The id of a region's operational control center."""
    return f"{region}-ocs"


def country(seed: int, schools: int = 8_000) -> list[School]:
    """The same schools for the same seed. Ids depend on the number of schools only."""
    if schools < 1:
        raise ValueError("a country needs at least one school")
    rng = np.random.default_rng([seed, 1])
    regions = [
        region
        for region, count in zip(REGIONS, _apportion(schools), strict=True)
        for _ in range(count)
    ]
    pupils = _pupils(rng, regions)
    private = _some(rng, schools, PRIVATE_SHARE, np.where(pupils < 800, 1.0, 0.3))
    special = _some(rng, schools, SPECIAL_SHARE, np.where(private, 0.1, 1.0))
    lacks = _lacking(rng, private, pupils)
    assistants = rng.poisson(ASSISTANTS_PER_SCHOOL * np.where(special, 6.0, 0.67))
    built = []
    number_in_region = 0
    for i, region in enumerate(regions):
        number_in_region = number_in_region + 1 if i and region is regions[i - 1] else 1
        town = _choose_town(rng, region)
        latitude, longitude = _scatter(rng, town)
        turnstiles = int(np.clip(round(pupils[i] / 220 + 0.9), 1, 8))
        buttons = int(np.clip(round(pupils[i] / 115 + 1.4), 1, 14))
        kk, ru, en = _names(number_in_region, town, bool(private[i]), bool(special[i]))
        built.append(
            School(
                id=f"KZ-{region.code}-{number_in_region:05d}",
                kk=kk,
                ru=ru,
                en=en,
                region=f"KZ-{region.code}",
                district=town.en,
                latitude=latitude,
                longitude=longitude,
                pupils=int(pupils[i]),
                private=bool(private[i]),
                special=bool(special[i]),
                shifts=_shifts(rng, small=bool(pupils[i] < 120 or private[i])),
                provider=_provider(rng, region),
                programs=tuple(
                    program
                    for program, share in (
                        (Program.KIVA, 0.35),
                        (Program.DOSBOLLIKE, 0.9),
                        (Program.PROBILIM, 0.25),
                    )
                    if rng.random() < share
                ),
                assistants=int(assistants[i]),
                turnstiles=0 if lacks["turnstiles"][i] else turnstiles,
                buttons=0 if lacks["buttons"][i] else buttons,
                police_link=not lacks["police_link"][i],
                contract=None if lacks["contract"][i] else _contract(rng, i),
            )
        )
    return built


def _apportion(schools: int) -> list[int]:
    """Schools per region by largest remainder: they add up exactly."""
    total = sum(region.schools for region in REGIONS)
    exact = [region.schools * schools / total for region in REGIONS]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: schools - sum(counts)]:
        counts[i] += 1
    return counts


def _pupils(rng: np.random.Generator, regions: Sequence[Region]) -> np.ndarray:
    sigma = np.array([0.5 if region.city else 0.85 for region in regions])
    mean = np.array([region.size for region in regions])
    drawn = np.clip(rng.lognormal(np.log(mean) - sigma**2 / 2, sigma), 8, 4_500)
    scaled = drawn * (PUPILS_PER_SCHOOL * len(regions) / drawn.sum())
    whole: np.ndarray = np.maximum(scaled.round(), 5).astype(np.int64)
    return whole


def _some(rng: np.random.Generator, n: int, share: float, weights: np.ndarray) -> np.ndarray:
    """Exactly ``round(n * share)`` of n, as a mask."""
    mask = np.zeros(n, dtype=bool)
    p = weights / weights.sum()
    mask[rng.choice(n, size=round(n * share), replace=False, p=p)] = True
    return mask


def _lacking(
    rng: np.random.Generator, private: np.ndarray, pupils: np.ndarray
) -> dict[str, np.ndarray]:
    """Who lacks what. Equipment is mandatory above 100 pupils, so mostly small schools lack it."""
    n = len(private)
    lacks = {item: np.zeros(n, dtype=bool) for item in LACKING}
    mandatory = ("turnstiles", "contract", "buttons")
    among = np.flatnonzero(private)
    for i in rng.choice(among, size=round(len(among) * PRIVATE_LACKING), replace=False):
        lacks[mandatory[rng.choice(3, p=(2 / 9, 3 / 9, 4 / 9))]][i] = True
    weights = np.where(private, 0.0, np.where(pupils < 100, 4.0, 1.0))
    for item in mandatory:
        missing = round(n * LACKING[item]) - int(lacks[item].sum())
        if missing > 0:
            p = weights / weights.sum()
            lacks[item][rng.choice(n, size=missing, replace=False, p=p)] = True
    lacks["police_link"] = _some(rng, n, LACKING["police_link"], np.where(pupils < 100, 2.0, 1.0))
    return lacks


def _choose_town(rng: np.random.Generator, region: Region) -> Town:
    weights = np.array([town.weight for town in region.towns])
    return region.towns[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _scatter(rng: np.random.Generator, town: Town) -> tuple[float, float]:
    """Dense in the town, thin towards the edge of its radius."""
    distance_km = town.radius_km * rng.random() ** 1.6
    angle = rng.random() * 2 * np.pi
    latitude = town.latitude + distance_km * float(np.sin(angle)) / KM_PER_DEGREE
    per_degree = KM_PER_DEGREE * cos(radians(town.latitude))
    longitude = town.longitude + distance_km * float(np.cos(angle)) / per_degree
    return round(latitude, 5), round(longitude, 5)


def _provider(rng: np.random.Generator, region: Region) -> str:
    if rng.random() < 0.62:
        return region.provider
    return PROVIDERS[int(rng.integers(len(PROVIDERS)))]


def _shifts(rng: np.random.Generator, *, small: bool) -> tuple[tuple[str, ...], ...]:
    start = int(rng.choice(3, p=(0.82, 0.13, 0.05)))
    two = rng.random() < (0.3 if small else 0.73)
    starts = (_MORNING[start], _AFTERNOON[start]) if two else (_MORNING[start],)
    return tuple(_bells(first) for first in starts)


def _bells(first: str) -> tuple[str, ...]:
    hours, minutes = map(int, first.split(":"))
    begins = [
        hours * 60 + minutes + lesson * (_LESSON_MIN + _BREAK_MIN) for lesson in range(_LESSONS)
    ]
    return tuple(f"{m // 60:02d}:{m % 60:02d}" for m in (*begins, begins[-1] + _LESSON_MIN))


def _names(number: int, town: Town, private: bool, special: bool) -> tuple[str, str, str]:
    if special:
        return (
            f"№{number} арнайы мектеп, {town.kk}",
            f"Специальная школа № {number}, {town.ru}",
            f"Special School No. {number}, {town.en}",
        )
    if private:
        return (
            f"№{number} жекеменшік мектеп, {town.kk}",
            f"Частная школа № {number}, {town.ru}",
            f"Private School No. {number}, {town.en}",
        )
    return (
        f"№{number} мектеп, {town.kk}",
        f"Школа № {number}, {town.ru}",
        f"School No. {number}, {town.en}",
    )


def _contract(rng: np.random.Generator, number: int) -> tuple[str, str, str]:
    expiry = date(2026, 1, 1) + timedelta(days=int(rng.integers(60, 720)))
    company = f"Security {'ABCDEFGH'[int(rng.integers(8))]}"
    return f"SC-{number:06d}", company, expiry.isoformat()
