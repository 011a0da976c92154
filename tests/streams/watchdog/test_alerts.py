"""Findings as alerts: one per finding, whatever is repeated, refused or restarted in between."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import PAGED_BY_WATCHDOG, Action, AlertChanged, AlertKind, Severity
from schemas.life import Life
from streams.watchdog.alerts import ADVICE, Alerts, FindingChange
from streams.watchdog.decide import HOLDS_S

T0 = 1_790_000_000_000


def begins(name: str = "kafka", at_ms: int = T0) -> FindingChange:
    return FindingChange(name, "no answer", True, at_ms - 15_000, at_ms)


def ends(name: str = "kafka", at_ms: int = T0 + 90_000) -> FindingChange:
    return FindingChange(name, "no answer", False, at_ms - 60_000, at_ms)


def taken(alerts: Alerts) -> list[AlertChanged]:
    """What a Kafka that takes everything has now."""
    all_: list[AlertChanged] = []
    while due := alerts.next():
        all_ += due
        alerts.taken(due)
    return all_


def test_a_finding_is_a_critical_alert_of_no_school_that_says_what_to_do() -> None:
    alerts = Alerts(paged=True)
    alerts.changed(begins())
    [one] = taken(alerts)
    assert (one.kind, one.severity) == (AlertKind.PIPELINE_SILENT, Severity.CRITICAL)
    assert (one.school, one.scope, one.number, one.time_ms) == ("", "kafka", 0, T0 - 15_000)
    assert one.note == f"no answer. {ADVICE['kafka']}"
    assert (one.why, one.paged_by) == ([PAGED_BY_WATCHDOG], "saqshy:watchdog")
    alerts.changed(ends())
    [over] = taken(alerts)
    assert (over.id, over.number, over.action) == (one.id, 1, Action.RESOLVED)
    assert over.time_ms == T0 + 90_000 and over.paged_elsewhere


def test_every_kind_of_finding_has_its_advice() -> None:
    assert set(ADVICE) == set(HOLDS_S)


def test_without_channels_of_its_own_the_notifier_pages() -> None:
    alerts = Alerts(paged=False)
    alerts.changed(begins("health:panic-a"))
    [one] = taken(alerts)
    assert (one.why, one.paged_by, one.paged_elsewhere) == ([], "", False)


def test_what_kafka_does_not_take_is_the_same_the_next_time_and_comes_in_order() -> None:
    alerts = Alerts(paged=False)
    alerts.changed(begins())
    alerts.changed(ends())
    alerts.changed(begins(at_ms=T0 + 300_000))
    assert alerts.next() == alerts.next()
    said = taken(alerts)
    assert [one.action for one in said] == [Action.OPENED, Action.RESOLVED, Action.OPENED]
    assert said[0].id == said[1].id != said[2].id


def test_a_successor_ends_what_the_one_before_opened_and_opens_it_no_second_time() -> None:
    before = Alerts(paged=False)
    before.changed(begins("kafka"))
    before.changed(begins("clickhouse"))
    topic = taken(before)
    after = Alerts(paged=False)
    after.changed(begins("kafka", T0 + 60_000))
    assert set(after.restored(topic)) == {"clickhouse"}
    assert taken(after) == []
    after.changed(ends("kafka"))
    after.changed(ends("clickhouse"))
    topic += taken(after)
    assert [(one.number, one.action) for one in topic[2:]] == [(1, Action.RESOLVED)] * 2
    assert Alerts(paged=False).restored(topic) == {}


NAMES = ("kafka", "clickhouse", "health:flow")


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "restart"]), st.integers(0, 2)), max_size=60))
def test_whatever_happens_at_most_one_alert_of_a_finding_is_open_and_none_stays(
    steps: list[tuple[str, int]],
) -> None:
    """Each finding begins and ends in turn; Kafka takes some of what is owed, and restarts lose the
    rest of it, in which case the finding is adopted as it stands on the topic."""
    topic: list[AlertChanged] = []
    alerts, open_ = Alerts(paged=False), set[str]()
    alerts.restored(topic)

    def standing() -> list[str]:
        lives: dict[str, Life] = {}
        for one in topic:
            lives.setdefault(one.id, Life(one.id)).changed(one)
        return [life.last.scope for life in lives.values() if not life.resolved]

    for number, (name, takes) in enumerate(steps):
        at_ms = T0 + number * 60_000
        if name == "restart":
            alerts = Alerts(paged=False)
            open_ = set(alerts.restored(topic))
        elif name in open_:
            alerts.changed(ends(name, at_ms))
            open_.remove(name)
        else:
            alerts.changed(begins(name, at_ms))
            open_.add(name)
        for _ in range(takes):
            if due := alerts.next():
                topic += due
                alerts.taken(due)
        assert len(standing()) == len(set(standing()))
    for name in open_:
        alerts.changed(ends(name, T0 + 10**8))
    topic += taken(alerts)
    assert standing() == []
