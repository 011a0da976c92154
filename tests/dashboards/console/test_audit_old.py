"""A log of before the months goes into the chain, without what people wrote."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dashboards.console import audit
from dashboards.console.audit import entries, months, old_log
from dashboards.console.audit_check import verify
from tests.dashboards.console.test_audit import NOTE, NOVEMBER_MS, log_in, seen, written


def old(path: Path, said: list[dict[str, Any]]) -> list[bytes]:
    """As version 1 wrote it: one file, an unkeyed chain, with what people wrote in it."""
    before, lines = "0" * 64, []
    for number, entry in enumerate(said, start=1):
        numbered = {"n": number, **entry}
        text = json.dumps(numbered, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        hash_ = hashlib.sha256(f"{before}|{text}".encode()).hexdigest()
        line = json.dumps({**numbered, "before": before, "hash": hash_}, ensure_ascii=False)
        lines.append(line.encode() + b"\n")
        before = hash_
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return lines


OLD: list[dict[str, Any]] = [
    {"at_ms": NOVEMBER_MS - 1, "who": "", "role": "", "from": "127.0.0.1", "did": "sign-in.refused",
     "login": "hunter2"},
    {"at_ms": NOVEMBER_MS, "who": "saule", "role": "supervisor", "from": "127.0.0.1",
     "did": "step", "took": "noted", "seen": 0, "note": NOTE, "alert": "a1", "kept": "kafka",
     "school": "KZ-75-00001"},
    {"at_ms": NOVEMBER_MS + 1, "who": "saule", "role": "supervisor", "did": "shift.offered",
     "offer": "o1", "note": NOTE, "alerts": ["a1", "a2"]},
    {"at_ms": NOVEMBER_MS + 2, "who": "saqshy:users:root", "did": "user.added", "login": "bolat",
     "role": "viewer", "places": ["*"]},
]  # fmt: skip


def test_an_old_log_goes_into_the_chain_without_what_people_wrote(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    lines = old(old_log(log.folder), OLD)
    log.write(seen(1, NOVEMBER_MS + 100))
    assert not old_log(log.folder).exists()
    text = "".join(path.read_text() for path in months(log.folder))
    assert "Алия" not in text and "hunter2" not in text
    said = list(reversed(entries(log.folder, 100)))
    assert [e["did"] for e in said] == [*(e["did"] for e in OLD), "log.converted", "school.seen"]
    assert [e["was"] for e in said[:4]] == [json.loads(line)["hash"] for line in lines]
    assert said[2]["alerts"] == ["a1", "a2"]
    assert said[3]["login"] == "bolat"
    # A head that was noted then is found now.
    noted = json.loads(lines[2])["hash"]
    assert verify(log, noted=noted).broken is None
    assert verify(log).count == 6


@pytest.mark.parametrize("after", range(6))
def test_a_conversion_that_a_crash_stopped_goes_on_where_it_was(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_in(tmp_path)
    old(old_log(log.folder), OLD)
    real, appended = audit._End.append, 0

    def crashing(end: Any, entry: dict[str, Any]) -> None:
        nonlocal appended
        if appended == after:
            raise OSError(28, "No space left on device")
        appended += 1
        real(end, entry)

    with monkeypatch.context() as patch:
        patch.setattr(audit._End, "append", crashing)
        with pytest.raises(OSError, match="No space"):
            log.write(seen(1, NOVEMBER_MS + 100))
    log.write(seen(2, NOVEMBER_MS + 100))
    did = [e["did"] for e in reversed(entries(log.folder, 100))]
    assert did == [*(e["did"] for e in OLD), "log.converted", "school.seen", "school.seen"]
    assert verify(log).broken is None
    assert not old_log(log.folder).exists()


def test_an_old_log_that_was_broken_says_so_for_good_and_is_kept_aside(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    lines = old(old_log(log.folder), OLD)
    lines[1] = lines[1].replace(b"saule", b"bolat")
    old_log(log.folder).write_bytes(b"".join(lines))
    log.write(seen(1, NOVEMBER_MS + 100))
    converted = entries(log.folder, 2)[1]
    assert (converted["did"], converted["line"], converted["entries"]) == ("log.converted", 2, 4)
    assert not old_log(log.folder).exists()
    assert old_log(log.folder).with_name("audit.broken.jsonl").exists()


def test_what_an_older_version_wrote_after_a_step_back_is_not_lost(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    written(log)
    old(old_log(log.folder), OLD)
    log.write(seen(1, NOVEMBER_MS + 100))
    assert verify(log).count == 6 + len(OLD) + 1 + 1
