"""What a file says counts from the next question on, and no disk keeps a press waiting."""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

import pytest

from streams.gateway import watched as module
from streams.gateway.accounts import Accounts, read_accounts
from streams.gateway.watched import Watched
from streams.keys import Device, Keys, add, changing, read_keys, revoke, write_keys

BUTTON = Device("KZ-75-00001", "button-1")


async def test_each_change_counts_at_the_first_question(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    watched: Watched[Keys] = Watched(path, read_keys, {})
    assert await watched.now() == {}
    for _ in range(20):
        with changing(path) as keys:
            write_keys(path, add(keys, BUTTON, 1)[0])
        assert BUTTON in await watched.now()
        with changing(path) as keys:
            write_keys(path, revoke(keys, BUTTON))
        assert await watched.now() == {}


async def test_accounts_count_at_the_first_question_too(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    watched: Watched[Accounts] = Watched(path, read_accounts, {})
    for number in ("1234", "5678"):
        account = {"school": BUTTON.school, "device": BUTTON.device, "addresses": ["10.0.0.1/32"]}
        path.write_text(json.dumps({number: account}))
        assert list(await watched.now()) == [number]


async def test_a_question_during_a_look_gets_a_look_of_its_own(tmp_path: Path) -> None:
    path, go, began = tmp_path / "file", threading.Event(), threading.Event()
    path.write_text("old")

    def slow(of: Path) -> str:
        said = of.read_text()
        began.set()
        go.wait(60)
        return said

    watched: Watched[str] = Watched(path, slow, "")
    first = asyncio.create_task(watched.now())
    await asyncio.to_thread(began.wait, 60)
    path.write_text("new one")
    second = asyncio.create_task(watched.now())
    go.set()
    await first
    assert await second == "new one"


async def test_a_broken_file_leaves_what_was_known(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, add({}, BUTTON, 1)[0])
    watched: Watched[Keys] = Watched(path, read_keys, {})
    assert BUTTON in await watched.now()
    path.write_text("{")
    os.utime(path, (1, 1))
    assert BUTTON in await watched.now()
    path.write_text(json.dumps({"devices": []}))
    assert await watched.now() == {}


async def test_a_disk_that_hangs_holds_one_question_for_a_moment_and_the_loop_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hang = tmp_path / "keys.json", threading.Event()
    write_keys(path, add({}, BUTTON, 1)[0])
    now_s = 0.0
    watched: Watched[Keys] = Watched(path, read_keys, {}, clock=lambda: now_s)
    assert BUTTON in await watched.now()
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    stat = Path.stat

    def hanging(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == path:
            hang.wait(120)
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", hanging)
    try:
        began_s = time.monotonic()
        assert BUTTON in await watched.now()
        assert time.monotonic() - began_s >= 0.05
        now_s = 1.0
        for _ in range(100):
            question = watched.now()
            with pytest.raises(StopIteration) as answered:
                question.send(None)  # it is answered without giving the loop away
            assert BUTTON in answered.value.value
    finally:
        hang.set()


async def test_many_at_once_share_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, looks = tmp_path / "file", 0
    path.write_text("x")
    watched: Watched[str] = Watched(path, Path.read_text, "")
    stat = Path.stat

    def counted(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        nonlocal looks
        looks += self == path
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", counted)
    assert set(await asyncio.gather(*(watched.now() for _ in range(500)))) == {"x"}
    assert looks <= 2


async def test_looks_start_no_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To start one holds the loop until it had the processor: 0.1 s where a flood has it."""
    path, started = tmp_path / "file", 0
    path.write_text("x")
    watched: Watched[str] = Watched(path, Path.read_text, "")
    assert await watched.now() == "x"
    start = threading.Thread.start

    def counted(self: threading.Thread) -> None:
        nonlocal started
        started += 1
        start(self)

    monkeypatch.setattr(threading.Thread, "start", counted)
    for _ in range(20):
        assert await watched.now() == "x"
    assert not started
