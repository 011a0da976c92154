import asyncio
import json
import time
from pathlib import Path

from streams.gateway.known import Known, keep_remembered, recall
from streams.panic.decide import ALARM_LASTS_MS
from tests.streams.gateway.parts import NOW_MS, SCHOOL, press, until

KEY = SCHOOL.encode()


def ids(known: Known, number: int, now_ms: int = NOW_MS) -> list[str]:
    return [alert.id for alert in known.press(KEY, press(number, time_ms=now_ms), now_ms)]


def test_a_press_joins_the_alarm_that_the_topic_opened() -> None:
    known, other = Known(), Known()
    (opened,) = ids(other, 1)
    known.record(KEY, press(1), NOW_MS, replayed=False)
    known.rebuilt()
    assert ids(known, 2) == [opened]


def test_presses_of_the_meantime_come_after_the_past() -> None:
    known = Known()
    (alone,) = ids(known, 2)
    known.record(KEY, press(1), NOW_MS - 60_000, replayed=False)
    assert not known.caught_up
    known.rebuilt()
    (joined,) = ids(known, 3)
    # The past had opened an alarm, so that is the one that the panic workers speak of.
    assert joined != alone
    assert ids(known, 2) == []


def test_a_press_of_our_own_that_comes_back_from_the_topic_is_known() -> None:
    known = Known()
    known.rebuilt()
    (opened,) = ids(known, 1)
    known.record(KEY, press(1), NOW_MS + 5, replayed=False)
    (alert,) = known.press(KEY, press(2), NOW_MS + 10)
    assert (alert.id, alert.count) == (opened, 2)


def test_what_is_open_survives_without_kafka_and_what_is_over_does_not(tmp_path: Path) -> None:
    known = Known()
    (opened,) = ids(known, 1)
    said = known.remembered(NOW_MS + 1)
    back = Known()
    back.remember(said)
    assert ids(back, 2, NOW_MS + 1000) == [opened]
    assert json.loads(known.remembered(NOW_MS + ALARM_LASTS_MS + 1))["alarms"] == []


def test_a_broken_file_is_as_good_as_none(tmp_path: Path) -> None:
    known, path = Known(), tmp_path / "alarms.json"
    recall(known, path)
    path.write_bytes(b'{"alarms": 7}')
    recall(known, path)
    assert len(ids(known, 1)) == 1


async def test_it_is_written_whenever_it_changed(tmp_path: Path) -> None:
    known, path = Known(), tmp_path / "gateway" / "alarms.json"
    task = asyncio.create_task(keep_remembered(known, path))
    (opened,) = ids(known, 1, int(time.time() * 1000))
    await until(lambda: path.exists() and opened in path.read_text())
    task.cancel()
