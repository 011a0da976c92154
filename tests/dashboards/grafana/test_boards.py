"""The dashboards and rules as data: complete, true to the SDK's schema, and committed as generated."""

import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import alerting
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.generate import FOLDER, dashboards, files, plain
from dashboards.grafana.rules import groups
from dashboards.grafana.settings import RUNBOOKS, GrafanaSettings
from dashboards.queries.query import Shape, queries

register_default_plugins()

ALL_RULES = [rule for group in groups(RUNBOOKS) for rule in group["rules"]]


def _targets(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [target for panel in dashboard["panels"] for target in panel["targets"]]


def test_there_are_seven_dashboards() -> None:
    assert len(dashboards()) == 7


@pytest.mark.parametrize("uid", sorted(dashboards()))
def test_the_sdk_reads_back_what_it_wrote(uid: str) -> None:
    written = dashboards()[uid]
    assert plain(model.Dashboard.from_json(written)) == written


def test_the_sdk_reads_back_the_rules() -> None:
    for group in groups(RUNBOOKS):
        assert plain(alerting.RuleGroup.from_json(group)) == group


def test_the_committed_files_are_those_that_the_code_makes() -> None:
    made = files()
    assert set(FOLDER.glob("*.json")) == set(made)
    for path, text in made.items():
        assert path.read_text() == text, f"run python -m dashboards.grafana.generate ({path.name})"


def test_every_query_is_shown_and_nothing_else_is_asked() -> None:
    by_sql = {query.sql: query for query in queries().values()}
    shown = set()
    for dashboard in dashboards().values():
        asked = [target["rawSql"] for target in _targets(dashboard)]
        asked += [
            v["query"] for v in dashboard["templating"].get("list", []) if v["type"] == "query"
        ]
        asked += [
            note["target"]["rawSql"]
            for note in dashboard["annotations"].get("list", [])
            if "target" in note and "rawSql" in note["target"]
        ]
        shown |= {by_sql[sql].name for sql in asked}
    shown |= {by_sql[rule["data"][0]["model"]["rawSql"]].name for rule in ALL_RULES}
    assert {name for name, query in queries().items() if not query.console_only} == shown


def test_panels_know_only_the_variables_of_their_dashboard() -> None:
    for dashboard in dashboards().values():
        known = {variable["name"] for variable in dashboard["templating"].get("list", [])}
        for target in _targets(dashboard):
            sql = target["rawSql"].replace("$__", "")
            used = {
                name
                for name in ("region", "district", "provider", "school", "lang")
                if f"${name}" in sql or f"${{{name}" in sql
            }
            assert used <= known, (dashboard["uid"], target["rawSql"])


def test_time_series_are_asked_as_such_and_the_rest_as_tables() -> None:
    by_sql = {query.sql: query for query in queries().values()}
    for dashboard in dashboards().values():
        for target in _targets(dashboard):
            series = by_sql[target["rawSql"]].shape == Shape.SERIES
            assert target["format"] == (0 if series else 1)


def test_the_map_shows_offline_schools_and_panics_on_layers_above_the_rest() -> None:
    panel = next(p for p in dashboards()["saqshy-live-map"]["panels"] if p["type"] == "geomap")
    layers = panel["options"]["layers"]
    assert [layer["name"] for layer in layers] == ["Schools", "Offline", "Panic"]
    refs = [target["refId"] for target in panel["targets"]]
    assert [layer["filterData"]["options"] for layer in layers] == refs
    assert all(layer["type"] == "markers" and "cluster" not in layer for layer in layers)
    assert panel["options"]["view"]["id"] == "coords"
    assert panel["options"]["tooltip"]["mode"] == "details"
    assert dashboards()["saqshy-live-map"]["refresh"] == "10s"


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule["uid"])
def test_a_rule_points_to_a_panel_that_exists_and_to_its_runbook(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    panels = dashboards()[notes["__dashboardUid__"]]["panels"]
    assert int(notes["__panelId__"]) in {panel["id"] for panel in panels}
    path, anchor = notes["runbook_url"].split("#")
    headings = re.findall(r"^#+ (.+)$", Path(path).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert {"summary", "summary_kk", "summary_ru"} <= set(notes)
    assert rule["labels"]["severity"] in {"panic", "critical", "warning"}


def test_a_rule_points_to_the_panel_that_shows_what_it_is_about() -> None:
    shows = {
        "Panic not acknowledged": "panic_open",
        "School offline": "map_schools",
        "District outage": "offline_over_time",
        "Provider outage": "providers_now",
        "Panic test overdue": "tests_overdue",
        "Security contract running out": "contracts_running_out",
        "Dead letters rising": "dead_letters",
        "Lag": "lag",
        "Freshness": "watermarks",
        "Watchdog silent": "pipeline_now",
    }
    assert {rule["title"] for rule in ALL_RULES} == set(shows)
    for rule in ALL_RULES:
        notes = rule["annotations"]
        panels = dashboards()[notes["__dashboardUid__"]]["panels"]
        (panel,) = [p for p in panels if p["id"] == int(notes["__panelId__"])]
        assert panel["targets"][0]["rawSql"] == queries()[shows[rule["title"]]].sql, rule["title"]


def test_runbooks_are_the_file_of_the_repository_until_an_address_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SAQSHY_GRAFANA__RUNBOOKS", raising=False)
    assert GrafanaSettings().runbooks == RUNBOOKS
    assert Path(RUNBOOKS).is_file()
    monkeypatch.setenv("SAQSHY_GRAFANA__RUNBOOKS", "https://wiki.example.kz/operations")
    (rule, *_) = groups(GrafanaSettings().runbooks)[0]["rules"]
    address = "https://wiki.example.kz/operations#panic-not-acknowledged"
    assert rule["annotations"]["runbook_url"] == address


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule["uid"])
def test_a_rule_uses_only_labels_that_its_query_gives(rule: dict[str, Any]) -> None:
    by_sql = {query.sql: query for query in queries().values()}
    query = by_sql[rule["data"][0]["model"]["rawSql"]]
    for text in rule["annotations"].values():
        for word in text.split("$labels.")[1:]:
            assert word.split()[0].strip("}") in query.columns


def test_panels_do_not_overlap() -> None:
    for dashboard in dashboards().values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, (dashboard["uid"], panel["title"])
            assert at["x"] + at["w"] <= 24
            taken |= cells
