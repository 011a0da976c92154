"""What every lane's process shares: a Faust app on the batch transport, as a service of the process."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import faust
from faust.types import TP

from schemas.settings import Settings
from streams.runtime.metrics import Figure, figures
from streams.runtime.service import Service, Source
from streams.transport import Consumer
from streams.transport.app import app_settings
from streams.transport.metrics import Progress

Counters = Callable[[], Mapping[str, float]]
"""A lane's own figures by name, asked at each scrape."""
Stopped = Callable[[], Mapping[str, str]]
"""The topics that it does not read on, and why."""
BROKER_ANSWERS_WITHIN_S: Final = 30.0


class LaneApp(faust.App):  # type: ignore[misc]
    """The app of one lane, and how the lane counts."""

    lane: str
    counters: Counters
    stopped: Stopped


def worker(
    name: str, settings: Settings, counters: Counters = dict, stopped: Stopped = dict
) -> LaneApp:
    """The app of one lane; ``name`` is its consumer group without the prefix."""
    datadir = settings.var / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    member = settings.worker.member or None
    it = LaneApp(f"saqshy-{name}", **app_settings(settings.kafka, datadir=datadir, member=member))
    it.lane, it.counters, it.stopped = name, counters, stopped
    return it


def serving(app: LaneApp) -> Service:
    """The service that runs the app.

    It is ready while it is in its group with every partition that it was given prepared, and none of
    its topics stands still. How old
    what it has read is, lag says; a source is as old as the broker's last answer.
    """

    async def run() -> None:
        app.finalize()
        try:
            await app.start()
            await app.wait_until_stopped()
        finally:
            await app.stop()
        if app.crash_reason is not None:
            raise app.crash_reason

    def progress_by_tp() -> dict[TP, Progress]:
        # Before the app has started it has no consumer.
        return app.consumer.metrics.progress if app.started else {}

    def sources() -> dict[str, Source]:
        answered: dict[str, float] = {}
        for tp, progress in progress_by_tp().items():
            if progress.asked_at_s is not None:
                answered[tp.topic] = min(
                    progress.asked_at_s, answered.get(tp.topic, progress.asked_at_s)
                )
        now_s = time.time()
        return {
            topic: Source(max(0.0, now_s - at_s), BROKER_ANSWERS_WITHIN_S)
            for topic, at_s in answered.items()
        }

    def lag() -> dict[str, Any]:
        lags = {f"{tp.topic}/{tp.partition}": p.lag for tp, p in progress_by_tp().items()}
        return {"lag": lags, "stopped": dict(app.stopped())}

    return Service(
        name=app.lane,
        run=run,
        ready=lambda: app.started and app.consumer.ready and not app.stopped(),
        sources=sources,
        says=lag,
        figures=lambda: list(_figures(app)),
    )


def _figures(app: LaneApp) -> Iterator[Figure]:
    if not app.started:
        return
    consumer: Consumer = app.consumer
    metrics, lane = consumer.metrics, app.lane
    counted = {
        "records_total": metrics.records,
        "batches_total": metrics.batches,
        "bytes_total": metrics.bytes,
        "commits_total": metrics.commits,
        "abandoned_total": metrics.abandoned,
        "retries_total": metrics.retries,
        "rebalances_total": metrics.rebalances,
        "in_flight": metrics.in_flight,
        **app.counters(),
    }
    yield from figures(counted, lane)
    now_s = time.time()
    p99_s = metrics.latency.quantile_s(0.99, now_s)
    if p99_s is not None:
        yield Figure("latency_p99_seconds", p99_s, (lane,))
    for tp, progress in metrics.progress.items():
        labels = (lane, tp.topic, str(tp.partition))
        if progress.lag is not None:
            yield Figure("lag", progress.lag, labels)
        if progress.caught_up_at_s is not None:
            yield Figure("caught_up_age_seconds", now_s - progress.caught_up_at_s, labels)
