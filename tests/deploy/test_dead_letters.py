import json
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.dead_letters import (
    KEY_HEADER,
    LETTER_HEADER,
    Replay,
    find,
    kept,
    log_access,
    replay,
)
from deploy.origins import Origin, Selection
from schemas.alerts import DeadLetter, Reason
from schemas.settings import Settings
from schemas.topics import (
    DEAD_LETTERS,
    INCIDENTS,
    PASSES,
    REPLAY_OF_HEADER,
    WITHOUT_BYTES_HEADER,
)

OFFSETS = count(1000)
SCHOOL = b"KZ-75-00042"
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


def _letter(value: bytes | None, **changed: Any) -> DeadLetter:
    return DeadLetter.model_validate(
        {
            "topic": PASSES.name,
            "partition": 1,
            "offset": next(OFFSETS),
            "kafka_time_ms": int(time.time() * 1000),
            "reason": "invalid",
            "path": "/card",
            "sha256": sha256(value or b"").hexdigest(),
            "size_bytes": len(value or b""),
        }
        | changed
    )


Bury = Callable[..., Origin]


@pytest.fixture
def producer(settings: Settings) -> Any:
    producer = KafkaProducer(**settings.kafka.kafka_python_kwargs(), max_request_size=3_000_000)
    yield producer
    producer.close()


@pytest.fixture
def bury(producer: Any) -> Bury:
    """Write a dead letter as the processors do."""

    def write(value: bytes | None, key: bytes | None = SCHOOL, **changed: Any) -> Origin:
        letter = _letter(value, **changed)
        headers = [(LETTER_HEADER, letter.model_dump_json().encode())]
        if key is not None:
            headers.append((KEY_HEADER, key))
        origin = Origin.of(letter)
        producer.send(
            DEAD_LETTERS.name, value=value, key=str(origin).encode(), headers=headers
        ).get(60)
        return origin

    return write


def _of(*origins: Origin) -> Selection:
    return Selection(origins=frozenset(origins))


def _replay(settings: Settings, selection: Selection, send: bool = True) -> list[Replay]:
    return list(replay(settings, selection, send=send, limit=100, now=lambda: NOW))


def _record(settings: Settings, where: Origin | None) -> Any:
    """The record there, as another consumer sees it."""
    assert where is not None
    consumer = KafkaConsumer(**settings.kafka.kafka_python_kwargs(), group_id=None)
    partition = TopicPartition(where.topic, where.partition)
    consumer.assign([partition])
    consumer.seek(partition, where.offset)
    try:
        return consumer.poll(10_000, max_records=1)[partition][0]
    finally:
        consumer.close()


def _end(settings: Settings, topic: str, partition: int) -> int:
    consumer = KafkaConsumer(**settings.kafka.kafka_python_kwargs(), group_id=None)
    try:
        where = TopicPartition(topic, partition)
        end: int = consumer.end_offsets([where])[where]
        return end
    finally:
        consumer.close()


@pytest.mark.parametrize("ms", [None, 0, 1_790_000_000_000])
def test_an_origin_reads_as_it_is_written(ms: int | None) -> None:
    origin = Origin(PASSES.name, 3, 1742, ms)
    assert Origin.parse(str(origin)) == origin


@pytest.mark.parametrize("text", ["", "a/b", "a/b/c", "a/1/2/3", "a/1/", "a/1/2@", "a/1/2@x"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Origin.parse(text)


def test_a_selection_takes_what_fits_all_it_says() -> None:
    letter = _letter(b"x", kafka_time_ms=1000)
    assert Selection().takes(letter)
    assert Selection(frozenset({Reason.INVALID}), PASSES.name, 1000, frozenset()).takes(letter)
    assert not Selection(reasons=frozenset({Reason.NOT_JSON})).takes(letter)
    assert not Selection(topic=INCIDENTS.name).takes(letter)
    assert not Selection(since_ms=1001).takes(letter)
    assert not _of(Origin(PASSES.name, 0, 0)).takes(letter)


def test_a_letter_of_another_life_of_its_topic_has_an_origin_of_its_own() -> None:
    old, new = (_letter(b"x", offset=7, kafka_time_ms=ms) for ms in (1000, 2000))
    assert _of(Origin.of(old)).takes(old) and not _of(Origin.of(old)).takes(new)
    place = Origin(PASSES.name, 1, 7)
    assert _of(place).takes(old) and _of(place).takes(new)


@pytest.mark.broker
def test_letters_of_two_lives_of_a_topic_are_both_kept_and_replayed(
    settings: Settings, bury: Bury
) -> None:
    offset = next(OFFSETS)
    now_ms = int(time.time() * 1000)
    first = bury(b"of the old", offset=offset, kafka_time_ms=now_ms - 9)
    assert [one.outcome for one in _replay(settings, _of(first))] == ["sent"]
    second = bury(b"of the new", offset=offset, kafka_time_ms=now_ms)
    place = Origin(first.topic, first.partition, offset)
    assert [one.value for one in kept(settings.kafka, _of(place))] == [b"of the old", b"of the new"]
    assert [one.outcome for one in _replay(settings, _of(place))] == ["replayed before", "sent"]
    assert find(settings, second) is not None


@pytest.mark.broker
def test_bytes_that_are_too_many_for_a_letter_come_from_where_it_came(
    settings: Settings, producer: Any
) -> None:
    value = b"x" * 2_000_000
    came = producer.send(PASSES.name, value=value, key=SCHOOL, partition=1).get(60)
    for offset, outcome in ((came.offset, "sent"), (came.offset + 10_000, "bytes gone")):
        letter = _letter(value, offset=offset)
        headers = [
            (LETTER_HEADER, letter.model_dump_json().encode()),
            (WITHOUT_BYTES_HEADER, b"1"),
            (KEY_HEADER, SCHOOL),
        ]
        origin = Origin.of(letter)
        producer.send(DEAD_LETTERS.name, key=str(origin).encode(), headers=headers).get(60)
        found = find(settings, origin)
        assert found is not None
        assert (found.value == value, found.is_genuine) == ((outcome == "sent"),) * 2
        [one] = _replay(settings, _of(origin))
        assert one.outcome == outcome
        if outcome == "sent":
            assert _record(settings, one.sent_as).value == value


def test_a_look_is_logged_in_a_private_file(tmp_path: Path) -> None:
    letter = _letter(b"x")
    log_access(tmp_path, "show", letter, NOW)
    log_access(tmp_path, "replay", letter, NOW)
    path = tmp_path / "log" / "dlq-access.jsonl"
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first["origin"] == str(Origin.of(letter))
    assert first["time"] == "2026-01-31T08:00:00.000+00:00"
    assert first["user"]
    assert (first["action"], second["action"]) == ("show", "replay")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_user_is_not_who_a_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    log_access(tmp_path, "show", _letter(b"x"), NOW)
    assert "somebody-else" not in (tmp_path / "log" / "dlq-access.jsonl").read_text()


@pytest.mark.broker
def test_it_finds_the_original_bytes(settings: Settings, bury: Bury) -> None:
    bury(b"another")
    origin = bury(b'{"type": "pass"\xff', b"key \x00")
    found = find(settings, origin)
    assert found is not None
    assert (found.value, found.key) == (b'{"type": "pass"\xff', b"key \x00")
    assert found.is_genuine
    assert find(settings, Origin(PASSES.name, 0, 987654321)) is None


@pytest.mark.broker
def test_a_letter_written_twice_counts_once(settings: Settings, bury: Bury) -> None:
    origin = bury(b"twice")
    bury(b"twice", offset=origin.offset)
    assert len(list(kept(settings.kafka, _of(origin)))) == 1


@pytest.mark.broker
def test_what_is_no_letter_is_passed_over(settings: Settings, bury: Bury, producer: Any) -> None:
    for headers in ([], [(LETTER_HEADER, b"{}")], [(LETTER_HEADER, b"\xff")]):
        producer.send(DEAD_LETTERS.name, value=b"?", headers=headers).get(60)
    origin = bury(b"after those")
    found = find(settings, origin)
    assert found is not None and found.value == b"after those"


@pytest.mark.broker
def test_only_letters_since_then_are_read(settings: Settings, bury: Bury) -> None:
    bury(b"old", kafka_time_ms=1)
    since_ms = int(time.time() * 1000)
    origin = bury(b"new")
    letters = list(kept(settings.kafka, Selection(since_ms=since_ms)))
    assert [Origin.of(one.letter) for one in letters] == [origin]


@pytest.mark.broker
def test_a_rehearsal_sends_nothing(settings: Settings, bury: Bury) -> None:
    origin = bury(b"rehearsed")
    before = _end(settings, PASSES.name, 1)
    (one,) = _replay(settings, _of(origin), send=False)
    assert one.outcome == "would be sent"
    assert _end(settings, PASSES.name, 1) == before
    assert not (settings.var / "log" / "dlq-access.jsonl").exists()


@pytest.mark.broker
def test_a_replay_is_the_same_record_with_a_mark_and_happens_once(
    settings: Settings, bury: Bury
) -> None:
    origin = bury(b"bytes \xff as they came", b"key")
    (one,) = _replay(settings, _of(origin))
    assert one.outcome == "sent"
    record = _record(settings, one.sent_as)
    assert (record.topic, record.partition) == (PASSES.name, 1)
    assert (record.key, record.value) == (b"key", b"bytes \xff as they came")
    assert dict(record.headers) == {REPLAY_OF_HEADER: str(origin).encode()}
    assert '"replay"' in (settings.var / "log" / "dlq-access.jsonl").read_text()
    end = _end(settings, PASSES.name, 1)
    (again,) = _replay(settings, _of(origin))
    assert again.outcome == "replayed before"
    assert _end(settings, PASSES.name, 1) == end


@pytest.mark.broker
@pytest.mark.parametrize("value", [None, b"x" * 2_000_000], ids=["empty", "2 MB"])
def test_a_record_of_any_size_can_be_replayed(
    settings: Settings, bury: Bury, value: bytes | None
) -> None:
    (one,) = _replay(settings, _of(bury(value)))
    assert _record(settings, one.sent_as).value == value


@pytest.mark.broker
def test_a_letter_that_somebody_else_wrote_is_not_sent(settings: Settings, bury: Bury) -> None:
    forged = bury(b"x", sha256="0" * 64)
    elsewhere = bury(b"x", topic="__consumer_offsets")
    assert [one.outcome for one in _replay(settings, _of(forged, elsewhere))] == [
        *("not genuine", "not genuine"),
    ]


@pytest.mark.broker
def test_a_letter_without_its_key_stays_and_the_next_is_sent(
    settings: Settings, bury: Bury
) -> None:
    keyless, other = bury(b"?", None), bury(b"other")
    assert [one.outcome for one in _replay(settings, _of(keyless, other))] == [
        *("key unknown", "sent"),
    ]


@pytest.mark.broker
def test_a_record_that_had_no_key_gets_none(settings: Settings, bury: Bury) -> None:
    (one,) = _replay(settings, _of(bury(b"keyless", b"")))
    assert _record(settings, one.sent_as).key is None


@pytest.mark.broker
def test_only_so_many_are_replayed(settings: Settings, bury: Bury) -> None:
    wanted = _of(*(bury(b"many") for _ in range(3)))
    done = list(replay(settings, wanted, send=False, limit=2, now=lambda: NOW))
    assert len(done) == 2
