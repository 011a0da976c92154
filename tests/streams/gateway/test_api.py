"""Both listeners over HTTP, without a broker: what is answered, and that nothing makes a 5xx."""

import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cramjam import brotli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.events import EVENT, EVENT_MODELS
from schemas.generate import text
from schemas.topics import ALERTS, PANICS, PASSES
from streams.gateway.api import Api
from streams.gateway.body import CLOUD_EVENT, CLOUD_EVENTS, JSON, MEDIA_TYPES
from streams.gateway.metrics import Metrics
from streams.gateway.openapi import FILE, PROBLEM, document
from streams.gateway.panics import wall_ms
from streams.gateway.read import MAX_BATCH_BYTES
from streams.gateway.watched import Watched
from streams.keys import Keys, read_keys, write_keys
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
    "path", ["/v1/panic", "/v1/panic/", "/V1/Panic", "http://gateway//v1//panic//"]
)
async def test_a_press_finds_its_path_and_no_redirect(there: Web, path: str) -> None:
    headers = {"authorization": f"Bearer {BEARER}"}
    for number, (client, name) in enumerate([(there.panics, "panic"), (there.events, "events")]):
        at = re.sub("panic", name, path, flags=re.IGNORECASE)
        answer = await client.request("POST", at, content=press(number), headers=headers)
        assert answer.status_code == 202
    other = await there.panics.post("/v1/panics/", content=press())
    assert other.status_code == 404


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_press_is_taken_out_of_its_coding(there: Web, coding: str) -> None:
    pack: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}
    body = bytes(pack[coding](press(place="Room 5", duress=True)))
    for answer in (
        await there.post_panic(body, content_encoding=coding),
        await there.post_events(bytes(pack[coding](press(2))), content_encoding=coding),
    ):
        assert answer.status_code == 202
    assert [one["type"] for one in there.kafka.on(PANICS.name)] == ["panic.pressed"] * 2


async def test_a_coding_that_nobody_knows_is_named_with_those_that_are(there: Web) -> None:
    answer = await there.post_events(b"\1\2", content_encoding="compress")
    assert answer.status_code == 415
    assert "identity" in answer.headers["accept-encoding"]
    assert (await there.post_panic(b"\1\2", content_encoding="compress")).status_code == 202


async def test_a_body_does_not_burst_out_of_its_coding(there: Web) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000)
    assert (await there.post_events(bomb, content_encoding="gzip")).status_code == 413
    assert (await there.post_panic(bomb, content_encoding="gzip")).status_code == 202


async def test_all_that_is_wrong_is_said_at_once(there: Web) -> None:
    answer = await there.post_events({"type": "pass", "boot": "one"})
    said = {one["field"] for one in answer.json()["rejected"]}
    missing = {"id", "school", "device", "time_ms", "seq", "direction", "outcome", "card"}
    assert said == {f"/{name}" for name in missing | {"boot"}}
    no_type = (await there.post_events({})).json()["rejected"]
    assert no_type[0]["field"] == "/type" and "panic.pressed" in no_type[0]["detail"]


@pytest.mark.parametrize(
    ("ahead_ms", "why"),
    [(-30 * 86_400_000, "older than 7 days"), (86_400_000, "more than 600 s ahead")],
)
async def test_a_clock_that_is_far_off_is_told_and_the_event_is_taken(
    there: Web, ahead_ms: int, why: str
) -> None:
    at_ms = wall_ms() + ahead_ms
    good = entry(1, time_ms=wall_ms())
    said = (await there.post_events([good, entry(2, time_ms=at_ms)])).json()
    assert (said["accepted"], said["rejected"]) == (2, [])
    (warned,) = said["warnings"]
    assert (warned["at"], warned["field"]) == (1, "/time_ms")
    assert why in warned["detail"] and "clock" in warned["detail"]
    assert "warnings" not in (await there.post_events([good])).json()
    pressed = await there.post_panic(press(9, time_ms=at_ms))
    assert pressed.status_code == 202 and pressed.json()["presses"][0]["alerts"]
    assert why in pressed.json()["warnings"][0]["detail"]


async def test_an_empty_place_is_none(there: Web) -> None:
    for number, place in enumerate(["", "  ", None]):
        said = (await there.post_panic(press(number + 1, place=place))).json()["presses"]
        assert not said[0]["event"].startswith("unread-")


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


@pytest.mark.parametrize("path", ["/v1/events", "/v1/panic"])
def test_every_example_in_the_openapi_document_can_be_sent(path: str) -> None:
    said = json.loads(json.dumps(document()))
    examples = {kind: one["value"] for kind, one in body_schema(said, path)["examples"].items()}
    wanted = {model.model_fields["type"].default for model in EVENT_MODELS}
    if path == "/v1/events":
        assert set(examples) == wanted - {"drill.declared", "school.registered"}
    schema = {"$ref": "#/components/schemas/Event", "components": said["components"]}
    for kind, example in examples.items():
        Draft202012Validator(schema).validate(example)
        assert EVENT.validate_json(json.dumps(example)).type == kind


@pytest.mark.parametrize("media_type", [CLOUD_EVENT, CLOUD_EVENTS])
def test_the_cloud_event_examples_fit_their_schema(media_type: str) -> None:
    said = json.loads(json.dumps(document()))
    content = body_schema(said, "/v1/events", media_type)
    schema = {**content["schema"], "components": said["components"]}
    Draft202012Validator(schema).validate(content["example"])


def body_schema(said: Any, path: str, media_type: str = JSON) -> Any:
    return said["paths"][path]["post"]["requestBody"]["content"][media_type]


def test_the_published_openapi_document_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == text(document()), "python -m streams.gateway.openapi"


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
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
