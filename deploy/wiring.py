"""The processes of this machine as parts for the supervisor, and how they find each other."""

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.addresses import console_url, health_port, reached
from deploy.canary_key import canary_key_file
from deploy.embedded.ports import LOOPBACK, is_free, kept_port
from deploy.embedded.secrets import secret, secret_path
from deploy.supervisor import Part
from deploy.supervisor.diagnose import port_trouble
from schemas.settings import GatewaySettings, Settings
from streams.processes import Part as Runs
from streams.processes import parts

CONSOLE: Final = "console"
STOP_TIMEOUT_S: Final = 30.0


class CannotRun(Exception):
    """Saqshy can't run here; the message says what to do."""


def worker_parts(settings: Settings) -> tuple[Part, ...]:
    """All processes but the console, in the order in which they start, each with a health port."""
    there = _with_services(settings)
    return tuple(_worker(part, there) for part in parts() if part.name != CONSOLE)


def _with_services(settings: Settings) -> Settings:
    """The addresses by which the services of this machine find each other, and their secret."""
    there = [part for part in parts() if part.name != CONSOLE]
    acting = [f"{_url(settings.var, part.name)}/direct" for part in there if part.told]
    secret(settings.var, "direct")
    console = settings.console.model_copy(
        update={"direct_urls": settings.console.direct_urls or acting}
    )
    gateway = settings.gateway.model_copy(
        update={
            "direct_urls": settings.gateway.direct_urls
            or [f"{console_url(settings)}/direct", *acting],
            # What goes to a listener of this machine that may speak in clear text may do so too.
            "insecure": settings.gateway.insecure or settings.console.insecure,
            "direct_secret_file": settings.gateway.direct_secret_file
            or secret_path(settings.var, "direct").absolute(),
            "port": _device_port(settings, "gateway", settings.gateway.port),
            "panic_port": _device_port(settings, "gateway-panic", settings.gateway.panic_port),
        }
    )
    health_urls = {
        part.name: f"{_url(settings.var, part.name)}/health"
        for part in there
        if part.name != "watchdog"
    } | {CONSOLE: f"{console_url(settings)}/health"}
    watchdog = settings.watchdog.model_copy(
        update={
            "health_urls": settings.watchdog.health_urls or health_urls,
            "insecure": settings.watchdog.insecure or settings.console.insecure,
            **_by_gateway(settings, gateway),
        }
    )
    return settings.model_copy(
        update={"console": console, "gateway": gateway, "watchdog": watchdog}
    )


def _by_gateway(settings: Settings, gateway: GatewaySettings) -> dict[str, Any]:
    """How the watchdog's canaries go through the gateway. One with TLS has a name that only its
    operator knows: then they go only where the settings say so."""
    told = settings.watchdog
    if not told.canaries or told.gateway_key_file is not None or gateway.tls_cert_file is not None:
        return {}
    host = reached(gateway.host)
    return {
        "gateway_key_file": canary_key_file(settings),
        "insecure": told.insecure or gateway.insecure or settings.console.insecure,
        "events_url": f"http://{host}:{gateway.port}",
        "panic_url": f"http://{host}:{gateway.panic_port}",
    }


def _device_port(settings: Settings, name: str, wanted: int) -> int:
    """The port of the settings, or another when a second stack on this machine has it."""
    return wanted if is_free(wanted) else kept_port(settings.var, name)


def _url(var: Path, part: str) -> str:
    return f"http://{LOOPBACK}:{health_port(var, part)}"


def _worker(part: Runs, settings: Settings) -> Part:
    port = health_port(settings.var, part.name)
    member = f"{part.name}-{platform.node()}" if part.member else ""
    worker = settings.worker.model_copy(update={"health_port": port, "member": member})
    return Part(
        name=part.name,
        argv=(sys.executable, "-m", part.module, *part.arguments),
        env=settings.model_copy(update={"worker": worker}).environment(),
        ready=_healthy(f"http://{LOOPBACK}:{port}/health"),
        stop_timeout_s=STOP_TIMEOUT_S,
        nice=part.nice,
    )


def console_part(settings: Settings) -> Part:
    """The live map. Raises CannotRun when its port is taken."""
    if not is_free(settings.console.port):
        raise CannotRun(
            port_trouble(settings.console.port, "console") or "The console's port is taken."
        )
    return Part(
        name=CONSOLE,
        argv=(sys.executable, "-m", "dashboards.console"),
        env=_with_services(settings).environment(),
        ready=_healthy(f"{console_url(settings)}/health"),
    )


def _healthy(url: str) -> Callable[[], Any]:
    async def ready() -> bool:
        timeout = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status == 200

    return ready
