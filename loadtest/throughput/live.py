"""A live run: passes come at a steady rate, and each is timed from Kafka's append to its row being there.

Visible rows are counted every POLL_S; a row seen by a poll was there at the latest then, so latencies
are upper bounds, too high by up to a poll. The join of the two needs no clock but the broker's and ours.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from clickhouse_driver import Client

from loadtest.throughput.exact import visible
from loadtest.throughput.generator import Task
from loadtest.throughput.hdr import percentiles_ms, recorded
from loadtest.throughput.sending import Generator
from loadtest.throughput.watched import MeasuredProcess
from schemas.settings import Settings

POLL_S: Final = 0.1
DRAIN_S: Final = 60.0
LATE_MS: Final = 1_000.0
"""A generator so far behind its schedule didn't make the rate that it promised."""
GROWTH_S: Final = 1.0
"""Of the rate: a backlog that grows by more since a third of the run means that the system doesn't
keep up. Blocks are about a second long, so it swings by as much."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Rows of each partition that were visible at ``at_ms`` of the wall clock."""

    at_ms: float
    rows: Mapping[int, int]


Appended = Mapping[int, Sequence[tuple[int, int]]]
"""partition -> (Kafka's time in ms, records appended then), in the order of offsets"""


@dataclass(frozen=True, slots=True)
class Live:
    """What a live run found. ``limit`` says who could not do more than this: the generator (all that
    it sent was stored at once) or the system."""

    wanted_per_s: int
    sent_per_s: float
    stored_per_s: float
    kept_up: bool
    on_schedule: bool
    limit: str
    behind_ms: float
    backlog: int
    generator_cpu_us: float
    cpu_us: float
    memory_mb: float
    latencies: Any = field(repr=False)

    def figures(self) -> dict[str, Any]:
        return {
            "wanted_events_per_s": self.wanted_per_s,
            "sent_events_per_s": round(self.sent_per_s),
            "sustained_events_per_s": round(self.stored_per_s),
            "kept_up": self.kept_up,
            "limit": self.limit,
            "generator_behind_ms": self.behind_ms,
            "backlog_at_end": self.backlog,
            "generator_cpu_us_per_event": round(self.generator_cpu_us, 2),
            "live_cpu_us_per_event": round(self.cpu_us, 2),
            "live_memory_mb": round(self.memory_mb, 1),
            "latency_ms": percentiles_ms(self.latencies),
        }


def latencies(polls: Sequence[Poll], appended: Appended) -> Iterator[tuple[float, int]]:
    """(latency in ms, events) of all rows that the polls saw, assuming that offsets are stored in
    order, which the proof of exactness shows. Polls are in the order of time."""
    for partition, batches in appended.items():
        rest = iter(batches)
        at_ms, left = next(rest, (0, 0))
        before = 0
        for poll in polls:
            fresh = poll.rows.get(partition, 0) - before
            before += max(fresh, 0)
            while fresh > 0 and left:
                taken = min(fresh, left)
                yield poll.at_ms - at_ms, taken
                fresh -= taken
                left -= taken
                if not left:
                    at_ms, left = next(rest, (0, 0))


def append_times(client: Client) -> Appended:
    """From the rows themselves, whose Kafka times are the broker's own."""
    found: dict[int, list[tuple[int, int]]] = {}
    for partition, at_ms, count in client.execute(
        "SELECT kafka_partition, toUnixTimestamp64Milli(kafka_time) AS at, count() FROM passes "
        "GROUP BY kafka_partition, at ORDER BY kafka_partition, at"
    ):
        found.setdefault(partition, []).append((at_ms, count))
    return found


def run_live(
    task: Task, settings: Settings, worker: MeasuredProcess, client: Client, already: int = 0
) -> Live:
    """Send the task's records at its rate while the worker stores them, then drain.

    ``already``: rows in the table before; they are not timed. Raises RuntimeError when generator or
    worker end early, or the rest isn't stored within DRAIN_S.
    """
    generator = Generator.start(task, settings)
    try:
        polls = [Poll(time.time() * 1000, visible(client))]
        cpu_s, began_s = worker.look(), time.perf_counter()
        generator.go()
        while generator.running():
            polls.append(_poll(client, worker))
        sent_in_s = time.perf_counter() - began_s
        report = generator.report()
        wanted = already + int(report["sent"])
        backlog = wanted - sum(polls[-1].rows.values())
        while sum(polls[-1].rows.values()) < wanted:
            if time.perf_counter() - began_s > sent_in_s + DRAIN_S:
                raise RuntimeError(
                    f"{backlog} events weren't stored {DRAIN_S:.0f} s after the load"
                )
            polls.append(_poll(client, worker))
        used_s = worker.look() - cpu_s
    finally:
        generator.stop()
    sent, seconds = int(report["sent"]), float(report["seconds"])
    per_s = growth(polls, began_ms=float(report["began_ms"]), seconds=seconds, sent=sent)
    kept_up = per_s * seconds * 2 / 3 <= GROWTH_S * task.rate
    on_schedule = report["behind_ms"] < LATE_MS
    return Live(
        wanted_per_s=task.rate,
        sent_per_s=sent / seconds,
        stored_per_s=sent / seconds - (0.0 if kept_up else per_s),
        kept_up=kept_up and on_schedule,
        on_schedule=on_schedule,
        limit="generator" if kept_up else "system",
        behind_ms=report["behind_ms"],
        backlog=backlog,
        generator_cpu_us=report["cpu_s"] / sent * 1e6,
        cpu_us=used_s / sent * 1e6,
        memory_mb=worker.peak_bytes / 1e6,
        latencies=recorded(latencies(_new(polls, already), _since(append_times(client), polls[0]))),
    )


def growth(polls: Sequence[Poll], *, began_ms: float, seconds: float, sent: int) -> float:
    """By how many events a second the backlog grew in the last two thirds of an even load."""
    until_ms = began_ms + seconds * 1000
    during = [poll for poll in polls if began_ms + seconds * 333 <= poll.at_ms <= until_ms]
    if len(during) < 2:
        return 0.0
    first, last = during[0], during[-1]
    took_s = (last.at_ms - first.at_ms) / 1000
    stored = sum(last.rows.values()) - sum(first.rows.values())
    return sent / seconds - stored / took_s


def _poll(client: Client, worker: MeasuredProcess) -> Poll:
    time.sleep(POLL_S)
    worker.look()
    rows = visible(client)
    return Poll(time.time() * 1000, rows)  # after the answer: an upper bound


def _new(polls: Sequence[Poll], already: int) -> Sequence[Poll]:
    """Without the rows that were there before the run."""
    if not already:
        return polls
    there = polls[0].rows
    return [Poll(p.at_ms, {n: rows - there.get(n, 0) for n, rows in p.rows.items()}) for p in polls]


def _since(appended: Appended, first: Poll) -> Appended:
    """What was appended after the rows of the first poll."""
    later: dict[int, list[tuple[int, int]]] = {}
    for partition, batches in appended.items():
        skip = first.rows.get(partition, 0)
        kept = later[partition] = []
        for at_ms, count in batches:
            kept.append((at_ms, count - min(skip, count)))
            skip -= min(skip, count)
    return {n: [(at, count) for at, count in batches if count] for n, batches in later.items()}
