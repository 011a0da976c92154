from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built
from dashboards.grafana.panels import lines, numbers, rows, states


def pipeline() -> model.Dashboard:
    start = board(
        "pipeline", "Pipeline", "Our own trouble, so that it is not taken for a school's.",
        since="now-1h", refresh="10s",
    )  # fmt: skip
    return built(
        start,
        numbers("Now", "pipeline_now"),
        lines("Events by lane", "throughput", unit="cps"),
        lines("Lag", "lag"),
        lines("Latency, 99 percent are faster", "latency", unit="s"),
        lines("Watermarks behind the clock", "watermarks", unit="s"),
        lines("Dead letters by reason", "dead_letters"),
        rows("Dead letters by topic", "dead_letters_by_topic", width=12, height=9),
        lines("Rows into ClickHouse", "inserts", unit="rowsps"),
        lines("Parts", "parts"),
        lines("CPU per event", "cpu_per_event", unit="µs"),
        states("Workers heard", "workers", gap_ms=60_000, width=12, height=9),
        lines("From a press to its alert", "press_to_alert", unit="s", width=24),
    )
