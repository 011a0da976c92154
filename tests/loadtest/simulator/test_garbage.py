import json
from typing import Any

import pytest
from pydantic import ValidationError

from loadtest.simulator.encode import Encoder, Record
from loadtest.simulator.fleet import Fleet
from loadtest.simulator.garbage import CASES
from schemas.alerts import Reason
from schemas.events import EVENT
from schemas.topics import BY_NAME, DAY_MS
from tests.loadtest.streams import SCHOOLS, START_MS

KNOWN = {school.id for school in SCHOOLS}


def written(name: str) -> list[Record]:
    fleet = Fleet(SCHOOLS, START_MS)
    gate = next(first for first, count in fleet.turnstiles if count)
    return CASES[name][0](Encoder(fleet, 1), gate, START_MS)


def fails(value: bytes) -> bool:
    try:
        EVENT.validate_json(value)
    except ValidationError:
        return True
    return False


def is_so(reason: Reason, record: Record, before: list[Record]) -> bool:
    topic, key, value, _ = record
    if reason is Reason.EMPTY:
        return value == b""
    if reason is Reason.NOT_UTF8:
        with pytest.raises(UnicodeDecodeError):
            value.decode()
        return True
    if reason is Reason.NOT_JSON:
        with pytest.raises(json.JSONDecodeError):
            json.loads(value)
        return True
    if reason in (Reason.UNKNOWN_TYPE, Reason.INVALID):
        known = any(json.loads(value)["type"] in topic.types for topic in BY_NAME.values())
        return fails(value) and known == (reason is Reason.INVALID)
    event = EVENT.validate_json(value)
    same: dict[Reason, Any] = {
        Reason.WRONG_TOPIC: event.type not in BY_NAME[topic].types,
        Reason.UNKNOWN_SCHOOL: event.school not in KNOWN,
        Reason.WRONG_KEY: event.school.encode() != key,
        Reason.TOO_OLD: event.time_ms < START_MS - 90 * DAY_MS,
        Reason.IN_FUTURE: event.time_ms > START_MS + DAY_MS,
        Reason.TOO_LARGE: len(value) > 2 * 1024 * 1024,
        Reason.DUPLICATE: identity(record) in map(identity, before),
    }
    # Wrong in one way only, so that no order of checks can name another reason.
    return [r for r, wrong in same.items() if wrong] == [reason]


def identity(record: Record) -> tuple[Any, ...]:
    event = json.loads(record[2])
    return event["school"], event["device"], event["boot"], event["seq"]


@pytest.mark.parametrize("name", CASES)
def test_it_is_bad_in_the_way_that_it_says(name: str) -> None:
    sent = written(name)
    reason = CASES[name][1]
    dead = [record for record in sent if record[3].startswith("!")]
    assert [record[3] for record in dead] == ([f"!{reason.value}"] if reason else [])
    for n, record in enumerate(sent):
        if record in dead:
            assert reason is not None
            assert is_so(reason, record, sent[:n])
        else:
            assert not fails(record[2])


def test_it_covers_every_reason() -> None:
    # Kafka's time is the broker's: nobody can send a wrong one to topics that keep LogAppendTime.
    assert {reason for _, reason in CASES.values()} == {*Reason, None} - {Reason.KAFKA_TIME}


def test_a_reboot_restarts_the_sequence_under_a_new_boot() -> None:
    before, after = map(identity, written("rebooted"))
    assert before[3] == after[3] == 0
    assert before[2] != after[2]
