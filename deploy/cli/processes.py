"""Commands that become another program of ours: ``worker``, ``simulate``, ``console``.

The process is replaced, so that its id stays and signals reach it.
"""

import os
import sys
from enum import Enum
from typing import Annotated, Final, NoReturn

import typer

from streams.processes import runnable

PASS_THROUGH: Final = {"allow_extra_args": True, "ignore_unknown_options": True}

Name = Enum("Name", {name: name for name in runnable()}, type=str)  # type: ignore[misc]


def worker(
    context: typer.Context,
    name: Annotated[Name, typer.Argument(help="Which lane or service.")],
) -> None:
    """Run one worker of a lane in the foreground, as many as there are partitions; or a service.

    \b
    Examples:
      saqshy worker panic --replica a
      saqshy worker flow
      saqshy worker gateway
      saqshy worker outage arrivals verify      (one process)
    """
    _become("streams", name.value, *context.args)


def simulate(context: typer.Context) -> None:
    """Play the day of a seeded country into Kafka; options go to the simulator.

    \b
    Examples:
      saqshy simulate
      saqshy simulate -- --help        (what the simulator takes)
    """
    _become("loadtest.simulator.simulate", *context.args)


def console(context: typer.Context) -> None:
    """Serve the live map; options go to the console.

    \b
    Examples:
      saqshy console
      SAQSHY_CONSOLE__PORT=8080 saqshy console
    """
    _become("dashboards.console", *context.args)


def _become(module: str, *arguments: str) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606
