"""Through the native protocol, as Grafana asks: migrations applied, queries asked by the read-only user,
the sampler's figures on the dashboard of the pipeline."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from dashboards.queries.ask import text_of
from dashboards.queries.macros import Range
from dashboards.queries.query import queries
from deploy.embedded.clickhouse import READER, READER_PASSWORD_NAME
from deploy.embedded.secrets import secret
from deploy.sampler import of_worker, sample, workers_here
from schemas.migrations import migrate
from schemas.settings import ClickHouseSettings, ConsoleSettings, Settings
from tests.schemas.engine import engine

EXPOSITION = """# a comment
saqshy_records_total{lane="flow"} 1200
saqshy_cpu_seconds_total{lane="flow"} 0.5
saqshy_latency_p99_seconds{lane="flow"} 0.233
saqshy_lag{lane="flow",topic="saqshy.passes",partition="0"} 3
saqshy_lag{lane="flow",topic="saqshy.passes",partition="1"} 4
saqshy_caught_up_age_seconds{lane="flow",topic="saqshy.passes",partition="0"} 0.2
saqshy_caught_up_age_seconds{lane="flow",topic="saqshy.passes",partition="1"} 9.5
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClickHouseSettings, Path]]:
    var = tmp_path_factory.mktemp("grafana-engine")
    with engine(var) as settings:
        migrate(settings)
        yield settings, var


@pytest.mark.broker
def test_the_read_only_user_can_ask_every_query_and_change_nothing(
    place: tuple[ClickHouseSettings, Path],
) -> None:
    settings, var = place
    password = secret(var, READER_PASSWORD_NAME)
    reader = Client(**{**settings.driver_kwargs(), "user": READER, "password": password})
    now = datetime.now(UTC)
    span = Range(now - timedelta(days=1), now)
    chosen = {"school": ["KZ-71-00001"]}
    for query in queries().values():
        if query.console_only:
            with pytest.raises(ServerException):
                reader.execute(text_of(query, span, chosen))
            continue
        _, columns = reader.execute(text_of(query, span, chosen), with_column_types=True)
        assert tuple(name for name, _ in columns) == query.columns
    for refused in (
        "DROP VIEW published_schools",
        "SELECT count() FROM incidents",
        "SET ROLE owner",
    ):
        with pytest.raises(ServerException):
            reader.execute(refused)
    reader.disconnect()


@pytest.mark.broker
def test_the_sampler_stores_what_workers_and_the_engine_say(
    place: tuple[ClickHouseSettings, Path],
) -> None:
    settings, var = place

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EXPOSITION.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (var / "run").mkdir(exist_ok=True)
    here = Settings(var=var, console=ConsoleSettings(port=9))
    ports = {"flow-health": server.server_port, "panic-a-health": 9, "clickhouse": 1}
    (var / "run" / "ports.json").write_text(json.dumps(ports))
    try:
        client = Client(**settings.driver_kwargs())
        at = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
        assert sample(client, workers_here(here), at) > 5
    finally:
        server.shutdown()
        server.server_close()
    stored = client.execute("SELECT source, metric, topic, value FROM published_pipeline")
    client.disconnect()
    assert ("flow", "lag_records", "saqshy.passes", 7.0) in stored
    assert ("flow", "watermark_age_seconds", "", 9.5) in stored
    assert ("flow", "latency_p99_seconds", "", 0.233) in stored
    assert not [source for source, *_ in stored if source.startswith("panic")]
    assert any(metric == "parts" for _, metric, *_ in stored)


def test_two_workers_of_one_lane_are_two_sources() -> None:
    at = datetime(2026, 1, 1)
    text = EXPOSITION.replace('lane="flow"', 'lane="panic-a"')
    samples = of_worker(text, "panic-a", at)
    assert {(one.source, one.lane) for one in samples} == {("panic-a", "panic")}
    assert {one.metric for one in samples} == {
        "events_total", "cpu_seconds_total", "lag_records", "watermark_age_seconds",
        "latency_p99_seconds",
    }  # fmt: skip


def test_what_the_watchdog_says_of_itself_becomes_its_age() -> None:
    at = datetime(2026, 1, 1)
    looked = at.replace(tzinfo=UTC).timestamp() - 12.5
    text = f"saqshy_watchdog_checked_at_seconds {looked}\nsaqshy_watchdog_press_to_alert_seconds 0.31\n"
    assert of_worker(text, "watchdog", at) == [
        (at, "watchdog", "", "watchdog_age_seconds", "", 12.5),
        (at, "watchdog", "", "press_to_alert_seconds", "", 0.31),
    ]


def test_a_watchdog_that_has_not_looked_yet_has_no_age() -> None:
    assert (
        of_worker("saqshy_watchdog_checked_at_seconds 0.0", "watchdog", datetime(2026, 1, 1)) == []
    )


def test_garbage_gives_no_sample() -> None:
    with pytest.raises(ValueError, match="saqshy"):
        of_worker("<html>saqshy</html>\nsaqshy_lag", "x", datetime(2026, 1, 1))
