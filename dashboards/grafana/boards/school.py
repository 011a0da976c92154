from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language
from dashboards.grafana.panels import LEVELS, bars, lines, numbers, rows, states


def school() -> model.Dashboard:
    start = (
        board("school", "School", "One school: who it is, how it is, what happened there.",
              since="now-24h", refresh="30s")
        .with_variable(language())
        .with_variable(choice("region"))
        .with_variable(choice("school", many=False))
    )  # fmt: skip
    return built(
        start,
        rows("School", "school_card", height=4),
        numbers("Now", "school_now", steps=LEVELS),
        states("School", "school_timeline", height=4),
        states("Devices", "school_device_timeline", height=10),
        lines("Flow by 5 minutes", "school_flow"),
        lines("Expected arrivals", "school_flow_expected"),
        lines("Inside", "school_presence"),
        lines("Flow by minute", "school_flow_by_minute"),
        bars("Attendance", "school_attendance"),
        lines("Heartbeats by kind", "school_beats"),
        lines("Battery, link, buffers", "school_health"),
        lines("Reports in the region by month", "school_region_reports", gaps=True),
        rows("Devices now", "school_devices", width=12),
        rows("Latest changes", "school_history", width=12),
        rows("Alerts", "school_alerts"),
        rows("Tests of the buttons", "school_panic_tests", width=12),
        rows("Inspections", "school_inspections", width=12),
        rows("Equipment and contract", "school_equipment", height=4),
    )
