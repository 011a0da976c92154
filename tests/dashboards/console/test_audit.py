"""The audit log: append-only, and what is done to it shows."""

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console import audit
from dashboards.console.audit import (
    BEGINNING,
    BLOCK_BYTES,
    Audit,
    Entry,
    KeyGone,
    chained,
    entries,
    entry_of,
    months,
)
from dashboards.console.audit_check import Checker, verify

NOVEMBER_MS = 1_793_500_800_000  # 2026-11-01
MONTH_MS = 30 * 86_400_000
NOTE = "Алия А. из 7Б прячется в кабинете 12"


def log_in(folder: Path) -> Audit:
    return Audit(folder / "console" / "audit", folder / "secrets" / "audit-key")


def seen(n: int, at_ms: int = NOVEMBER_MS) -> Entry:
    return Entry(at_ms=at_ms + n, who="aigerim", did="school.seen", school=f"KZ-75-{n:05}")


def written(log: Audit, count: int = 6, over_months: int = 1) -> list[Path]:
    for month in range(over_months):
        for n in range(count):
            log.write(seen(n, NOVEMBER_MS + month * 31 * 86_400_000))
    return months(log.folder)


def test_what_was_written_is_a_whole_chain_newest_first(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    assert len(written(log, over_months=3)) == 3
    verdict = verify(log)
    assert (verdict.count, verdict.broken) == (18, None)
    assert log.head() == (18, verdict.head)
    found = entries(log.folder, limit=8)
    assert [e["n"] for e in found] == list(range(18, 10, -1))
    assert found[0]["hash"] == verdict.head
    assert [e["n"] for e in entries(log.folder, limit=2, before=8)] == [7, 6]
    assert entries(log.folder, limit=5, before=1) == []


def changed(lines: list[bytes], at: int, how: str) -> list[bytes]:
    entry = json.loads(lines[at])
    match how:
        case "removed":
            return [*lines[:at], *lines[at + 1 :]]
        case "doubled":
            return [*lines[: at + 1], lines[at], *lines[at + 1 :]]
        case "swapped":
            return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
        case "said again later":
            return [*lines, lines[at]]
    entry["who"] = "nobody"
    if how == "edited":
        return [*lines[:at], json.dumps(entry).encode() + b"\n", *lines[at + 1 :]]
    # Chained anew to the end, by somebody who has not the key.
    before, anew = entry["before"], []
    for line in [json.dumps(entry).encode(), *lines[at + 1 :]]:
        said = json.loads(line)
        del said["hash"], said["before"]
        hash_ = chained(b"a guess", before, said)
        anew.append(json.dumps({**said, "before": before, "hash": hash_}).encode() + b"\n")
        before = hash_
    return [*lines[:at], *anew]


HOW = ["removed", "doubled", "swapped", "edited", "chained anew", "said again later"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("month", [0, 1])
def test_any_line_that_is_touched_breaks_the_chain_there(
    tmp_path: Path, how: str, month: int
) -> None:
    for at in range(5):
        log = log_in(tmp_path / str(at))
        checker = Checker(log)
        files = written(log, over_months=2)
        assert checker.verify().broken is None
        path = files[month]
        path.write_bytes(b"".join(changed(path.read_bytes().splitlines(keepends=True), at, how)))
        broken = verify(log).broken
        assert broken is not None
        where = {"doubled": at + 2, "said again later": 7}.get(how, at + 1)
        assert (broken.file, broken.line) == (path.name, where)
        # Who looked before, who looks for the first time, and who has the seals.
        for looks in (checker, Checker(log)):
            assert looks.verify().broken == broken


@pytest.mark.parametrize("gone", [0, 1])
def test_a_month_that_is_gone_shows_and_so_does_one_in_the_place_of_another(
    tmp_path: Path, gone: int
) -> None:
    log = log_in(tmp_path)
    files = written(log, over_months=3)
    Checker(log).verify()
    kept = files[gone].read_bytes()
    files[gone].unlink()
    assert verify(log).broken is not None
    assert Checker(log).verify().broken is not None
    files[gone].write_bytes(files[gone + 1].read_bytes())
    files[gone + 1].write_bytes(kept)
    assert verify(log).broken is not None
    assert Checker(log).verify().broken is not None


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_a_cut_end_shows_against_kafka_and_against_a_noted_hash(tmp_path: Path, kept: int) -> None:
    log = log_in(tmp_path)
    [path] = written(log)
    number, head = log.head()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    assert verify(log).broken is None
    broken = verify(log, {number: head}).broken
    assert broken is not None
    assert f"{6 - kept} are missing" in broken.what
    noted = verify(log, noted=head).broken
    assert noted is not None
    assert "lines are missing" in noted.what


def test_who_has_the_key_and_writes_all_anew_is_found_out_by_kafka(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    [path] = written(log)
    checker = Checker(log)
    checker.verify()
    number, head = log.head()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    before, anew = BEGINNING, []
    for line in lines:
        said = {k: v for k, v in line.items() if k not in ("hash", "before")} | {"who": "bolat"}
        hash_ = chained(log.key(), before, said)
        anew.append(json.dumps({**said, "before": before, "hash": hash_}) + "\n")
        before = hash_
    path.write_text("".join(anew))
    assert verify(log).broken is None
    told = verify(log, {number: head}).broken
    assert told is not None
    assert "another hash" in told.what
    # Nor is the console that has seen it before taken in.
    again = checker.verify().broken
    assert again is not None
    assert "anew" in again.what


def test_an_older_copy_put_back_shows_against_kafka(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    written(log)
    shutil.copytree(log.folder, tmp_path / "copy")
    log.write(seen(7))
    heads = dict([log.head()])
    shutil.rmtree(log.folder)
    shutil.copytree(tmp_path / "copy", log.folder)
    assert verify(log).broken is None
    assert verify(log, heads).broken is not None


def test_a_month_that_is_over_is_judged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(tmp_path)
    written(log, over_months=3)
    assert Checker(log).verify().broken is None
    judged: list[str] = []
    real = chained

    def counting(key: bytes, before: str, entry: dict[str, Any]) -> str:
        judged.append(entry["school"])
        return real(key, before, entry)

    monkeypatch.setattr("dashboards.console.audit_check.chained", counting)
    checker = Checker(log)
    assert checker.verify().count == 18
    assert len(judged) == 6  # of the month that goes on
    log.write(seen(9, NOVEMBER_MS + 3 * MONTH_MS))
    assert checker.verify().count == 19
    assert judged[6:] == ["KZ-75-00009"]


def test_a_seal_is_believed_only_with_the_key_and_of_its_own_month(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    files = written(log, over_months=3)
    Checker(log).verify()
    seals = [path.with_suffix(".seal") for path in files[:2]]
    lines = files[0].read_bytes().splitlines(keepends=True)
    files[0].write_bytes(b"".join(changed(lines, 2, "edited")))
    forged = json.loads(seals[0].read_text())
    forged["sha256"] = hashlib.sha256(files[0].read_bytes()).hexdigest()
    for seal in (json.dumps(forged), seals[1].read_text(), "{", ""):
        seals[0].write_text(seal)
        assert Checker(log).verify().broken is not None


def test_what_a_crash_tore_off_goes_and_the_chain_goes_on(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    [path] = written(log)
    lines = path.read_bytes().splitlines(keepends=True)
    for torn in (lines[-1][:20], lines[-1][:-1], b"x" * (3 * BLOCK_BYTES)):
        path.write_bytes(b"".join(lines[:-1]) + torn)
        log.write(Entry(did="after"))
        verdict = verify(log)
        assert (verdict.count, verdict.broken) == (6, None)
        assert entries(log.folder, 1)[0]["did"] == "after"


def test_a_line_may_be_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    alerts = [f"{n:032x}" for n in range(5_000)]
    for n in range(3):
        log.write(Entry(did="shift.offered", alerts=alerts[n:]))
    assert verify(log).count == 3
    assert [len(e["alerts"]) for e in entries(log.folder, 9)] == [4_998, 4_999, 5_000]


@given(st.lists(st.integers(1, 400), max_size=12), st.integers(1, 50), st.binary(max_size=30))
def test_lines_are_read_from_the_end_whatever_their_length(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], block: int, torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("audit") / "2026-11.jsonl"
    said = [{"n": n, "x": "y" * length} for n, length in enumerate(lengths)]
    text = b"".join(json.dumps(one).encode() + b"\n" for one in said)
    path.write_bytes(text + torn.replace(b"\n", b""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "BLOCK_BYTES", block)
        assert list(audit.backwards(path)) == said[::-1]


def test_a_clock_that_goes_back_opens_no_month_again(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write(seen(1, NOVEMBER_MS + 2 * MONTH_MS))
    log.write(seen(2, NOVEMBER_MS))
    assert len(months(log.folder)) == 1
    assert verify(log).broken is None


def test_many_writers_of_one_log_make_one_chain(tmp_path: Path) -> None:
    logs = [log_in(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: logs[n % 4].write(Entry(did="x", number=n)), range(80)))
    assert verify(logs[0]).count == 80
    assert verify(logs[0]).broken is None
    assert sorted(e["number"] for e in entries(logs[0].folder, 100)) == list(range(80))


def test_what_a_full_disk_refuses_waits_and_is_written_later_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(tmp_path)
    log.write(Entry(did="x", number=0))

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        for n in (1, 2):
            with pytest.raises(OSError, match="No space"):
                log.write(Entry(did="x", number=n))
    assert log.waiting == 2
    log.write(Entry(did="x", number=3))
    assert [e["number"] for e in reversed(entries(log.folder, 10))] == [0, 1, 2, 3]
    assert verify(log).broken is None


def test_without_its_key_nothing_is_written_and_nothing_lost(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    written(log)
    key = log.key_file.read_text()
    assert log.key_file.stat().st_mode & 0o077 == 0
    log.key_file.unlink()
    with pytest.raises(KeyGone):
        log.write(seen(7))
    log.key_file.write_text(key)
    log.key_file.chmod(0o600)
    log.write(seen(8))
    assert verify(log).count == 8


def test_no_line_holds_what_somebody_wrote(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write(Entry(did="step", step="s" * 32), NOTE)
    log.write(*entry_of({"did": "panic.seen", "school": NOTE, "alert": "a1"}))
    text = months(log.folder)[0].read_text()
    assert "Алия" not in text and "\\u0410" not in text
    first, second = (json.loads(line) for line in text.splitlines())
    assert len(first["said"]) == len(second["said"]) == 64
    assert first["said"] == audit.keyed(log.key(), NOTE)
    assert first["said"] != audit.keyed(b"another", NOTE)
    with pytest.raises(KeyError):
        entry_of({"did": "step", "note": "x"})
