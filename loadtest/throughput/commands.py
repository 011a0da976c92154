"""The benchmarks as commands: a table for people, one JSON object on the last line for machines."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from loadtest.result import save
from loadtest.throughput.compare import load, side_by_side
from loadtest.throughput.stack import Aim, stack
from loadtest.throughput.transport import compare_transports
from schemas.settings import Settings

SCREEN = Console(stderr=True, highlight=False)


def transport(
    records: Annotated[
        int, typer.Option(min=50_000, help="Passes preloaded into the topic.")
    ] = 2_000_000,
    seconds: Annotated[float, typer.Option(min=1, help="Longest window of one peer.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Windows per peer; medians are taken.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same passes.")] = 1,
    external: Annotated[
        bool,
        typer.Option("--external", help="Use the broker of the settings instead of an own one."),
    ] = False,
    i_own: Annotated[
        list[str] | None,
        typer.Option("--i-own", help="A host beyond this machine that is yours to load."),
    ] = None,
) -> None:
    """Our batch transport beside stock Faust, aiokafka, quixstreams, confluent-kafka and kafka-python.

    \b
    Examples:
      python -m loadtest transport
      python -m loadtest transport --records 500000 --rounds 1
    """
    settings = Settings()
    aim = Aim(external, tuple(i_own or ()))
    with stack(settings, aim, lambda text: SCREEN.print(f"  {text}"), engine=False) as there:
        figures = compare_transports(
            there.settings,
            records=records,
            seconds=seconds,
            rounds=rounds,
            seed=seed,
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
    SCREEN.print(f"saved to {save(settings.var, 'transport', seed, figures)}")
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
