"""Streams that never wait: the schedule's time is the clock's."""

from collections.abc import Sequence

from loadtest.simulator.country import School, country
from loadtest.simulator.day import Script, day
from loadtest.simulator.encode import Encoder, Record
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.peak import Mix, peak, peak_fleet
from loadtest.simulator.stream import Batch, Truth

START_MS = 1_764_000_000_000
SCHOOLS = country(seed=1, schools=60)


def peak_batches(
    mix: Mix, seed: int = 1, schools: Sequence[School] = SCHOOLS, late_ms: int = 0
) -> list[Batch]:
    encoder = Encoder(peak_fleet(schools, mix.rate_per_s, START_MS), seed)
    stream = peak(encoder, mix, seed=seed, start_ms=START_MS, pace=lambda due_ms: due_ms + late_ms)
    return list(stream)


def day_batches(
    duration_s: float,
    faults: Sequence[Truth] = (),
    *,
    seed: int = 1,
    schools: Sequence[School] = SCHOOLS,
    late_ms: int = 0,
    **script: float,
) -> list[Batch]:
    fleet = Fleet(schools, START_MS)
    told = Script(START_MS, duration_s, **script)  # type: ignore[arg-type]
    stream = day(
        Encoder(fleet, seed),
        told,
        faults,
        seed=seed,
        real_start_ms=START_MS,
        pace=lambda due_ms: due_ms + late_ms,
    )
    return list(stream)


def records(batches: Sequence[Batch]) -> list[Record]:
    return [record for batch in batches for record in batch.records]
