"""The outbox on disk: what it promises after a crash, which here is a second opening."""

from pathlib import Path

import pytest

from schemas.steps import StepTaken, Took
from streams.notify.outbox import KEEP_MS, InUse, Outbox
from streams.paging.page import Page
from streams.paging.retry import GIVE_UP_AFTER_MS, NotDelivered
from tests.streams.paging.test_channels import NOW_MS, said


def opened(folder: Path, *pages: Page) -> Outbox:
    it = Outbox(folder)
    it.put(pages)
    return it


def steps(it: Outbox) -> list[StepTaken]:
    return [one.step for one in it.to_say(100)]


def test_a_page_waits_until_it_is_taken_and_is_taken_once(tmp_path: Path) -> None:
    it = opened(tmp_path, said())
    (entry,) = it.take("hook", NOW_MS, 10)
    assert (entry.page, entry.attempts, entry.again) == (said(), 1, False)
    assert it.take("hook", NOW_MS, 10) == []
    it.sent(entry, NOW_MS)
    it.put([said()])
    assert it.take("hook", NOW_MS + 10**9, 10) == []


def test_what_a_crash_interrupted_is_sent_again_under_the_same_key(tmp_path: Path) -> None:
    it = opened(tmp_path, said())
    it.take("hook", NOW_MS, 10)
    it.close()
    again = Outbox(tmp_path)
    (entry,) = again.take("hook", NOW_MS, 10)
    assert entry.again
    assert entry.page.id == said().id
    assert again.made() == {"call-0000"}


def test_a_failure_waits_longer_each_time_and_is_recorded_when_somebody_else_must_be_called(
    tmp_path: Path,
) -> None:
    it = opened(tmp_path, said())
    now_ms = NOW_MS
    for wait_ms in (1_000, 2_000, 5_000):
        (entry,) = it.take("hook", now_ms, 10)
        unreached = it.failed(entry, NotDelivered("it answered 503"), now_ms)
        assert [call.id for call in unreached] == (["call-0000"] if wait_ms == 5_000 else [])
        assert it.take("hook", now_ms + wait_ms - 1, 10) == []
        now_ms += wait_ms
    recorded = steps(it)
    assert [s.took for s in recorded] == [Took.FAILED] * 2
    assert [s.attempt for s in recorded] == [1, 3]
    assert len({s.id for s in recorded}) == 2


@pytest.mark.parametrize(("final", "late_ms"), [(True, 0), (False, GIVE_UP_AFTER_MS + 1)])
def test_what_is_given_up_is_not_tried_again_and_calls_the_next_level(
    tmp_path: Path, final: bool, late_ms: int
) -> None:
    it = opened(tmp_path, said())
    (entry,) = it.take("hook", NOW_MS, 10)
    it.failed(entry, NotDelivered("no such address", final), NOW_MS + late_ms)
    assert it.take("hook", NOW_MS + 10**12, 10) == []
    assert steps(it)[0].attempt >= 3
    assert it.counts()["pages_failed"] == 1


def test_a_step_stays_until_kafka_has_it(tmp_path: Path) -> None:
    it = opened(tmp_path, said("escalated"))
    (entry,) = it.take("hook", NOW_MS, 10)
    it.sent(entry, NOW_MS)
    it.close()
    again = Outbox(tmp_path)
    (one,) = again.to_say(10)
    assert (one.step.id, one.step.alert, one.step.target) == ("call-0000", "alert-0", "hook")
    again.said([one.number])
    assert again.to_say(10) == []


def test_urgent_pages_go_first(tmp_path: Path) -> None:
    urgent = said(count=2)
    urgent = urgent.model_copy(
        update={"calls": tuple(c.model_copy(update={"urgent": True}) for c in urgent.calls)}
    )
    it = opened(tmp_path, said(), urgent)
    assert [entry.page.id for entry in it.take("hook", NOW_MS, 1)] == [urgent.id]


def test_repeats_do_not_pile_up_while_a_channel_is_away(tmp_path: Path) -> None:
    repeat = said("repeated")
    later = repeat.model_copy(
        update={
            "id": "later",
            "calls": tuple(c.model_copy(update={"id": "call-later"}) for c in repeat.calls),
        }
    )
    it = opened(tmp_path, said(), repeat)
    (entry,) = it.take("hook", NOW_MS, 10)
    assert entry.page == said()
    it.sent(entry, NOW_MS)
    it.put([later])
    (entry,) = it.take("hook", NOW_MS, 10)
    assert entry.page.id == "later"
    assert it.made() >= {"call-0000", "call-later"}


def test_two_notifiers_on_one_outbox_are_refused(tmp_path: Path) -> None:
    it = opened(tmp_path)
    with pytest.raises(InUse, match="stop it first"):
        Outbox(tmp_path)
    it.close()
    Outbox(tmp_path).close()


def test_after_a_week_what_is_done_is_forgotten(tmp_path: Path) -> None:
    it = opened(tmp_path, said(), said("escalated", 2))
    (entry, *_) = it.take("hook", NOW_MS, 1)
    it.sent(entry, NOW_MS)
    it.forget(NOW_MS + KEEP_MS + 1)
    assert len(it.take("hook", NOW_MS, 10)) == 1
