"""What all dashboards share: links to each other, variables, annotations, time zone."""

from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import TIMEZONE, Target, source
from dashboards.queries.query import Shape, queries

TAG: Final = "saqshy"
FOLDER_UID: Final = "saqshy"
FOLDER_TITLE: Final = "Saqshy"

_LABELS: Final = {
    "region": "Region",
    "district": "District",
    "school": "School",
    "provider": "Provider",
}


def board(
    uid: str, title: str, description: str, *, since: str, refresh: str
) -> dashboard.Dashboard:
    """An empty dashboard; ``since`` like "now-6h", ``refresh`` like "10s"."""
    return (
        dashboard.Dashboard(title)
        .uid(f"saqshy-{uid}")
        .description(description)
        .tags([TAG])
        .timezone(TIMEZONE)
        .time(since, "now")
        .refresh(refresh)
        .timepicker(
            dashboard.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m", "1h"])
        )
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            dashboard.DashboardLink("Saqshy")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )


def choice(name: str, *, many: bool = True) -> dashboard.QueryVariable:
    """A variable of the query ``choose_<name>``. Many: several or all, and all at first."""
    query = queries()[f"choose_{name}"]
    if query.shape != Shape.VARIABLE:
        raise ValueError(f"{query.name} is no variable")
    variable = (
        dashboard.QueryVariable(name)
        .label(_LABELS[name])
        .description(query.asked)
        .datasource(source())
        .query(query.sql)
        .definition(query.sql)
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(model.VariableSort.DISABLED)
    )
    if many:
        everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
        variable.multi(True).include_all(True).current(everything)
    return variable


def language() -> dashboard.CustomVariable:
    """In which language schools are named."""
    return (
        dashboard.CustomVariable("lang")
        .label("Language")
        .values("Қазақша : kk, Русский : ru, English : en")
        .current(model.VariableOption(selected=True, text="Қазақша", value="kk"))
    )


def note(title: str, name: str, colour: str) -> dashboard.AnnotationQuery:
    query = queries()[name]
    if query.shape != Shape.ANNOTATION:
        raise ValueError(f"{name} is no annotation")
    return (
        dashboard.AnnotationQuery()
        .name(title)
        .datasource(source())
        .enable(True)
        .hide(False)
        .icon_color(colour)
        .target(Target(query, "Anno"))
    )


def built(start: dashboard.Dashboard, *panels: Any) -> model.Dashboard:
    """The dashboard with the panels in reading order, numbered from 1 so that links to them last."""
    for number, panel in enumerate(panels, start=1):
        start.with_panel(panel.id(number))
    return start.build()
