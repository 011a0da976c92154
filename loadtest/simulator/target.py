"""What a load is told on the command line: whom it may be aimed at, how long, from when."""

import re

import typer

from schemas.clear_text import is_here

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """``90``, ``90s``, ``1.5m`` or ``2h`` in seconds. Raises typer.BadParameter for the rest."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is no duration: say 60s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def local_time_s(text: str) -> float:
    """``07:40`` in seconds after midnight. Raises typer.BadParameter for anything else."""
    match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is no time of day: say 07:40")
    return int(match[1]) * 3600.0 + int(match[2]) * 60


def check_target(bootstrap: str, owned: list[str]) -> None:
    """Refuse to load anybody else's machine by accident.

    Raises typer.BadParameter when a host of ``bootstrap`` (``host:port``, comma-separated) is
    neither loopback nor in ``owned``.
    """
    for address in bootstrap.split(","):
        host = address.strip().rpartition(":")[0].strip("[]") or address.strip()
        if not is_here(host) and host not in owned:
            raise typer.BadParameter(
                f"{host} is not this machine: if it is yours to load, add --i-own {host}"
            )
