from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.board import board, built, choice, language, note
from dashboards.grafana.panels import PURPLE, bars, lines, numbers, rows


def panic() -> model.Dashboard:
    start = (
        board("panic", "Panic and dispatch", "From the press to the end: how fast is each step?",
              since="now-7d", refresh="10s")
        .with_variable(language())
        .with_variable(choice("region"))
        .annotation(note("Panics", "note_panics", PURPLE))
    )  # fmt: skip
    return built(
        start,
        rows("Open panics", "panic_open", height=7),
        numbers("The chosen time", "panic_totals"),
        lines("Seconds to each step", "panic_steps", unit="s"),
        rows("Each step", "panic_step_times", width=12, height=9),
        rows("By region", "panic_by_region"),
        rows("By operational control center", "panic_by_center"),
        rows("The slowest", "panic_slowest"),
        bars("What the alarms turned out to be", "panic_outcomes"),
        bars("Presses that the school calls a mistake", "panic_false"),
        lines("Presses, cancels, tests", "panic_presses"),
        bars("Hour of the day", "panic_by_hour"),
        bars("Buttons tested within a week", "tests_by_region", width=24),
        rows("Tests overdue", "tests_overdue"),
    )
