"""The console over HTTP, without its sources: what a browser is told and refused."""

import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from dashboards.console.access import EVERYBODY, Eyes
from dashboards.console.picture import KEPT_CHANGES, SHOWN_ALERTS, Picture
from dashboards.console.server import HEADERS, STATIC, console
from dashboards.console.stream import (
    BEAT_AFTER_CHANGE_S,
    FIRST_PANICS,
    LONGEST_WAITING,
    PANICS_AT_ONCE,
    Stream,
)
from dashboards.console.users import bearer
from schemas.alerts import Action, AlertKind
from schemas.settings import Settings
from schemas.steps import Took
from tests.dashboards.console.records import NOW_MS, SCHOOL, acted, alert

VENDOR = STATIC / "vendor"


@pytest.fixture
def client(tmp_path: Path) -> AsyncClient:
    """Without the application's lifespan, so that the sources are not followed."""
    transport = ASGITransport(console(Settings(var=tmp_path)))
    return AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8060", headers=bearer(tmp_path)
    )


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil"])
async def test_a_foreign_host_is_refused(client: AsyncClient, host: str) -> None:
    assert (await client.get("/api/snapshot", headers={"host": host})).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8060"])
async def test_this_host_is_served(client: AsyncClient, host: str) -> None:
    assert (await client.get("/api/snapshot", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/", "127.0.0.1"),
        ("/alarm/a1", "127.0.0.1"),
        ("/static/app.js", "127.0.0.1"),
        ("/api/snapshot", "127.0.0.1"),
        ("/metrics", "127.0.0.1"),
        ("/nothing", "127.0.0.1"),
        ("/", "evil.example"),
    ],
)
async def test_every_answer_has_the_security_headers(
    client: AsyncClient, path: str, host: str
) -> None:
    answer = await client.get(path, headers={"host": host})
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


async def test_the_page_needs_no_other_site(client: AsyncClient) -> None:
    assert "http://" not in HEADERS["content-security-policy"]
    assert "https://" not in HEADERS["content-security-policy"]
    page = (await client.get("/")).text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith(("/", "data:"))
        if address.startswith("/static/"):
            assert (await client.get(address)).status_code == 200, address


@pytest.mark.parametrize("id_", ["KZ-75-1", "kz-75-00001", "'; DROP TABLE x"])
async def test_what_is_no_school_s_id_is_refused_with_an_example(
    client: AsyncClient, id_: str
) -> None:
    answer = await client.get(f"/api/schools/{id_}")
    assert answer.status_code == 422
    assert answer.json()["error"] == "a school's id looks like KZ-75-00001"


async def test_an_unregistered_school_is_not_found_by_name(client: AsyncClient) -> None:
    answer = await client.get("/api/schools/KZ-99-99999")
    assert answer.status_code == 404
    assert answer.json()["error"] == "the registry has no school KZ-99-99999"


async def test_without_kafka_the_console_is_not_ready(client: AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False


async def test_the_static_files_end_at_their_folder(client: AsyncClient) -> None:
    assert (await client.get("/static/%2e%2e/server.py")).status_code == 404


async def test_metrics_say_how_old_each_source_is(client: AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    assert 'saqshy_console_source_age_seconds{source="kafka"}' in text
    assert "saqshy_console_open_alerts 0.0" in text


# The stream of events


Told = tuple[str, str, Any]
"""(id, name, data) of an event; the id empty where it has none."""


async def told_until_beat(events: AsyncIterator[str]) -> list[Told]:
    """What the stream says up to its next beat, parsed as a browser parses it."""
    found: list[Told] = []
    async for text in events:
        assert text.endswith("\n\n")
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        if "event" not in fields:
            continue
        found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        if fields["event"] == "beat":
            break
    return found


def stream_of(*ids: str) -> Stream:
    stream = Stream(Picture())
    for id_ in ids:
        stream.picture.alert(alert(id_), NOW_MS)
    return stream


async def test_a_new_browser_gets_a_snapshot_and_a_beat_under_the_last_number() -> None:
    stream = stream_of("a", "b")
    told = await told_until_beat(stream.events("", only_panics=False))
    assert [(id_, name) for id_, name, _ in told] == [
        ("", "snapshot"),
        (f"{stream.started_ms}-2", "beat"),
    ]
    assert {panic["id"] for panic in told[0][2]["panics"]} == {"a", "b"}


def shown(told: list[Told]) -> dict[str, Any]:
    """The panics as a page holds them: what comes later counts."""
    held: dict[str, Any] = {}
    for _, name, data in told:
        some = {"snapshot": lambda d: d["panics"], "panics": list}.get(name, lambda d: [d])(data)
        held |= {one["id"]: one for one in some if name != "beat"}
    return held


def many(count: int) -> Stream:
    stream = stream_of()
    for n in range(count):
        stream.picture.alert(alert(f"a{n}", time_ms=NOW_MS + n), NOW_MS)
    return stream


async def test_of_very_many_panics_the_longest_waiting_and_the_newest_come_first() -> None:
    count = FIRST_PANICS + 2 * PANICS_AT_ONCE + 1
    told = await told_until_beat(many(count).events("", only_panics=False))
    assert [name for _, name, _ in told] == ["snapshot", *["panics"] * 3, "beat"]
    # Who breaks off before all is told knows no id, and begins anew.
    assert {id_ for id_, name, _ in told if name != "beat"} == {""}
    first = [one["id"] for one in told[0][2]["panics"]]
    newest = FIRST_PANICS - LONGEST_WAITING
    assert first[:LONGEST_WAITING] == [f"a{n}" for n in range(LONGEST_WAITING)]
    assert first[LONGEST_WAITING:] == [f"a{n}" for n in reversed(range(count - newest, count))]
    assert shown(told).keys() == {f"a{n}" for n in range(count)}


async def test_an_answered_panic_and_a_drill_are_not_among_those_that_wait() -> None:
    stream = many(FIRST_PANICS + 10)
    stream.picture.step(acted(Took.ACKNOWLEDGED, alert="a0"), NOW_MS, 0)
    stream.picture.alert(alert("drill", drill=True, time_ms=NOW_MS - 1), NOW_MS)
    [(_, _, snapshot), *_] = await told_until_beat(stream.events("", only_panics=False))
    assert [one["id"] for one in snapshot["panics"]][:2] == ["a1", "a2"]


@pytest.mark.parametrize("only_panics", [False, True])
async def test_a_press_waits_for_one_piece_of_a_snapshot_and_nothing_newer_is_undone(
    only_panics: bool,
) -> None:
    stream = many(FIRST_PANICS + 3 * PANICS_AT_ONCE)
    events = stream.events("", only_panics=only_panics)
    order = []
    told: list[Told] = []
    async for text in events:
        # With each piece something new happens to what was not told yet.
        n = len(order)
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        if fields.get("event") is None:
            continue
        order.append(fields["event"])
        data = json.loads(fields["data"])
        told.append((fields.get("id", ""), fields["event"], data))
        if told[-1][0] == f"{stream.started_ms}-{stream.picture.last}":
            break
        if n < 20:
            stream.picture.alert(alert(f"new{n}", time_ms=NOW_MS + 10_000 + n), NOW_MS)
            stream.picture.alert(alert(f"a{300 + n}", 1, Action.UPDATED, count=2), NOW_MS)
            stream.picture.alert(alert(f"a{350 + n}", 1, Action.RESOLVED), NOW_MS)
    if not only_panics:
        assert order[:2] == ["snapshot", "panic"]  # before the next piece
    held = shown(told)
    for name, now in stream.picture.panics.items():
        assert held.pop(name) == now
    assert {one["state"] for one in held.values()} <= {"resolved"}


async def test_all_is_told_only_once_the_console_has_read_what_kafka_held() -> None:
    stream = stream_of("a")
    stream.feeds = SimpleNamespace(restored=False, fresh_ms={})  # type: ignore[assignment]
    events = stream.events("", only_panics=False)
    *_, (id_, _, beat) = await told_until_beat(events)
    assert (id_, beat["whole"]) == ("", False)
    stream.feeds.restored = True
    stream.wake()
    *_, (id_, _, beat) = await told_until_beat(events)
    assert (id_, beat["whole"]) == (f"{stream.started_ms}-1", True)


async def test_the_first_text_asks_to_come_back_soon() -> None:
    events = stream_of().events("", only_panics=False)
    assert await anext(events) == "retry: 500\n\n"


async def test_a_browser_that_comes_back_gets_exactly_what_it_missed() -> None:
    stream = stream_of("a", "b", "c")
    told = await told_until_beat(stream.events(f"{stream.started_ms}-1", only_panics=False))
    assert [(id_, name) for id_, name, _ in told] == [
        (f"{stream.started_ms}-2", "panic"),
        (f"{stream.started_ms}-3", "panic"),
        (f"{stream.started_ms}-3", "beat"),
    ]
    assert [data["id"] for _, name, data in told if name == "panic"] == ["b", "c"]


@pytest.mark.parametrize("last_id", ["1-1", "nonsense", "-", "{started}-99", "{started}--1"])
async def test_an_id_of_another_start_or_none_at_all_gets_a_snapshot(last_id: str) -> None:
    stream = stream_of("a")
    last_id = last_id.format(started=stream.started_ms)
    told = await told_until_beat(stream.events(last_id, only_panics=False))
    assert [name for _, name, _ in told] == ["snapshot", "beat"]


async def test_what_is_forgotten_is_made_good_by_a_snapshot() -> None:
    stream = stream_of()
    for number in range(KEPT_CHANGES + 1):
        stream.picture.alert(alert(f"a{number}"), NOW_MS)
    told = await told_until_beat(stream.events(f"{stream.started_ms}-0", only_panics=False))
    first, *rest, last = [name for _, name, _ in told]
    assert (first, {*rest}, last) == ("snapshot", {"panics"}, "beat")


async def test_an_open_stream_tells_a_panic_when_woken() -> None:
    stream = stream_of()
    events = stream.events("", only_panics=False)
    await told_until_beat(events)
    stream.picture.alert(alert("late"), NOW_MS)
    stream.wake()
    told = await told_until_beat(events)
    assert [(name, data.get("id")) for _, name, data in told] == [("panic", "late"), ("beat", None)]


async def test_a_change_is_put_into_words_once_for_all_who_see_the_same() -> None:
    stream = stream_of("a", "b")
    last_id = f"{stream.started_ms}-1"
    with_notes, also, without = [
        [text async for text in until_beat(stream.events(last_id, only_panics=False, eyes=eyes))]
        for eyes in (EVERYBODY, EVERYBODY, Eyes(notes=False))
    ]
    assert "event: panic" in with_notes[1]
    assert also[1] is with_notes[1]
    assert without[1] is not with_notes[1]


async def until_beat(events: AsyncIterator[str]) -> AsyncIterator[str]:
    async for text in events:
        yield text
        if "event: beat" in text:
            return


async def test_changes_one_after_another_have_few_beats_and_lose_nothing() -> None:
    stream = stream_of()
    events = stream.events(f"{stream.started_ms}-0", only_panics=False)
    await told_until_beat(events)
    began_s = time.monotonic()
    names = []
    for n in range(50):
        stream.picture.alert(alert(f"a{n}"), NOW_MS)
        stream.wake()
        while True:
            name = re.findall("event: (.*)", await anext(events))[0]
            names.append(name)
            if name == "panic":
                break
    assert names.count("panic") == 50
    assert names.count("beat") <= (time.monotonic() - began_s) / BEAT_AFTER_CHANGE_S + 1


async def test_a_beat_counts_all_open_alerts_also_those_a_snapshot_leaves_out() -> None:
    stream = stream_of("a panic is counted apart")
    for n in range(SHOWN_ALERTS + 1):
        stream.picture.alert(alert(f"a{n}", kind=AlertKind.SCHOOL_OFFLINE), NOW_MS)
    (_, _, snapshot), (_, _, beat) = await told_until_beat(stream.events("", only_panics=False))
    assert len(snapshot["alerts"]) == SHOWN_ALERTS
    assert beat["alerts_open"] == snapshot["alerts_open"] == SHOWN_ALERTS + 1


async def test_only_panics_are_told_to_who_asks_for_them() -> None:
    stream = stream_of("before")
    stream.picture.alert(alert("silent", kind=AlertKind.SCHOOL_OFFLINE), NOW_MS)
    events = stream.events("", only_panics=True)
    assert [name for _, name, _ in await told_until_beat(events)] == ["panic", "beat"]
    stream.picture.alert(alert("silent-too", kind=AlertKind.SCHOOL_OFFLINE), NOW_MS)
    stream.picture.alert(alert("after"), NOW_MS)
    stream.wake()
    told = await told_until_beat(events)
    assert [data["id"] for _, name, data in told if name != "beat"] == ["after"]


# Vendored files


def test_vendored_files_are_what_they_are_said_to_be() -> None:
    said = dict(
        line.split("  ")[::-1]
        for line in (VENDOR / "VENDORED.md").read_text().splitlines()
        if re.match(r"[0-9a-f]{64}  ", line)
    )
    there = {path.name: _sha256(path) for path in VENDOR.iterdir() if path.name != "VENDORED.md"}
    assert there == said


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_snapshot_names_the_change_it_is_true_at() -> None:
    picture = Picture()
    picture.alert(alert(), NOW_MS)
    assert picture.snapshot()["last"] == 1
    assert picture.snapshot()["panics"][0]["school"] == SCHOOL
