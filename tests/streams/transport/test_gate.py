"""The gate's promises hold after any course of events."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.transport.gate import Gate

PARTITIONS = st.integers(0, 1)


class GateCourse(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.gate: Gate[int] = Gate()
        self.generations = 0
        self.ours: set[int] = set()
        self.prepared: set[int] = set()
        self.out: dict[int, int] = {}

    @rule(partitions=st.sets(PARTITIONS))
    def assign(self, partitions: set[int]) -> None:
        self.generations += 1
        self.gate.assign(partitions, self.generations)
        self.ours, self.prepared = partitions, set()

    @rule()
    def close(self) -> None:
        self.gate.close()
        self.prepared = set()

    @rule()
    def revoke(self) -> None:
        self.gate.revoke()
        self.ours, self.prepared = set(), set()

    @rule(partition=PARTITIONS, late=st.booleans())
    def open(self, partition: int, late: bool) -> None:
        opened = self.gate.open(partition, self.generations - late)
        assert opened == (partition in self.ours and not late)
        if opened:
            self.prepared.add(partition)

    @precondition(lambda self: any(True for _ in self.gate.idle()))
    @rule(data=st.data())
    def hand_out(self, data: st.DataObject) -> None:
        partition = data.draw(st.sampled_from(sorted(self.gate.idle())))
        self.gate.hand_out(partition, self.generations)
        self.out[partition] = self.generations

    @rule(partition=PARTITIONS)
    def release(self, partition: int) -> None:
        self.gate.release(partition)
        self.out.pop(partition, None)

    @rule(partition=PARTITIONS)
    def a_second_batch_is_refused(self, partition: int) -> None:
        if partition in self.out or partition not in self.prepared:
            with pytest.raises(ValueError, match="isn't idle"):
                self.gate.hand_out(partition, 0)

    @invariant()
    def only_prepared_partitions_without_a_batch_out_are_idle(self) -> None:
        assert set(self.gate.idle()) == self.prepared - self.out.keys()

    @invariant()
    def only_the_present_generation_holds_its_partitions(self) -> None:
        for partition in range(2):
            held = self.gate.holds(partition, self.generations)
            assert held == (partition in self.ours)
            assert not self.gate.holds(partition, self.generations - 1)

    @invariant()
    def all_is_open_when_all_of_ours_is_prepared(self) -> None:
        in_group = self.gate.generation >= 0
        assert self.gate.all_open() == (in_group and self.prepared >= self.ours)

    @invariant()
    def what_is_out_survives_generations(self) -> None:
        assert {p: self.gate.in_flight_from(p) for p in range(2)} == {
            p: self.out.get(p) for p in range(2)
        }


TestGate = GateCourse.TestCase
