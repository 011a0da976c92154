"""What is wrong with this machine, in words that say what to do."""

import shutil
from pathlib import Path
from typing import Final

import psutil

NEEDED_DISK_BYTES: Final = 3 * 1024**3
NEEDED_MEMORY_BYTES: Final = 3 * 1024**3


def disk_trouble(free_bytes: int, where: Path) -> str | None:
    if free_bytes >= NEEDED_DISK_BYTES:
        return None
    return (
        f"Only {free_bytes / 1e9:.1f} GB are free under {where}; Saqshy wants "
        f"{NEEDED_DISK_BYTES / 1e9:.0f} GB. Free some, or choose another place with SAQSHY_VAR=/path."
    )


def memory_trouble(available_bytes: int) -> str | None:
    if available_bytes >= NEEDED_MEMORY_BYTES:
        return None
    return (
        f"Only {available_bytes / 1e9:.1f} GB of memory are available; the embedded stack wants "
        f"{NEEDED_MEMORY_BYTES / 1e9:.0f} GB. Stop other programs, or run fewer schools "
        "(saqshy up --schools 500)."
    )


def port_trouble(port: int, name: str) -> str | None:
    """Who listens on this port, if anybody does and we may know."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port:
            who = "another program"
            if connection.pid:
                try:
                    who = f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
                except psutil.Error:
                    who = f"process {connection.pid}"
            return (
                f"Port {port}, wanted for {name}, is taken by {who}. Stop it, or choose another "
                f"port (SAQSHY_{name.upper()}__PORT=…)."
            )
    return None


def troubles(var: Path) -> list[str]:
    """Everything that would keep the embedded stack from running well here."""
    existing = next(path for path in (var.absolute(), *var.absolute().parents) if path.exists())
    found = (
        disk_trouble(shutil.disk_usage(existing).free, var),
        memory_trouble(psutil.virtual_memory().available),
    )
    return [trouble for trouble in found if trouble is not None]
