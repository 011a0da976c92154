"""The ``simulate`` command: a simulated country sends its events to Kafka."""

import json
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from kafka.errors import KafkaError

from loadtest.simulator.producer import SINKS
from loadtest.simulator.run import LoadOptions, Progress, run
from loadtest.simulator.stream import OpenLoop
from loadtest.simulator.target import check_target, duration_s, local_time_s
from schemas.private import keep_private
from schemas.settings import Settings, configured_var


def simulate(
    peak: Annotated[
        float | None,
        typer.Option(min=1, help="events/s of a steady national peak, instead of a school day"),
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="60s, 5m, 2h [default: until Ctrl-C]")
    ] = None,
    schools: Annotated[int, typer.Option(min=1, max=500_000)] = 8_000,
    seed: Annotated[int, typer.Option(min=0, help="same seed, same country and events")] = 1,
    panics: Annotated[
        int | None, typer.Option(min=0, help="presses in a peak [default: 5 per second]")
    ] = None,
    garbage: Annotated[int, typer.Option(min=0, help="rounds of each bad input in a peak")] = 1,
    at: Annotated[str, typer.Option(help="what the schools' clocks show at the start")] = "07:40",
    speed: Annotated[
        float, typer.Option(min=1, help="of the day; it begins in the past and ends now")
    ] = 1.0,
    cards: Annotated[
        float, typer.Option(min=0, max=1, help="share of pupils who carry a card")
    ] = 0.35,
    faults: Annotated[
        float, typer.Option(min=0, max=100, help="how often things break in a day; 0: never")
    ] = 1.0,
    panic_every: Annotated[str, typer.Option(help="mean time between presses in a day")] = "30s",
    gateway_period: Annotated[int, typer.Option(min=1, help="heartbeats of gateways, s")] = 15,
    device_period: Annotated[int, typer.Option(min=1, help="heartbeats of the others, s")] = 180,
    registry: Annotated[
        bool | None,
        typer.Option(
            "--registry/--no-registry",
            help="register the schools first [default: in a peak, and when none is registered]",
        ),
    ] = None,
    producer: Annotated[str, typer.Option(help=" or ".join(SINKS))] = "kafka-python",
    kafka: Annotated[
        str | None, typer.Option(help="host:port of a broker [default: from the settings]")
    ] = None,
    i_own: Annotated[
        list[str] | None, typer.Option(help="a host other than this machine that may be loaded")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="labels of what broke [default: var/run/truth.jsonl]")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="write the JSON report here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Send a simulated country's events to Kafka on schedule, and count what it acknowledged.

    \b
    Examples:
      python -m loadtest simulate                        (a live school day, until Ctrl-C)
      python -m loadtest simulate --speed 60 --for 10m   (ten hours of it in ten minutes)
      python -m loadtest simulate --peak 5000 --for 60s --json
      python -m loadtest simulate --kafka k1.example:9092 --i-own k1.example --peak 500 --for 1m
    """
    settings = Settings()
    if kafka:
        at_broker = settings.kafka.model_copy(update={"bootstrap": kafka})
        settings = settings.model_copy(update={"kafka": at_broker})
    check_target(settings.kafka.bootstrap, i_own or [])
    if producer not in SINKS:
        raise typer.BadParameter(f"--producer is one of {', '.join(SINKS)}")
    if lasting is None and (peak is not None or speed > 1):
        raise typer.BadParameter("a peak, and a day faster than the clock, need --for, such as 60s")
    wanted = LoadOptions(
        schools=schools,
        seed=seed,
        lasting_s=duration_s(lasting) if lasting else None,
        peak_per_s=peak,
        panics=panics,
        garbage=garbage,
        local_start_s=local_time_s(at),
        speed=speed,
        cards=cards,
        faults=faults,
        panic_every_s=duration_s(panic_every),
        gateway_period_s=gateway_period,
        device_period_s=device_period,
        registry=registry,
        producer=producer,
        truth=truth or settings.var / "run" / "truth.jsonl",
    )
    loop = OpenLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.stop.set())
    try:
        result = run(
            wanted, settings, loop, Progress(loop, lambda line: typer.echo(line, err=True))
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


if __name__ == "__main__":
    keep_private(configured_var())
    typer.run(simulate)
