"""The audit log's key may change: old lines stay readable, and an old key writes nothing any more."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.console.audit import Audit, Entry, _End, chained, keyed, months
from dashboards.console.audit_check import Checker, verify
from tests.dashboards.console.test_audit import MONTH_MS, NOVEMBER_MS, log_in, seen, written

ROTATED = Entry(did="audit.key-rotated", who="saqshy:cli:root", at_ms=NOVEMBER_MS + 50)


def rotated(folder: Path) -> Audit:
    """Two months with a change of the key in the midst of the second one."""
    log = log_in(folder)
    written(log, over_months=2)
    log.rotate(ROTATED.model_copy(update={"at_ms": NOVEMBER_MS + 31 * 86_400_000 + 50}))
    log.write(seen(8, NOVEMBER_MS + 31 * 86_400_000 + 60))
    return log


def test_all_is_whole_after_a_new_key_and_a_later_one(tmp_path: Path) -> None:
    log = rotated(tmp_path)
    assert len(set(log.keys())) == 2
    assert log.key_file.stat().st_mode & 0o077 == 0
    log.rotate(ROTATED)
    log.write(seen(9, NOVEMBER_MS + 2 * 31 * 86_400_000))
    assert len(months(log.folder)) == 3
    for verdict in (verify(log), Checker(log).verify()):
        assert (verdict.count, verdict.broken) == (16, None)
    # A checker that went on over the change says the same.
    checker = Checker(log)
    checker.verify()
    log.rotate(ROTATED.model_copy(update={"at_ms": NOVEMBER_MS + 3 * MONTH_MS}))
    log.write(seen(10, NOVEMBER_MS + 3 * MONTH_MS))
    assert checker.verify() == verify(log)
    assert checker.verify().count == 18


def with_key(log: Audit, key: bytes, *entries: Entry) -> None:
    """As somebody writes who has this key and the files."""
    end = _End(log.folder, key)
    for entry in entries:
        end.append(entry.told())
    end.close()


def test_an_old_key_adds_no_line(tmp_path: Path) -> None:
    log = rotated(tmp_path)
    checker = Checker(log)
    assert checker.verify().broken is None
    with_key(log, log.keys()[0], seen(66, NOVEMBER_MS + 31 * 86_400_000 + 70))
    for verdict in (checker.verify(), Checker(log).verify(), verify(log)):
        assert verdict.broken is not None
        assert (verdict.broken.file, verdict.broken.line) == (months(log.folder)[1].name, 9)


@given(st.integers(0, 11), st.booleans())
def test_an_old_key_changes_no_line_of_its_own_time(
    tmp_path_factory: pytest.TempPathFactory, line: int, forge_seal: bool
) -> None:
    """All that was written with it may be written anew; the first line of the new key then breaks."""
    log = rotated(tmp_path_factory.mktemp("log"))
    old = log.keys()[0]
    files = months(log.folder)
    Checker(log).verify()
    before, number = "0" * 64, 0
    for path in files:
        anew = []
        for raw in path.read_bytes().splitlines():
            entry = json.loads(raw)
            if number < 12:
                said = {k: v for k, v in entry.items() if k not in ("before", "hash")}
                said["who"] = "somebody" if number == line else said["who"]
                hash_ = chained(old, before, said)
                entry = {**said, "before": before, "hash": hash_}
                before = hash_
            number += 1
            anew.append(json.dumps(entry).encode() + b"\n")
        path.write_bytes(b"".join(anew))
    if forge_seal:
        forged = Audit(log.folder, log.key_file.with_name("old"))
        forged.key_file.write_text(old.hex())
        forged.key_file.chmod(0o600)
        files[0].with_suffix(".seal").unlink()
        Checker(forged).verify()
        assert files[0].with_suffix(".seal").exists()
    for verdict in (Checker(log).verify(), verify(log)):
        assert verdict.broken is not None
        # The first line of the new key: the seventh of the second month.
        assert (verdict.broken.file, verdict.broken.line) in (
            (files[1].name, 7),
            (files[0].name, 0),
        )


def test_a_seal_of_the_old_key_is_made_anew(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    files = written(log, over_months=2)
    Checker(log).verify()
    seal = files[0].with_suffix(".seal")
    before = seal.read_text()
    log.rotate(ROTATED.model_copy(update={"at_ms": NOVEMBER_MS + 31 * 86_400_000 + 50}))
    assert Checker(log).verify().broken is None
    assert seal.read_text() != before


def test_what_somebody_wrote_is_hashed_with_the_key_of_its_time(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.write(seen(1), "words")
    log.rotate(ROTATED)
    log.write(seen(60), "words")
    lines = [json.loads(raw) for raw in months(log.folder)[0].read_bytes().splitlines()]
    keys = log.keys()
    assert [lines[0]["said"], lines[2]["said"]] == [keyed(key, "words") for key in keys]


def test_a_crash_between_the_new_key_and_its_first_line_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(tmp_path)
    written(log)
    with monkeypatch.context() as patch:
        patch.setattr(Audit, "write", lambda *_: None)
        log.rotate(ROTATED)
    assert verify(log).broken is None
    log.write(seen(7))
    assert (verify(log).count, verify(log).broken) == (7, None)


def test_a_file_without_a_key_is_none(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    written(log)
    log.key_file.write_text("\n")
    with pytest.raises(OSError, match="key is gone"):
        log.write(seen(7))
