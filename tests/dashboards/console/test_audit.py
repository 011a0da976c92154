"""The audit log: append-only, and what is done to it shows."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console.audit import Audit, entries, verify


def written(path: Path, count: int = 6) -> list[bytes]:
    log = Audit(path)
    for n in range(count):
        log.write({"at_ms": n, "who": "сәуле", "did": "school.seen", "school": f"KZ-75-0000{n}"})
    return path.read_bytes().splitlines(keepends=True)


def test_what_was_written_is_a_whole_chain_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "a" / "audit.jsonl"
    written(path)
    count, head, broken = verify(path)
    assert (count, broken) == (6, None)
    found = entries(path, limit=2)
    assert [e["n"] for e in found] == [6, 5]
    assert found[0]["hash"] == head
    assert [e["n"] for e in entries(path, limit=2, before=5)] == [4, 3]


def changed(lines: list[bytes], at: int, how: str) -> list[bytes]:
    entry = json.loads(lines[at])
    if how == "removed":
        return [*lines[:at], *lines[at + 1 :]]
    if how == "doubled":
        return [*lines[: at + 1], lines[at], *lines[at + 1 :]]
    if how == "swapped":
        return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
    entry["who"] = "nobody"
    return [*lines[:at], json.dumps(entry).encode() + b"\n", *lines[at + 1 :]]


@given(st.integers(0, 4), st.sampled_from(["removed", "doubled", "swapped", "edited"]))
def test_any_line_that_is_touched_breaks_the_chain_there(
    tmp_path_factory: pytest.TempPathFactory, at: int, how: str
) -> None:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    lines = changed(written(path), at, how)
    path.write_bytes(b"".join(lines))
    _, _, broken = verify(path)
    assert broken is not None
    assert broken.line in (at + 1, at + 2)


def test_a_cut_end_shows_against_a_noted_hash(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = written(path)
    noted = json.loads(lines[-1])["hash"]
    assert verify(path, noted)[2] is None
    path.write_bytes(b"".join(lines[:-1]))
    assert verify(path)[2] is None
    broken = verify(path, noted)[2]
    assert broken is not None
    assert "lines are missing" in broken.what


def test_what_a_crash_tore_off_goes_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = written(path)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    Audit(path).write({"did": "after"})
    count, _, broken = verify(path)
    assert (count, broken) == (6, None)
    assert entries(path, 1)[0]["did"] == "after"


def test_many_writers_of_one_file_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    logs = [Audit(path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: logs[n % 4].write({"i": n}), range(80)))
    assert verify(path)[0] == 80
    assert verify(path)[2] is None
    assert sorted(e["i"] for e in entries(path, 100)) == list(range(80))


def test_what_a_full_disk_refuses_waits_and_is_written_later_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    log = Audit(path)
    log.write({"i": 0})

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        for i in (1, 2):
            with pytest.raises(OSError, match="No space"):
                log.write({"i": i})
    assert log.waiting == 2
    log.write({"i": 3})
    assert [e["i"] for e in reversed(entries(path, 10))] == [0, 1, 2, 3]
    assert verify(path)[2] is None
