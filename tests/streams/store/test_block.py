import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtest.simulator.encode import Encoder
from loadtest.simulator.encode import Record as Written
from loadtest.simulator.garbage import CASES
from schemas.alerts import Action, AlertChanged, AlertKind, Reason, Severity
from schemas.topics import (
    ALERTS,
    BY_NAME,
    DAY_MS,
    EVENT_TOPICS,
    FACILITIES,
    HEARTBEATS,
    PANICS,
    PASSES,
    STATUS,
    STEPS,
    Topic,
)
from streams.store.block import Block, form
from streams.store.rows import TABLE_OF
from streams.store.seen import Seen
from tests.loadtest.streams import START_MS
from tests.streams.store.written import KNOWN, Record, encoder, in_kafka, turnstile

MIDNIGHT_MS = START_MS - START_MS % DAY_MS + DAY_MS


def formed(topic: str, records: Sequence[Record], seen: Seen | None = None) -> Block:
    return form(BY_NAME[topic], 3, records, seen or Seen(0), KNOWN.__contains__)


def reasons(block: Block) -> list[Reason]:
    return [letter.reason for letter, _, _ in block.letters]


def everything(writer: Encoder) -> list[Written]:
    gate = turnstile(writer)
    return [record for case, _ in CASES.values() for record in case(writer, gate, START_MS)]


def as_lists(block: Block) -> list[list[object]]:
    return [list(column) for column in block.columns]


@pytest.mark.parametrize("topic", [PASSES.name, HEARTBEATS.name])
def test_the_same_records_make_the_same_block(topic: str) -> None:
    records = in_kafka(everything(encoder()), first=500)
    one, again = formed(topic, records), formed(topic, records)
    assert one.offsets and one.letters
    assert (as_lists(one), one.letters) == (as_lists(again), again.letters)
    assert one.fingerprint() == again.fingerprint()


@pytest.mark.parametrize("topic", EVENT_TOPICS, ids=lambda topic: topic.name)
def test_each_record_is_a_row_or_a_dead_letter(topic: Topic) -> None:
    records = in_kafka(everything(encoder()), first=500)
    block = formed(topic.name, records)
    told = block.offsets + [letter.offset for letter, _, _ in block.letters]
    assert sorted(told) == [record.offset for record in records]
    assert block.offsets == sorted(block.offsets)


@pytest.mark.parametrize(
    "topic", [*EVENT_TOPICS, ALERTS, STATUS, STEPS], ids=lambda topic: topic.name
)
def test_canaries_are_counted_and_are_neither_rows_nor_dead_letters(topic: Topic) -> None:
    records = [
        replace(record, key=b"KZ-00-90003") for record in in_kafka(everything(encoder()), first=500)
    ]
    block = formed(topic.name, records)
    assert (block.offsets, block.letters) == ([], [])
    assert block.canaries == len(records)


def test_a_press_is_a_duplicate_by_its_id_alone() -> None:
    """A button that lost its counter presses again: that is another press."""
    writer = encoder()
    gate = turnstile(writer)
    press = writer.other("panic.pressed", gate, START_MS, {})
    writer.fleet.seqs[gate] -= 1
    same_sequence = writer.other("panic.pressed", gate, START_MS, {})
    same_id = (*press[:2], json.dumps({**json.loads(press[2]), "seq": 99}).encode(), press[3])
    block = formed(PANICS.name, in_kafka([press, same_sequence, same_id]))
    assert block.offsets == [0, 1]
    assert reasons(block) == [Reason.DUPLICATE]


def test_a_sequence_that_restarts_under_a_new_boot_is_no_duplicate() -> None:
    writer = encoder()
    gate = turnstile(writer)
    before = [writer.passed(gate, START_MS, "in", n) for n in range(5)]
    writer.fleet.reboot(gate)
    after = [writer.passed(gate, START_MS, "in", n) for n in range(5)]
    block = formed(PASSES.name, in_kafka(before + after + before))
    assert block.offsets == list(range(10))
    assert reasons(block) == [Reason.DUPLICATE] * 5


def test_a_rejected_record_does_not_take_its_sequence() -> None:
    """Else a spoilt copy would make a duplicate of the good one."""
    writer = encoder()
    good = writer.passed(turnstile(writer), START_MS, "in", 1)
    elsewhere = (good[0], b"KZ-99-99999", good[2], good[3])
    block = formed(PASSES.name, in_kafka([elsewhere, good]))
    assert block.offsets == [1]
    assert reasons(block) == [Reason.WRONG_KEY]


def test_what_earlier_blocks_stored_is_a_duplicate() -> None:
    writer, seen = encoder(), Seen(0)
    passes = [writer.passed(turnstile(writer), START_MS, "in", n) for n in range(5)]
    assert len(formed(PASSES.name, in_kafka(passes), seen).offsets) == 5
    later = formed(PASSES.name, in_kafka(passes, first=100), seen)
    assert (later.offsets, reasons(later)) == ([], [Reason.DUPLICATE] * 5)


def test_a_block_across_midnight_keeps_its_rows() -> None:
    writer = encoder()
    passes = [writer.passed(turnstile(writer), MIDNIGHT_MS, "in", n) for n in range(6)]
    block = formed(PASSES.name, in_kafka(passes, kafka_ms=MIDNIGHT_MS - 3))
    assert block.columns[2] == [MIDNIGHT_MS + n for n in range(-3, 3)]
    assert {ms // DAY_MS for ms in block.columns[2]} == {
        MIDNIGHT_MS // DAY_MS - 1,
        MIDNIGHT_MS // DAY_MS,
    }


def test_our_own_notices_have_no_sequence() -> None:
    notice = AlertChanged(
        id="a",
        number=0,
        kind=AlertKind.PANIC,
        severity=Severity.PANIC,
        action=Action.OPENED,
        school="KZ-75-00001",
        time_ms=START_MS,
        decided_ms=START_MS,
    )
    written = (ALERTS.name, b"KZ-75-00001", notice.model_dump_json().encode(), "alert.changed")
    assert formed(ALERTS.name, in_kafka([written, written])).offsets == [0, 1]


@pytest.mark.parametrize(
    ("said", "stored"),
    [("0427-05-17", "1900-01-01"), ("2027-05-17", "2027-05-17"), ("4000-02-24", "2299-12-31")],
)
def test_a_contract_of_an_impossible_date_stays_long_past_or_far_off(
    said: str, stored: str
) -> None:
    writer = encoder()
    contract = {"number": "1", "company": "a", "expires_on": said}
    fields = {"turnstiles": 1, "panic_buttons": 1, "gateways": 1, "police_link": True}
    written = writer.other(
        "equipment.changed", turnstile(writer), START_MS, {**fields, "contract": contract}
    )
    columns = formed(FACILITIES.name, in_kafka([written])).columns
    at = TABLE_OF[FACILITIES.name].all_columns.index("contract_expires")
    assert [day.isoformat() for day in columns[at]] == [stored]
