"""Rate mode: the national peak as a steady mix, stamped with the clock at which it is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Final

import numpy as np

from loadtest.simulator.country import PERIODS, School
from loadtest.simulator.encode import Encoder, Record
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.garbage import CASES
from loadtest.simulator.rare import Drawn, Rare
from loadtest.simulator.stream import Batch, Batches, Pace
from schemas.events import DeviceKind, PassOutcome

HEARTBEAT_SHARE: Final = 0.25
DENIED_SHARE: Final = 0.01
# Of all events; the rest are passes and heartbeats.
RARE_SHARES: Final = {
    "panic.test": 0.0004,
    "incident.reported": 0.001,
    "incident.registered": 0.0002,
    "help.requested": 0.0006,
    "inspection.completed": 0.0002,
    "equipment.changed": 0.0002,
}
_DENIED: Final = [outcome.value for outcome in PassOutcome if outcome is not PassOutcome.GRANTED]


@dataclass(frozen=True, slots=True)
class Mix:
    """``panics`` presses and ``garbage`` rounds of every bad case, spread over ``duration_s``."""

    rate_per_s: float
    duration_s: float
    panics: int = 0
    garbage: int = 0


def peak_fleet(schools: Sequence[School], rate_per_s: float, boot: int) -> Fleet:
    """A fleet whose promised heartbeat period is what this rate can keep."""
    devices = sum(len(school.devices()) for school in schools)
    period_s = max(PERIODS[DeviceKind.GATEWAY], ceil(devices / (rate_per_s * HEARTBEAT_SHARE)))
    return Fleet(schools, boot, dict.fromkeys(DeviceKind, period_s))


def peak(encoder: Encoder, mix: Mix, *, seed: int, start_ms: int, pace: Pace) -> Batches:
    """The mix from ``start_ms`` on. Each event carries the time that ``pace`` returns.

    A sender that falls behind gets its batches late, but all of them. Presses come first in their
    batch.
    """
    fleet = encoder.fleet
    rng = np.random.default_rng([seed, fleet.boot, 4])
    rare = _Specials(encoder, mix, seed)
    gates = np.array(
        [first + n for first, count in fleet.turnstiles for n in range(count)], dtype=np.int64
    )
    beats = rng.permutation(fleet.installed)
    beat_at = 0
    tick_ms = int(np.clip(100_000 / mix.rate_per_s, 5, 50))
    total = round(mix.rate_per_s * mix.duration_s)
    ticks = ceil(mix.duration_s * 1000 / tick_ms)
    done = 0
    for tick in range(ticks):
        now_ms = pace(start_ms + tick * tick_ms)
        until_ms = min((tick + 1) * tick_ms, mix.duration_s * 1000)
        wanted = total if tick == ticks - 1 else int(mix.rate_per_s * until_ms / 1000)
        records = rare.due(until_ms, now_ms)
        room = max(0, wanted - done - len(records))
        heartbeats = room if not len(gates) else int(room * HEARTBEAT_SHARE + rng.random())
        for _ in range(min(heartbeats, room)):
            records.append(encoder.heartbeat(int(beats[beat_at]), now_ms, 80 + (beat_at & 15)))
            beat_at = (beat_at + 1) % fleet.installed
        records.extend(_passes(encoder, rng, gates, max(0, room - heartbeats), now_ms))
        done += len(records)
        yield Batch(records)


def _passes(
    encoder: Encoder, rng: np.random.Generator, gates: np.ndarray, count: int, now_ms: int
) -> list[Record]:
    if not count:
        return []
    devices = gates[rng.integers(len(gates), size=count)].tolist()
    cards = rng.integers(1 << 63, size=count).tolist()
    odds = rng.random(count).tolist()
    return [
        encoder.passed(device, now_ms, "in" if odd < 0.93 else "out", card)
        if odd < 1 - DENIED_SHARE
        else encoder.passed(device, now_ms, "in", card, _DENIED[card % len(_DENIED)])
        for device, card, odd in zip(devices, cards, odds, strict=True)
    ]


class _Specials:
    """Presses, other rare events and bad input, each at its moment of the run."""

    def __init__(self, encoder: Encoder, mix: Mix, seed: int) -> None:
        rare = Rare(encoder, seed)
        write: dict[str, Callable[[int], Drawn]] = {
            "panic.pressed": rare.press,
            "panic.test": rare.test,
            "incident.reported": rare.report,
            "incident.registered": rare.crime,
            "help.requested": rare.help,
            "inspection.completed": rare.inspection,
            "equipment.changed": rare.equipment,
        }
        counts = {
            kind: round(share * mix.rate_per_s * mix.duration_s)
            for kind, share in RARE_SHARES.items()
        }
        counts["panic.pressed"] = mix.panics
        if not rare.can_press:
            counts["panic.pressed"] = counts["panic.test"] = 0
        gates = [first for first, count in encoder.fleet.turnstiles if count]
        self._schedule: list[tuple[float, int, Callable[[int], list[Record]]]] = []
        rng = np.random.default_rng([seed, encoder.fleet.boot, 5])
        for kind, count in counts.items():
            for n in range(count):
                self._add((n + rng.random()) / count * mix.duration_s, _alone(write[kind]))
        rounds = mix.garbage if gates else 0
        for n in range(rounds):
            for case, _ in CASES.values():
                device = gates[int(rng.integers(len(gates)))]
                at_s = (n + rng.random()) / rounds * mix.duration_s
                self._add(at_s, partial(case, encoder, device))
        self._schedule.sort(key=lambda entry: entry[:2], reverse=True)

    def _add(self, at_s: float, draw: Callable[[int], list[Record]]) -> None:
        self._schedule.append((at_s * 1000, len(self._schedule), draw))

    def due(self, until_ms: float, now_ms: int) -> list[Record]:
        records: list[Record] = []
        while self._schedule and self._schedule[-1][0] < until_ms:
            records.extend(self._schedule.pop()[2](now_ms))
        records.sort(key=lambda record: record[3] != "panic.pressed")
        return records


def _alone(draw: Callable[[int], Drawn]) -> Callable[[int], list[Record]]:
    return lambda now_ms: [draw(now_ms)[1]]
