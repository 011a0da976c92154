"""Where the processes of this machine find each other."""

from pathlib import Path

from deploy.embedded.ports import LOOPBACK, kept_port
from schemas.settings import Settings


def console_url(settings: Settings) -> str:
    """As this machine reaches it."""
    return f"http://{reached(settings.console.host)}:{settings.console.port}"


def reached(host: str) -> str:
    """The address at which this machine finds its own listener."""
    return LOOPBACK if host in ("", "0.0.0.0", "::") else host  # noqa: S104


def health_port(var: Path, part: str) -> int:
    return kept_port(var, f"{part}-health")
