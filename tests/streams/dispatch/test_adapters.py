"""The contract of every adapter: the same cases over each kind, against a far side on loopback."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from streams.dc09 import Frame, ack, duh, nak, parse
from streams.dispatch.adapters import ADAPTERS, adapter_of
from streams.dispatch.alarm import Adapter
from streams.dispatch.centers import AdapterKind, Center
from tests.streams.dispatch.stories import center
from tests.streams.dispatch.test_dc09 import alarm
from tests.streams.far import HTTP, NEVER_ENDS, Mood, Speech, authority, far

HASTY_S = 0.5
PATIENT_S = 60.0
KINDS: tuple[AdapterKind, ...] = get_args(AdapterKind)


def dc09_answer(write: Callable[[Frame], bytes]) -> Callable[[bytes], bytes]:
    def answer(raw: bytes) -> bytes:
        frame = parse(raw)
        assert isinstance(frame, Frame)
        return write(frame)

    return answer


DC09 = Speech(
    lambda reader: reader.readuntil(b"\r"),
    {
        "acknowledged": dc09_answer(lambda frame: ack(frame, time.time())),
        "refused": dc09_answer(duh),
        "later": dc09_answer(lambda frame: nak(time.time())),
        "redirected": lambda raw: (
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n\r\n"
        ),
    },
)


def speech_of(kind: AdapterKind) -> Speech:
    return DC09 if kind == "dc09" else HTTP


def center_at(
    kind: AdapterKind,
    port: int,
    tmp_path: Path,
    timeout_s: float = HASTY_S,
    *,
    scheme: str = "http",
) -> Center:
    key_file = tmp_path / "key"
    key_file.write_text("shared between us\n")
    more: dict[str, Any] = {"key_file": key_file} if kind == "webhook" else {}
    at = f"127.0.0.1:{port}"
    address = at if kind == "dc09" else f"{scheme}://{at}/alarms"
    return center("own", address, adapter=kind, ack_timeout_s=timeout_s, **more)


async def attempt(adapter: Adapter, what: str) -> tuple[bool, str]:
    """Whether it was taken, and the note. Raises TimeoutError when it does not end."""
    sending = adapter.send(alarm(), 0) if what == "alarm" else adapter.check(0)
    receipt = await asyncio.wait_for(sending, 2 * PATIENT_S)
    return receipt.taken, receipt.note


def test_the_dict_has_every_kind_that_a_center_may_name_and_no_other() -> None:
    assert set(ADAPTERS) == set(KINDS)
    assert [getattr(made, "kind", None) for made in ADAPTERS.values()] == list(ADAPTERS)


@pytest.mark.parametrize("kind", ["pigeon", "", "DC09", "Webhook", None])
def test_a_kind_that_is_unknown_is_refused_and_becomes_no_other(kind: Any, tmp_path: Path) -> None:
    known = center_at("webhook", 1, tmp_path)
    with pytest.raises(ValidationError):
        Center.model_validate(known.model_dump() | {"adapter": kind})
    with pytest.raises(KeyError):
        adapter_of(known.model_copy(update={"adapter": kind}))


@pytest.mark.parametrize("what", ["alarm", "link test"])
@pytest.mark.parametrize("mood", get_args(Mood))
@pytest.mark.parametrize("kind", KINDS)
async def test_only_an_acknowledgement_is_one_and_a_fault_ends_with_its_attempt(
    kind: AdapterKind, mood: Mood, what: str, tmp_path: Path
) -> None:
    async with far(speech_of(kind)) as there:
        timeout_s = HASTY_S if mood in NEVER_ENDS else PATIENT_S
        adapter = adapter_of(center_at(kind, there.port, tmp_path, timeout_s))
        there.mood = mood
        taken, note = await attempt(adapter, what)
        assert taken == (mood == "acknowledged"), note
        assert f"127.0.0.1:{there.port}" in note
        assert not any(b"/elsewhere" in request for request in there.requests)
        there.mood = "acknowledged"
        if mood in NEVER_ENDS:
            await adapter.close()
            adapter = adapter_of(center_at(kind, there.port, tmp_path, PATIENT_S))
        taken, note = await attempt(adapter, what)
        assert taken, note
        await adapter.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_there_is_a_failed_attempt(kind: AdapterKind, tmp_path: Path) -> None:
    async with far(speech_of(kind)) as there:
        port = there.port
    adapter = adapter_of(center_at(kind, port, tmp_path))
    assert not (await attempt(adapter, "alarm"))[0]
    await adapter.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_said_to_a_far_side_whose_certificate_nobody_vouches_for(
    kind: AdapterKind, scheme: str, tmp_path: Path
) -> None:
    """Nor is plaintext that a port with TLS hears an alarm that was taken."""
    _, context = authority(tmp_path)
    async with far(speech_of(kind), context) as there:
        adapter = adapter_of(center_at(kind, there.port, tmp_path, scheme=scheme))
        taken, note = await attempt(adapter, "alarm")
        assert not taken, note
        assert there.requests == []
        await adapter.close()


@pytest.mark.parametrize("key", [None, b"\xff\xfe not text"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_that_cannot_be_read_is_a_failed_attempt(
    kind: AdapterKind, key: bytes | None, tmp_path: Path
) -> None:
    async with far(speech_of(kind)) as there:
        at = center_at(kind, there.port, tmp_path)
        adapter = adapter_of(at.model_copy(update={"key_file": tmp_path / "own-key"}))
        if key is not None:
            (tmp_path / "own-key").write_bytes(key)
        assert not (await attempt(adapter, "alarm"))[0]
        await adapter.close()
