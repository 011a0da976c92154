"""Who would be alerted on the simulated day: each rule's query and its threshold, against the truth."""

from datetime import timedelta

import pytest

from dashboards.grafana.rules import GROUPS, AlertRule
from tests.dashboards.grafana.conftest import Asked
from tests.dashboards.grafana.day import big_district

pytestmark = pytest.mark.broker

RULES = {rule.name: rule for group in GROUPS for rule in group.rules}


def _fires(asked: Asked, name: str) -> list[dict[str, object]]:
    """The labels of every row whose number is past the threshold, as Grafana's expression C does."""
    rule: AlertRule = RULES[name]
    answer = asked.ask(f"rule_{name}")
    number = next(column.name for column in answer.columns if column.number)
    return [
        row
        for row in answer.dicts()
        if (rule.above is not None and row[number] > rule.above)
        or (rule.below is not None and row[number] < rule.below)
    ]


def test_a_silent_school_is_alerted_unless_its_district_is_down(asked: Asked) -> None:
    day = asked.day
    lone = {
        outage.school
        for outage in day.outages
        if outage.until is None and outage.since < day.now - timedelta(minutes=20)
    }
    assert {row["school"] for row in _fires(asked, "school_offline")} == lone
    (district,) = _fires(asked, "district_outage")
    assert (district["region"], district["district"]) == big_district(day)


def test_a_panic_is_alerted_until_somebody_answers_and_a_drill_is_not(asked: Asked) -> None:
    waiting = {
        panic.school
        for panic in asked.day.panics
        if panic.open and not panic.drill and "acknowledged" not in panic.steps
    }
    assert {row["school"] for row in _fires(asked, "panic_unacknowledged")} == waiting


def test_an_untested_button_is_alerted_at_its_school(asked: Asked) -> None:
    overdue = {school for school, _ in asked.day.overdue}
    assert {row["school"] for row in _fires(asked, "panic_test_overdue")} == overdue


def test_a_contract_is_alerted_before_it_ends_and_where_there_is_none(asked: Asked) -> None:
    soon = (asked.day.now + timedelta(days=30)).date().isoformat()
    due = {
        school.id
        for school in asked.day.schools
        if school.pupils > 100 and (school.contract is None or school.contract[2] < soon)
    }
    assert {row["school"] for row in _fires(asked, "contract")} == due


def test_a_pipeline_that_is_well_is_not_alerted(asked: Asked) -> None:
    for name in ("dead_letters", "lag"):
        assert _fires(asked, name) == [], name
    for row in asked.ask("rule_freshness").dicts():
        assert row["seconds"] < 10


def test_an_alert_ends_short_of_where_it_begins() -> None:
    for rule in RULES.values():
        if rule.above is not None:
            assert rule.until <= rule.above
        else:
            assert rule.below is not None and rule.until >= rule.below
