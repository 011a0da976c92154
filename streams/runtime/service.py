"""The skeleton of every process: logs, collector, signals, an ordered stop, /health and /metrics.

A process runs one service or several. It starts them, says of each on the health port whether it is ready
and how old its sources are, and stops them all when a signal comes or when one of them ends: what would go
on beside it would hide that it is gone.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import web
from prometheus_client.registry import Collector

from schemas.settings import Settings
from streams.runtime.collector import tune_gc
from streams.runtime.direct import LARGEST_BYTES
from streams.runtime.logs import configure_logs
from streams.runtime.metrics import CONTENT_TYPE, Figure, exposition

log = structlog.get_logger(__name__)

STOP_WITHIN_S: Final = 25.0
"""Then the process ends as it is. A supervisor kills it after 30 s."""
CONNECTIONS: Final = 12
"""On the health port."""
EVICTED_AT_ONCE: Final = 6
BACKLOG: Final = 128
NO_DESCRIPTORS_PAUSE_S: Final = 0.1


class CannotStart(Exception):
    """What the process needs can't be used; the message says to a person what and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a service hears from.

    ``age_s``: seconds since it last proved to be there, None when it never did. Older than
    ``at_most_s`` it is too old, which /health says. Without a ``needed`` one the service is not ready.
    """

    age_s: float | None
    at_most_s: float = 30.0
    needed: bool = False

    @property
    def too_old(self) -> bool:
        return self.age_s is None or self.age_s > self.at_most_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a process runs. ``run`` lasts until it is cancelled, and ends in its own order.

    ``ready``, ``sources`` and ``says``, which is whatever else it says of itself, make its /health;
    ``figures``, and ``live`` that are counted where they happen, its /metrics.
    """

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    ready: Callable[[], bool] = lambda: True
    sources: Callable[[], Mapping[str, Source]] = dict
    says: Callable[[], Mapping[str, Any]] = dict
    figures: Callable[[], Iterable[Figure] | Awaitable[Iterable[Figure]]] = tuple
    live: Sequence[Collector] = ()
    routes: Sequence[web.RouteDef] = ()

    def health(self) -> dict[str, Any]:
        """``too_old``: the sources that are; ready without those that are needed it is not."""
        sources = self.sources()
        missing = [name for name, source in sources.items() if source.needed and source.too_old]
        return {
            "service": self.name,
            "ready": self.ready() and not missing,
            "sources": {
                name: None if it.age_s is None else round(it.age_s, 3)
                for name, it in sources.items()
            },
            "too_old": [name for name, source in sources.items() if source.too_old],
            **self.says(),
        }

    async def said(self) -> list[Figure]:
        """Its figures, and the age of its sources."""
        asked = self.figures()
        own = await asked if isinstance(asked, Awaitable) else asked
        ages = [
            Figure("source_age_seconds", source.age_s, (self.name, name))
            for name, source in self.sources().items()
            if source.age_s is not None
        ]
        return [*own, *ages]


def health_of(services: Sequence[Service]) -> tuple[int, dict[str, Any]]:
    """Status and body of /health; of several services it is ready when all of them are."""
    said = [service.health() for service in services]
    ready = all(one["ready"] for one in said)
    status = 200 if ready else 503
    if len(said) == 1:
        return status, said[0]
    too_old = [f"{one['service']}: {name}" for one in said for name in one["too_old"]]
    by_name = {one["service"]: one for one in said}
    return status, {"ready": ready, "too_old": too_old, "services": by_name}


async def metrics_of(name: str, services: Sequence[Service]) -> bytes:
    """Body of /metrics of the process ``name``."""
    said = [figure for service in services for figure in await service.said()]
    said.append(Figure("cpu_seconds_total", sum(os.times()[:2]), (name,)))
    return exposition(said, [one for service in services for one in service.live])


def inner(name: str, services: Sequence[Service]) -> web.Application:
    """What a process serves on its health port."""
    routes = web.RouteTableDef()

    @routes.get("/health")
    async def health(_: web.Request) -> web.Response:
        status, body = health_of(services)
        return web.json_response(body, status=status)

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:
        headers = {"content-type": CONTENT_TYPE}
        return web.Response(body=await metrics_of(name, services), headers=headers)

    it = web.Application(client_max_size=LARGEST_BYTES)
    it.add_routes([*routes, *(route for service in services for route in service.routes)])
    return it


Made = Callable[[], Sequence[Service]]


Loop = Callable[[], asyncio.AbstractEventLoop]


def run(settings: Settings, name: str, make: Made, loop: Loop | None = None) -> None:
    """Make the services and run them until SIGTERM or Ctrl-C. ``name`` is the process's.

    Raises SystemExit: 1 when a service failed or did not stop in time, 2 when one cannot start.
    """
    configure_logs(settings.log_format)
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_run(settings, name, make))
    except CannotStart as why:
        log.error("cannot start", process=name, why=str(why))
        sys.exit(2)


async def _run(settings: Settings, name: str, make: Made) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    services = make()
    tune_gc()
    await serve(settings, name, services, stop)


async def serve(
    settings: Settings, name: str, services: Sequence[Service], stop: asyncio.Event
) -> None:
    """Run them as ``run_all`` does, with the health port open. Raises CannotStart when it is taken."""
    async with _listening(settings, inner(name, services)):
        await run_all(services, stop)


@asynccontextmanager
async def _listening(settings: Settings, app: web.Application) -> AsyncIterator[None]:
    # A body that is not wanted is not waited for: that would hold a connection for 10 s.
    runner = web.AppRunner(app, access_log=None, lingering_time=0)
    await runner.setup()
    assert runner.server is not None
    own = settings.worker
    try:
        if own.health_port:
            try:
                family = socket.AF_INET6 if ":" in own.health_host else socket.AF_INET
                listening = socket.create_server(
                    (own.health_host, own.health_port), family=family, backlog=BACKLOG
                )
            except OSError as error:
                raise CannotStart(f"no health port: {error}") from error
            with _accepting(listening, runner.server):
                yield
        else:
            yield
    finally:
        await runner.cleanup()


@contextmanager
def _accepting(listening: socket.socket, server: web.Server) -> Iterator[None]:
    """Never more than CONNECTIONS at once: for others the oldest go. asyncio's own server takes in all that
    come, and whoever opens many would take descriptors from a press."""
    loop = asyncio.get_running_loop()
    starting: set[asyncio.Task[Any]] = set()
    pause: asyncio.TimerHandle | None = None

    def accept() -> None:
        nonlocal pause
        free = CONNECTIONS - len(server.connections) - len(starting)
        if free <= 0:  # called again as long as somebody waits
            for oldest in server.connections[:EVICTED_AT_ONCE]:
                oldest.force_close()
        for _ in range(free):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor: this would come again in each pass
                loop.remove_reader(listening)
                pause = loop.call_later(NO_DESCRIPTORS_PAUSE_S, loop.add_reader, listening, accept)
                return
            connection.setblocking(False)
            task = asyncio.create_task(loop.connect_accepted_socket(server, connection))
            starting.add(task)
            task.add_done_callback(starting.discard)

    listening.setblocking(False)
    loop.add_reader(listening, accept)
    try:
        yield
    finally:
        if pause is not None:
            pause.cancel()
        loop.remove_reader(listening)
        listening.close()


async def run_all(services: Sequence[Service], stop: asyncio.Event) -> None:
    """Until ``stop`` is set, or one of them ends; what one raises is raised.

    Raises SystemExit when they do not stop in time.
    """
    tasks = {asyncio.create_task(service.run(), name=service.name) for service in services}
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    for task in tasks:
        task.cancel()
    ended, stuck = await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
    failed = [error for task in ended if not task.cancelled() and (error := task.exception())]
    if stuck:
        log.critical("not stopped in time", services=sorted(task.get_name() for task in stuck))
        sys.stderr.flush()
        os._exit(1)  # asyncio.run would wait for them without end
    if failed:
        raise failed[0]
