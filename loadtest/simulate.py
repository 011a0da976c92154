"""The ``simulate`` command: a simulated country sends its events to Kafka."""

import json
import signal
import threading
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from kafka.errors import KafkaError

from loadtest.country import country
from loadtest.encode import Encoder, registry
from loadtest.peak import Mix, peak, peak_fleet
from loadtest.producer import SINKS, Sink, Tally, registry_is_empty, transmit
from loadtest.stream import Batch, Batches, OpenLoop, wall_clock_ms
from loadtest.target import check_target, duration_s
from schemas.settings import Settings

FLUSH_S: Final = 60.0
PROGRESS_MS: Final = 10_000
START_IN_MS: Final = 500  # the stream is laid out before its first batch is due


def simulate(
    peak_rate: Annotated[
        float | None, typer.Option("--peak", min=1, help="events/s of a steady national peak")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="60s, 5m, 2h; without it until Ctrl-C")
    ] = None,
    schools: Annotated[int, typer.Option(min=1, max=1_000_000)] = 8_000,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same events")] = 1,
    panics: Annotated[
        int | None, typer.Option(min=0, help="presses in a peak [default: 5 per second]")
    ] = None,
    garbage: Annotated[int, typer.Option(min=0, help="rounds of every bad input, in a peak")] = 1,
    write_registry: Annotated[
        bool | None,
        typer.Option(
            "--registry/--no-registry", help="register the schools first [default: if none is]"
        ),
    ] = None,
    producer: Annotated[str, typer.Option(help="kafka-python or confluent")] = "kafka-python",
    kafka: Annotated[
        str | None, typer.Option(help="host:port of a broker [default: from the settings]")
    ] = None,
    i_own: Annotated[
        list[str] | None, typer.Option(help="a host other than this machine that may be loaded")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="write the JSON report here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Send a simulated country's events to Kafka, on schedule, and count what was acknowledged.

    \b
    Examples:
      python -m loadtest simulate --peak 5000 --for 60s --json
      python -m loadtest simulate --kafka kafka.example:9092 --i-own kafka.example --peak 2000
    """
    settings = Settings()
    if kafka:
        settings = settings.model_copy(
            update={"kafka": settings.kafka.model_copy(update={"bootstrap": kafka})}
        )
    check_target(settings.kafka.bootstrap, i_own or [])
    if producer not in SINKS:
        raise typer.BadParameter(f"--producer is one of {', '.join(SINKS)}")
    lasting_s = duration_s(lasting) if lasting else None

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        result = _run(
            settings,
            SINKS[producer],
            stop,
            schools=schools,
            seed=seed,
            peak_rate=peak_rate or 5_000.0,
            lasting_s=lasting_s,
            panics=panics,
            garbage=garbage,
            write_registry=write_registry,
        )
    except KafkaError as error:
        typer.echo(
            f"Kafka at {settings.kafka.bootstrap} can't be used: {error!r}. Is it up"
            " (saqshy status), are its topics made (saqshy topics)?",
            err=True,
        )
        raise typer.Exit(1) from error
    text = json.dumps(result)
    if report:
        unfinished = report.with_suffix(".part")
        unfinished.write_text(text)
        unfinished.replace(report)
    typer.echo(text if as_json else _for_people(result))
    if result["failed"]:
        raise typer.Exit(1)


def _run(
    settings: Settings,
    connect: Any,
    stop: threading.Event,
    *,
    schools: int,
    seed: int,
    peak_rate: float,
    lasting_s: float | None,
    panics: int | None,
    garbage: int,
    write_registry: bool | None,
) -> dict[str, Any]:
    there = country(seed, schools)
    wanted = registry_is_empty(settings.kafka) if write_registry is None else write_registry
    loop = OpenLoop(stop)
    fleet = peak_fleet(there, peak_rate, boot=wall_clock_ms())
    encoder = Encoder(fleet, seed)
    sink: Sink = connect(settings.kafka)
    with ExitStack() as cleanup:
        cleanup.callback(sink.close)
        if wanted:
            transmit(_chunks(encoder), sink, stop=stop)
            sink.flush(FLUSH_S)
        registered = sink.tally.produced.total()
        start_ms = wall_clock_ms() + START_IN_MS
        duration = lasting_s or 24 * 3600.0
        presses = round(duration * 5) if panics is None else panics
        batches = peak(
            encoder,
            Mix(peak_rate, duration, presses, garbage),
            seed=seed,
            start_ms=start_ms,
            pace=loop,
        )
        transmit(batches, sink, stop=stop, progress=_Progress(loop))
        seconds = (wall_clock_ms() - start_ms) / 1000
        sink.flush(FLUSH_S)
    tally = sink.tally
    return {
        "produced": dict(sorted(tally.produced.items())),
        "by_type": tally.by_type,
        "panics": tally.presses,
        "expected_dead_letters": tally.expected_dead_letters,
        "failed": dict(tally.failed)
        or ({"unanswered": tally.outstanding} if tally.outstanding else {}),
        "behind_ms": loop.max_behind_ms,
        "seconds": round(seconds, 3),
        "events_per_s": round((tally.produced.total() - registered) / max(seconds, 0.001), 1),
    }


def _chunks(encoder: Encoder) -> Batches:
    records = iter(registry(encoder, wall_clock_ms()))
    while chunk := list(islice(records, 1_000)):
        yield Batch(chunk)


class _Progress:
    """A line on stderr now and then."""

    def __init__(self, loop: OpenLoop) -> None:
        self._loop = loop
        self._next_ms = loop.clock() + PROGRESS_MS

    def __call__(self, tally: Tally) -> None:
        now_ms = self._loop.clock()
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + PROGRESS_MS
            typer.echo(
                f"{tally.produced.total():,} acknowledged, {len(tally.presses)} presses,"
                f" {self._loop.behind_ms} ms behind",
                err=True,
            )


def _for_people(result: dict[str, Any]) -> str:
    lines = [
        f"acknowledged {sum(result['produced'].values()):,} records,"
        f" {result['events_per_s']:,} events/s, at most {result['behind_ms']} ms behind schedule",
        *(f"  {kind:22}{count:>12,}" for kind, count in result["by_type"].items()),
    ]
    if result["expected_dead_letters"]:
        lines.append(f"meant as dead letters: {result['expected_dead_letters']}")
    if result["failed"]:
        lines.append(f"NOT acknowledged: {result['failed']}")
    return "\n".join(lines)
