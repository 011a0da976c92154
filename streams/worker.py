"""What every lane's process shares: a Faust app on the batch transport, logs, health and metrics."""

import os
import time
from collections.abc import Callable, Mapping

import faust
from aiohttp import web

from schemas.settings import Settings
from streams.runtime.collector import collect_rarely
from streams.runtime.logs import configure_logs
from streams.transport import Consumer
from streams.transport.app import app_settings

Counters = Callable[[], Mapping[str, float]]
"""A lane's own figures by Prometheus name, asked at each scrape."""


def worker(name: str, settings: Settings, counters: Counters = dict) -> faust.App:
    """The app of one lane; ``name`` is its consumer group without the prefix."""
    configure_logs(settings.log_format)
    collect_rarely()
    datadir = settings.var / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    member = settings.worker.member or None
    app = faust.App(
        f"saqshy-{name}", **app_settings(settings.kafka, datadir=datadir, member=member)
    )
    if settings.worker.health_port:
        _serve_health(app, name, settings, counters)
    return app


async def listening(app: web.Application, settings: Settings) -> web.AppRunner:
    """Serve what a process says of itself on its health port, if it has one; to be cleaned up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    worker = settings.worker
    if worker.health_port:
        await web.TCPSite(runner, worker.health_host, worker.health_port).start()
    return runner


def _serve_health(app: faust.App, name: str, settings: Settings, counters: Counters) -> None:
    routes = web.RouteTableDef()

    @routes.get("/health")
    async def health(_: web.Request) -> web.Response:
        consumer: Consumer = app.consumer
        ready = consumer.ready
        lag = {f"{tp.topic}/{tp.partition}": p.lag for tp, p in consumer.metrics.progress.items()}
        return web.json_response(
            {"lane": name, "ready": ready, "lag": lag}, status=200 if ready else 503
        )

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=_exposition(app, name, counters()), content_type="text/plain")

    @app.task  # type: ignore[untyped-decorator]
    async def serve(app_: faust.App) -> None:
        web_app = web.Application()
        web_app.add_routes(routes)
        runner = await listening(web_app, settings)
        try:
            await app_.wait_for_stopped()
        finally:
            await runner.cleanup()


def _exposition(app: faust.App, name: str, own: Mapping[str, float]) -> str:
    """Prometheus text format 0.0.4."""
    consumer: Consumer = app.consumer
    metrics = consumer.metrics
    figures: dict[str, float] = {
        "records_total": metrics.records,
        "batches_total": metrics.batches,
        "bytes_total": metrics.bytes,
        "commits_total": metrics.commits,
        "abandoned_total": metrics.abandoned,
        "retries_total": metrics.retries,
        "rebalances_total": metrics.rebalances,
        "in_flight": metrics.in_flight,
        "cpu_seconds_total": sum(os.times()[:2]),
        **own,
    }
    lines = [f'saqshy_{key}{{lane="{name}"}} {value}' for key, value in figures.items()]
    now_s = time.time()
    p99_s = metrics.latency.quantile_s(0.99, now_s)
    if p99_s is not None:
        lines.append(f'saqshy_latency_p99_seconds{{lane="{name}"}} {p99_s:.3f}')
    for tp, progress in metrics.progress.items():
        labels = f'lane="{name}",topic="{tp.topic}",partition="{tp.partition}"'
        if progress.lag is not None:
            lines.append(f"saqshy_lag{{{labels}}} {progress.lag}")
        if progress.caught_up_at_s is not None:
            lines.append(
                f"saqshy_caught_up_age_seconds{{{labels}}} {now_s - progress.caught_up_at_s:.3f}"
            )
    return "\n".join(lines) + "\n"
