import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.journal import Journal
from streams.gateway.keeper import Keeper


def reopened(path: Path) -> Journal:
    journal = Journal.opened(path)
    journal.close()
    return journal


def test_what_was_kept_is_there_after_a_crash_in_its_order(tmp_path: Path) -> None:
    journal = Journal.opened(tmp_path / "j")
    journal.append([b"one", b"two"])
    journal.append([b"three"])
    journal.done([2])
    assert list(reopened(tmp_path / "j").pending.items()) == [(1, b"one"), (3, b"three")]


def test_a_number_is_never_given_twice_while_any_is_pending(tmp_path: Path) -> None:
    Journal.opened(tmp_path / "j").append([b"one", b"two"])
    assert Journal.opened(tmp_path / "j").append([b"three"]) == [3]


def test_the_file_starts_anew_when_kafka_has_everything(tmp_path: Path) -> None:
    journal = Journal.opened(tmp_path / "j")
    numbers = journal.append([b"one", b"two"])
    journal.done(numbers)
    assert (tmp_path / "j").stat().st_size == 0
    journal.append([b"three"])
    assert list(reopened(tmp_path / "j").pending.values()) == [b"three"]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_torn_tail_loses_what_was_being_written_and_nothing_before(
    tmp_path_factory: object, payloads: list[bytes], data: st.DataObject
) -> None:
    path = Path(tmp_path_factory.mktemp("torn")) / "j"  # type: ignore[attr-defined]
    journal = Journal.opened(path)
    ends = []
    for payload in payloads:
        journal.append([payload])
        ends.append(path.stat().st_size)
    cut = data.draw(st.integers(0, ends[-1]))
    os.truncate(path, cut)
    whole = sum(end <= cut for end in ends)
    torn = Journal.opened(path)
    assert list(torn.pending.values()) == payloads[:whole]
    torn.append([b"after"])
    assert list(reopened(path).pending.values()) == [*payloads[:whole], b"after"]


@given(st.binary(max_size=200))
def test_a_file_of_anything_is_opened(tmp_path_factory: object, noise: bytes) -> None:
    path = Path(tmp_path_factory.mktemp("noise")) / "j"  # type: ignore[attr-defined]
    path.write_bytes(noise)
    journal = Journal.opened(path)
    journal.append([b"press"])
    assert list(reopened(path).pending.values())[-1:] == [b"press"]


FULL = """
import resource, sys
from pathlib import Path
from streams.gateway.journal import Journal
journal = Journal.opened(Path(sys.argv[1]))
journal.append([b"before"])
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
try:
    journal.append([b"x" * 100])
except OSError as error:
    print("refused", error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append([b"after"])
"""


def test_a_full_disk_refuses_whole_entries_and_takes_the_next_when_there_is_room(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "j")], capture_output=True, text=True
    )
    assert done.stdout.startswith("refused"), done.stderr
    assert list(reopened(tmp_path / "j").pending.values()) == [b"before", b"after"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 40


async def test_presses_that_wait_share_an_fsync_and_each_has_its_number(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "j")
    assert await keeper.open() == {}
    numbers = await asyncio.gather(*(keeper.keep(b"%d" % n) for n in range(50)))
    assert sorted(numbers) == list(range(1, 51))
    for number in numbers[:49]:
        keeper.done(number)
    await keeper.close()
    assert list(reopened(tmp_path / "j").pending.values()) == [b"49"]
