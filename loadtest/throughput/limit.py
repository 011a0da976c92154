"""``python -m loadtest limit``: raise the rate until the latency bound breaks; the knee, and a plot."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from loadtest.result import save
from loadtest.throughput.exact import check, visible
from loadtest.throughput.generator import Task
from loadtest.throughput.hdr import percentiles_ms, saved
from loadtest.throughput.live import run_live
from loadtest.throughput.passes import Crowd
from loadtest.throughput.pipeline import (
    CATCH_UP_S,
    SCHOOLS,
    SCREEN,
    TURNSTILES,
    External,
    Owned,
    Seed,
    create_topics,
    ends,
    tell,
)
from loadtest.throughput.plot import chart
from loadtest.throughput.sending import preload, register
from loadtest.throughput.stack import Aim, Stack, client, stack
from loadtest.throughput.watched import MeasuredProcess, watch
from loadtest.throughput.windows import OURS, forget_group
from schemas.settings import Settings
from schemas.topics import PASSES

FIRST: Final = 10_000
"""Passes stored before the first step, so that the worker is up."""
CLOSE: Final = 1.1
"""The knee is known well enough when the first failing rate is at most so many times the last good."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate. ``good``: the bound held, all that was sent was stored as it came, on schedule."""

    rate: int
    good: bool
    limit: str
    found: Any


def search(
    run: Callable[[int], Step], start: int, growth: float, most: int
) -> tuple[list[Step], int | None]:
    """Steps in their order, and the knee: the highest good rate, None when the first one fails.

    Raises the rate by ``growth`` until a step fails, then halves the gap between the last good and the
    first failing rate until they are CLOSE, with at most ``most`` steps altogether.
    """
    steps: list[Step] = []
    good, bad, rate = 0, 0, start
    while len(steps) < most:
        steps.append(run(rate))
        if steps[-1].good:
            good = max(good, rate)
        else:
            bad = min(bad, rate) if bad else rate
        if bad and (not good or bad <= good * CLOSE):
            break
        rate = (good + bad) // 2 if bad else round(rate * growth)
    return steps, good or None


def limit(
    start: Annotated[int, typer.Option(min=100, help="The first rate, passes/s.")] = 30_000,
    growth: Annotated[
        float, typer.Option(min=1.05, help="Times the rate of the step before.")
    ] = 1.5,
    seconds: Annotated[float, typer.Option(min=2, help="Of each step.")] = 15.0,
    steps: Annotated[int, typer.Option(min=1, help="At most.")] = 8,
    bound: Annotated[
        float, typer.Option(min=10, help="Latency that 99 % must keep, ms: append to row.")
    ] = 5_000.0,
    seed: Seed = 1,
    external: External = False,
    i_own: Owned = None,
) -> None:
    """Raise the rate until p99 from Kafka's append to the row in ClickHouse breaks the bound.

    The result says which of the two could not do more, generator or system, and stands beside a plot
    (SVG). With --external the topics must exist and be empty (saqshy topics create).

    \b
    Examples:
      python -m loadtest limit
      python -m loadtest limit --start 20000 --seconds 5 --steps 3 --bound 2000
    """
    settings = Settings()
    with stack(settings, Aim(external, tuple(i_own or ())), tell) as there:
        if not external:
            create_topics(there.settings)
        taken, knee, wrong = _measure(there, start, growth, seconds, steps, bound, seed)
    percentiles = {step.rate: percentiles_ms(step.found.latencies) for step in taken}
    failing = [step for step in taken if not step.good]
    figures = {
        "knee_events_per_s": knee,
        "limit": failing[0].limit if failing else "generator",
        "bound_p99_ms": bound,
        "steps": [{"rate": step.rate, "good": step.good, **step.found.figures()} for step in taken],
        "exact": not wrong,
        "wrong": list(wrong),
    }
    histograms = {str(step.rate): step.found.latencies for step in taken}
    path = save(settings.var, "limit", seed, {**figures, "histograms": saved(histograms)})
    lines = {
        name: [(float(rate), of[name]) for rate, of in percentiles.items() if of]
        for name in ("p50", "p99")
    }
    plot = path.with_suffix(".svg")
    plot.write_text(
        chart(
            "Latency from append to row, by rate",
            "passes per second",
            "ms",
            lines,
            bound=bound,
            mark=knee,
        )
    )
    SCREEN.print(_table(taken))
    SCREEN.print(f"saved to {path}, plot {plot}")
    sys.stdout.write(json.dumps({**figures, "plot": str(plot)}) + "\n")
    if wrong:
        raise typer.Exit(1)


def _measure(
    there: Stack, start: int, growth: float, seconds: float, most: int, bound: float, seed: int
) -> tuple[list[Step], int | None, tuple[str, ...]]:
    """Steps, knee, and what isn't exact. Raises RuntimeError when the worker or a step fails."""
    settings = there.settings
    partitions = settings.kafka.partitions
    crowd = Crowd(SCHOOLS, TURNSTILES, partitions, seed)
    register(crowd, settings)
    preload(Task(crowd, PASSES.name, FIRST), settings)
    forget_group(settings)
    with there.database() as own:
        connection = client(own)
        try:
            with MeasuredProcess(OURS.argv, own.environment(), own.var / "limit.log") as worker:
                watch(worker, lambda: sum(visible(connection).values()), FIRST, CATCH_UP_S)

                def run(rate: int) -> Step:
                    already = sum(visible(connection).values())
                    # A boot of its own for each step: its sequences begin anew.
                    fresh = Crowd(SCHOOLS, TURNSTILES, partitions, seed, boot=rate)
                    task = Task(fresh, PASSES.name, round(rate * seconds), rate)
                    found = run_live(task, own, worker, connection, already)
                    p99 = percentiles_ms(found.latencies)["p99"]
                    good = found.kept_up and p99 <= bound
                    tell(f"{rate:,}/s: p99 {p99:,.0f} ms, {'good' if good else 'too much'}")
                    # On schedule, yet late rows: the system. Off schedule: the generator.
                    return Step(rate, good, "system" if found.on_schedule else "generator", found)

                taken, knee = search(run, start, growth, most)
            return taken, knee, check(connection, ends(own)).wrong
        finally:
            connection.disconnect()


def _table(steps: list[Step]) -> Table:
    table = Table("passes/s", "stored/s", "p50 ms", "p99 ms", "max ms", "CPU us", "behind ms", "")
    for step in sorted(steps, key=lambda step: step.rate):
        of = percentiles_ms(step.found.latencies)
        table.add_row(
            *(f"{step.rate:,}", f"{step.found.stored_per_s:,.0f}", f"{of['p50']:,.0f}"),
            *(f"{of['p99']:,.0f}", f"{of['max']:,.0f}", f"{step.found.cpu_us:.2f}"),
            *(f"{step.found.behind_ms:.0f}", "good" if step.good else f"limit: {step.limit}"),
        )
    return table
