"""What breaks in the simulated country, planned ahead, so that the truth is known to the second."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from loadtest.simulator.fleet import Fleet
from loadtest.simulator.stream import Truth

DEVICE_DEAD: Final = "device_dead"
POWER_CUT: Final = "power_cut"
PROVIDER_OUTAGE: Final = "provider_outage"
CLOCK_SKEW: Final = "clock_skew"
DUPLICATE: Final = "duplicate"

# kind -> (per hour, first after s, shortest s, longest s)
HABITS: Final = {
    DEVICE_DEAD: (60, 20, 180, 1200),
    POWER_CUT: (20, 45, 120, 600),
    CLOCK_SKEW: (20, 60, 300, 1800),
    PROVIDER_OUTAGE: (4, 150, 120, 360),
}
MIN_SKEW_MS, MAX_SKEW_MS = 2_000, 45_000


def plan(fleet: Fleet, *, seed: int, start_ms: int, duration_s: float, scale: float) -> list[Truth]:
    """Faults in order of their start. ``scale`` multiplies how often they happen, 0 is never."""
    if not scale:
        return []
    rng = np.random.default_rng([seed, 6])
    planned: list[Truth] = []
    for kind, (per_hour, first_s, shortest_s, longest_s) in HABITS.items():
        at_s = float(first_s)
        while at_s < duration_s:
            begins = start_ms + round(at_s * 1000)
            ends = begins + round(rng.uniform(shortest_s, longest_s) * 1000)
            planned.append(_draw(rng, fleet, kind, begins, ends))
            at_s += rng.exponential(3600 / (per_hour * scale))
    return sorted(planned, key=lambda fault: (fault.start_ms, fault.kind))


def _draw(rng: np.random.Generator, fleet: Fleet, kind: str, begins: int, ends: int) -> Truth:
    if kind in (DEVICE_DEAD, CLOCK_SKEW):
        device = int(rng.integers(fleet.installed))
        skew = int(rng.integers(MIN_SKEW_MS, MAX_SKEW_MS)) * (1 if rng.random() < 0.5 else -1)
        return Truth(
            kind,
            begins,
            ends,
            school=fleet.schools[fleet.school_of[device]].id,
            device=fleet.names[device],
            skew_ms=skew if kind == CLOCK_SKEW else 0,
        )
    school = fleet.schools[int(rng.integers(len(fleet.schools)))]
    if kind == POWER_CUT:
        return Truth(kind, begins, ends, school=school.id)
    return Truth(kind, begins, ends, provider=school.provider, region=school.region)


class Condition:
    """Which devices are silent now, and which schools can't send and keep what happens."""

    def __init__(self, fleet: Fleet, planned: Sequence[Truth]) -> None:
        self._fleet = fleet
        self._school = {school.id: s for s, school in enumerate(fleet.schools)}
        changes = [(fault.start_ms, 1, n) for n, fault in enumerate(planned)]
        changes += [(fault.end_ms, 0, n) for n, fault in enumerate(planned)]
        self._changes = sorted(changes, reverse=True)
        self._planned = planned
        self._silent: dict[int, int] = {}
        self._cut_off: dict[int, int] = {}

    def silent(self, device: int) -> bool:
        return device in self._silent

    def cut_off(self, school: int) -> bool:
        return school in self._cut_off

    def advance(self, now_ms: int) -> tuple[list[Truth], list[int]]:
        """Faults that begin by now, and schools whose uplink is back."""
        begun: list[Truth] = []
        back: list[int] = []
        while self._changes and self._changes[-1][0] <= now_ms:
            _, begins, n = self._changes.pop()
            fault = self._planned[n]
            if begins:
                begun.append(fault)
            back.extend(self._apply(fault, 1 if begins else -1))
        return begun, back

    def _apply(self, fault: Truth, step: int) -> list[int]:
        """Faults overlap, so they are counted. A device that comes back has a new boot."""
        if fault.kind == CLOCK_SKEW:
            (device,) = self._devices(fault)
            self._fleet.skew_ms[device] += step * fault.skew_ms
            return []
        if fault.kind == PROVIDER_OUTAGE:
            return [s for s in self._behind(fault) if _count(self._cut_off, s, step)]
        for device in self._devices(fault):
            if _count(self._silent, device, step):
                self._fleet.reboot(device)
        return []

    def _devices(self, fault: Truth) -> list[int]:
        there = self._fleet.devices_of(self._school[fault.school])
        return [d for d in there if not fault.device or self._fleet.names[d] == fault.device]

    def _behind(self, outage: Truth) -> Iterator[int]:
        for s, school in enumerate(self._fleet.schools):
            if school.provider == outage.provider and school.region == outage.region:
                yield s


def _count(counts: dict[int, int], key: int, step: int) -> bool:
    """Whether this was the last of them."""
    counts[key] = counts.get(key, 0) + step
    if counts[key] <= 0:
        del counts[key]
        return True
    return False
