"""`python -m streams NAME…`: lanes and services of streams.processes in the foreground, as one process."""

import argparse
from collections.abc import Sequence

from schemas.private import keep_private
from schemas.settings import configured_var, settings_of_process
from streams.processes import PROCESSES, Process, parts, runnable


def main(table: Sequence[Process] = PROCESSES) -> None:
    there = runnable(table)
    parser = argparse.ArgumentParser(
        prog="python -m streams",
        description="Run a lane's worker or a service, or several in one process, until SIGTERM.",
        epilog="example: python -m streams panic --replica b",
    )
    parser.add_argument("names", nargs="+", choices=there, metavar="NAME", help=", ".join(there))
    parser.add_argument("--replica", help="panic: which of the two active workers (a or b)")
    arguments = parser.parse_args()
    rows = [there[name] for name in dict.fromkeys(arguments.names)]
    for row in rows:
        if arguments.replica and arguments.replica not in row.replicas:
            parser.error(f"{row.name} has no replica {arguments.replica}")
    settings = settings_of_process()
    # Imported late: a service needs no Faust, and a wrong name needs nothing.
    from streams.runtime.kafka.patience import pause_metadata_retries
    from streams.runtime.service import Service, run

    pause_metadata_retries()

    def service(row: Process) -> Service:
        made = row.made(settings, arguments.replica or row.replicas[0])
        if isinstance(made, Service):
            return made
        from streams.worker import serving

        return serving(made)

    run(settings, _named(rows, arguments.replica, table), lambda: [service(row) for row in rows])


def _named(rows: Sequence[Process], replica: str | None, table: Sequence[Process]) -> str:
    """The process' name: that of the part of a machine which runs the same."""
    for part in parts(table):
        if part.rows == tuple(rows) and (replica is None or part.name.endswith(f"-{replica}")):
            return part.name
    return rows[0].name


if __name__ == "__main__":
    keep_private(configured_var())
    main()
