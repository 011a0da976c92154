"""The same content as Grafana's file provisioning reads it, for containers without an API token.

JSON is YAML, so the files are JSON with Grafana's suffix. Secrets are left to Grafana's environment
(``${SAQSHY_READER_PASSWORD}`` and so on). Two things differ from the API: a rule's folder is its
title, and a policy file replaces the whole tree of an organisation, so it stands apart.
"""

from collections.abc import Mapping
from typing import Any, Final

from dashboards.grafana.board import FOLDER_TITLE, FOLDER_UID
from dashboards.grafana.generate import as_text, dashboards
from dashboards.grafana.notify import contact_points, mute_timings, route, templates
from dashboards.grafana.provision import SECRETS, data_source
from dashboards.grafana.rules import groups
from dashboards.grafana.settings import GrafanaSettings

BOARDS_AT: Final = "/etc/grafana/saqshy-dashboards"


def files(settings: GrafanaSettings) -> Mapping[str, str]:
    """Path below Grafana's provisioning folder -> text; ``dashboards/saqshy/`` goes to BOARDS_AT."""
    made: dict[str, Any] = {
        "datasources/saqshy.yaml": {"apiVersion": 1, "datasources": [_data_source(settings)]},
        "dashboards/saqshy.yaml": {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "saqshy",
                    "folder": FOLDER_TITLE,
                    "folderUid": FOLDER_UID,
                    "type": "file",
                    "allowUiUpdates": False,
                    "options": {"path": BOARDS_AT},
                }
            ],
        },
        "alerting/saqshy.yaml": {
            "apiVersion": 1,
            "groups": [_group(group) for group in groups(settings.runbooks)],
            "templates": [{"orgId": 1, **template} for template in templates()],
            "muteTimes": [{"orgId": 1, **timing} for timing in mute_timings(settings)],
            "contactPoints": _contact_points(settings),
        },
    }
    ours = route(settings)
    if ours is not None:
        tree = {
            "orgId": 1,
            "receiver": ours["receiver"],
            "group_by": ["alertname"],
            "routes": [ours],
        }
        made["alerting/saqshy-policies.yaml"] = {"apiVersion": 1, "policies": [tree]}
    boards = {f"dashboards/saqshy/{uid}.json": board for uid, board in dashboards().items()}
    return {path: as_text(content) for path, content in {**made, **boards}.items()}


def _data_source(settings: GrafanaSettings) -> dict[str, Any]:
    wanted = data_source(settings)
    return {
        **wanted,
        "secureJsonData": {"password": "${SAQSHY_READER_PASSWORD}"},
        "editable": False,
    }


def _group(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": group["title"],
        "folder": FOLDER_TITLE,
        "interval": f"{group['interval']}s",
        "rules": [_rule(rule) for rule in group["rules"]],
    }


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    notes = dict(rule["annotations"])
    return {
        "uid": rule["uid"],
        "title": rule["title"],
        "condition": rule["condition"],
        "data": rule["data"],
        "dashboardUid": notes.pop("__dashboardUid__"),
        "panelId": int(notes.pop("__panelId__")),
        "noDataState": rule["noDataState"],
        "execErrState": rule["execErrState"],
        "for": rule["for"],
        "keepFiringFor": rule["keep_firing_for"],
        "missing_series_evals_to_resolve": rule["missingSeriesEvalsToResolve"],
        "annotations": notes,
        "labels": rule["labels"],
        "isPaused": rule["isPaused"],
    }


def _contact_points(settings: GrafanaSettings) -> list[dict[str, Any]]:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for point in contact_points(settings):
        variable = point["uid"].replace("-", "_").upper()
        values = {
            key: f"${{{variable}}}" if key in SECRETS else value
            for key, value in point["settings"].items()
        }
        receiver = {key: point[key] for key in ("uid", "type", "disableResolveMessage")}
        by_name.setdefault(point["name"], []).append({**receiver, "settings": values})
    return [{"orgId": 1, "name": name, "receivers": ways} for name, ways in by_name.items()]
