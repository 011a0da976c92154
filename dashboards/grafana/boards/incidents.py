from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language
from dashboards.grafana.panels import bars, lines, numbers, rows


def incidents() -> model.Dashboard:
    start = (
        board(
            "incidents",
            "Incidents and child protection",
            "Closed months. Counts below 5 are hidden, together with what would give them away: a gap "
            "is a hidden count, not a zero. That two lines move together proves no cause.",
            since="now-2y",
            refresh="1h",
        )
        .with_variable(language())
        .with_variable(choice("region"))
    )
    return built(
        start,
        rows("Year against the year before", "year_against_year_before", width=12, height=6),
        numbers("Hidden", "hidden_share", width=12),
        rows("Month against the year before", "month_against_year_before", width=24),
        lines("Reports by category", "reports_by_category", gaps=True),
        lines("Reports by channel", "reports_by_channel", gaps=True),
        rows("Reports by region", "reports_by_region", width=24),
        lines("Crimes by and against minors, by severity", "crimes_by_kind", gaps=True),
        lines("Crimes by region", "crimes_by_region", gaps=True),
        lines(
            "Reports per 1,000 pupils, with and without each program", "programs_trend", gaps=True
        ),
        bars("Reach of the programs", "programs_coverage"),
        lines("Calls for help", "help_requests", gaps=True, width=24),
    )
