"""The listeners on real ports, asked what their OpenAPI document allows and what it forbids.

Nothing is answered that the document does not describe, and nothing makes a 5xx.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from streams.gateway.api import Api
from streams.gateway.body import JSON
from streams.gateway.events import Events
from streams.gateway.limit import Limit
from streams.gateway.metrics import Metrics
from streams.gateway.openapi import document
from streams.gateway.watched import Watched
from streams.keys import Keys, read_keys, write_keys
from tests.streams.gateway.parts import BEARER, BUTTON, KEYS, SCHOOL, desk
from tests.streams.gateway.test_process import town
from tests.streams.transport.broker import Broker

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ALLOWED, FORBIDDEN = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
MODES = {"allowed": ALLOWED, "forbidden": FORBIDDEN}
SHORT, LONG = 80, 1_000
ANSWER_WITHIN_S = 60


def fuzz(
    url: str, path: str, mode: GenerationMode, bearer: str, school: str, *, examples: int
) -> Counter[int]:
    """Ask so many times; how often each status was answered. Raises what a check has to say."""
    post = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))[path]["POST"]
    answered: Counter[int] = Counter()
    with requests.Session() as session:

        @settings(
            max_examples=examples,
            derandomize=examples == SHORT,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            # Few random CloudEvents hold an event, so half of all are events themselves.
            case=post.as_strategy(mode) | post.as_strategy(mode, media_type=JSON),
            ours=st.booleans(),
            token=st.sampled_from([bearer, bearer, bearer, f"{bearer}x", "x"]),
        )
        def ask(case: schemathesis.Case, ours: bool, token: str) -> None:
            if ours:
                case.body = said_by(school, case.body)
            answer = case.call_and_validate(
                url,
                session,
                {"authorization": f"Bearer {token}"},
                checks=CHECKS,
                timeout=ANSWER_WITHIN_S,
            )
            answered[answer.status_code] += 1

        ask()
    return answered


def said_by(school: str, body: Any) -> Any:
    """The same as of the device that the key is for, and with integers written as such: JSON Schema
    can't tell 1.0 from 1."""
    if isinstance(body, list):
        return [said_by(school, one) for one in body]
    if isinstance(body, dict):
        own = {"school": school, "device": BUTTON} if "school" in body else {}
        return {name: said_by(school, value) for name, value in body.items()} | own
    return int(body) if isinstance(body, float) and body.is_integer() else body


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    serving = asyncio.create_task(server.main_loop())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
        await server.shutdown()


@asynccontextmanager
async def both_listeners(folder: Path) -> AsyncIterator[dict[str, str]]:
    """The URL of each path's listener, with a Kafka that acknowledges everything."""
    write_keys(folder / "keys.json", KEYS)
    keys: Watched[Keys] = Watched(folder / "keys.json", read_keys, {})
    async with desk(folder) as it:
        events = Events(it.kafka, Limit(10_000, 1_000_000), ack_timeout_s=ANSWER_WITHIN_S)
        api = Api(keys, it.panics, events, it.findings, Metrics())
        async with (
            listening(api.for_events()) as for_events,
            listening(api.for_panics()) as for_panics,
        ):
            yield {"/v1/events": for_events, "/v1/panic": for_panics}
        await events.stop()


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/panic"])
async def test_it_answers_only_what_its_document_describes(
    tmp_path: Path, path: str, mode: GenerationMode
) -> None:
    async with both_listeners(tmp_path) as urls:
        answered = await asyncio.to_thread(
            fuzz, urls[path], path, mode, BEARER, SCHOOL, examples=SHORT
        )
    assert answered[401] > 0
    if path == "/v1/panic" or mode is ALLOWED:
        assert answered[202] > 0
    else:
        assert answered[422] > 0


@pytest.mark.faults
@pytest.mark.broker
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/panic"])
async def test_its_process_answers_only_what_its_document_describes(
    lane_broker: Broker, tmp_path: Path, path: str, mode: GenerationMode
) -> None:
    async with town(lane_broker, tmp_path) as there:
        await there.start()
        gateway, school = there.lane.settings.gateway, there.schools[0]
        port = gateway.port if path == "/v1/events" else gateway.panic_port
        answered = await asyncio.to_thread(
            fuzz,
            f"http://127.0.0.1:{port}",
            path,
            mode,
            there.bearers[school],
            school,
            examples=LONG,
        )
        assert there.process is not None
        assert there.process.returncode is None
    assert answered.total() >= LONG
