from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language, note
from dashboards.grafana.panels import RED, YELLOW, bars, lines, numbers, rows


def outages() -> model.Dashboard:
    start = (
        board("outages", "Outages and availability", "Who was silent, how long, and how fast we knew.",
              since="now-7d", refresh="1m")
        .with_variable(language())
        .with_variable(choice("region"))
        .with_variable(choice("provider"))
        .annotation(note("Providers", "note_providers", RED))
        .annotation(note("Outages that the stream named", "note_outages_found", YELLOW))
    )  # fmt: skip
    return built(
        start,
        numbers("The chosen time", "availability"),
        lines("Schools offline", "offline_over_time", width=24),
        rows("Outages of many schools", "outages_found"),
        rows("Their schools", "outage_members"),
        lines("Time to name an outage", "outage_detect", unit="s"),
        lines("Time to detect", "time_to_detect", unit="s"),
        rows("Offline now", "outages_open"),
        bars("Offline now, by provider", "providers_now"),
        bars("Availability by provider", "availability_by_provider", unit="percentunit"),
        rows("Availability by region", "availability_by_region", width=12),
        rows("Below the service level of 99.5 %", "below_service_level", width=12),
        bars("Length of outages", "outage_lengths", width=24),
        rows("Repeat offenders", "repeat_offenders"),
    )
