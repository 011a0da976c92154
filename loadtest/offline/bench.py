"""``python -m loadtest offline``: are silent schools found, and nobody else? One JSON object at the end."""

import json
import logging
import os
import sys
import time
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from loadtest.offline.gateways import Plan
from loadtest.offline.live import run_live
from loadtest.offline.simulate import Scenario, simulate
from loadtest.result import save
from schemas.settings import Settings

SCREEN: Final = Console(stderr=True, highlight=False)
QUICK: Final = Plan(schools=200, period_s=2, shared=60, beside=4, cut=40, spread_s=8.0, after=5)


def offline(
    schools: Annotated[int, typer.Option(min=1, help="Schools of the simulation.")] = 7_200,
    days: Annotated[float, typer.Option(min=0.02, help="Days of each.")] = 7.0,
    cuts: Annotated[int, typer.Option(min=1, help="Schools cut one by one, live.")] = 1_000,
    period: Annotated[int, typer.Option(min=2, help="Heartbeat period, live, in s.")] = 15,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small and short, to see it work.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Ten times as much: hours.")] = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Only the simulation, nothing is started.")
    ] = False,
) -> None:
    """Silent schools: days of heartbeats faster than the clock, then outages on the real stack.

    Every heartbeat of every gateway passes through the liveness decisions, one partition after the
    other on all cores; what they say goes through the outage decisions; pages are scored against
    what was cut. Then a broker, an engine and the workers are started, and schools fall silent.

    A page is false when the uplink of its school was not cut for that long. Those among them whose
    school was silent all the same, as heartbeats were lost by chance, are pages_of_lost_beats.

    \b
    Examples:
      python -m loadtest offline
      python -m loadtest offline --quick
      python -m loadtest offline --schools 8000 --days 30 --simulated
    """
    for noisy in ("aiokafka", "kafka", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    began_s = time.monotonic()
    settings = Settings()

    def tell(text: str) -> None:
        SCREEN.print(f"• {time.monotonic() - began_s:5.0f} s  {text}")

    wanted = Scenario(schools, days, seed)
    plan = Plan(cut=cuts, period_s=period, seed=seed, schools=max(2_000, cuts + 500))
    if full:
        wanted = replace(wanted, days=10 * days)
        plan = replace(plan, cut=10 * cuts, schools=10 * cuts + 500, spread_s=600.0)
    if quick:
        wanted, plan = replace(wanted, schools=min(schools, 250), days=min(days, 0.1)), QUICK
    figures = simulate(wanted, tell)
    if not simulated:
        figures |= run_live(settings, plan, tell)
        figures["outage"]["simulated"] = figures["shared_outages"]
        figures["false_pages"] += figures["live_false_pages"]
        figures["missed"] += figures["live_missed"] + figures["missed_after_own_trouble"]
    figures |= {"seconds": round(time.monotonic() - began_s, 1), "load": os.getloadavg()[0]}
    _show(figures)
    SCREEN.print(f"saved to {save(settings.var, 'offline', seed, figures)}")
    sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")


def _show(figures: dict[str, Any]) -> None:
    table = Table("rule", "pages", "precision", "recall", "p50 s", "p99 s", "broker away 120 s")
    for name, its in figures["peers"].items():
        table.add_row(
            *(name, f"{its['pages']:,}", str(its["precision"]), str(its["recall"])),
            *(str(its["detect_p50_s"]), str(its["detect_p99_s"])),
            f"{figures['broker_stall'][name]:,} pages",
        )
    SCREEN.print(table)
