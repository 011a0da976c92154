"""Whom an alert reaches and when: contact points, the routes to them, mute timings, texts."""

from datetime import date, timedelta
from typing import Any, Final

from pydantic import SecretStr

from dashboards.grafana.panels import TIMEZONE
from dashboards.grafana.settings import GrafanaSettings, Reach

RECEIVERS: Final = ("panic", "operations", "engineers")
SCHOOL_IS_OUT: Final = "saqshy-school-is-out"
NIGHT: Final = "saqshy-night"

_HEADINGS: Final = {
    "kk": ("Сақшы: назар аударыңыз", "Қалпына келді", "Не істеу керек"),
    "ru": ("Сақшы: требуется внимание", "Восстановлено", "Что делать"),
    "en": ("Saqshy: attention", "Resolved", "What to do"),
}


def contact_points(settings: GrafanaSettings) -> list[dict[str, Any]]:
    """One for each configured way; those of one receiver share its name."""
    return [
        {"uid": f"saqshy-{receiver}-{kind}-{number}", "name": f"saqshy-{receiver}", "type": kind,
         "disableResolveMessage": False, "settings": values}
        for receiver in RECEIVERS
        for kind, number, values in _ways(getattr(settings, receiver))
    ]  # fmt: skip


def _ways(reach: Reach) -> list[tuple[str, int, dict[str, Any]]]:
    title = f'{{{{ template "saqshy.title.{reach.language}" . }}}}'
    message = f'{{{{ template "saqshy.message.{reach.language}" . }}}}'
    ways: list[tuple[str, int, dict[str, Any]]] = []
    for n, hook in enumerate(reach.webhooks):
        values: dict[str, Any] = {"url": hook.url, "httpMethod": "POST", "maxAlerts": "0"}
        if hook.bearer is not None:
            values |= {
                "authorization_scheme": "Bearer",
                "authorization_credentials": hook.bearer.get_secret_value(),
            }
        ways.append(("webhook", n, {**values, "title": title, "message": message}))
    for n, chat in enumerate(reach.telegram):
        token = chat.token.get_secret_value()
        ways.append(("telegram", n, {"bottoken": token, "chatid": chat.chat, "message": message}))
    for n, key in enumerate(reach.pagerduty):
        ways.append(("pagerduty", n, _pagerduty(key, title)))
    if reach.emails:
        addresses = ";".join(reach.emails)
        ways.append(("email", 0, {"addresses": addresses, "subject": title, "message": message}))
    return ways


def _pagerduty(key: SecretStr, title: str) -> dict[str, Any]:
    severity = '{{ if eq .CommonLabels.severity "warning" }}warning{{ else }}critical{{ end }}'
    return {"integrationKey": key.get_secret_value(), "severity": severity, "summary": title}


def route(settings: GrafanaSettings) -> dict[str, Any] | None:
    """Our branch of the notification policy tree, None when nobody is to be told anything.

    Grouped by region, so that an oblast without power is one message and not 500. A panic is never
    muted and hardly grouped: each school stands for itself.
    """
    known = {point["name"] for point in contact_points(settings)}
    if not known:
        return None
    panic, operations, engineers = (
        next((f"saqshy-{name}" for name in wanted if f"saqshy-{name}" in known), sorted(known)[0])
        for wanted in (
            ("panic", "operations"),
            ("operations", "panic"),
            ("engineers", "operations"),
        )
    )
    by_region = {
        "group_by": ["alertname", "region"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    return {
        "receiver": operations,
        "object_matchers": [["service", "=", "saqshy"]],
        **by_region,
        "routes": [
            {
                "receiver": panic,
                "object_matchers": [["severity", "=", "panic"]],
                "group_by": ["alertname", "region", "school"],
                "group_wait": "1s",
                "group_interval": "10s",
                "repeat_interval": "5m",
            },
            {
                "receiver": engineers,
                "object_matchers": [
                    [
                        "alertname",
                        "=~",
                        "Lag|Freshness|Watchdog silent|Dead letters rising|Datasource.*",
                    ]
                ],
                **by_region,
            },
            {
                "receiver": operations,
                "object_matchers": [["alertname", "=", "School offline"]],
                "mute_time_intervals": [SCHOOL_IS_OUT, NIGHT],
                **by_region,
            },
            {
                "receiver": operations,
                "object_matchers": [["severity", "=", "warning"]],
                "mute_time_intervals": [SCHOOL_IS_OUT, NIGHT],
                **by_region,
            },
        ],
    }


def mute_timings(settings: GrafanaSettings) -> list[dict[str, Any]]:
    """When the schools are shut: Sundays, June to August, the configured holidays; and the nights."""
    out: list[dict[str, Any]] = [
        {"weekdays": ["sunday"], "location": TIMEZONE},
        {"months": ["6:8"], "location": TIMEZONE},
    ]
    for period in settings.holidays:
        out += _days(period)
    night = [
        {"start_time": "00:00", "end_time": "07:00"},
        {"start_time": "20:00", "end_time": "24:00"},
    ]
    return [
        {"name": SCHOOL_IS_OUT, "time_intervals": out},
        {"name": NIGHT, "time_intervals": [{"times": night, "location": TIMEZONE}]},
    ]


def _days(period: str) -> list[dict[str, Any]]:
    """A span of dates, month by month, as a mute timing can't reach over the end of one."""
    first, last = map(date.fromisoformat, period.split("/"))
    parts = []
    while first <= last:
        next_month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = min(last, next_month - timedelta(days=1))
        parts.append(
            {
                "years": [str(first.year)],
                "months": [str(first.month)],
                "days_of_month": [f"{first.day}:{end.day}"],
                "location": TIMEZONE,
            }
        )
        first = next_month
    return parts


def templates() -> list[dict[str, str]]:
    """The texts of a message, one template for each language."""
    return [
        {"name": f"saqshy-{language}", "template": _template(language)} for language in _HEADINGS
    ]


def _template(language: str) -> str:
    attention, resolved, runbook = _HEADINGS[language]
    summary = "summary" if language == "en" else f"summary_{language}"
    return (
        f'{{{{ define "saqshy.title.{language}" }}}}'
        f'{{{{ if eq .Status "firing" }}}}{attention}{{{{ else }}}}{resolved}{{{{ end }}}}: '
        "{{ .CommonLabels.alertname }} {{ .CommonLabels.region }} ({{ len .Alerts }})"
        "{{ end }}\n"
        f'{{{{ define "saqshy.message.{language}" }}}}'
        "{{ range .Alerts }}"
        f'{{{{ if eq .Status "firing" }}}}❗{{{{ else }}}}✅ {resolved}: {{{{ end }}}}'
        f"{{{{ .Annotations.{summary} }}}}\n"
        f'{{{{ if eq .Status "firing" }}}}{runbook}: {{{{ .Annotations.runbook_url }}}}\n{{{{ end }}}}'
        "{{ end }}{{ end }}\n"
    )
