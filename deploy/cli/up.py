"""`saqshy up`: the whole stack on this machine, drawn as it starts."""

import asyncio
import json
import re
import signal
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.supervisor import Notice, PartFailed, What
from deploy.up import Say, UpOptions
from deploy.up import up as run
from deploy.wiring import CannotRun

COLOURS = {
    What.READY: "green",
    What.CRASHED: "bold red",
    What.KILLED: "red",
    What.WAITING: "yellow",
}


def seconds(text: str) -> float:
    """ "90", "60s", "5m" or "1h" in seconds. Raises typer.BadParameter for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 60s, 5m or 1h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def up(
    for_: Annotated[
        str,
        typer.Option("--for", help="Stop by itself after this long at the national peak: 60s, 5m."),
    ] = "",
    schools: Annotated[int, typer.Option(min=1, help="Schools in the simulated country.")] = 8_000,
    rate: Annotated[int, typer.Option(min=1, help="Events per second with --for.")] = 5_000,
    panics: Annotated[int, typer.Option(min=0, help="Panic presses with --for.")] = 320,
    seed: Annotated[int, typer.Option(help="Same seed, same country and same day.")] = 1,
    external: Annotated[
        bool,
        typer.Option(
            "--external", help="Use the Kafka and ClickHouse of the settings, start none."
        ),
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="One JSON object on the last line.")
    ] = False,
) -> None:
    """Start everything: Kafka, ClickHouse, processors, a simulated country and the live map.

    \b
    Examples:
      saqshy up                        until Ctrl-C, the map on http://127.0.0.1:8060
      saqshy up --schools 500          a smaller country
      saqshy up --for 60s --json       60 s of the national peak, then a report
      SAQSHY_VAR=/data saqshy up       keep the data elsewhere
    """
    wanted = UpOptions(
        schools=schools,
        seed=seed,
        seconds=seconds(for_) if for_ else None,
        rate_per_s=rate,
        panics=panics,
        embedded=not external,
    )
    screen = Console(stderr=True, highlight=False)
    say = Say(
        notice=lambda notice: _draw(screen, notice), step=lambda text: screen.print(f"• {text}")
    )
    try:
        report = asyncio.run(_until_stopped(wanted, say))
    except (CannotRun, PartFailed) as trouble:
        screen.print(f"[bold red]Saqshy can't run:[/] {trouble}")
        raise typer.Exit(1) from None
    if report is None:
        return
    if json_:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _table(Console(), report)
    if report["lost"] or report["duplicated"] or report["rollups_off"]:
        raise typer.Exit(1)


async def _until_stopped(wanted: UpOptions, say: Say) -> dict[str, Any] | None:
    task = asyncio.create_task(run(wanted, say))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        return await task
    return None


def _draw(screen: Console, notice: Notice) -> None:
    if notice.what == What.STARTING:
        return
    colour = COLOURS.get(notice.what, "dim")
    took = f" {notice.seconds:.1f} s" if notice.seconds else ""
    detail = f" ({notice.detail})" if notice.detail else ""
    screen.print(f"  [{colour}]{notice.part:<12} {notice.what}{took}{detail}[/]")


def _table(screen: Console, report: dict[str, Any]) -> None:
    table = Table("figure", "value", title="What went in, what came out")
    for name, value in report.items():
        text = (
            ", ".join(f"{k} {v}" for k, v in value.items())
            if isinstance(value, dict)
            else str(value)
        )
        table.add_row(name, text)
    screen.print(table)
