from collections import Counter

from aiokafka.partitioner import DefaultPartitioner

from loadtest.throughput.passes import Crowd, Passes, partition_of, registrations, school_id
from schemas.events import EVENT, Pass, SchoolRegistered

NOW_MS = 1_790_000_000_000
CROWD = Crowd(schools=50, devices=3, partitions=8, seed=7, boot=2)


def test_what_is_written_are_passes_with_the_key_of_their_school() -> None:
    for partition, key, value in Passes(CROWD).draw([NOW_MS] * 200):
        event = EVENT.validate_json(value)
        assert isinstance(event, Pass)
        assert key == event.school.encode()
        assert partition == partition_of(key, 8)


def test_every_device_numbers_its_passes_without_a_gap() -> None:
    passes = Passes(CROWD)
    drawn = [*passes.each_device_once(NOW_MS), *passes.draw([NOW_MS] * 2_000)]
    events = [EVENT.validate_json(value) for _, _, value in drawn]
    seqs: dict[tuple[str, str], list[int]] = {}
    for event in events:
        seqs.setdefault((event.school, event.device), []).append(event.seq)
    assert len(seqs) == 150
    assert all(found == list(range(len(found))) for found in seqs.values())
    assert len({event.id for event in events}) == len(events)


def test_the_same_seed_draws_the_same_passes() -> None:
    assert [*Passes(CROWD).draw([NOW_MS] * 50)] == [*Passes(CROWD).draw([NOW_MS] * 50)]


def test_a_recovered_school_sends_all_that_it_kept_back_out_of_order() -> None:
    recovered = Passes(CROWD).recovered(6, NOW_MS, span_ms=60_000)
    events = [EVENT.validate_json(value) for _, _, value in recovered]
    assert Counter(event.school for event in events) == {school_id(n): 6 for n in range(50)}
    of_one = [e.seq for e in events if (e.school, e.device) == (school_id(0), "turnstile-1")]
    assert sorted(of_one) == [0, 1]
    times = [event.time_ms for event in events]
    assert times != sorted(times)
    assert min(times) >= NOW_MS - 60_000
    assert max(times) < NOW_MS


def test_the_registry_knows_every_school_in_its_partition() -> None:
    found = [*registrations(CROWD, NOW_MS)]
    assert {key.decode() for _, key, _ in found} == {school_id(n) for n in range(50)}
    for partition, key, value in found:
        assert isinstance(EVENT.validate_json(value), SchoolRegistered)
        assert partition == partition_of(key, 8)


def test_partitions_are_those_of_kafka_s_own_clients() -> None:
    for number in range(100):
        key = school_id(number).encode()
        theirs = DefaultPartitioner()
        assert partition_of(key, 8) == theirs(key, list(range(8)), list(range(8)))
