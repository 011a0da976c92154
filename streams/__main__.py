"""`python -m streams NAME`: one lane's worker or service in the foreground, as `saqshy worker` does."""

import argparse
from importlib import import_module

import faust

from schemas.private import keep_private
from schemas.settings import configured_var, settings_of_process
from streams.runtime.collector import collect_rarely
from streams.runtime.kafka.patience import be_patient

LANES = ("panic", "liveness", "outage", "arrivals", "flow", "incident", "archive")
SERVICES = ("gateway", "dispatch", "notify", "verify", "watchdog")
"""Processes that are no Faust app: streams/<name>/process.py with ``main(settings)``."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m streams",
        description="Run one lane's worker, or one service beside them, until SIGTERM or Ctrl-C.",
        epilog="example: python -m streams panic --replica b",
    )
    parser.add_argument("lane", choices=(*LANES, *SERVICES))
    parser.add_argument(
        "--replica", default="a", choices=("a", "b"), help="panic: which of the two active workers"
    )
    arguments = parser.parse_args()
    settings = settings_of_process()
    be_patient()
    if arguments.lane in SERVICES:
        service = import_module(f"streams.{arguments.lane}.process")
        collect_rarely()
        service.main(settings)
        return
    # Imported late: a lane needs its own libraries only.
    if arguments.lane == "panic":
        from streams.panic.agent import app

        it = app(settings, arguments.replica)
    elif arguments.lane == "liveness":
        from streams.liveness.agent import app as liveness_app

        it = liveness_app(settings)
    elif arguments.lane == "outage":
        from streams.outage.agent import app as outage_app

        it = outage_app(settings)
    elif arguments.lane == "arrivals":
        from streams.arrivals.agent import app as arrivals_app

        it = arrivals_app(settings)
    else:
        from streams.store.agent import app as store_app

        it = store_app(settings, arguments.lane)
    it.finalize()
    # Our own logs stay as streams.worker configured them.
    faust.Worker(it, override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    keep_private(configured_var())
    main()
