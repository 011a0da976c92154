from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language
from dashboards.grafana.panels import bars, map_of, numbers, rows


def compliance() -> model.Dashboard:
    start = (
        board(
            "compliance",
            "Compliance",
            "The duty of schools above 100 pupils: turnstiles, guards under contract, a panic button, "
            "a link to the police. On a map, and as a list to act on.",
            since="now-90d",
            refresh="5m",
        )
        .with_variable(language())
        .with_variable(choice("region"))
    )
    return built(
        start,
        numbers("Under the duty", "duty_met", unit="short"),
        map_of("What is missing (the level counts it)", ("Lacking", "lacking_map"), height=14),
        rows("To act on", "lacking"),
        rows("By region", "duty_by_region"),
        bars("Public and private", "by_ownership"),
        bars("Contracts that run out, by month", "contracts_by_month"),
        rows("Contracts running out", "contracts_running_out"),
        rows("Special schools", "special_schools", width=12),
        bars("Findings", "findings"),
        rows("Inspections", "inspections"),
    )
