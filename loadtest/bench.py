"""The benchmarks as commands: a table for people, one JSON object on the last line for machines."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from loadtest.compare import load, side_by_side
from loadtest.result import save
from loadtest.transport import compare_transports
from schemas.settings import KafkaSettings, Settings

SCREEN = Console(stderr=True, highlight=False)


@contextmanager
def broker(settings: Settings, embedded: bool) -> Iterator[Settings]:
    """The settings' own broker, or an embedded one of its own in a temporary folder."""
    if not embedded:
        yield settings
        return
    from deploy.embedded.kafka import kafka_ready, kafka_settings
    from deploy.embedded.ports import kept_port
    from deploy.supervisor import Part, Supervisor

    with tempfile.TemporaryDirectory(prefix="saqshy-bench-") as folder, asyncio.Runner() as runner:
        var = Path(folder)
        kafka: KafkaSettings = kafka_settings(var, kept_port(var, "kafka"))
        argv = (sys.executable, "-m", "deploy.embedded.kafka", "--var", str(var))
        supervisor = Supervisor(
            var / "log", lambda notice: SCREEN.print(f"  {notice.part} {notice.what}")
        )

        async def ready() -> bool:
            return await kafka_ready(kafka)

        async def start() -> None:
            await supervisor.start(Part("kafka", argv, ready, start_timeout_s=240))

        runner.run(start())
        try:
            yield settings.model_copy(update={"kafka": kafka})
        finally:
            runner.run(supervisor.stop())


def transport(
    records: Annotated[
        int, typer.Option(min=1000, help="Passes preloaded into the topic.")
    ] = 2_000_000,
    seconds: Annotated[float, typer.Option(min=1, help="Longest window of one peer.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Windows per peer; medians are taken.")] = 3,
    external: Annotated[
        bool,
        typer.Option("--external", help="Use the broker of the settings instead of an own one."),
    ] = False,
    i_own: Annotated[
        str,
        typer.Option("--i-own", help="Needed with --external when the broker isn't on loopback."),
    ] = "",
) -> None:
    """Our batch transport beside stock Faust, aiokafka, quixstreams, confluent-kafka and kafka-python.

    \b
    Examples:
      python -m loadtest transport
      python -m loadtest transport --records 500000 --rounds 1
    """
    settings = Settings()
    host = settings.kafka.bootstrap.split(",")[0].rsplit(":", 1)[0]
    if external and host not in ("127.0.0.1", "localhost", "[::1]") and i_own != host:
        raise typer.BadParameter(f"{host} is not this machine; say --i-own {host} if it is yours")
    with broker(settings, embedded=not external) as there:
        figures = compare_transports(
            there,
            records=records,
            seconds=seconds,
            rounds=rounds,
            tell=lambda text: SCREEN.print(f"• {text}"),
        )
    rates, cpu = figures["events_per_s"], figures["cpu_us_per_event"]
    ours = rates.get("saqshy", 0)
    table = Table("consumer", "events/s", "spread", "CPU us/event", "MB", "ours is")
    for name in rates:
        low, high = figures["spread"][name]
        table.add_row(
            *(name, f"{rates[name]:,}", f"{low:,}–{high:,}", f"{cpu[name]:.2f}"),
            *(f"{figures['memory_mb'][name]:.0f}", f"{ours / rates[name]:.2f}x"),
        )
    SCREEN.print(table)
    SCREEN.print(f"saved to {save(settings.var, 'transport', 1, figures)}")
    sys.stdout.write(json.dumps(figures) + "\n")


def compare(a: Path, b: Path) -> None:
    """Two result files of the benchmarks side by side.

    \b
    Example: python -m loadtest compare var/loadtest/transport-A.json var/loadtest/transport-B.json
    """
    try:
        left, right = load(a), load(b)
    except (OSError, ValueError) as trouble:
        raise typer.BadParameter(str(trouble)) from None
    screen = Console(highlight=False)
    for which, whole in (("A", left), ("B", right)):
        screen.print(
            f"{which}: {whole['command']} {whole['commit']} {whole['at']} {_machine(whole)}"
        )
    table = Table("figure", "A", "B", "B / A")
    for name, was, is_, ratio in side_by_side(left["figures"], right["figures"]):
        table.add_row(name, _cell(was), _cell(is_), "" if ratio is None else f"{ratio:.3f}")
    screen.print(table)


def _machine(whole: dict[str, Any]) -> str:
    machine = whole["machine"]
    return f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['processor']}"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"
