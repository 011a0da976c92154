"""Every 10 seconds, what the pipeline says of itself into pipeline_metrics, for Grafana's dashboard of it.

A process beside the stream: ``python -m deploy.sampler`` asks the workers that `saqshy up` started, or
those whose /metrics are given. A worker that does not answer leaves a gap, which is what the dashboard
and the freshness rule look for; nothing is made up for it.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import structlog
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError
from prometheus_client.parser import text_string_to_metric_families

from deploy.addresses import console_url
from deploy.embedded.ports import LOOPBACK
from schemas.private import keep_private
from schemas.settings import Settings, configured_var, settings_of_process
from streams.processes import parts
from streams.runtime.logs import short
from streams.runtime.metrics import PREFIX
from streams.runtime.service import Service, Source, run

EVERY_S: Final = 10.0
STORED_WITHIN_S: Final = 60.0
ANSWER_S: Final = 3.0

_COUNTED: Final = {"records_total": "events_total", "cpu_seconds_total": "cpu_seconds_total"}
_SQL: Final = "INSERT INTO pipeline_metrics (sampled, source, lane, metric, topic, value) VALUES"

log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """A row of pipeline_metrics; ``sampled`` is UTC."""

    sampled: datetime
    source: str
    lane: str
    metric: str
    topic: str
    value: float


def of_worker(text: str, source: str, at: datetime) -> list[Sample]:
    """The samples in one worker's /metrics (Prometheus text format 0.0.4).

    Raises ValueError when it is none.
    """
    lag: dict[tuple[str, str], float] = defaultdict(float)
    watermark: dict[str, float] = {}
    samples = []
    families = text_string_to_metric_families(text)
    for said in (one for family in families for one in family.samples):
        name, known, value = said.name.removeprefix(PREFIX), said.labels, said.value
        lane = known.get("lane", source).partition("-")[0]
        if name in _COUNTED:
            samples.append(Sample(at, source, lane, _COUNTED[name], "", value))
        elif name == "lag":
            lag[lane, known.get("topic", "")] += value
        elif name == "caught_up_age_seconds":
            watermark[lane] = max(watermark.get(lane, 0.0), value)
        elif name == "latency_p99_seconds":
            samples.append(Sample(at, source, lane, name, "", value))
        elif name == "watchdog_checked_at_seconds" and value > 0:  # 0: it has not looked yet
            age_s = max(0.0, at.replace(tzinfo=UTC).timestamp() - value)
            samples.append(Sample(at, source, "", "watchdog_age_seconds", "", age_s))
        elif name == "watchdog_press_to_alert_seconds":
            samples.append(Sample(at, source, "", "press_to_alert_seconds", "", value))
    samples += [Sample(at, source, lane, "lag_records", t, n) for (lane, t), n in lag.items()]
    samples += [
        Sample(at, source, lane, "watermark_age_seconds", "", age)
        for lane, age in watermark.items()
    ]
    return samples


def of_clickhouse(inserted: float, parts: Iterable[tuple[str, int]], at: datetime) -> list[Sample]:
    return [
        Sample(at, "clickhouse", "", "rows_inserted_total", "", inserted),
        *(Sample(at, "clickhouse", "", "parts", table, count) for table, count in parts),
    ]


def sample(client: Any, workers: Mapping[str, str], at: datetime) -> int:
    """Ask everybody once and store it; how many rows. Raises what clickhouse-driver raises."""
    samples: list[Sample] = []
    for source, url in workers.items():
        try:
            with urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310 (our own addresses)
                samples += of_worker(answer.read().decode(), source, at)
        except (URLError, OSError, ValueError) as error:
            log.warning("%s does not answer at %s: %s", source, url, error)
    ((inserted,),) = client.execute(
        "SELECT sum(value) FROM system.events WHERE event = 'InsertedRows'"
    )
    parts = client.execute(
        "SELECT table, count() FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table"
    )
    samples += of_clickhouse(float(inserted), parts, at)
    client.execute(_SQL, [tuple(one) for one in samples])
    return len(samples)


def workers_here(settings: Settings) -> dict[str, str]:
    """Name and /metrics of the processes that `saqshy up` started last with this data folder."""
    try:
        ports = json.loads((settings.var / "run" / "ports.json").read_text())
    except (OSError, ValueError):
        return {}
    asked = {
        part.name: f"http://{LOOPBACK}:{port}/metrics"
        for part in parts()
        if (port := ports.get(f"{part.name}-health"))
    }
    return asked | {"console": f"{console_url(settings)}/metrics"}


class Sampler:
    """``workers``: /metrics by name; empty for those of this machine."""

    def __init__(self, settings: Settings, workers: Mapping[str, str]) -> None:
        self._settings = settings
        self._workers = workers
        self._client = Client(**settings.clickhouse.driver_kwargs())
        self._stored_s: float | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began_s = time.monotonic()
            await asyncio.to_thread(self._sample)
            await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - began_s)))

    def _sample(self) -> None:
        at = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
        try:
            sample(self._client, self._workers or workers_here(self._settings), at)
            self._stored_s = time.monotonic()
        except (ClickHouseError, OSError, EOFError) as error:
            log.warning("not stored", trouble=short(error, 300))
            self._client.disconnect()

    def sources(self) -> dict[str, Source]:
        age_s = None if self._stored_s is None else time.monotonic() - self._stored_s
        return {"clickhouse": Source(age_s, STORED_WITHIN_S)}


def service(settings: Settings, *arguments: str) -> Service:
    """``arguments``: name=URL of each worker's /metrics; none: those of this machine."""
    it = Sampler(settings, dict(argument.split("=", 1) for argument in arguments))
    return Service(name="sampler", run=it.run, sources=it.sources)


def main(arguments: Sequence[str]) -> None:
    settings = settings_of_process()
    run(settings, "sampler", lambda: [service(settings, *arguments)])


if __name__ == "__main__":
    keep_private(configured_var())
    main(sys.argv[1:])
