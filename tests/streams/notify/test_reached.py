"""Each receiver of a channel by itself, each piece once, at the channel's rate; and who comes next."""

from collections import Counter
from pathlib import Path

import pytest

from schemas.alerts import AlertKind
from schemas.steps import StepTaken, Took
from streams.notify import decide, messages, pager
from streams.notify.policy import Chain, Level, Policies, Rule
from tests.streams.notify.alerts import changed, step
from tests.streams.notify.duty import Duty, Mood, Receiver

CHAINS = {"duty": Chain(levels=[Level(channels=["chats"]), Level(after_s=900, channels=["chief"])])}
RULES = [Rule(name="all", chain="duty", hold_s=5)]
DAY_S = 86_400


def duty(folder: Path, *moods: Mood, rate: int = 20) -> Duty:
    chats = {str(number): Receiver(mood) for number, mood in enumerate(moods)}
    channels = {"chats": chats, "chief": {"": Receiver()}, "other": {"": Receiver()}}
    return Duty(folder, Policies(chains=CHAINS, rules=RULES), channels, {"chats": rate})


def blind(it: Duty, count: int) -> list[str]:
    for number in range(count):
        school = f"KZ-75-{number:05}"
        kind = AlertKind.PANIC_BLIND
        it.say(changed(f"blind-{number}", at_ms=it.now_ms, kind=kind, school=school))
    return [f"blind-{number}" for number in range(count)]


def schools(receiver: Receiver) -> Counter[str]:
    return Counter(call.alert for _, call in receiver.heard)


@pytest.mark.parametrize("mood", ["refuses", "fails", "silent", "put off"])
def test_a_receiver_that_does_not_take_it_repeats_nothing_to_its_neighbours(
    tmp_path: Path, mood: Mood
) -> None:
    """caronc/apprise#1739: two chats at one address, one has blocked the bot."""
    it = duty(tmp_path, "takes", mood)
    it.say(changed(at_ms=it.now_ms, kind=AlertKind.SCHOOL_OFFLINE))
    it.wait(DAY_S / 4, 30.0)
    well, ill = it.receivers["chats"].values()
    assert well.whys("alert-1") == ["opened"]
    assert len(ill.tried) == {"refuses": 1, "silent": 5}.get(mood, len(ill.tried))
    assert len(it.steps(Took.FAILED)) == (1 if mood == "refuses" else 2 if mood == "silent" else 1)
    assert len(it.steps(Took.NOTIFIED)) == 1


@pytest.mark.parametrize("count", [4, 100, 400])
def test_each_piece_of_a_long_page_is_heard_once_and_never_too_many_in_a_minute(
    tmp_path: Path, count: int
) -> None:
    it = duty(tmp_path, "takes", "takes", rate=20)
    alerts = blind(it, count)
    it.wait(1_200, 5.0)
    for receiver in it.receivers["chats"].values():
        assert schools(receiver) == dict.fromkeys(alerts, 1)
        assert receiver.most_in_a_minute() <= 20
    assert not it.steps(Took.FAILED)


def test_a_page_that_is_always_refused_leaves_steps_by_the_page_and_not_by_the_school(
    tmp_path: Path,
) -> None:
    it = duty(tmp_path, "fails")
    blind(it, 300)
    it.wait(7_200, 60.0)
    assert len(it.steps(Took.FAILED)) <= 3


@pytest.mark.parametrize("mood", ["refuses", "fails", "silent", "put off"])
def test_the_next_level_is_called_when_nobody_of_this_one_takes_a_panic(
    tmp_path: Path, mood: Mood
) -> None:
    """At once where it was refused for good or put off for long, after three tries otherwise."""
    it = duty(tmp_path, mood, mood)
    it.say(changed(at_ms=it.now_ms))
    it.wait(15)
    chief = it.receivers["chief"][""]
    assert chief.whys("alert-1") == ["escalated"]
    began_ms = it.log[0][1]
    within_ms = {"fails": 12_000}.get(mood, 1_000)
    assert chief.heard[0][0] - began_ms <= within_ms


def test_everyone_is_called_when_nobody_of_the_chain_takes_a_panic(tmp_path: Path) -> None:
    it = duty(tmp_path, "refuses")
    it.receivers["chief"][""].mood = "refuses"
    it.say(changed(at_ms=it.now_ms))
    it.say(changed("offline", at_ms=it.now_ms, kind=AlertKind.SCHOOL_OFFLINE))
    it.wait(10)
    assert it.receivers["other"][""].whys("alert-1") == ["escalated"]
    assert it.receivers["other"][""].whys("offline") == []


def test_a_panic_that_reached_nobody_is_tried_again_and_again(tmp_path: Path) -> None:
    """Though the rule says never."""
    it = duty(tmp_path, "refuses")
    for channel in ("chief", "other"):
        it.receivers[channel][""].mood = "refuses"
    it.say(changed(at_ms=it.now_ms))
    it.wait(600, 5.0)
    it.receivers["other"][""].mood = "takes"
    it.wait(120)
    assert it.receivers["other"][""].whys("alert-1") != []


def test_a_new_panic_goes_before_repeats_of_old_ones(tmp_path: Path) -> None:
    it = duty(tmp_path, "takes", rate=4)
    it.policies = Policies(chains=CHAINS, rules=[RULES[0].model_copy(update={"repeat_s": 60})])
    it.restart()
    for number in range(100):
        it.say(changed(f"old-{number}", at_ms=it.now_ms))
    it.wait(300)
    it.say(changed("new", at_ms=it.now_ms))
    began_ms = it.now_ms
    it.wait(61)
    (chat,) = it.receivers["chats"].values()
    assert chat.heard[[c.alert for _, c in chat.heard].index("new")][0] - began_ms <= 60_000
    assert {call.alert for _, call in chat.heard} >= {f"old-{number}" for number in range(100)}
    assert chat.most_in_a_minute() <= 4


def test_what_is_said_in_the_storm_leaves_room_for_a_panic(tmp_path: Path) -> None:
    it = duty(tmp_path, "takes", rate=8)
    for number in range(200):
        kind, school = AlertKind.SCHOOL_OFFLINE, f"KZ-75-{number:05}"
        it.say(changed(f"off-{number}", at_ms=it.now_ms, kind=kind, school=school))
    it.wait(20)
    it.say(changed(at_ms=it.now_ms))
    it.tick()
    (chat,) = it.receivers["chats"].values()
    assert chat.whys("alert-1") == ["opened"]


def test_a_clock_put_back_keeps_nothing_back(tmp_path: Path) -> None:
    it = duty(tmp_path, "fails")
    it.say(changed(at_ms=it.now_ms))
    it.wait(300)
    it.receivers["chats"]["0"].mood = "takes"
    it.now_ms -= 10 * DAY_S * 1000
    it.tick()
    assert "opened" in it.receivers["chats"]["0"].whys("alert-1")


@pytest.mark.parametrize("broken", ["wanted", "both", "groups"])
def test_an_alert_on_which_the_policies_fail_is_no_panics_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whatever fails for one alert: it goes to everyone, the others as their rules say."""
    real = decide.wanted

    def failing(life, policies, *rest):  # type: ignore[no-untyped-def]
        ours = policies.rules or broken == "both"
        if broken != "groups" and life.id.startswith("bad") and ours:
            raise TypeError("can't compare offset-naive and offset-aware times")
        return real(life, policies, *rest)

    monkeypatch.setattr(pager, "wanted", failing)
    if broken == "groups":
        monkeypatch.setattr(pager, "_said", lambda calls, now_ms: 1 / 0)
    it = duty(tmp_path, "takes")
    it.say(changed("bad-panic", at_ms=it.now_ms))
    it.say(changed("bad-school", at_ms=it.now_ms, kind=AlertKind.SCHOOL_OFFLINE))
    it.say(changed("good", at_ms=it.now_ms))
    it.tick()
    (chat,) = it.receivers["chats"].values()
    other = it.receivers["other"][""]
    assert chat.whys("bad-panic") == chat.whys("good") == ["opened"]
    assert other.whys("bad-panic") == (["opened"] if broken != "groups" else [])
    it.wait(60)
    assert chat.whys("bad-school") == ["opened"]
    assert it.pager.figures["undecided"] >= 1


@pytest.mark.parametrize(
    ("count", "together"),
    [(1_500, 150), pytest.param(10_000, messages.TOGETHER, marks=pytest.mark.faults)],
)
def test_ten_thousand_panics_at_once_are_heard_of_within_five_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, together: int
) -> None:
    monkeypatch.setattr(messages, "TOGETHER", together)
    it = duty(tmp_path, "takes", rate=20)
    for number in range(count):
        school = f"KZ-75-{number:05}"
        it.say(changed(f"panic-{number}", at_ms=it.now_ms, school=school))
    it.wait(300, 10.0)
    (chat,) = it.receivers["chats"].values()
    assert len(schools(chat)) == count
    assert max(schools(chat).values()) == 1
    assert chat.most_in_a_minute() <= 20
    assert len(it.steps(Took.NOTIFIED)) == count


def test_what_kafka_says_of_a_failure_is_enough_without_an_outbox(tmp_path: Path) -> None:
    it = duty(tmp_path, "refuses")
    it.say(changed(at_ms=it.now_ms))
    failed = step(Took.FAILED, at_ms=it.now_ms, target="chats", attempt=3)
    assert isinstance(failed, StepTaken)
    it.say(failed)
    it.receivers["chats"]["0"].mood = "silent"
    it.tick()
    assert it.receivers["chief"][""].whys("alert-1") == ["escalated"]
