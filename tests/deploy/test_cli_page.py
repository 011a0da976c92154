"""`saqshy page test` against a channel that takes the page and one that does not."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.main import app
from tests.streams.paging.receiver import Receiver, private, receiver


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver on a thread of its own, as the command has its own loop."""
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Receiver] = []

    async def serve() -> None:
        async with receiver(tmp_path) as it:
            found.append(it)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(60)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def run(monkeypatch: pytest.MonkeyPatch, channels: Path | None, *arguments: str) -> tuple[int, str]:
    if channels is not None:
        monkeypatch.setenv("SAQSHY_NOTIFY__CHANNELS_FILE", str(channels))
    result = CliRunner().invoke(app, ["page", "test", *arguments])
    return result.exit_code, result.output


def test_it_says_of_each_channel_what_became_of_the_page(
    taken: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = taken.channel("refused", allow="[]")
    path = private(tmp_path / "channels.toml", taken.channel() + refused)
    code, output = run(monkeypatch, path, "--json")
    said = {one["channel"]: one for one in json.loads(output)["channels"]}
    assert code == 1
    assert said["hook"]["delivered"]
    assert not said["refused"]["delivered"]
    assert "allow_private" in said["refused"]["detail"]
    ((_, body),) = taken.requests
    assert json.loads(body)["alerts"][0]["kind"] == "test"


def test_one_channel_can_be_chosen(
    taken: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = private(tmp_path / "channels.toml", taken.channel() + taken.channel("second"))
    code, output = run(monkeypatch, path, "--channel", "second")
    assert code == 0
    assert "yes" in output
    assert len(taken.requests) == 1


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        (None, (), "No channels are configured"),
        ('[channels.a]\nkind = "log"\n', ("--channel", "b"), "There is no channel b"),
        ("[channels", (), "not TOML"),
    ],
)
def test_what_can_not_be_tried_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    path = None if text is None else private(tmp_path / "channels.toml", text)
    code, output = run(monkeypatch, path, *arguments)
    assert code == 1
    assert why in output
