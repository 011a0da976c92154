"""Every query on the engine over the simulated day: its shape, and its values against the truth."""

import re
from collections import Counter
from datetime import timedelta

import pytest

from dashboards.queries.query import Shape, queries
from tests.dashboards.grafana.conftest import Asked
from tests.dashboards.grafana.day import big_district
from tests.dashboards.grafana.day_counts import LANES
from tests.dashboards.grafana.truth import Day, Panic

pytestmark = pytest.mark.broker


def _open(day: Day) -> list[Panic]:
    return [panic for panic in day.panics if panic.open and not panic.drill]


@pytest.mark.parametrize("name", sorted(queries()))
def test_it_answers_in_the_shape_its_panel_or_rule_needs(asked: Asked, name: str) -> None:
    answer = asked.ask(name)
    assert answer.wrong is None, answer.wrong
    assert answer.rows, "the simulated day gives every query something to say"


@pytest.mark.parametrize("name", sorted(n for n, q in queries().items() if not q.console_only))
def test_it_reads_published_views_alone(name: str) -> None:
    read = re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", queries()[name].sql)
    assert all(table.startswith("published_") for table in read), read


def test_there_are_more_than_sixty_questions() -> None:
    assert len(queries()) >= 60


def test_it_counts_schools_by_status(asked: Asked) -> None:
    day = asked.day
    statuses = Counter(day.status.values())
    assert asked.ask("counters").one() == {
        "schools": len(day.schools),
        "online": statuses["online"],
        "degraded": statuses["degraded"] + statuses["flapping"],
        "offline": statuses["offline"],
        "maintenance": 1,
        "unknown": 1,
        "open_panics": len(_open(day)),
        "open_drills": 1,
        "open_outages": 1,
    }
    assert statuses["flapping"] == 1


def test_it_draws_every_school_once_and_every_panic_above_its_status(asked: Asked) -> None:
    drawn = {row["school"]: row for row in asked.ask("map_schools").dicts()}
    assert len(drawn) == len(asked.day.schools)
    open_panics = {panic.school for panic in _open(asked.day)}
    assert {school for school, row in drawn.items() if row["level"] == 4} == open_panics
    assert {row["school"] for row in asked.ask("map_panics").dicts()} == open_panics
    for school in asked.day.schools:
        assert drawn[school.id]["pupils"] == school.pupils  # the newer record of the registry


def test_it_filters_by_region_and_district_but_never_a_panic(asked: Asked) -> None:
    region, district = big_district(asked.day)
    wanted = {s.id for s in asked.day.schools if (s.region, s.district) == (region, district)}
    rows = asked.ask("map_schools", region=[region], district=[district]).dicts()
    assert {row["school"] for row in rows} == wanted
    assert len(asked.ask("map_panics", region=[region]).rows) == len(_open(asked.day))


def test_it_sees_every_offline_school_on_a_layer_of_its_own(asked: Asked) -> None:
    offline = {school for school, status in asked.day.status.items() if status == "offline"}
    assert {row["school"] for row in asked.ask("map_offline").dicts()} == offline
    assert {row["school"] for row in asked.ask("outages_open").dicts()} == offline


def test_its_regions_add_up(asked: Asked) -> None:
    rows = asked.ask("regions_now").dicts()
    assert sum(row["schools"] for row in rows) == len(asked.day.schools)
    assert sum(row["offline"] for row in rows) == Counter(asked.day.status.values())["offline"]
    shares = [row["offline_share"] for row in rows]
    assert shares == sorted(shares, reverse=True)


def test_it_counts_the_rush_and_who_is_inside(asked: Asked) -> None:
    rows = asked.ask("rush").dicts()
    assert sum(row["came_in"] for row in rows) == asked.day.came_in.total()
    assert sum(row["went_out"] for row in rows) == asked.day.went_out.total()
    assert sum(row["denied"] for row in rows) == len(asked.day.schools)
    assert asked.ask("inside_now").one() == {"inside": asked.day.inside_today}


def test_it_knows_the_flow_of_one_school_and_what_is_expected(asked: Asked) -> None:
    school = asked.day.schools[0].id
    rows = asked.ask("school_flow").dicts()
    assert sum(row["came_in"] for row in rows) == asked.day.came_in[school]
    expected = asked.ask("school_flow_expected").dicts()
    assert [row["expected"] for row in expected] == [8]
    minutes = asked.ask("school_flow_by_minute").dicts()
    assert sum(row["came_in"] for row in minutes) == asked.day.came_in[school]


def test_it_follows_a_school_through_its_outages(asked: Asked) -> None:
    repeat = Counter(outage.school for outage in asked.day.outages).most_common(1)[0][0]
    states = [row["state"] for row in asked.ask("school_timeline", school=[repeat]).dicts()]
    assert states == ["online"] + ["offline", "online"] * 3
    devices = asked.ask("school_device_timeline", school=[repeat]).dicts()
    assert [row["state"] for row in devices].count("offline") == 3


def test_it_measures_outages_within_the_chosen_time_only(asked: Asked) -> None:
    day = asked.day
    seconds = sum(
        (min(o.until or day.now, day.now) - max(o.since, day.start)).total_seconds()
        for o in day.outages
    )
    answer = asked.ask("availability").one()
    assert answer["outages"] == len(day.outages)
    assert answer["hours_offline"] == pytest.approx(seconds / 3600, abs=0.01)
    whole = len(day.schools) * 86_400
    assert answer["availability"] == pytest.approx(1 - seconds / whole, abs=1e-6)
    by_region = asked.ask("availability_by_region").dicts()
    assert sum(row["outages"] for row in by_region) == len(day.outages)
    assert sum(row["minutes_offline"] for row in by_region) == pytest.approx(seconds / 60, abs=2)


def test_it_names_those_who_fall_silent_again(asked: Asked) -> None:
    (row,) = asked.ask("repeat_offenders").dicts()
    assert (row["outages"], row["minutes_offline"], row["longest_minutes"]) == (3, 180, 60)


def test_it_counts_who_is_offline_at_each_moment(asked: Asked) -> None:
    rows = asked.ask("offline_over_time").dicts()
    assert rows[-1]["offline"] == Counter(asked.day.status.values())["offline"]
    assert rows[0]["offline"] == 1  # the one that was silent before the day began


def test_it_measures_how_fast_silence_is_found(asked: Asked) -> None:
    day = asked.day
    within = [o for o in day.outages if o.decided >= day.start]
    worst = max((o.decided - o.since).total_seconds() for o in within)
    assert max(row["worst_s"] for row in asked.ask("time_to_detect").dicts()) == worst


def test_it_finds_the_buttons_nobody_tested(asked: Asked) -> None:
    rows = asked.ask("tests_overdue").dicts()
    assert {(row["school"], row["device"]) for row in rows} == asked.day.overdue
    never = [row for row in rows if row["passed"] == "never tested"]
    assert never and all(row["last_test"] is None for row in never)
    by_region = asked.ask("tests_by_region").dicts()
    assert sum(row["overdue"] for row in by_region) == len(asked.day.overdue)
    assert sum(row["tested"] + row["overdue"] for row in by_region) == len(asked.day.buttons)


def test_it_knows_who_meets_the_duty(asked: Asked) -> None:
    today = asked.day.now.date().isoformat()
    under = [school for school in asked.day.schools if school.pupils > 100]
    guarded = [s for s in under if s.contract is not None and s.contract[2] >= today]
    answer = asked.ask("duty_met").one()
    assert answer["schools"] == len(under)
    assert answer["turnstiles"] == pytest.approx(sum(s.turnstiles > 0 for s in under) / len(under))
    assert answer["contract"] == pytest.approx(len(guarded) / len(under))
    assert answer["police_link"] == pytest.approx(sum(s.police_link for s in under) / len(under))
    missing = {
        s.id
        for s in under
        if s not in guarded or not (s.turnstiles and s.buttons and s.police_link)
    }
    assert {row["school"] for row in asked.ask("lacking").dicts()} == missing
    assert {row["school"] for row in asked.ask("lacking_map").dicts()} == missing


def test_it_counts_dead_letters_by_reason(asked: Asked) -> None:
    counted: Counter[str] = Counter()
    for row in asked.ask("dead_letters").dicts():
        counted[row["reason"]] += row["letters"]
    assert counted == asked.day.dead


def test_it_takes_rates_of_counters_and_survives_their_restart(asked: Asked) -> None:
    per_lane: Counter[str] = Counter()
    for row in asked.ask("throughput").dicts():
        per_lane[row["lane"]] += row["events_per_s"] * 300
    assert set(per_lane) == set(LANES)
    assert per_lane["flow"] == pytest.approx(359_000, rel=0.01)
    costs = {row["us_per_event"] for row in asked.ask("cpu_per_event").dicts()}
    assert all(cost == pytest.approx(20, rel=0.01) or cost == 0 for cost in costs)
    now = asked.ask("pipeline_now").one()
    assert (now["lag_records"], now["watchdog_age_s"]) == (30 * len(LANES), 3)
    assert {row["p99_s"] for row in asked.ask("latency").dicts()} == {0.2}
    assert {row["seconds"] for row in asked.ask("press_to_alert").dicts()} == {0.4}


def test_its_rule_for_silent_schools_keeps_every_school_and_stands_back_for_a_district(
    asked: Asked,
) -> None:
    day = asked.day
    rows = {row["school"]: row["seconds"] for row in asked.ask("rule_school_offline").dicts()}
    assert set(rows) == {school.id for school in day.schools}
    lone = {
        o.school
        for o in day.outages
        if o.until is None and o.since < day.now - timedelta(minutes=20)
    }
    assert {school for school, seconds in rows.items() if seconds > 0} == lone
    percents = {
        (row["region"], row["district"]): row["percent"]
        for row in asked.ask("rule_district_outage").dicts()
    }
    assert percents[big_district(day)] == 100
    assert sum(percent > 0 for percent in percents.values()) == 1


def test_its_rule_for_panics_counts_until_somebody_acknowledges_but_no_drill(asked: Asked) -> None:
    rows = {row["school"]: row["seconds"] for row in asked.ask("rule_panic_unacknowledged").dicts()}
    waiting = {p.school: p for p in _open(asked.day) if "acknowledged" not in p.steps}
    assert len(waiting) == 2  # one that nobody took, one that was reopened
    assert {school for school, seconds in rows.items() if seconds > 0} == set(waiting)
    for school, panic in waiting.items():
        since = (asked.day.now - panic.waiting).total_seconds()
        assert since <= rows[school] < since + 600
    assert set(rows) == {school.id for school in asked.day.schools}


def test_its_rules_for_the_pipeline_name_every_lane(asked: Asked) -> None:
    assert {row["lane"] for row in asked.ask("rule_lag").dicts()} == set(LANES)
    fresh = {row["lane"]: row["seconds"] for row in asked.ask("rule_freshness").dicts()}
    assert set(fresh) == set(LANES)
    assert all(seconds < 10 for seconds in fresh.values())
    rising = {row["reason"]: row["more"] for row in asked.ask("rule_dead_letters").dicts()}
    assert len(rising) == 12 and rising["not_json"] == 7 and rising["duplicate"] == 0


def test_its_rule_for_the_watchdog_counts_from_its_last_look(asked: Asked) -> None:
    (row,) = asked.ask("rule_watchdog").dicts()
    assert row["seconds"] == 3


def test_an_alert_rule_uses_nothing_that_only_the_browser_knows() -> None:
    for query in queries().values():
        if query.shape == Shape.ALERT:
            assert "$" not in query.sql, query.name


def test_it_compares_months_and_years_by_published_counts(asked: Asked) -> None:
    published = {
        (month, measure): events
        for month, measure, events in asked.engine.rows(
            "SELECT month, measure, events FROM published_incidents WHERE dimension = 'all'"
        )["data"]
    }
    rows = asked.ask("month_against_year_before").dicts()
    assert len(rows) == 12
    for row in rows:
        before = f"{int(row['month'][:4]) - 1}{row['month'][4:]}"
        assert row["reports"] == published[row["month"], "reports"]
        assert row["reports_year_before"] == published[before, "reports"]
        assert row["crimes_year_before"] == published[before, "crimes"]
        assert row["help"] == published[row["month"], "help"]
    newest = rows[0]["month"]
    regions = {row["region"]: row for row in asked.ask("reports_by_region").dicts()}
    for region, row in regions.items():
        (count,) = asked.engine.rows(
            "SELECT events FROM published_incidents WHERE dimension = 'region' "
            f"AND measure = 'reports' AND cell = '{region}' AND month = '{newest}'"
        )["data"][0]
        assert row["reports"] == count
    assert any(row["reports"] is not None for row in regions.values())


def test_it_filters_outages_by_provider(asked: Asked) -> None:
    provider = {school.id: school.provider for school in asked.day.schools}
    offline = {school for school, status in asked.day.status.items() if status == "offline"}
    found = set()
    for name in sorted(set(provider.values())):
        rows = asked.ask("outages_open", provider=[name]).dicts()
        assert all(provider[row["school"]] == name for row in rows)
        found |= {row["school"] for row in rows}
    assert found == offline
