"""What a hold puts off is said at its end, what lasts is held until its end, and who was told hears it."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from schemas.alerts import Action, AlertChanged, AlertKind, Severity
from schemas.steps import Took
from streams.notify.policy import Chain, Level, Policies, Quiet, Rule, Window
from streams.paging.alertmanager import FIRING_FOR, postable_alerts
from tests.streams.notify.alerts import SCHOOL, changed, step
from tests.streams.notify.duty import Duty, Receiver

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
RULE = Rule(name="all", chain="duty", hold_s=20, repeat_s=900)


def duty(folder: Path, policies: Policies | None = None, *channels: str) -> Duty:
    names = channels or ("phone",)
    receivers = {name: {"": Receiver()} for name in names}
    chain = {"duty": Chain(levels=[Level(channels=[names[0]])])}
    return Duty(folder, policies or Policies(chains=chain, rules=[RULE]), receivers)


def of(it: Duty, channel: str = "phone") -> list[str]:
    return it.receivers[channel][""].whys("alert-1")


def offline(it: Duty, **fields: object) -> AlertChanged:
    fields = {"kind": AlertKind.SCHOOL_OFFLINE} | fields
    return changed(at_ms=it.now_ms, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [1, 26, 60])
@pytest.mark.parametrize("what", ["work", "silence", "outage"])
@pytest.mark.parametrize(
    "before_s", [0, 5, 600], ids=["at once", "in its hold", "when it was said"]
)
def test_what_was_held_is_said_when_the_hold_ends(
    tmp_path: Path, hours: int, what: str, before_s: int
) -> None:
    """However long it was (prometheus/alertmanager#2896, grafana/grafana#50266)."""
    began_ms = 1_800_000_000_000
    starts = datetime.fromtimestamp(began_ms / 1000 + before_s, UTC)
    window = Window(starts=starts, ends=starts + timedelta(hours=hours), schools=[SCHOOL])
    it = duty(tmp_path, Policies(rules=[RULE.model_copy(update={"chain": "everyone"})],
                                 maintenance=[window] if what == "work" else []))  # fmt: skip
    it.say(offline(it))
    it.wait(before_s)
    ends_ms = it.now_ms + hours * HOUR_S * 1000
    members = {"kind": AlertKind.OUTAGE, "school": "", "members": [SCHOOL]}
    if what == "silence":
        it.say(step(Took.SILENCED, at_ms=it.now_ms, until_ms=ends_ms))
    elif what == "outage":
        it.say(changed("o", at_ms=it.now_ms, **members))  # type: ignore[arg-type]
    before = len(of(it))
    it.wait(hours * HOUR_S, 600.0)
    assert len(of(it)) == before
    if what == "outage":
        it.say(changed("o", 1, it.now_ms, action=Action.RESOLVED, **members))  # type: ignore[arg-type]
    it.wait(61)
    assert of(it)[before:] == ["repeated" if before else "opened"]
    it.wait(HOUR_S, 300.0)
    assert "repeated" in of(it)[before + 1 :]
    it.wait(2 * DAY_S, 900.0)
    assert len(of(it)) < 110  # then it is work and no news


def test_a_night_puts_off_what_may_wait_and_the_next_nights_make_no_news_of_it(
    tmp_path: Path,
) -> None:
    quiet = [Quiet(from_=time(22), until=time(7), zone="Asia/Almaty")]
    rule = RULE.model_copy(update={"chain": "everyone", "repeat_s": 3_600})
    it = duty(tmp_path, Policies(rules=[rule], quiet=quiet))
    night = datetime.fromtimestamp(it.now_ms / 1000, UTC).replace(hour=17, minute=0, second=-0)
    it.now_ms = round((night - timedelta(seconds=10)).timestamp() * 1000)  # 21:59:50 in Almaty
    it.say(offline(it, severity=Severity.WARNING))
    it.wait(9 * HOUR_S, 50.0)
    assert of(it) == []
    it.wait(60)
    assert of(it) == ["opened"]
    it.wait(4 * DAY_S, 600.0)
    assert 10 < len(of(it)) < 26


@pytest.mark.parametrize("attended", [False, True])
@pytest.mark.parametrize("repeat_s", [0, 900])
@pytest.mark.parametrize("restarts", [False, True])
def test_alertmanager_holds_what_lasts_until_its_end(
    tmp_path: Path, attended: bool, repeat_s: int, restarts: bool
) -> None:
    """For three days; its lease never runs out, and no person hears a word of it
    (uptrace/uptrace#241, grafana/grafana#77285)."""
    rule = RULE.model_copy(update={"chain": "everyone", "repeat_s": repeat_s, "attended_s": 0})
    it = duty(tmp_path, Policies(rules=[rule]), "am", "phone")
    it.leasing = ("am",)
    it.restart()
    began_ms = it.now_ms
    it.say(offline(it))
    it.wait(30)
    if attended:
        it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms))
    ends_ms, said = 0.0, 0
    for hour in range(72):
        it.wait(HOUR_S, 1_800.0)
        if restarts and hour % 10 == 5:
            it.restart()
        fresh = [page for page in it.pages[said:] if page.channel == "am"]
        said = len(it.pages)
        for page in [*fresh, *it.pager.leases("am", it.now_ms)]:
            (alert,) = postable_alerts(page, "https://c.kz", it.pager.over(page))
            ends_ms = max(ends_ms, datetime.fromisoformat(alert["endsAt"]).timestamp() * 1000)
            assert datetime.fromisoformat(alert["startsAt"]).timestamp() * 1000 == began_ms
        assert ends_ms > it.now_ms + FIRING_FOR.total_seconds() * 1000 - 2 * HOUR_S * 1000
    assert "renewed" not in of(it, "phone")
    it.say(offline(it, number=1, action=Action.RESOLVED))
    it.wait(60)
    assert of(it, "am")[-1] == "resolved"
    assert it.pager.leases("am", it.now_ms) == []


@pytest.mark.parametrize("how", ["resolved", "closed"])
@pytest.mark.parametrize("days", [1, 3, 8, 40])
def test_who_was_told_hears_the_end_whatever_became_of_the_rules(
    tmp_path: Path, days: int, how: str
) -> None:
    """Told are those that were, not those that today's rules name (prometheus/alertmanager#2146)."""
    it = duty(tmp_path, None, "a", "b")
    it.say(offline(it))
    it.wait(30)
    assert of(it, "a") == ["opened"]
    it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms))
    chain = {"duty": Chain(levels=[Level(channels=["b"])])}
    it.policies = Policies(chains=chain, rules=[RULE.model_copy(update={"name": "other"})])
    it.restart()
    for _ in range(days):
        it.now_ms += DAY_S * 1000
        it.pager.forget(it.now_ms)
        it.outbox.forget(it.now_ms, it.pager.ended())
        it.restart()
    if how == "resolved":
        it.say(offline(it, number=1, action=Action.RESOLVED))
    else:
        it.say(step(Took.CLOSED, at_ms=it.now_ms))
    it.restart()
    it.wait(60)
    assert of(it, "a")[-1] == "resolved"
    assert of(it, "a").count("resolved") == 1
    assert "resolved" not in of(it, "b") or "repeated" in of(it, "b")


def test_an_end_that_cannot_be_told_to_a_channel_that_is_gone_is_a_step(tmp_path: Path) -> None:
    it = duty(tmp_path, None, "a", "b")
    it.say(offline(it))
    it.wait(30)
    del it.receivers["a"]
    it.restart()
    it.say(offline(it, number=1, action=Action.RESOLVED))
    it.wait(60)
    (failed,) = it.steps(Took.FAILED)
    assert failed.target == "a"
    assert "not there any more" in failed.note


def test_what_waits_for_a_channel_that_was_removed_is_said_to_others(tmp_path: Path) -> None:
    chains = {"duty": Chain(levels=[Level(channels=["a"]), Level(after_s=600, channels=["b"])])}
    it = duty(tmp_path, Policies(chains=chains, rules=[RULE]), "a", "b")
    it.receivers["a"][""].mood = "fails"
    it.say(changed(at_ms=it.now_ms))
    it.tick()
    del it.receivers["a"]
    it.restart()
    it.tick()
    assert of(it, "b") != []
    assert [one.target for one in it.steps(Took.FAILED)].count("a") == 2


def test_who_acknowledged_what_flaps_is_called_when_it_stays_silent(tmp_path: Path) -> None:
    """Its alert is open already when it falls for good, and nothing says so (flapjack/flapjack#689)."""
    it = duty(tmp_path)
    it.say(offline(it))
    it.wait(300)
    it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms))
    it.wait(RULE.attended_s - 60, 60.0)
    assert of(it) == ["opened"]
    it.wait(120)
    assert of(it) == ["opened", "repeated"]
    it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms))
    it.wait(RULE.attended_s - 60, 60.0)
    assert len(of(it)) == 2
    it.wait(120)
    assert len(of(it)) == 3
    it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms, id="acknowledged-again"))
    it.say(offline(it, number=1, action=Action.RESOLVED))
    it.wait(DAY_S, 600.0)
    assert of(it)[3:] == ["resolved"]


def test_an_acknowledged_panic_is_not_repeated(tmp_path: Path) -> None:
    it = duty(tmp_path)
    it.say(changed(at_ms=it.now_ms))
    it.wait(10)
    it.say(step(Took.ACKNOWLEDGED, at_ms=it.now_ms))
    it.wait(DAY_S, 600.0)
    assert of(it) == ["opened"]


@pytest.mark.parametrize("behind_s", [1, 600, 86_400])
def test_a_panic_is_said_though_our_clock_is_behind(tmp_path: Path, behind_s: int) -> None:
    it = duty(tmp_path)
    it.say(changed(at_ms=it.now_ms + behind_s * 1000))
    it.tick()
    assert of(it) == ["opened"]
