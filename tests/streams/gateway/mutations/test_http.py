"""Presses of the ways in over HTTP, changed in thousands of ways: each is raised, exactly once, with the
duress and place that its bytes still say by the table; and what is no press raises nothing.

The listeners are driven in this process, without a socket; the panic workers' own decide judges.
"""

import os
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.alerts import AlertChanged
from schemas.topics import PANICS
from streams.gateway.api import Api
from streams.gateway.events import Events
from streams.gateway.limit import Limit
from streams.gateway.metrics import Metrics
from streams.gateway.watched import Watched
from streams.keys import Keys, read_keys
from streams.panic.decide import SAME_BYTES_MS, PanicState, decide
from tests.streams.gateway.mutations.http_bytes import byte_case, changed
from tests.streams.gateway.mutations.http_table import (
    JSON,
    PLACES,
    Pairs,
    Sent,
    Wanted,
    case,
    coded,
    encoded,
    json_text,
    put,
)
from tests.streams.gateway.parts import BEARER, BUTTON, KEYS, NOW_MS, SCHOOL, HeldKafka, desk

SHORT: Final = 8_000
LONG: Final = int(os.environ.get("MUTATIONS", "1000000"))
PANIC, EVENTS = "/v1/panic", "/v1/events"


@dataclass
class Gateway:
    kafka: HeldKafka
    apps: dict[str, Any]
    heard: Any
    now_ms: list[int] = field(default_factory=lambda: [NOW_MS])

    async def post(self, path: str, sent: Sent) -> int:
        """The status of the answer."""
        messages = [{"type": "http.request", "body": sent.body, "more_body": False}]
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        headers = (("authorization", f"Bearer {BEARER}"), *sent.headers)
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": sent.query.encode(), "client": ("10.0.0.9", 1), "server": ("g", 80),
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        }  # fmt: skip
        await self.apps["/v1/panic" if "panic" in path.lower() else "/v1/events"](
            scope, receive, send
        )
        return int(said[0]["status"])

    def raised(self) -> list[AlertChanged]:
        """What the workers say of what Kafka got since the last question."""
        state, found = PanicState(), []
        for topic, key, value in self.kafka.records:
            if topic == PANICS.name:
                found += decide(state, key, value, self.now_ms[0])
        self.kafka.records.clear()
        for alert in found:
            self.heard.say(alert.event)
        self.now_ms[0] += SAME_BYTES_MS + 1
        return found


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    keys: Watched[Keys] = Watched(None, read_keys, KEYS)
    now_ms = [NOW_MS]
    async with desk(folder, now_ms=lambda: now_ms[0]) as it:
        events = Events(it.kafka, Limit(1e9, 10**9))
        api = Api(keys, it.panics, events, it.findings, Metrics())
        yield Gateway(
            it.kafka, {PANIC: api.for_panics(), EVENTS: api.for_events()}, it.heard, now_ms
        )
        await events.stop()


def said(number: int, kind: str = "panic.pressed", **more: Any) -> Pairs:
    id_ = str(uuid.UUID(int=(NOW_MS + number) << 80 | 7 << 76 | 2 << 62 | number))
    return list(
        {
            "id": id_, "type": kind, "school": SCHOOL, "device": BUTTON, "time_ms": NOW_MS,
            "boot": 1, "seq": number, "v": 1, **more,
        }.items()
    )  # fmt: skip


def is_wanted(alert: AlertChanged, wanted: Wanted) -> bool:
    """A longer place may end early, and one whose end is missing may say so."""
    if wanted.duress is not None and alert.duress != wanted.duress:
        return False
    if wanted.place is None:
        return True
    # Spaces of any kind are one.
    return " ".join(alert.place.split()) == " ".join(wanted.place.split()) or (
        len(wanted.place) > 119
        and len(alert.place) > 100
        and wanted.place.startswith(alert.place[:100])
    )


async def campaign(there: Gateway, cases: int, seed: int) -> list[str]:
    """What went wrong, each with how to see it again."""
    wrong = []
    for number in range(cases):
        rng = random.Random(f"{seed}-{number}")
        duress = rng.choice([True, True, False])
        place = rng.choice(PLACES[:1] if number % 2 else PLACES)
        pairs = said(number + 1, duress=duress, place=place)
        make = case if number % 2 == 0 else byte_case
        sent, wanted = make(rng, pairs, Wanted(duress, place))
        path = rng.choice([PANIC, PANIC, EVENTS, "/v1/panic/", "/V1//Panic", "http://g/v1/panic"])
        again = rng.random() < 0.2
        status = await there.post(path, sent)
        if again:
            status = max(status, await there.post(path, sent))
        alerts = there.raised()
        must = "panic" in path.lower() or wanted.claims
        fine = (
            status < 500 and len(alerts) <= 1 and (not must or (len(alerts) == 1 and status == 202))
        )
        if not fine or any(not is_wanted(alert, wanted) for alert in alerts):
            got = [(a.duress, a.place, a.unidentified) for a in alerts]
            wrong.append(f"{seed}-{number} {path} {status} {got} {wanted} {sent}")
            if len(wrong) > 50:
                break
    return wrong


PASS: Final = {"direction": "in", "outcome": "granted", "card": "0123456789abcdef"}
HEARTBEAT: Final = {
    "kind": "panic_button", "period_s": 60, "link_pct": 90, "provider": "unknown", "buffered": 0,
    "clock_offset_ms": 0,
}  # fmt: skip
NO_PRESS: Final[dict[str, dict[str, Any]]] = {
    "pass": PASS,
    "heartbeat": HEARTBEAT,
    "panic.test": {},
    "panic.cancelled": {"press": str(uuid.UUID(int=7 << 76 | 2 << 62))},
}


async def no_press_campaign(there: Gateway, cases: int, seed: int) -> list[str]:
    """Whoever is no press and raises; and whoever is whole, and is not taken."""
    wrong = []
    for number in range(cases):
        rng = random.Random(f"{seed}-{number}")
        kind = rng.choice(list(NO_PRESS))
        pairs = said(number + 1, kind) + list(NO_PRESS[kind].items())
        whole = rng.random() < 0.5
        # A broken byte on the panic listener is a press as far as anybody knows.
        path = rng.choice([EVENTS, PANIC]) if whole and kind.startswith("panic") else EVENTS
        body, charset = encoded(rng, json_text(pairs))
        body, coding = coded(rng, body) if whole else (changed(rng, body)[0], "")
        sent = Sent(body, (("content-type", JSON), ("content-encoding", coding)))
        status = await there.post(path, sent)
        # Behind a zero there may be whatever was in a buffer.
        if there.raised() or status >= 500 or (whole and status != 202):
            wrong.append(f"{seed}-{number} {path} {status} {charset} {sent}")
    return wrong


async def test_a_changed_press_is_raised_once_with_what_it_still_says(tmp_path: Path) -> None:
    async with gateway(tmp_path) as there:
        assert await campaign(there, SHORT, 12) == []


async def test_what_is_no_press_raises_nothing_however_it_is_changed(tmp_path: Path) -> None:
    async with gateway(tmp_path) as there:
        assert await no_press_campaign(there, SHORT // 4, 12) == []


@pytest.mark.parametrize("kind", ["panic.test", "panic.cancelled"])
@pytest.mark.parametrize("field", ["id", "time_ms", "boot", "seq", "device"])
async def test_a_test_or_cancel_that_cannot_be_used_is_refused_and_raises_nothing(
    tmp_path: Path, kind: str, field: str
) -> None:
    body = json_text(put(said(1, kind) + list(NO_PRESS[kind].items()), field, "?")).encode()
    async with gateway(tmp_path) as there:
        for path in (PANIC, EVENTS):
            assert await there.post(path, Sent(body, (("content-type", JSON),))) == 422
            assert there.raised() == []


@pytest.mark.faults
@pytest.mark.timeout(0)
async def test_a_million_changed_presses(tmp_path: Path) -> None:
    async with gateway(tmp_path) as there:
        seed = random.randrange(10**9)
        assert await campaign(there, LONG, seed) == []
        assert await no_press_campaign(there, LONG // 4, seed) == []
