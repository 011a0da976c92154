"""Days of heartbeats through the liveness and outage decisions, on all cores. No Kafka, no clock."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from loadtest.offline.peers import PEERS, Gap
from loadtest.offline.score import Score, merged, periods, score
from loadtest.offline.trace import (
    DAY_MS,
    PERIOD_MS,
    START_MS,
    Cut,
    Habits,
    Shared,
    Trace,
    planned_cuts,
    shared_outages,
)
from loadtest.simulator.country import School, country
from schemas.alerts import Action, AlertChanged, AlertKind, StatusChanged
from schemas.settings import LivenessSettings
from streams.liveness.decide import Liveness
from streams.outage.decide import Outages
from streams.outage.scope import Place

BLOCK: Final = 250
"""Schools that share a partition in the simulation."""
GAP_MS: Final = 2 * PERIOD_MS
GATEWAY: Final = "gateway-1"
STALL_S: Final = 120.0
AS_SHIPPED: Final = LivenessSettings()
STEP_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Scenario:
    schools: int
    days: float
    seed: int
    habits: Habits = field(default_factory=Habits)
    cores: int = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Block:
    """The schools of one simulated partition, and what happens to them."""

    numbers: tuple[int, ...]
    schools: tuple[School, ...]
    cuts: tuple[tuple[Cut, ...], ...]
    wanted: Scenario
    stall: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """``statuses``: of schools, with the moment at which they were said."""

    numbers: tuple[int, ...]
    ours: Score
    peers: tuple[Score, ...]
    statuses: list[tuple[int, StatusChanged]]
    beats: int
    of_lost_beats: int


def simulate(wanted: Scenario, tell: Callable[[str], None]) -> dict[str, Any]:
    """All school-days, scored; what the outage decisions make of them; a stall of the broker."""
    schools = country(wanted.seed, wanted.schools)
    shared = shared_outages(schools, wanted.days, wanted.habits, wanted.seed)
    cuts = planned_cuts(schools, shared, wanted.days, wanted.habits, wanted.seed)
    blocks = [
        Block(
            numbers,
            tuple(schools[n] for n in numbers),
            tuple(tuple(cuts[n]) for n in numbers),
            wanted,
        )
        for numbers in _numbers(wanted.schools)
    ]
    judged: list[Judged] = []
    for done in _on_all_cores(blocks, wanted.cores):
        judged.append(done)
        tell(f"simulated {len(judged)} of {len(blocks)} partitions of {BLOCK} schools")
    ours = merged([one.ours for one in judged])
    of_lost_beats = sum(one.of_lost_beats for one in judged)
    return {
        "school_days": round(wanted.schools * wanted.days),
        "heartbeats": sum(one.beats for one in judged),
        "detect_p50_periods": periods(ours.delays_ms, 50),
        "detect_p99_periods": periods(ours.delays_ms, 99),
        "false_pages": ours.false,
        "pages_of_lost_beats": of_lost_beats,
        "missed": ours.missed,
        "cuts_longer_than_5_periods": ours.cuts,
        "peers": {
            "saqshy": ours.as_json(),
            **{
                rule.name: merged([one.peers[n] for one in judged]).as_json()
                for n, rule in enumerate(PEERS)
            },
        },
        "broker_stall": _stalled(blocks[0], tell),
        "shared_outages": _shared(schools, cuts, shared, judged),
        "habits": asdict(wanted.habits),
    }


def _numbers(schools: int) -> list[tuple[int, ...]]:
    blocks = max(1, round(schools / BLOCK))
    return [tuple(range(first, schools, blocks)) for first in range(blocks)]


def _on_all_cores(blocks: Sequence[Block], cores: int) -> Iterator[Judged]:
    if cores == 1 or len(blocks) == 1:
        yield from map(judge, blocks)
        return
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        yield from pool.imap_unordered(judge, blocks)


def judge(block: Block) -> Judged:
    """One partition through the decision code, beat by beat."""
    wanted = block.wanted
    seed = wanted.seed * 100_003 + block.numbers[0]
    trace = Trace(block.schools, block.cuts, wanted.days, wanted.habits, seed, block.stall)
    names = [school.id for school in block.schools]
    liveness = Liveness(AS_SHIPPED.misses, int(AS_SHIPPED.grace_s * 1000))
    liveness.advance(START_MS)
    for name in names:
        liveness.register(name, [(GATEWAY, "gateway", PERIOD_MS // 1000)])
    number_of = {name: n for n, name in enumerate(names)}
    hear = liveness.hear
    last = np.full(len(names), START_MS, dtype=np.int64)
    gaps: list[Gap] = []
    pages: list[tuple[int, int]] = []
    statuses: list[tuple[int, StatusChanged]] = []
    beats = 0
    for arrival, event, number in trace.chunks():
        beats += len(arrival)
        gaps += _gaps(arrival, number, last)
        rows = zip(arrival.tolist(), event.tolist(), number.tolist(), strict=True)
        for at_ms, event_ms, n in rows:
            for said in hear(names[n], GATEWAY, "gateway", 15, event_ms, at_ms, 0, 0, 1, event_ms):
                if isinstance(said, StatusChanged):
                    if not said.device:
                        statuses.append((at_ms, said))
                elif said.kind is AlertKind.SCHOOL_OFFLINE and said.action is Action.OPENED:
                    pages.append((number_of[said.school], at_ms))
    return Judged(
        block.numbers,
        score(pages, block.cuts, trace.onsets),
        tuple(score(rule.pages(gaps), block.cuts, trace.onsets) for rule in PEERS),
        statuses,
        beats,
        _of_lost_beats(pages, block.cuts, gaps),
    )


def _gaps(arrival: np.ndarray, number: np.ndarray, last: np.ndarray) -> list[Gap]:
    """The long gaps that end in this chunk; ``last`` moves on."""
    order = np.lexsort((arrival, number))
    at, of = arrival[order], number[order]
    before = np.empty_like(at)
    before[1:] = at[:-1]
    first = np.ones(len(of), dtype=bool)
    first[1:] = of[1:] != of[:-1]
    before[first] = last[of[first]]
    final = np.ones(len(of), dtype=bool)
    final[:-1] = first[1:]
    last[of[final]] = at[final]
    return [
        Gap(int(of[i]), int(before[i]), int(at[i])) for i in np.flatnonzero(at - before > GAP_MS)
    ]


def _of_lost_beats(
    pages: Sequence[tuple[int, int]], cuts: Sequence[Sequence[Cut]], gaps: Sequence[Gap]
) -> int:
    """Pages of schools that were not cut for so long, but truly silent for three periods or more:
    heartbeats were lost by chance, beside a short cut or without one."""
    long = [gap for gap in gaps if gap.before_ms - gap.after_ms >= 3 * PERIOD_MS]
    return sum(
        score([page], cuts, {}).false
        for page in pages
        if any(g.school == page[0] and g.after_ms < page[1] <= g.before_ms + 1 for g in long)
    )


def _stalled(block: Block, tell: Callable[[str], None]) -> dict[str, int]:
    """Pages of each rule when the broker is away for STALL_S, and no school is cut."""
    tell(f"the broker is away for {STALL_S:.0f} s")
    days = 3_600_000 / DAY_MS
    start_ms = START_MS + 1_800_000
    calm = replace(block.wanted, days=days)
    none = tuple(() for _ in block.cuts)
    stall = (start_ms, start_ms + int(STALL_S * 1000))
    judged = judge(replace(block, cuts=none, wanted=calm, stall=stall))
    pages = {"saqshy": judged.ours.pages}
    return pages | {rule.name: judged.peers[n].pages for n, rule in enumerate(PEERS)}


def _shared(
    schools: Sequence[School],
    cuts: Sequence[Sequence[Cut]],
    shared: Sequence[Shared],
    judged: Sequence[Judged],
) -> dict[str, Any]:
    """The statuses of all partitions through the outage decisions, against what was shared."""
    outages = Outages()
    for school in schools:
        outages.register(school.id, Place(school.provider, school.district, school.region))
    said = sorted(
        (pair for one in judged for pair in one.statuses),
        key=lambda pair: (pair[0], pair[1].school),
    )
    alerts: list[AlertChanged] = []
    for at_ms, status in said:
        alerts += outages.change(status, at_ms)
    if said:
        alerts += outages.advance(said[-1][0] + DAY_MS)
    return _against(schools, cuts, shared, alerts)


def _against(
    schools: Sequence[School],
    cuts: Sequence[Sequence[Cut]],
    shared: Sequence[Shared],
    alerts: Sequence[AlertChanged],
) -> dict[str, Any]:
    number_of = {school.id: n for n, school in enumerate(schools)}
    incidents: dict[str, list[AlertChanged]] = {}
    for alert in alerts:
        incidents.setdefault(alert.id, []).append(alert)
    named: dict[tuple[int, int], str] = {}
    absorbed = 0
    causes: dict[str, set[int]] = {}
    for id_, its in incidents.items():
        opened = its[0]
        for member in {school for alert in its for school in alert.members}:
            number = number_of[member]
            cut = _cut_of(cuts[number], opened.decided_ms)
            if cut is None or cut.shared < 0:
                absorbed += 1
            else:
                named[number, cut.shared] = id_
                causes.setdefault(id_, set()).add(cut.shared)
    members = [(n, cut.shared) for n, its in enumerate(cuts) for cut in its if cut.shared >= 0]
    sizes = {one.number: sum(shared_ == one.number for _, shared_ in members) for one in shared}
    large = {number for number, size in sizes.items() if size >= 10}
    of_large = [one for one in members if one[1] in large]
    found = {cause for those in causes.values() for cause in those}
    single = sum(
        cut.shared < 0 and cut.end_ms - cut.start_ms > 5 * PERIOD_MS for its in cuts for cut in its
    )
    return {
        "planned": len(large),
        "found": len(large & found),
        "incidents": len(incidents),
        "of_no_shared_cause": len(incidents) - len(causes),
        "most_transitions": max((len(its) for its in incidents.values()), default=0),
        "attributed": round(sum(one in named for one in of_large) / len(of_large), 5)
        if of_large
        else None,
        "absorbed": round(absorbed / single, 5) if single else 0.0,
        "independent_failures": single,
    }


def _cut_of(cuts: Sequence[Cut], around_ms: int) -> Cut | None:
    """The cut that a member of an outage named then has fallen by."""
    near = [c for c in cuts if c.start_ms <= around_ms and c.end_ms > around_ms - 120_000]
    return max(near, default=None)
