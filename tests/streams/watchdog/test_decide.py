"""When the watchdog says that something is wrong, when it says that it is over, and when it waits."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.watchdog.decide import (
    FROZEN_AFTER_S,
    GONE_FOR_S,
    HOLDS_S,
    LAG_RECORDS,
    PRESS_SEEN_WITHIN_S,
    SAY_AGAIN_AFTER_S,
    Findings,
    Seen,
)

PLACE = ("saqshy-flow", "saqshy.passes", 3)
WELL = Seen(0.0, stored_age_s=3.0, committed={PLACE: 10}, ends={PLACE: 10})


def looked(findings: Findings, at_s: float, **fields: Any) -> list[tuple[str, bool]]:
    return [(c.name, c.opened) for c in findings.look(replace(WELL, at_s=at_s, **fields))]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("kafka", {"kafka": "no answer"}),
        ("clickhouse", {"clickhouse": "no answer", "stored_age_s": None}),
        ("freshness", {"stored_age_s": 500.0}),
        ("heartbeat canary", {"canaries_refused": (3,)}),
        ("gateway canary", {"gateway": "the gateway is not reached"}),
        ("gateway panic canary", {"gateway_panic": "the gateway answers 503"}),
        ("health:panic-a", {"unhealthy": {"panic-a": "refused"}}),
        ("lag:saqshy-flow", {"ends": {PLACE: 10 + LAG_RECORDS + 1}}),
    ],
)
def test_a_symptom_that_holds_opens_and_one_that_is_gone_ends(
    name: str, bad: dict[str, Any]
) -> None:
    findings = Findings()
    holds_s = HOLDS_S[name.partition(":")[0]]
    assert looked(findings, 0, **bad) == []
    assert (name, True) in looked(findings, holds_s, **bad)
    assert looked(findings, holds_s + 1) == []
    assert (name, False) in looked(findings, holds_s + GONE_FOR_S)
    assert findings.open == {}


def test_what_is_lost_is_said_at_once_and_by_its_topic() -> None:
    findings, gone = Findings(), {"lost": {"saqshy.passes": "3 records from offset 7 on"}}
    assert looked(findings, 0, **gone) == [("lost:saqshy.passes", True)]
    assert looked(findings, GONE_FOR_S) == [("lost:saqshy.passes", False)]


def test_a_flutter_is_no_finding() -> None:
    findings = Findings()
    for at_s in range(0, 600, 10):
        bad = at_s % 20 == 0
        assert looked(findings, at_s, kafka="no answer" if bad else "") == []


def test_a_finding_that_flutters_is_said_once_until_it_is_said_again() -> None:
    findings = Findings()
    said = [
        change
        for at_s in range(0, int(SAY_AGAIN_AFTER_S) + 30, 5)
        for change in findings.look(
            replace(WELL, at_s=at_s, kafka="" if at_s > 20 and at_s % 10 else "no answer")
        )
    ]
    assert [(c.opened, c.repeated) for c in said] == [(True, False), (True, True)]


def test_a_press_that_becomes_no_alert_is_said_at_once() -> None:
    findings = Findings()
    assert looked(findings, PRESS_SEEN_WITHIN_S, press_sent_s=0.0) == []
    assert looked(findings, PRESS_SEEN_WITHIN_S + 0.1, press_sent_s=0.0) == [("panic canary", True)]


def test_a_press_that_the_gateway_took_and_no_alert_names_is_the_gateway_s() -> None:
    findings, sent = Findings(), {"gateway_press_sent_s": 0.0}
    for at_s in (PRESS_SEEN_WITHIN_S, PRESS_SEEN_WITHIN_S + 1):
        assert looked(findings, at_s, **sent) == []
    assert looked(findings, 30, **sent) == [("gateway panic canary", True)]


def test_what_is_kafka_s_or_the_panic_workers_is_not_said_of_the_gateway() -> None:
    gateway = {"gateway": "503", "gateway_panic": "503", "gateway_press_sent_s": 0.0}
    for theirs in ({"kafka": "no answer"}, {"canaries_refused": (1,)}):
        findings = Findings()
        names = [n for at_s in (0, 30) for n, _ in looked(findings, at_s, **gateway, **theirs)]
        assert not any(name.startswith("gateway") for name in names) and names
    findings = Findings()
    both = {"press_sent_s": 0.0, "gateway_press_sent_s": 0.0}
    assert looked(findings, 10, **both) == [("panic canary", True)]
    assert looked(findings, 40, **both) == []


def test_what_was_open_before_a_restart_ends_or_is_said_again_but_does_not_begin() -> None:
    findings = Findings()
    for name in ("kafka", "clickhouse", "a kind of old"):
        findings.adopt(name, "no answer", 0.0)
    assert findings.open == dict.fromkeys(("kafka", "clickhouse", "a kind of old"), "no answer")
    said = findings.look(replace(WELL, at_s=1.0, kafka="no answer"))
    assert [(c.name, c.opened, c.repeated) for c in said] == [("kafka", True, True)]
    said = findings.look(replace(WELL, at_s=GONE_FOR_S, kafka="no answer"))
    assert {(c.name, c.opened) for c in said} == {("clickhouse", False), ("a kind of old", False)}


def test_a_finding_says_when_its_symptom_began() -> None:
    findings = Findings()
    looked(findings, 3.0, kafka="no answer")
    [change] = findings.look(replace(WELL, at_s=3.0 + HOLDS_S["kafka"], kafka="no answer"))
    assert change.since_s == 3.0


def test_commits_that_stand_still_while_records_come_are_a_frozen_lane() -> None:
    findings = Findings()
    for at_s in (0, 30, 60):
        assert looked(findings, at_s, ends={PLACE: 11 + at_s}) == []
    assert looked(findings, FROZEN_AFTER_S + 5, ends={PLACE: 80}) == [("frozen:saqshy-flow", True)]


def test_a_lane_that_moves_or_has_nothing_to_do_is_not_frozen() -> None:
    findings = Findings()
    for at_s in range(0, 600, 30):
        moving = {PLACE: 10 + at_s}
        assert looked(findings, at_s, committed=moving, ends={PLACE: 100 + at_s}) == []
    for at_s in range(600, 1_200, 30):
        assert looked(findings, at_s, committed={PLACE: 700}, ends={PLACE: 700}) == []


def test_no_heartbeats_of_the_last_day_are_not_staleness() -> None:
    findings = Findings()
    assert [looked(findings, at_s, stored_age_s=None) for at_s in (0, 100, 200)] == [[]] * 3


@given(st.lists(st.booleans(), max_size=200))
def test_opened_and_over_alternate(bad: list[bool]) -> None:
    findings, says = Findings(), []
    for number, one in enumerate(bad):
        seen = replace(WELL, at_s=number * 7.0, kafka="no answer" if one else "")
        says += [c.opened for c in findings.look(seen) if not c.repeated]
    assert says == [number % 2 == 0 for number in range(len(says))]


def test_a_source_that_nobody_hears_is_not_the_fault_of_who_listens() -> None:
    deaf = {"deaf": {"dispatch": "heard nothing of saqshy.alerts"}}
    findings = Findings()
    assert looked(findings, 0, **deaf) == []
    assert looked(findings, HOLDS_S["health"], **deaf) == [("health:dispatch", True)]
    for theirs in ({"kafka": "no answer"}, {"clickhouse": "no answer"}):
        findings = Findings()
        names = [n for at_s in (0, 60) for n, _ in looked(findings, at_s, **deaf, **theirs)]
        assert names == list(theirs)
