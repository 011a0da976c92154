from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language, note
from dashboards.grafana.panels import PURPLE, RED, lines, map_of, numbers, rows


def live_map() -> model.Dashboard:
    start = (
        board(
            "live-map",
            "Live map",
            "Every school now. Purple is a panic, red is silence; both lie above all else.",
            since="now-3h",
            refresh="10s",
        )
        .with_variable(language())
        .with_variable(choice("region"))
        .with_variable(choice("district"))
        .annotation(note("Outages", "note_outages", RED))
        .annotation(note("Panics", "note_panics", PURPLE))
    )
    return built(
        start,
        numbers("Now", "counters"),
        numbers("Inside the schools", "inside_now", width=8),
        numbers("At the doors", "passes_now", width=16),
        map_of(
            "Schools",
            ("Schools", "map_schools"),
            ("Offline", "map_offline"),
            ("Panic", "map_panics"),
        ),
        rows("Open alerts", "open_alerts"),
        lines("Arrivals and departures", "rush", width=24),
        rows("Regions", "regions_now", width=12),
        rows("Districts", "districts_now", width=12),
    )
