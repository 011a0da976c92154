"""Both listeners over HTTP, without a broker: what is answered, and that nothing makes a 5xx."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.generate import text
from schemas.topics import ALERTS, PANICS, PASSES
from streams.gateway.api import Api
from streams.gateway.body import CLOUD_EVENT, JSON, MEDIA_TYPES
from streams.gateway.keys import Keys, read_keys, write_keys
from streams.gateway.metrics import Metrics
from streams.gateway.openapi import FILE, PROBLEM, document
from streams.gateway.read import MAX_BATCH_BYTES
from streams.gateway.watched import Watched
from tests.streams.gateway.parts import (
    BEARER,
    KEYS,
    SCHOOL,
    HeldKafka,
    desk,
    entry,
    event,
    no_disk,
    press,
    until,
)


@dataclass
class Web:
    kafka: HeldKafka
    events: httpx.AsyncClient
    panics: httpx.AsyncClient

    async def post_events(self, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.events.post("/v1/events", content=content, headers=_headers(headers))

    async def post_panic(self, body: bytes, **headers: str) -> httpx.Response:
        return await self.panics.post("/v1/panic", content=body, headers=_headers(headers))


def _headers(more: dict[str, str]) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"authorization": f"Bearer {BEARER}", "content-type": JSON} | named


@asynccontextmanager
async def web(
    folder: Path, *, open_: bool = True, journal: Path | None = None
) -> AsyncIterator[Web]:
    write_keys(folder / "keys.json", KEYS)
    keys: Watched[Keys] = Watched(folder / "keys.json", read_keys, {})
    async with desk(folder, open_=open_, journal=journal) as it:
        api = Api(keys, it.panics, it.events, it.findings, Metrics())

        def client(app: Any) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, client=("10.0.0.9", 1))
            return httpx.AsyncClient(transport=transport, base_url="http://gateway")

        async with client(api.for_events()) as events, client(api.for_panics()) as panics:
            yield Web(it.kafka, events, panics)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Web]:
    async with web(tmp_path) as it:
        yield it


async def test_a_batch_is_accepted_when_kafka_has_it(there: Web) -> None:
    answer = await there.post_events([entry(1), entry(2), entry(3, direction="up")])
    assert answer.status_code == 202
    said = answer.json()
    assert (said["accepted"], said["repeated"]) == (2, 0)
    assert said["rejected"] == [
        {"at": 2, "field": "/direction", "detail": said["rejected"][0]["detail"]}
    ]
    assert [key for _, key, _ in there.kafka.records] == [SCHOOL.encode()] * 2
    assert (await there.post_events([entry(1)])).json()["repeated"] == 1


async def test_a_cloud_event_is_accepted(there: Web) -> None:
    said = entry(1)
    cloud = {"specversion": "1.0", "id": said["id"], "source": "/t", "type": "pass", "data": said}
    answer = await there.post_events(cloud, content_type=CLOUD_EVENT + "; charset=utf-8")
    assert answer.json()["accepted"] == 1
    assert len(there.kafka.on(PASSES.name)) == 1


async def test_a_press_is_accepted_and_names_its_alert(there: Web) -> None:
    answer = await there.post_panic(press())
    assert answer.status_code == 202
    (said,) = answer.json()["presses"]
    assert (said["event"], said["kept"]) == (event()["id"], "kafka")
    assert len(said["alerts"]) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"type": "pass"}'])
async def test_an_authenticated_devices_unreadable_press_is_accepted(
    there: Web, body: bytes
) -> None:
    assert (await there.post_panic(body, content_type="text/plain")).status_code == 202
    assert len(there.kafka.on(PANICS.name)) == 1


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer x", f"Bearer {BEARER}x", "Bearer KZ-75-00009.button-1.abc"],
    ids=["none", "no key", "another secret", "another school"],
)
async def test_without_a_key_nothing_reaches_the_panic_topic_and_an_operator_sees_it(
    there: Web, authorization: str
) -> None:
    for answer in (
        await there.post_panic(press(), authorization=authorization),
        await there.post_events(press(), authorization=authorization),
    ):
        assert answer.status_code == 401
        assert answer.headers["content-type"] == PROBLEM
        assert answer.headers["www-authenticate"] == "Bearer"
    assert there.kafka.on(PANICS.name) == []
    await until(lambda: there.kafka.on(ALERTS.name))
    (alert,) = there.kafka.on(ALERTS.name)
    assert alert["kind"] == "security"
    assert "10.0.0.9" in alert["note"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        ([7], 422),
        ([{"type": "pass"}], 422),
        ([entry(1, school="KZ-10-00002")], 422),
        ([event("drill.declared", supervisor="A", starts_ms=1, lasting_s=60)], 403),
        (b"x" * (MAX_BATCH_BYTES + 1), 413),
    ],
)
async def test_bad_input_gets_a_problem_that_says_what_is_wrong(
    there: Web, body: Any, status: int
) -> None:
    answer = await there.post_events(body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    said = answer.json()
    assert said["status"] == status
    assert said["detail"] or said["rejected"]


async def test_another_type_path_or_method_gets_a_problem(there: Web) -> None:
    assert (await there.post_events([entry()], content_type="text/csv")).status_code == 415
    for answer in (await there.events.get("/v1/events"), await there.events.get("/v1/panic")):
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == PROBLEM


async def test_a_mad_device_is_told_to_wait_and_its_presses_never_are(there: Web) -> None:
    statuses = [
        (await there.post_events([entry(n + 100 * k) for n in range(100)])).status_code
        for k in range(4)
    ]
    assert statuses[:2] == [202, 202]
    assert statuses[-1] == 429
    late = await there.post_events([entry(900 + n) for n in range(150)])
    assert int(late.headers["retry-after"]) >= 1
    for number in range(50):
        assert (await there.post_panic(press(number))).status_code == 202
    # And at the wrong door, too.
    assert (await there.post_events(press(77))).status_code == 202


async def test_while_kafka_is_down_events_are_to_come_again_and_presses_are_kept(
    tmp_path: Path,
) -> None:
    async with web(tmp_path, open_=False) as it:
        answer = await it.post_events([entry()])
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        (said,) = (await it.post_panic(press())).json()["presses"]
        assert said["kept"] == "journal"


async def test_with_nothing_to_keep_it_and_nobody_told_the_press_is_refused(
    tmp_path: Path,
) -> None:
    async with web(tmp_path, open_=False, journal=no_disk(tmp_path)) as it:
        answer = await it.post_panic(press())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_the_openapi_document_says_how_to_send(there: Web) -> None:
    said = (await there.events.get("/openapi.json")).json()
    assert said == json.loads(json.dumps(document()))
    assert set(said["paths"]) == {"/v1/events", "/v1/panic", "/openapi.json"}
    schema = {"$ref": "#/components/schemas/Event", "components": said["components"]}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(event())
    assert validator.is_valid(entry())
    assert not validator.is_valid(event(boot="one"))


def test_the_published_openapi_document_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == text(document()), "python -m streams.gateway.openapi"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    door=st.sampled_from(["events", "panics"]),
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT"]),
    path=st.sampled_from(["/v1/events", "/v1/panic", "/v1/events/", "/", "/openapi.json"]),
    media_type=st.sampled_from([*MEDIA_TYPES, "text/plain", "", "\x00;"]),
    authorization=st.sampled_from([f"Bearer {BEARER}", "Bearer", "", "Bearer a.b.c", "\xff"]),
    body=st.one_of(
        st.binary(max_size=100),
        st.sampled_from([press(), json.dumps([entry()]).encode(), b"[" * 3000, b'{"a":1e999}']),
        st.builds(
            lambda whole, at, noise: whole[:at] + noise + whole[at:],
            st.just(press()),
            st.integers(0, 150),
            st.binary(max_size=4),
        ),
    ),
)
async def test_no_request_makes_a_server_error(
    there: Web,
    door: str,
    method: str,
    path: str,
    media_type: str,
    authorization: str,
    body: bytes,
) -> None:
    client = there.events if door == "events" else there.panics
    headers = {"content-type": media_type, "authorization": authorization}
    answer = await client.request(
        method,
        path,
        content=body,
        headers={name: value.encode("latin-1") for name, value in headers.items()},
    )
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["title"]
