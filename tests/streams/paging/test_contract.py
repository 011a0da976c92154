"""The contract of every channel: the same cases over each kind, against a far side on loopback."""

import asyncio
import ssl
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar, Literal, get_args

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from deploy.cli.main import app
from deploy.embedded.ports import free_port
from schemas.settings import KafkaSettings, NotifySettings, Settings, WorkerSettings
from streams.notify.process import Notifier
from streams.paging import people
from streams.paging.channel import Channel
from streams.paging.channels import KINDS, load_channels
from streams.paging.files import Unusable
from streams.paging.page import Page
from streams.paging.retry import NotDelivered
from tests.streams.far import HTTP, NEVER_ENDS, Far, Mood, authority, far
from tests.streams.notify.test_process import press, until
from tests.streams.paging.receiver import SECRET, private
from tests.streams.paging.test_channels import BASE, said

HASTY_S = 1.5
PATIENT_S = 60.0
PATH = "s3cr3t-path"
_WEB = 'url = "https://localhost:{port}/' + PATH + '"\nallow_private = ["127.0.0.0/8"]\n'
_WEB += 'ca_file = "{ca}"\ntimeout_s = {timeout_s}\n'
FILES = {
    "webhook": _WEB + f'secret = "{SECRET}"\n',
    "alertmanager": _WEB,
    "apprise": f'url = "json://127.0.0.1:{{port}}/{PATH}"\nlanguage = "en"\n',
}
NOBODY = {"log"}
"""Kinds with no far side."""
REFUSALS = {"refused", "redirected"}
"""What the same message would get again: it is not tried again."""


def channel_at(
    kind: str, there: Far, folder: Path, ca_file: Path, timeout_s: float = HASTY_S, **other: str
) -> Channel:
    file = FILES[kind].format(port=there.port, ca=ca_file, timeout_s=timeout_s)
    text = f'[channels.it]\nkind = "{kind}"\n{file}'
    for old, new in other.items():
        text = text.replace(f"{old}://", f"{new}://")
    (it,) = load_channels(private(folder / "channels.toml", text)).values()
    return it


async def attempt(it: Channel) -> NotDelivered | None:
    """Raises TimeoutError when it does not end."""
    try:
        async with asyncio.timeout(2 * PATIENT_S):
            await it.deliver(said(), BASE, receiver=it.receivers()[0])
    except NotDelivered as why:
        return why
    return None


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "WITHIN_S", HASTY_S)


def server_side(kind: str, folder: Path) -> tuple[Path, ssl.SSLContext | None]:
    """apprise knows no authority of ours: it is spoken to in clear, on loopback."""
    ca_file, context = authority(folder)
    return ca_file, None if kind == "apprise" else context


def test_every_kind_has_its_cases_here() -> None:
    assert set(FILES) | NOBODY == set(KINDS)
    assert [it.model_fields["kind"].annotation for it in KINDS.values()] == [
        Literal[kind] for kind in KINDS
    ]


@pytest.mark.parametrize("mood", get_args(Mood))
@pytest.mark.parametrize("kind", FILES)
async def test_only_an_acknowledgement_is_one_and_a_refusal_is_told_from_a_failure(
    kind: str, mood: Mood, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_file, context = server_side(kind, tmp_path)
    timeout_s = HASTY_S if mood in NEVER_ENDS else PATIENT_S
    async with far(HTTP, context) as there:
        it = channel_at(kind, there, tmp_path, ca_file, timeout_s)
        there.mood = mood
        monkeypatch.setattr(people, "WITHIN_S", timeout_s)
        why = await attempt(it)
        assert (why is None) == (mood == "acknowledged")
        if why is not None:
            assert why.final == (mood in REFUSALS)
            logged = "".join(traceback.format_exception(why))
            assert PATH not in logged and SECRET not in logged
        assert not any(b"/elsewhere" in request for request in there.requests)
        there.mood = "acknowledged"
        if mood in NEVER_ENDS:
            monkeypatch.setattr(people, "WITHIN_S", PATIENT_S)
            it = channel_at(kind, there, tmp_path, ca_file, PATIENT_S)
        assert await attempt(it) is None


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", FILES)
async def test_nobody_there_is_tried_again(kind: str, tmp_path: Path) -> None:
    ca_file, context = server_side(kind, tmp_path)
    async with far(HTTP, context) as there:
        it = channel_at(kind, there, tmp_path, ca_file)
    why = await attempt(it)
    assert why is not None and not why.final
    assert PATH not in str(why)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("kind", FILES)
async def test_nothing_is_said_to_a_far_side_whose_certificate_nobody_vouches_for(
    kind: str, tmp_path: Path
) -> None:
    _, context = authority(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = authority(tmp_path / "other")
    async with far(HTTP, context) as there:
        why = await attempt(channel_at(kind, there, tmp_path, other, json="jsons"))
        assert why is not None and not why.final
        assert there.requests == []


async def test_who_has_no_channel_is_told_so_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await attempt(load_channels(None)["log"]) is None
    said = capsys.readouterr()  # which of the two, says whoever configured the logs
    assert "nobody is paged" in said.out + said.err


class Pigeon(Channel):
    """A kind of channel that the tree does not know."""

    kind: Literal["pigeon"] = "pigeon"
    flown: ClassVar[list[tuple[str, Page]]] = []
    loft: str

    async def deliver(
        self, said: Page, base: str, over: Collection[str] = frozenset(), receiver: str = ""
    ) -> None:
        self.flown.append((self.loft, said))


PIGEONS = '[channels.roof]\nkind = "pigeon"\nloft = "school 42"\n'


def test_a_kind_that_is_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="kind"):
        load_channels(private(tmp_path / "channels.toml", PIGEONS))


@pytest.fixture
def pigeons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, "pigeon", Pigeon)
    monkeypatch.setattr(Pigeon, "flown", [])
    return private(tmp_path / "channels.toml", PIGEONS)


async def test_a_kind_from_outside_needs_its_class_and_one_entry(
    pigeons: Path, tmp_path: Path
) -> None:
    """A panic is told directly, and the notifier has it delivered by a kind that it never saw."""
    settings = Settings(
        var=tmp_path,
        kafka=KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}"),
        worker=WorkerSettings(health_port=0),
        notify=NotifySettings(channels_file=pigeons),
    )
    notifier = Notifier(settings)
    running = asyncio.create_task(notifier.run())
    panic = press(1)
    await notifier.direct(panic)
    await until(lambda: Pigeon.flown)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    ((loft, flown),) = Pigeon.flown
    assert (loft, [call.alert for call in flown.calls]) == ("school 42", [panic.id])


def test_a_kind_from_outside_is_tried_by_hand(
    pigeons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAQSHY_NOTIFY__CHANNELS_FILE", str(pigeons))
    result = CliRunner().invoke(app, ["page", "test", "--json"])
    ((_, flown),) = Pigeon.flown
    assert (result.exit_code, flown.calls[0].why) == (0, "test"), result.output


def test_a_kind_without_deliver_cannot_be_made() -> None:
    class Mute(Channel):
        kind: Literal["mute"] = "mute"

    with pytest.raises(TypeError, match="deliver"):
        Mute()  # type: ignore[abstract]
    with pytest.raises(ValidationError):
        Pigeon(loft="school 42", wings=2)  # type: ignore[call-arg]
