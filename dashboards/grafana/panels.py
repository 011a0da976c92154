"""Panels made of named queries: each asks its question in its description, none carries other SQL."""

from collections.abc import Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    dashboard,
    geomap,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import geomap as geomap_model

from dashboards.queries.query import Query, Shape, queries

PLUGIN: Final = "grafana-clickhouse-datasource"
DATASOURCE_UID: Final = "saqshy-clickhouse"
TIMEZONE: Final = "Asia/Almaty"
PLUGIN_VERSION: Final = "4.20.0"

GREEN, GREY, YELLOW, RED, PURPLE = "green", "#8e8e8e", "orange", "red", "purple"
LEVELS: Final = ((None, GREEN), (1, GREY), (2, YELLOW), (3, RED), (4, PURPLE))
STATE_COLOURS: Final = {
    "online": GREEN,
    "up": GREEN,
    "late": YELLOW,
    "degraded": YELLOW,
    "flapping": YELLOW,
    "offline": RED,
    "maintenance": GREY,
    "retired": GREY,
    "unknown": GREY,
}

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from this value on (None: from the lowest), this colour."""


class ClickHouseQuery(variants.Dataquery):
    """A target of the ClickHouse data source (plugin 4.20, ``CHSqlQuery``)."""

    def __init__(self, query: Query, ref_id: str) -> None:
        self.query, self.ref_id = query, ref_id

    def to_json(self) -> dict[str, object]:
        return target_json(self.query, self.ref_id)


class Target(cog.Builder[ClickHouseQuery]):
    def __init__(self, query: Query, ref_id: str = "A") -> None:
        self.query, self.ref_id = query, ref_id

    def build(self) -> ClickHouseQuery:
        return ClickHouseQuery(self.query, self.ref_id)


def target_json(query: Query, ref_id: str) -> dict[str, object]:
    series = query.shape == Shape.SERIES
    return {
        "refId": ref_id,
        "datasource": {"type": PLUGIN, "uid": DATASOURCE_UID},
        "editorType": "sql",
        "queryType": "timeseries" if series else "table",
        "format": 0 if series else 1,
        "rawSql": query.sql,
        "pluginVersion": PLUGIN_VERSION,
        "meta": {"timezone": TIMEZONE},
    }


def source() -> common_model.DataSourceRef:
    return common_model.DataSourceRef(type_val=PLUGIN, uid=DATASOURCE_UID)


def _asked(name: str, *shapes: Shape) -> Query:
    query = queries()[name]
    if query.shape not in shapes:
        raise ValueError(f"the query {name} is {query.shape}, this panel shows {shapes}")
    return query


def _dress(panel: Any, title: str, query: Query, width: int, height: int) -> Any:
    question = query.asked[0].upper() + query.asked[1:]
    return (
        panel.title(title)
        .description(question)
        .datasource(source())
        .with_target(Target(query))
        .span(width)
        .height(height)
    )


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _by_thresholds() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)


def numbers(
    title: str, name: str, *, unit: str = "short", steps: Steps = ((None, GREEN),), width: int = 24
) -> Any:
    """A stat for each column of a one-row answer."""
    panel = (
        _dress(stat.Panel(), title, _asked(name, Shape.NUMBERS), width, 4)
        .unit(unit)
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .text_mode(common_model.BigValueTextMode.VALUE_AND_NAME)
    )
    return panel.thresholds(_thresholds(steps)).color_scheme(_by_thresholds())


def lines(
    title: str, name: str, *, unit: str = "short", gaps: bool = False, width: int = 12
) -> Any:  # fmt: skip
    """A time series. ``gaps``: leave what is missing open, where missing means hidden or unknown."""
    return (
        _dress(timeseries.Panel(), title, _asked(name, Shape.SERIES), width, 9)
        .unit(unit)
        .fill_opacity(5)
        .show_points(common_model.VisibilityMode.AUTO)
        .span_nulls(not gaps)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
    )


def bars(title: str, name: str, *, unit: str = "short", width: int = 12) -> Any:
    query = _asked(name, Shape.BARS)
    return (
        _dress(barchart.Panel(), title, query, width, 9)
        .unit(unit)
        .x_field(query.columns[0])
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(len(query.columns) > 2)
        )
    )


def states(
    title: str, name: str, *, gap_ms: int | None = None, width: int = 24, height: int = 6
) -> Any:
    """A state timeline: one band for each combination of the texts between time and state.

    ``gap_ms``: a state ends when it was not heard again for so long, for what is sampled; without it
    a state lasts until the next one.
    """
    query = _asked(name, Shape.STATES)
    panel = (
        _dress(statetimeline.Panel(), title, query, width, height)
        .merge_values(True)
        .show_value(common_model.VisibilityMode.AUTO)
        .mappings(
            [
                model.ValueMap(
                    options={
                        state: model.ValueMappingResult(text=state, color=colour, index=place)
                        for place, (state, colour) in enumerate(STATE_COLOURS.items())
                    }
                )
            ]
        )
    )
    if gap_ms is not None:
        panel.insert_nulls(gap_ms)
    bands = list(query.columns[1:-1])
    if bands:
        options = {"fields": bands, "keepFields": False, "naming": {"asLabels": True}}
        panel.with_transformation(
            model.DataTransformerConfig(id_val="partitionByValues", options=options)
        )
    return panel


def rows(title: str, name: str, *, width: int = 24, height: int = 10) -> Any:
    """A table; schools link to their dashboard, shares and seconds carry their units."""
    query = _asked(name, Shape.TABLE)
    panel = _dress(table.Panel(), title, query, width, height).filterable(True)
    units = {
        "availability": "percentunit",
        "offline_share": "percentunit",
        "complete": "percentunit",
        "change": "percentunit",
        "minutes": "m",
        "minutes_offline": "m",
        "longest_minutes": "m",
        "seconds": "s",
        "p50_s": "s",
        "p95_s": "s",
        "worst_s": "s",
        "delivered_p95_s": "s",
        "dispatched_p50_s": "s",
        "arrived_p50_s": "s",
        "detect_s": "s",
        "share": "percentunit",
        "bytes": "bytes",
    }
    for column in query.columns:
        if column in units:
            panel.override_by_name(
                column, [model.DynamicConfigValue(id_val="unit", value=units[column])]
            )
    if "school" in query.columns:
        link = {
            "title": "Open the school",
            "url": "/d/saqshy-school?var-school=${__value.raw}&${__url_time_range}",
        }
        panel.override_by_name("school", [model.DynamicConfigValue(id_val="links", value=[link])])
    return panel


def map_of(title: str, *layers: tuple[str, str], height: int = 18) -> Any:
    """A map of Kazakhstan. Each layer is (name, query); later ones lie above earlier ones.

    The view is fixed: fitting it to the data would move the map under the reader's hand with every
    refresh. The base map is the server's default, so that a closed network can give its own tiles
    (grafana.ini, ``[geomap] default_baselayer_config``).
    """
    panel = geomap.Panel().title(title).datasource(source()).span(24).height(height)
    drawn: list[cog.Builder[common_model.MapLayerOptions]] = []
    for place, (label, name) in enumerate(layers):
        ref_id = "ABCDEFGH"[place]
        panel.with_target(Target(_asked(name, Shape.MAP), ref_id))
        drawn.append(_Built(_layer(label, ref_id, 5 + 2 * place)))
    questions = "; ".join(queries()[name].asked for _, name in layers)
    view = geomap_model.MapViewConfig(
        id_val="coords",
        lat=48.2,  # type: ignore[arg-type]  # typed int, is a float in Grafana's own schema
        lon=67.0,  # type: ignore[arg-type]
        zoom=5,
        all_layers=True,
    )
    return (
        panel.description(questions)
        .view(_Built(view))
        .basemap(
            _Built(common_model.MapLayerOptions(type_val="default", name="Basemap", config={}))
        )
        .layers(drawn)
        .controls(
            geomap.ControlsOptions().show_zoom(True).mouse_wheel_zoom(True).show_attribution(True)
        )
        .tooltip(geomap.TooltipOptions().mode(geomap_model.TooltipMode.DETAILS))
        .thresholds(_thresholds(LEVELS))
        .color_scheme(_by_thresholds())
    )


class _Built(cog.Builder[Any]):
    def __init__(self, built: Any) -> None:
        self.built = built

    def build(self) -> Any:
        return self.built


def _layer(label: str, ref_id: str, size: int) -> common_model.MapLayerOptions:
    """Points without texts, which Grafana draws with WebGL: 8,000 of them stay smooth."""
    return common_model.MapLayerOptions(
        type_val="markers",
        name=label,
        tooltip=True,
        filter_data={"id": "byRefId", "options": ref_id},
        location=common_model.FrameGeometrySource(
            mode=common_model.FrameGeometrySourceMode.COORDS,
            latitude="latitude",
            longitude="longitude",
        ),
        config={
            "showLegend": True,
            "style": {
                "color": {"field": "level", "fixed": GREEN},
                "opacity": 0.8,
                "size": {"fixed": size, "min": 2, "max": 15},
                "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
                "symbolAlign": {"horizontal": "center", "vertical": "center"},
            },
        },
    )
