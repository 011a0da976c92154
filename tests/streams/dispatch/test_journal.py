"""What dispatch keeps on disk before it does anything."""

from pathlib import Path

from schemas.life import Stamped
from schemas.steps import StepTaken, Took
from streams.dispatch.journal import JUMP, KEPT_MS, LAST_SEQ, Journal
from streams.dispatch.school_address import address_of
from tests.streams.dispatch.stories import SCHOOL, T0, pressed, registered
from tests.streams.dispatch.test_dc09 import alarm


def taken(id_: str, at_ms: int = T0) -> Stamped:
    step = StepTaken(
        id=id_, alert="a", school=SCHOOL, took=Took.SENT, actor="saqshy:dispatch", time_ms=at_ms
    )
    return Stamped(at_ms, 0, step)


async def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.db")
    journal.open(T0)
    seq = journal.next_seq("own/school")
    assert await journal.sending(alarm(seq=seq), "own/school", taken("step-0001"))
    await journal.took(taken("step-0002", T0 + 1))
    await journal.published(["step-0001"])
    await journal.told(pressed())
    await journal.schools([address_of(registered())])
    await journal.close()
    again = Journal(tmp_path / "new" / "journal.db")
    kept = again.open(T0)
    assert kept.alarms == {"m": alarm(seq=seq)}
    assert [s.step.id for s in kept.steps] == ["step-0001", "step-0002"]
    assert [s.id for s in kept.pending] == ["step-0002"]
    assert kept.told == [pressed()]
    assert kept.schools[SCHOOL] == address_of(registered())
    assert (again.next_seq("own/school") - seq) % LAST_SEQ == JUMP + 1
    await again.close()


async def test_sequence_numbers_go_round(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.open(T0)
    numbers = [journal.next_seq("own/a") for _ in range(LAST_SEQ + 1)]
    assert sorted(numbers[:-1]) == list(range(1, LAST_SEQ + 1))
    assert numbers[-1] == numbers[0]
    await journal.close()


async def test_what_is_old_is_forgotten_but_not_what_kafka_lacks(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.open(T0)
    await journal.took(taken("step-0001"))
    await journal.took(taken("step-0002"))
    await journal.published(["step-0001"])
    await journal.close()
    again = Journal(tmp_path / "journal.db")
    assert [s.step.id for s in again.open(T0 + KEPT_MS + 1).steps] == ["step-0002"]
    await again.close()


async def test_a_disk_that_fails_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal.db")
    journal.open(T0)
    assert not await journal.took(taken("step-0001"))
    assert (journal.working, journal.failures) == (False, 1)
    await journal.close()


async def test_a_file_that_is_no_journal_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"garbage" * 1000)
    journal = Journal(tmp_path / "journal.db")
    assert journal.open(T0).steps == []
    assert await journal.took(taken("step-0001"))
    await journal.close()
    assert [p.read_bytes()[:7] for p in tmp_path.glob("*.bad-*")] == [b"garbage"]


async def test_a_journal_that_kept_whole_records_is_understood(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.open(T0)
    await journal.schools([registered()])  # type: ignore[list-item]  # as it was until 2026-11-25
    await journal.close()
    assert Journal(tmp_path / "journal.db").open(T0).schools == {SCHOOL: address_of(registered())}
