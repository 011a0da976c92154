"""Alert rules: a second pair of eyes on the tables. The stream itself pages first (streams/)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dashboards.grafana.board import FOLDER_UID
from dashboards.grafana.panels import DATASOURCE_UID, target_json
from dashboards.queries.query import Shape, queries

EXPRESSION: Final = {"type": "__expr__", "uid": "__expr__"}
MANAGED: Final = {"managed_by": "saqshy"}
"""The mark of what we made: only things that carry it are ever replaced or removed."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """``above`` or ``below`` fires; the alert ends once the number is back past ``until``.

    ``name`` names the query, ``rule_<name>``; ``title`` is the runbook's heading too. ``pending`` is how long
    the number must be wrong first. ``texts`` by language; their words in braces become Grafana's
    templates (_WORDS, and NAME for the school's name in the same language).
    """

    name: str
    title: str
    severity: str
    board: str
    panel: int
    texts: Mapping[str, str]
    until: float
    above: float | None = None
    below: float | None = None
    pending: str = "0s"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, every ``interval_s`` (a multiple of 10)."""

    name: str
    interval_s: int
    rules: Sequence[AlertRule]


_WORDS: Final = {
    "LONG": "{{ $values.B.Value | humanizeDuration }}",
    "WHOLE": '{{ $values.B.Value | printf "%.0f" }}',
    "NUMBER": "{{ $values.B.Value }}",
    "DISTRICT": "{{ $labels.district }}",
    "PROVIDER": "{{ $labels.provider }}",
    "REGION": "{{ $labels.region }}",
    "LANE": "{{ $labels.lane }}",
    "REASON": "{{ $labels.reason }}",
}

GROUPS: Final = (
    Group(
        "saqshy-panic",
        10,
        (
            AlertRule(
                "panic_unacknowledged",
                "Panic not acknowledged",
                "panic",
                "panic",
                1,
                {
                    "kk": "Дабылға {LONG} жауап жоқ: {NAME}",
                    "ru": "Тревога без ответа {LONG}: {NAME}",
                    "en": "Panic unanswered for {LONG}: {NAME}",
                },
                above=30,
                until=1,
            ),
        ),
    ),
    Group(
        "saqshy-silence",
        60,
        (
            AlertRule(
                "school_offline",
                "School offline",
                "critical",
                "live-map",
                4,
                {
                    "kk": "Мектеп {LONG} үнсіз: {NAME}",
                    "ru": "Школа молчит {LONG}: {NAME}",
                    "en": "School silent for {LONG}: {NAME}",
                },
                above=300,
                until=120,
                pending="2m",
            ),
            AlertRule(
                "district_outage",
                "District outage",
                "critical",
                "outages",
                2,
                {
                    "kk": "Аудан үнсіз: {DISTRICT}, мектептердің {WHOLE} %",
                    "ru": "Молчит район {DISTRICT}: {WHOLE} % школ",
                    "en": "District {DISTRICT} is down: {WHOLE} % of its schools",
                },
                above=30,
                until=15,
                pending="1m",
            ),
            AlertRule(
                "provider_outage",
                "Provider outage",
                "critical",
                "outages",
                8,
                {
                    "kk": "Провайдер істен шықты: {PROVIDER}, {REGION}, {WHOLE} %",
                    "ru": "Сбой провайдера {PROVIDER} в {REGION}: {WHOLE} % школ",
                    "en": "Provider {PROVIDER} fails in {REGION}: {WHOLE} % of its schools",
                },
                above=30,
                until=15,
                pending="1m",
            ),
        ),
    ),
    Group(
        "saqshy-duty",
        3600,
        (
            AlertRule(
                "panic_test_overdue",
                "Panic test overdue",
                "warning",
                "panic",
                13,
                {
                    "kk": "Дабыл түймесі {WHOLE} күн тексерілмеген: {NAME}",
                    "ru": "Кнопку не проверяли {WHOLE} дней: {NAME}",
                    "en": "A button was not tested for {WHOLE} days: {NAME}",
                },
                above=8,
                until=8,
            ),
            AlertRule(
                "contract",
                "Security contract running out",
                "warning",
                "compliance",
                7,
                {
                    "kk": "Күзет шартының мерзімі {WHOLE} күннен кейін бітеді: {NAME}",
                    "ru": "Договор охраны кончается через {WHOLE} дней: {NAME}",
                    "en": "The security contract ends in {WHOLE} days: {NAME}",
                },
                below=30,
                until=30,
            ),
        ),
    ),
    Group(
        "saqshy-pipeline",
        30,
        (
            AlertRule(
                "dead_letters",
                "Dead letters rising",
                "warning",
                "pipeline",
                6,
                {
                    "kk": "Оқылмаған жазбалар көбейді ({REASON}): +{NUMBER}",
                    "ru": "Нечитаемых записей больше ({REASON}): +{NUMBER}",
                    "en": "Dead letters rise ({REASON}): +{NUMBER}",
                },
                above=100,
                until=20,
                pending="2m",
            ),
            AlertRule(
                "lag",
                "Lag",
                "critical",
                "pipeline",
                3,
                {
                    "kk": "{LANE} жолағы қалып қойды: {NUMBER} жазба күтуде",
                    "ru": "Полоса {LANE} отстаёт: ждут {NUMBER} записей",
                    "en": "Lane {LANE} lags: {NUMBER} records wait",
                },
                above=50_000,
                until=5_000,
                pending="2m",
            ),
            AlertRule(
                "freshness",
                "Freshness",
                "critical",
                "pipeline",
                5,
                {
                    "kk": "{LANE} жолағы {LONG} артта",
                    "ru": "Полоса {LANE} отстала на {LONG}",
                    "en": "Lane {LANE} is {LONG} behind",
                },
                above=120,
                until=30,
                pending="1m",
            ),
            AlertRule(
                "watchdog",
                "Watchdog silent",
                "critical",
                "pipeline",
                1,
                {
                    "kk": "Бақылаушы {LONG} үнсіз",
                    "ru": "Сторож молчит {LONG}",
                    "en": "The watchdog is silent for {LONG}",
                },
                above=90,
                until=30,
            ),
        ),
    ),
)


def groups(runbooks: str) -> list[dict[str, Any]]:
    """Rule groups as the provisioning API takes them. ``runbooks``: where docs/operations.md is."""
    return [
        {
            "title": group.name,
            "folderUid": FOLDER_UID,
            "interval": group.interval_s,
            "rules": [_rule(rule, group, runbooks) for rule in group.rules],
        }
        for group in GROUPS
    ]


def _rule(rule: AlertRule, group: Group, runbooks: str) -> dict[str, Any]:
    return {
        "uid": f"saqshy-{rule.name.replace('_', '-')}",
        "orgID": 1,
        "folderUID": FOLDER_UID,
        "ruleGroup": group.name,
        "title": rule.title,
        "condition": "C",
        # No rows at all, like an error, is our own trouble: said as such, never as a school's.
        "noDataState": "NoData",
        "execErrState": "Error",
        "for": rule.pending,
        "keep_firing_for": "0s" if rule.severity == "panic" else "2m",
        "missingSeriesEvalsToResolve": 3,
        "isPaused": False,
        "labels": {**MANAGED, "severity": rule.severity, "service": "saqshy", **rule.labels},
        "annotations": {
            "summary": _text(rule, "en"),
            "summary_kk": _text(rule, "kk"),
            "summary_ru": _text(rule, "ru"),
            "runbook_url": f"{runbooks}#{rule.title.lower().replace(' ', '-')}",
            "__dashboardUid__": f"saqshy-{rule.board}",
            "__panelId__": str(rule.panel),
        },
        "data": _data(rule, group.interval_s),
    }


def _text(rule: AlertRule, language: str) -> str:
    name = f"{{{{ $labels.name_{language} }}}} ({{{{ $labels.school }}}})"
    return rule.texts[language].format(**_WORDS, NAME=name)


def _data(rule: AlertRule, interval_s: int) -> list[dict[str, Any]]:
    query = queries()[f"rule_{rule.name}"]
    if query.shape != Shape.ALERT:
        raise ValueError(f"{query.name} has not the shape of an alert")
    kind, limit = ("gt", rule.above) if rule.above is not None else ("lt", rule.below)
    evaluator = {
        "evaluator": {"type": kind, "params": [limit]},
        "unloadEvaluator": {"type": "lt" if kind == "gt" else "gt", "params": [rule.until]},
    }
    return [
        _step(
            "A",
            DATASOURCE_UID,
            {**target_json(query, "A"), "intervalMs": interval_s * 1000, "maxDataPoints": 43_200},
            900,
        ),
        _step(
            "B",
            "__expr__",
            {
                "refId": "B",
                "type": "reduce",
                "datasource": EXPRESSION,
                "expression": "A",
                "reducer": "last",
                "settings": {"mode": "dropNN"},
            },
        ),
        _step(
            "C",
            "__expr__",
            {
                "refId": "C",
                "type": "threshold",
                "datasource": EXPRESSION,
                "expression": "B",
                "conditions": [evaluator],
            },
        ),
    ]


def _step(ref_id: str, datasource: str, of: dict[str, Any], back_s: int = 0) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "queryType": of.get("queryType", ""),
        "relativeTimeRange": {"from": back_s, "to": 0},
        "datasourceUid": datasource,
        "model": of,
    }
