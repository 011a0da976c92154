"""``python -m loadtest pipeline``: from a topic of passes to rows in ClickHouse, exactly."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from loadtest.result import save
from loadtest.throughput import windows
from loadtest.throughput.burst import run_burst
from loadtest.throughput.exact import check, visible
from loadtest.throughput.generator import Task
from loadtest.throughput.hdr import saved
from loadtest.throughput.live import run_live
from loadtest.throughput.passes import Crowd
from loadtest.throughput.sending import preload, register
from loadtest.throughput.stack import Aim, Stack, client, stack
from loadtest.throughput.watched import MeasuredProcess, watch
from schemas.settings import Settings
from schemas.topics import PASSES

SCREEN: Final = Console(stderr=True, highlight=False)
SCHOOLS: Final = 8_000
TURNSTILES: Final = 4
BURST_SCHOOLS: Final = 1_000
OUTAGE_MS: Final = 6 * 3_600_000
CATCH_UP_S: Final = 120.0
Tell = Callable[[str], None]

External = Annotated[
    bool,
    typer.Option("--external", help="Use the settings' own Kafka and ClickHouse, both empty."),
]
Owned = Annotated[
    list[str] | None,
    typer.Option("--i-own", help="A host beyond this machine that is yours to load."),
]
Seed = Annotated[int, typer.Option(min=0, max=4095, help="Same seed, same passes.")]


def tell(text: str) -> None:
    SCREEN.print(f"• {text}")


def pipeline(
    records: Annotated[int, typer.Option(min=200_000, help="Passes preloaded.")] = 800_000,
    window: Annotated[float, typer.Option(min=1, help="Longest window of one peer, s.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Windows per peer; medians are taken.")] = 3,
    rate: Annotated[int, typer.Option(min=100, help="Passes per second of the live run.")] = 60_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long the live run lasts.")] = 60.0,
    burst: Annotated[
        int, typer.Option(min=0, help="Passes of each of 1,000 schools in the burst; 0: none.")
    ] = 1_300,
    seed: Seed = 1,
    external: External = False,
    i_own: Owned = None,
) -> None:
    """The full job: passes from a topic to rows and rollups in ClickHouse, exactness proven.

    First a preloaded topic, ours against what a user might write instead; then a live run at a
    steady rate with latencies; then the burst of 1,000 schools that come back, with panics meanwhile.
    With --external the topics must exist and be empty (saqshy topics create).

    \b
    Examples:
      python -m loadtest pipeline
      python -m loadtest pipeline --records 200000 --rounds 1 --seconds 5 --burst 100
      python -m loadtest pipeline --external --i-own kafka.example --i-own clickhouse.example
    """
    settings = Settings()
    with stack(settings, Aim(external, tuple(i_own or ())), tell) as there:
        if not external:
            create_topics(there.settings)
        figures, histograms = measure(
            there,
            records=records,
            window_s=window,
            rounds=rounds,
            rate=rate,
            seconds=seconds,
            burst=burst,
            seed=seed,
        )
    SCREEN.print(_table(figures))
    path = save(settings.var, "pipeline", seed, {**figures, "histograms": saved(histograms)})
    SCREEN.print(f"saved to {path}")
    sys.stdout.write(json.dumps(figures) + "\n")
    if not figures["exact"]:
        raise typer.Exit(1)


def create_topics(settings: Settings) -> None:
    from deploy.topics import ensure_topics  # benchmarks start what they measure

    ensure_topics(settings)


def ends(settings: Settings) -> dict[int, int]:
    """Where the partitions of the passes end now. Raises KafkaError."""
    consumer = KafkaConsumer(**settings.kafka.kafka_python_kwargs())
    try:
        partitions = consumer.partitions_for_topic(PASSES.name) or set()
        found = consumer.end_offsets([TopicPartition(PASSES.name, n) for n in sorted(partitions)])
        return {tp.partition: offset for tp, offset in found.items()}
    finally:
        consumer.close()


def measure(
    there: Stack,
    *,
    records: int,
    window_s: float,
    rounds: int,
    rate: int,
    seconds: float,
    burst: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures, and histograms by name. Raises RuntimeError when ours fails."""
    settings = there.settings
    partitions = settings.kafka.partitions
    crowd = Crowd(SCHOOLS, TURNSTILES, partitions, seed, boot=1)
    register(crowd, settings)
    tell(f"preloading {records:,} passes of {SCHOOLS:,} schools")
    preload(Task(crowd, PASSES.name, records), settings)
    done, failed = windows.windows(
        there, ends(settings), seconds=window_s, rounds=rounds, tell=tell
    )
    if windows.OURS.name in failed:
        raise RuntimeError(failed[windows.OURS.name])
    figures: dict[str, Any] = {
        **windows.summary(done),
        "failed": failed,
        "records": records,
        "rounds": rounds,
    }
    windows.forget_group(settings)
    histograms: dict[str, Any] = {}
    with there.database() as own:
        connection = client(own)
        figures["kafka_engine"] = windows.has_kafka_engine(connection)
        try:
            with MeasuredProcess(
                windows.OURS.argv, own.environment(), own.var / "live.log"
            ) as worker:
                tell("catching up before the live run")
                watch(worker, lambda: sum(visible(connection).values()), records, CATCH_UP_S)
                tell(f"{rate:,} passes/s for {seconds:g} s")
                live_crowd = Crowd(SCHOOLS, TURNSTILES, partitions, seed, boot=2)
                task = Task(live_crowd, PASSES.name, round(rate * seconds), rate)
                live = run_live(task, own, worker, connection, already=records)
                figures |= live.figures()
                histograms["latency"] = live.latencies
                if burst:
                    tell(f"the burst: {BURST_SCHOOLS:,} schools with {burst:,} passes each")
                    back = Crowd(BURST_SCHOOLS, TURNSTILES, partitions, seed, boot=3)
                    total = BURST_SCHOOLS * burst
                    task = Task(back, PASSES.name, total, outage_ms=OUTAGE_MS)
                    found, histograms["burst_panics"] = run_burst(task, own, worker, connection)
                    figures |= found
            proof = check(connection, ends(settings))
        finally:
            connection.disconnect()
    if proof.wrong:
        figures["wrong"] += [f"live: {text}" for text in proof.wrong]
    figures["rows_proven"] = proof.rows
    figures["exact"] = proof.exact and figures["exact_by_name"][windows.OURS.name]
    return figures, histograms


def _table(figures: dict[str, Any]) -> Table:
    table = Table("consumer", "events/s", "spread", "CPU us/event", "with start-up", "MB", "exact")
    for name, rate in figures["events_per_s"].items():
        low, high = figures["spread"][name]
        table.add_row(
            *(name, f"{rate:,}", f"{low:,}–{high:,}", f"{figures['cpu_us_per_event'][name]:.2f}"),
            f"{figures['cpu_us_per_event_with_start'][name]:.2f}",
            *(
                f"{figures['memory_mb'][name]:.0f}",
                "yes" if figures["exact_by_name"][name] else "NO",
            ),
        )
    table.add_section()
    latency = figures["latency_ms"]
    table.add_row(
        *("live", f"{figures['sustained_events_per_s']:,}", f"limit: {figures['limit']}"),
        *(f"{figures['live_cpu_us_per_event']:.2f}", f"p50 {latency.get('p50')} ms"),
        *(f"{figures['live_memory_mb']:.0f}", f"p99 {latency.get('p99')} ms"),
    )
    if "burst_drain_s" in figures:
        table.add_row(
            *("burst", f"{figures['burst_events_per_s']:,}", f"{figures['burst_drain_s']} s"),
            *(f"{figures['burst_cpu_us_per_event']:.2f}", f"{figures['burst_panics']} panics"),
            *("", f"p99 {figures['burst_panic_p99_ms']} ms"),
        )
    return table
