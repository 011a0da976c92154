"""Heartbeats of gateways over days, faster than the clock, with what was really cut. Seeded.

Each gateway beats every PERIOD_MS at a moment of its own. Beats jitter, are delayed by the network
and lost; uplinks are cut: for a moment (which nobody should be paged for), for longer than that, and
together with all that share a provider in a region. After some cuts the gateway sends what it kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from loadtest.simulator.country import School

PERIOD_MS: Final = 15_000
DAY_MS: Final = 86_400_000
CHUNK_MS: Final = 600_000
START_MS: Final = 1_790_000_000_000 - 1_790_000_000_000 % DAY_MS
KEPT_DRAIN_MS: Final = 10_000
EARLIEST_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Habits:
    """How the network behaves; written into the result.

    ``loss``: share of beats that never arrive. Delays are lognormal. ``per_day``: cuts of a school
    and day, of these lengths in s: shorter than three periods, around them, longer than five.
    """

    jitter_ms: float = 300.0
    loss: float = 0.002
    delay_median_ms: float = 80.0
    delay_sigma: float = 1.0
    short_per_day: float = 1.0
    short_s: tuple[float, float] = (5.0, 30.0)
    middle_per_day: float = 0.05
    middle_s: tuple[float, float] = (31.0, 75.0)
    long_per_day: float = 0.2
    long_s: tuple[float, float] = (76.0, 7_200.0)
    kept_share: float = 0.5
    skewed_share: float = 0.02
    skew_ms: float = 45_000.0
    shared_per_day: float = 4.0
    shared_s: tuple[float, float] = (120.0, 1_200.0)


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """An uplink was away in [start_ms, end_ms). ``shared``: the number of its outage, or -1."""

    start_ms: int
    end_ms: int
    shared: int = -1


@dataclass(frozen=True, slots=True)
class Shared:
    """An outage of one provider in one region."""

    number: int
    provider: str
    region: str
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class Trace:
    """The heartbeats of some schools. ``chunks`` yields (arrival, event time, school's number) in
    the order of arrival; ``cuts`` is the truth by school; ``onsets`` maps a cut of a school to the
    first heartbeat that it swallowed, as far as the chunks have come.

    ``stall``: from when to when the broker was away; what was sent then arrives just after.
    """

    schools: Sequence[School]
    cuts: Sequence[Sequence[Cut]]
    days: float
    habits: Habits
    seed: int
    stall: tuple[int, int] | None = None
    onsets: dict[tuple[int, Cut], int] = field(default_factory=dict)

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        habits, n = self.habits, len(self.schools)
        rng = np.random.default_rng([self.seed, 21])
        phase = rng.integers(PERIOD_MS, size=n)
        skew = np.where(
            rng.random(n) < habits.skewed_share, rng.uniform(-1, 1, n) * habits.skew_ms, 0
        ).astype(np.int64)
        per_chunk = CHUNK_MS // PERIOD_MS
        left = [np.empty(0, dtype=np.int64)] * 3
        end_ms = START_MS + round(self.days * DAY_MS)
        for begin_ms in range(START_MS, end_ms, CHUNK_MS):
            due = begin_ms + phase[:, None] + np.arange(per_chunk) * PERIOD_MS
            sent = due + np.clip(
                rng.normal(0, habits.jitter_ms, due.shape), -EARLIEST_MS, EARLIEST_MS
            )
            sent = sent.astype(np.int64)
            there = rng.random(due.shape) >= habits.loss
            kept = self._cut(begin_ms, due, sent, there, rng)
            arrival = sent + self._delays(rng, sent.shape)
            number = np.broadcast_to(np.arange(n)[:, None], due.shape)
            columns = [arrival[there], (sent + skew[:, None])[there], number[there]]
            columns = [np.concatenate(parts) for parts in zip(left, columns, kept, strict=True)]
            if self.stall is not None:
                columns[0] = self._stalled(columns[0], rng)
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
            # The next chunk's first may be early by their jitter.
            split = int(np.searchsorted(columns[0], begin_ms + CHUNK_MS - EARLIEST_MS))
            left = [column[split:] for column in columns]
            yield columns[0][:split], columns[1][:split], columns[2][:split]

    def _delays(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        median, sigma = self.habits.delay_median_ms, self.habits.delay_sigma
        drawn = np.minimum(rng.lognormal(np.log(median), sigma, shape), 10_000)
        whole: np.ndarray = drawn.astype(np.int64)
        return whole

    def _stalled(self, arrival: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        assert self.stall is not None
        start_ms, end_ms = self.stall
        held = (arrival >= start_ms) & (arrival < end_ms)
        late: np.ndarray = np.where(held, end_ms + rng.integers(0, 3_000, arrival.shape), arrival)
        return late

    def _cut(
        self,
        begin_ms: int,
        due: np.ndarray,
        sent: np.ndarray,
        there: np.ndarray,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        """Take out what cuts swallow; return what gateways send after cuts that end here."""
        kept: list[list[np.ndarray]] = [[], [], []]
        for number, cuts in enumerate(self.cuts):
            for cut in cuts:
                if cut.end_ms <= begin_ms - PERIOD_MS:
                    continue
                if cut.start_ms >= begin_ms + CHUNK_MS:
                    break
                inside = (sent[number] >= cut.start_ms) & (sent[number] < cut.end_ms)
                if inside.any():
                    self.onsets.setdefault((number, cut), int(due[number][inside][0]))
                there[number] &= ~inside
                ends_here = begin_ms <= cut.end_ms < begin_ms + CHUNK_MS
                if ends_here and rng.random() < self.habits.kept_share:
                    beats = np.arange(cut.start_ms, cut.end_ms, PERIOD_MS, dtype=np.int64)
                    kept[0].append(cut.end_ms + rng.integers(0, KEPT_DRAIN_MS, len(beats)))
                    kept[1].append(beats)
                    kept[2].append(np.full(len(beats), number, dtype=np.int64))
        empty = np.empty(0, dtype=np.int64)
        return [np.concatenate([empty, *parts]) for parts in kept]


def shared_outages(
    schools: Sequence[School], days: float, habits: Habits, seed: int
) -> list[Shared]:
    rng = np.random.default_rng([seed, 22])
    found: list[Shared] = []
    for number in range(rng.poisson(habits.shared_per_day * days)):
        school = schools[int(rng.integers(len(schools)))]
        start_ms = START_MS + int(rng.uniform(0.01, 0.97) * days * DAY_MS)
        end_ms = start_ms + int(rng.uniform(*habits.shared_s) * 1000)
        found.append(Shared(number, school.provider, school.region, start_ms, end_ms))
    return found


def planned_cuts(
    schools: Sequence[School],
    shared: Sequence[Shared],
    days: float,
    habits: Habits,
    seed: int,
) -> list[list[Cut]]:
    """By school, in order and apart by two minutes, so that the truth of each is plain."""
    rng = np.random.default_rng([seed, 23])
    kinds = (
        (habits.short_per_day, habits.short_s),
        (habits.middle_per_day, habits.middle_s),
        (habits.long_per_day, habits.long_s),
    )
    planned: list[list[Cut]] = []
    for school in schools:
        drawn = [
            Cut(one.start_ms, one.end_ms, one.number)
            for one in shared
            if one.provider == school.provider and one.region == school.region
        ]
        for per_day, (shortest_s, longest_s) in kinds:
            for _ in range(rng.poisson(per_day * days)):
                start_ms = START_MS + 300_000 + int(rng.random() * days * DAY_MS)
                lasting_s = np.exp(rng.uniform(np.log(shortest_s), np.log(longest_s)))
                drawn.append(Cut(start_ms, start_ms + int(lasting_s * 1000)))
        planned.append(_apart(drawn, START_MS + int(days * DAY_MS) - 120_000))
    return planned


def _apart(drawn: Sequence[Cut], before_ms: int) -> list[Cut]:
    """Shared outages come first; what would touch another cut is left out."""
    chosen: list[Cut] = []
    for cut in sorted(drawn, key=lambda one: (-one.shared, one.start_ms)):
        free = all(
            cut.end_ms + 120_000 < other.start_ms or cut.start_ms > other.end_ms + 120_000
            for other in chosen
        )
        if free and cut.end_ms < before_ms:
            chosen.append(cut)
    return sorted(chosen)
