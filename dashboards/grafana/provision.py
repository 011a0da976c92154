"""What a Grafana should hold, what it does hold, and the writes that lead from the one to the other.

Only what we made is ever replaced: things of our uid or name, rules that carry ``managed_by``, and our
own branch of the notification policies. Nothing is deleted but our own rules that are no more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dashboards.grafana.board import FOLDER_TITLE, FOLDER_UID
from dashboards.grafana.compare import differences
from dashboards.grafana.gateway import Grafana, Method, name
from dashboards.grafana.generate import dashboards
from dashboards.grafana.notify import contact_points, mute_timings, route, templates
from dashboards.grafana.panels import DATASOURCE_UID, PLUGIN, TIMEZONE
from dashboards.grafana.rules import groups
from dashboards.grafana.settings import GrafanaSettings

SECRETS: Final = frozenset(
    {"secureJsonData", "authorization_credentials", "bottoken", "integrationKey"}
)
"""Grafana never gives these back, so they can't be compared."""
ALERTING: Final = "/v1/provisioning"


class What(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Write:
    method: Method
    path: str
    body: Any


@dataclass(frozen=True, slots=True)
class BoardChange:
    """``differs``: where what Grafana holds is not what is wanted. ``write`` is None if it is same."""

    kind: str
    key: str
    what: What
    differs: list[str]
    write: Write | None


def plan(
    grafana: Grafana, settings: GrafanaSettings, *, secrets: bool = False
) -> Iterator[BoardChange]:
    """Every thing and what is to be done about it, in the order in which they need each other.

    ``secrets``: write what holds secrets anew even though it looks the same. Reads only.
    """
    yield _folder(grafana)
    yield _data_source(grafana, settings, secrets)
    yield from _dashboards(grafana)
    for template in templates():
        path = f"{ALERTING}/templates/{name(template['name'])}"
        yield _change(
            "template", template["name"], template, grafana.read(path),
            Write("PUT", path, {"template": template["template"]}),
        )  # fmt: skip
    for timing in mute_timings(settings):
        path = f"{ALERTING}/mute-timings"
        held = grafana.read(f"{path}/{name(timing['name'])}")
        write = (
            Write("POST", path, timing)
            if held is None
            else Write("PUT", f"{path}/{name(timing['name'])}", timing)
        )
        yield _change("mute timing", timing["name"], timing, held, write)
    yield from _contact_points(grafana, settings, secrets)
    yield from _policies(grafana, settings)
    for group in groups(settings.runbooks):
        yield _rule_group(grafana, group)


def carry_out(grafana: Grafana, change: BoardChange) -> None:
    """Raises GrafanaTrouble; what was written before stays, and a second run goes on from there."""
    if change.write is not None:
        grafana.write(change.write.method, change.write.path, change.write.body)


def _change(
    kind: str, key: str, wanted: Any, held: Any, write: Write, again: bool = False
) -> BoardChange:
    if held is None:
        return BoardChange(kind, key, What.CREATE, [], write)
    differs = differences(wanted, held, SECRETS)
    if differs or again:
        return BoardChange(kind, key, What.UPDATE, differs or ["secrets"], write)
    return BoardChange(kind, key, What.SAME, [], None)


def _folder(grafana: Grafana) -> BoardChange:
    wanted = {"uid": FOLDER_UID, "title": FOLDER_TITLE}
    held = grafana.read(f"/folders/{FOLDER_UID}")
    write = (
        Write("POST", "/folders", wanted)
        if held is None
        else Write("PUT", f"/folders/{FOLDER_UID}", {"title": FOLDER_TITLE, "overwrite": True})
    )
    return _change("folder", FOLDER_UID, wanted, held, write)


def data_source(settings: GrafanaSettings) -> dict[str, Any]:
    clickhouse = settings.clickhouse
    return {
        "uid": DATASOURCE_UID,
        "name": "Saqshy ClickHouse",
        "type": PLUGIN,
        "access": "proxy",
        "jsonData": {
            "host": clickhouse.host,
            "port": clickhouse.port,
            "protocol": "native",
            "username": clickhouse.user,
            "defaultDatabase": clickhouse.database,
            "secure": clickhouse.secure,
            "timezone": TIMEZONE,
        },
        "secureJsonData": {"password": clickhouse.password.get_secret_value()},
    }


def _data_source(grafana: Grafana, settings: GrafanaSettings, secrets: bool) -> BoardChange:
    wanted = data_source(settings)
    path = f"/datasources/uid/{DATASOURCE_UID}"
    held = grafana.read(path)
    write = Write("POST", "/datasources", wanted) if held is None else Write("PUT", path, wanted)
    return _change("data source", DATASOURCE_UID, wanted, held, write, again=secrets)


def _dashboards(grafana: Grafana) -> Iterator[BoardChange]:
    for uid, wanted in dashboards().items():
        held = grafana.read(f"/dashboards/uid/{uid}")
        write = Write(
            "POST",
            "/dashboards/db",
            {
                "dashboard": wanted,
                "folderUid": FOLDER_UID,
                "overwrite": True,
                "message": "saqshy grafana apply",
            },
        )
        yield _change("dashboard", uid, wanted, held and held.get("dashboard"), write)


def _contact_points(
    grafana: Grafana, settings: GrafanaSettings, secrets: bool
) -> Iterator[BoardChange]:
    path = f"{ALERTING}/contact-points"
    held = {point.get("uid"): point for point in grafana.read(path) or []}
    for wanted in contact_points(settings):
        uid = wanted["uid"]
        there = held.get(uid)
        write = (
            Write("POST", path, wanted) if there is None else Write("PUT", f"{path}/{uid}", wanted)
        )
        again = secrets and bool(SECRETS & set(wanted["settings"]))
        yield _change("contact point", uid, wanted, there, write, again)


def _policies(grafana: Grafana, settings: GrafanaSettings) -> Iterator[BoardChange]:
    """Grafana takes the whole tree only: all branches but ours go back as they came."""
    ours = route(settings)
    if ours is None:
        return
    path = f"{ALERTING}/policies"
    tree = grafana.read(path) or {}
    branches = tree.get("routes") or []
    held = next((branch for branch in branches if _is_ours(branch)), None)
    others = [branch for branch in branches if not _is_ours(branch)]
    kept = {key: value for key, value in tree.items() if key != "provenance"}
    whole = {"receiver": ours["receiver"], **kept, "routes": [ours, *others]}
    yield _change("policies", "service=saqshy", ours, held, Write("PUT", path, whole))


def _is_ours(branch: dict[str, Any]) -> bool:
    return ["service", "=", "saqshy"] in (branch.get("object_matchers") or [])


def _rule_group(grafana: Grafana, group: dict[str, Any]) -> BoardChange:
    """Grafana takes the whole group only: rules that others put into it go back as they came."""
    path = f"{ALERTING}/folder/{group['folderUid']}/rule-groups/{name(group['title'])}"
    held = grafana.read(path)
    rules = (held or {}).get("rules") or []
    foreign = [r for r in rules if (r.get("labels") or {}).get("managed_by") != "saqshy"]
    mine = {r["uid"]: r for r in rules if r not in foreign}
    write = Write("PUT", path, {**group, "rules": [*group["rules"], *foreign]})
    if held is None:
        return BoardChange("rule group", group["title"], What.CREATE, [], write)
    wanted = {"interval": group["interval"], "rules": {r["uid"]: r for r in group["rules"]}}
    there = {"interval": held.get("interval"), "rules": mine}
    gone = [f"rules.{uid} (no more)" for uid in mine if uid not in wanted["rules"]]
    differs = differences(wanted, there) + gone
    if differs:
        return BoardChange("rule group", group["title"], What.UPDATE, differs, write)
    return BoardChange("rule group", group["title"], What.SAME, [], None)


def held(grafana: Grafana, settings: GrafanaSettings) -> dict[str, Any]:
    """What Grafana holds of ours, by file name, for looking at what was changed there by hand."""
    found: dict[str, Any] = {}
    for uid in dashboards():
        if (answer := grafana.read(f"/dashboards/uid/{uid}")) is not None:
            found[f"{uid}.json"] = answer["dashboard"]
    rules = []
    for group in groups(settings.runbooks):
        path = f"{ALERTING}/folder/{group['folderUid']}/rule-groups/{name(group['title'])}"
        if (answer := grafana.read(path)) is not None:
            rules.append(answer)
    found["rules.json"] = rules
    return found
