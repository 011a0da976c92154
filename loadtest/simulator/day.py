"""A school day as a stream: the same seed and schedule give the same bytes."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtest.simulator.encode import Encoder, Record
from loadtest.simulator.faults import DUPLICATE, Condition
from loadtest.simulator.garbage import bad
from loadtest.simulator.pupils import IN, Move, Pupils
from loadtest.simulator.rare import Rare
from loadtest.simulator.rhythm import classes
from loadtest.simulator.stream import Batch, Batches, Pace, Truth
from schemas.alerts import Reason
from schemas.events import PassOutcome

DAY_S: Final = 86_400
LESSONS_S: Final = (7.5 * 3600, 18.75 * 3600)  # outside of these hours little happens
QUIET: Final = 0.1
DENIED_ONE_IN: Final = 80
DRAIN_S: Final = 30  # an uplink is back: this long until its schools have sent what they kept
CANCELLED_SHARE: Final = 0.15

_DENIED: Final = (
    PassOutcome.UNKNOWN_CARD.value,
    PassOutcome.WRONG_TIME.value,
    PassOutcome.PASSBACK.value,
)
_BEAT: Final = ""


@dataclass(frozen=True, slots=True)
class Script:
    """``start_ms`` is the event time of the first moment, ``local_start_s`` what the schools'
    clocks show then (seconds after midnight). Each day is a school day.

    ``cards``: share of pupils who carry a card. ``duplicates``: share of events sent once more.
    """

    start_ms: int
    duration_s: float
    local_start_s: float = 7 * 3600 + 40 * 60
    speed: float = 1.0
    cards: float = 1.0
    panic_every_s: float = 30.0
    duplicates: float = 2e-5
    slice_ms: int = 200


def day(
    encoder: Encoder,
    script: Script,
    faults: Sequence[Truth],
    *,
    seed: int,
    real_start_ms: int,
    pace: Pace,
) -> Batches:
    """One batch per slice of simulated time, due when the slice is over.

    Presses come first in their batch; at speed 1 they carry the time at which they are sent.
    """
    under_way = _Day(encoder, script, faults, seed)
    for n in range(1, max(1, round(script.duration_s * 1000 / script.slice_ms)) + 1):
        elapsed_ms = n * script.slice_ms
        due_ms = real_start_ms + round(elapsed_ms / script.speed)
        late_ms = pace(due_ms) - due_ms
        yield under_way.slice(script.start_ms + elapsed_ms, late_ms if script.speed == 1.0 else 0)


class _Day:
    def __init__(
        self, encoder: Encoder, script: Script, faults: Sequence[Truth], seed: int
    ) -> None:
        fleet = encoder.fleet
        self._encoder = encoder
        self._script = script
        self._rng = np.random.default_rng([seed, 7])
        self._rarities = _Rarities(Rare(encoder, seed), script, self._rng)
        self._condition = Condition(fleet, faults)
        self._beats = _Beats(fleet.periods_ms(), self._rng)
        self._pupils = Pupils(classes(fleet.schools, script.cards), fleet.turnstiles, seed)
        self._kept: dict[int, list[Record]] = {}
        self._per_slice: dict[int, int] = {}
        self._again: list[tuple[int, int, Record]] = []
        self._resent = 0
        self._today = -1.0

    def slice(self, end_ms: int, late_ms: int) -> Batch:
        """What leaves when this slice of time is over."""
        script, condition, encoder = self._script, self._condition, self._encoder
        start_ms = end_ms - script.slice_ms
        begun, back = condition.advance(start_ms)
        self._uplink_is_back(back)
        local_s = script.local_start_s + (start_ms - script.start_ms) / 1000
        today, local_s = divmod(local_s, DAY_S)
        if today != self._today:
            self._today = today
            self._pupils.new_day()

        sent: list[Record] = []
        for device, record in self._rarities.due(start_ms, end_ms, local_s, late_ms):
            self._leave(device, record, sent)
        moves = self._beats.due(start_ms, end_ms)
        moves += self._pupils.moves(local_s, start_ms, script.slice_ms)
        moves.sort()
        for time_ms, device, direction, card in moves:
            if condition.silent(device):
                continue
            if direction == _BEAT:
                link_pct = 60 + (device * 31 + time_ms // 60_000) % 40
                kept = self._kept.get(encoder.fleet.school_of[device], ())
                record = encoder.heartbeat(device, time_ms, link_pct, len(kept))
            else:
                if direction == IN and not card % DENIED_ONE_IN:
                    outcome = _DENIED[card // DENIED_ONE_IN % len(_DENIED)]
                    denied = encoder.passed(device, time_ms, IN, card, outcome)
                    self._leave(device, denied, sent)
                record = encoder.passed(device, time_ms, direction, card)
            self._leave(device, record, sent)
        truth = (*begun, *self._send_again(sent, end_ms))
        self._send_kept(sent)
        return Batch(sent, truth)

    def _leave(self, device: int, record: Record, sent: list[Record]) -> None:
        """A desk has the network of a phone, so an outage of the school's uplink spares it."""
        school = self._encoder.fleet.school_of[device]
        if self._condition.cut_off(school) and device < self._encoder.fleet.installed:
            self._kept.setdefault(school, []).append(record)
        else:
            sent.append(record)

    def _uplink_is_back(self, schools: list[int]) -> None:
        """Gateways don't sort what they kept: it arrives late and out of order."""
        slices = max(1, DRAIN_S * 1000 // self._script.slice_ms)
        for school in schools:
            kept = self._kept.get(school, [])
            order = self._rng.permutation(len(kept)).tolist()
            kept[:] = [kept[n] for n in order]
            self._per_slice[school] = -(-len(kept) // slices)

    def _send_kept(self, sent: list[Record]) -> None:
        for school, quota in list(self._per_slice.items()):
            if self._condition.cut_off(school):
                del self._per_slice[school]
                continue
            kept = self._kept.get(school, [])
            sent.extend(kept[-quota:] if quota else [])
            del kept[len(kept) - quota :]
            if not kept:
                self._kept.pop(school, None)
                del self._per_slice[school]

    def _send_again(self, sent: list[Record], end_ms: int) -> list[Truth]:
        """A device that misses an acknowledgement sends the same bytes once more."""
        truth = []
        while self._again and self._again[0][0] <= end_ms:
            _, _, record = heapq.heappop(self._again)
            sent.append(record)
            truth.append(Truth(DUPLICATE, end_ms, end_ms, school=record[1].decode()))
        repeatable = [r for r in sent if r[3] in ("pass", "heartbeat")]
        for n in self._rng.random(self._rng.poisson(len(repeatable) * self._script.duplicates)):
            record = repeatable[int(n * len(repeatable))]
            self._resent += 1
            due_ms = end_ms + int(1_000 + n * 20_000)
            copy = bad(Reason.DUPLICATE, record, record[2])
            heapq.heappush(self._again, (due_ms, self._resent, copy))
        return truth


class _Rarities:
    """Presses at a steady interval, the other rare events by chance, fewer outside of lessons."""

    def __init__(self, rare: Rare, script: Script, rng: np.random.Generator) -> None:
        self._rare = rare
        self._script = script
        self._rng = rng
        self._press_in_s = script.panic_every_s / 4
        self._cancels: list[tuple[int, int, Record]] = []
        self._per_hour = (
            (160.0 if rare.can_press else 0.0, rare.test),
            (240.0, rare.report),
            (20.0, rare.crime),
            (90.0, rare.help),
            (24.0, rare.inspection),
            (12.0, rare.equipment),
        )

    def due(
        self, start_ms: int, end_ms: int, local_s: float, late_ms: int
    ) -> list[tuple[int, Record]]:
        hours = (end_ms - start_ms) / 3_600_000
        if not LESSONS_S[0] <= local_s < LESSONS_S[1]:
            hours *= QUIET
        due: list[tuple[int, Record]] = []
        self._press_in_s -= hours * 3600
        while self._press_in_s <= 0 and self._rare.can_press:
            device, press = self._rare.press(end_ms + late_ms)
            due.append((device, press))
            self._press_in_s += self._script.panic_every_s * self._rng.uniform(2 / 3, 4 / 3)
            if self._rng.random() < CANCELLED_SHARE:
                at_ms = end_ms + int(self._rng.uniform(15_000, 90_000))
                heapq.heappush(self._cancels, (at_ms, device, press))
        while self._cancels and self._cancels[0][0] <= end_ms:
            _, device, press = heapq.heappop(self._cancels)
            due.append((device, self._rare.cancel(device, press, end_ms)))
        for per_hour, draw in self._per_hour:
            due.extend(draw(end_ms) for _ in range(self._rng.poisson(per_hour * hours)))
        return due


class _Beats:
    """Each device calls once per period, at a moment of its own in it."""

    def __init__(self, periods_ms: np.ndarray, rng: np.random.Generator) -> None:
        self._groups: list[tuple[int, np.ndarray, np.ndarray]] = []
        for period in np.unique(periods_ms).tolist():
            devices = np.flatnonzero(periods_ms == period)
            phases = rng.integers(period, size=len(devices))
            order = np.argsort(phases, kind="stable")
            self._groups.append((period, phases[order], devices[order]))

    def due(self, start_ms: int, end_ms: int) -> list[Move]:
        """Heartbeats of [start_ms, end_ms), each with its own time."""
        beats: list[Move] = []
        for period, phases, devices in self._groups:
            at = start_ms
            while at < end_ms:
                base = at - at % period
                until = min(end_ms, base + period)
                low, high = np.searchsorted(phases, (at - base, until - base)).tolist()
                beats.extend(
                    (base + phase, device, _BEAT, 0)
                    for phase, device in zip(
                        phases[low:high].tolist(), devices[low:high].tolist(), strict=True
                    )
                )
                at = until
        return beats
