"""What the gateway and the console can say directly, posted to every real door.

The senders' own tests tell somebody who takes everything; here the receivers answer.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from httpx import ASGITransport, AsyncClient

from dashboards.console.server import console
from dashboards.console.users import bearer
from deploy.embedded.ports import free_port
from schemas.alerts import AlertKind
from schemas.settings import (
    DispatchSettings,
    GatewaySettings,
    KafkaSettings,
    NotifySettings,
    Settings,
    WorkerSettings,
)
from schemas.steps import Took
from streams.runtime.direct import DIRECT_KINDS, HEADER, MATTERS, STEP, Answer, answer
from tests.dashboards.console.records import alert
from tests.streams.gateway import parts
from tests.streams.gateway.parts import SECRET, desk, ear, no_disk, until
from tests.streams.gateway.test_panics import pressed
from tests.streams.notify.alerts import changed, step
from tests.streams.paging.receiver import Receiver, private, receiver
from tests.streams.workers import Lane

NOBODY_LISTENS = 9


def settings_of(folder: Path, **parts: object) -> Settings:
    folder.mkdir(exist_ok=True)
    secret = private(folder / "direct-secret", SECRET)
    return Settings.model_validate(
        {
            "var": folder,
            "kafka": KafkaSettings(bootstrap=f"127.0.0.1:{NOBODY_LISTENS}", partitions=1),
            "gateway": GatewaySettings(direct_secret_file=secret),
            "worker": WorkerSettings(health_port=free_port()),
            **parts,
        }
    )


@pytest.fixture
async def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All that is said: a press, and that the gateway's disk refuses it, by the real gateway's way of a
    press; a step as the console takes it."""
    now_ms = int(time.time() * 1000)
    monkeypatch.setattr(parts, "NOW_MS", now_ms)
    async with (
        ear() as heard,
        desk(tmp_path, [heard.url], open_=False, journal=no_disk(tmp_path)) as it,
    ):
        await it.panics.take(pressed())
        await until(lambda: {one["kind"] for one in heard.heard} | {STEP} == DIRECT_KINDS)
    acknowledged = step(Took.ACKNOWLEDGED, at_ms=now_ms)
    kinds = {one["kind"] for one in heard.heard} | {STEP}
    assert kinds == DIRECT_KINDS
    return [
        *(json.dumps(one).encode() for one in heard.heard),
        acknowledged.model_dump_json().encode(),
    ]


@pytest.fixture
async def paged(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with receiver(tmp_path) as taken:
        yield taken


@asynccontextmanager
async def running(settings: Settings, service: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed at the end: what it has answered for must be on its disk."""
    process = await Lane(settings).start(service)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def kinds(paged: Receiver) -> set[str]:
    return {one["kind"] for _, page in paged.requests for one in json.loads(page)["alerts"]}


async def posted(settings: Settings, bodies: list[bytes], service: str) -> list[int]:
    statuses = []
    async with running(settings, service) as process:
        for body in bodies:
            while True:
                assert process.returncode is None, (settings.var / f"log-{service}").read_text()
                try:
                    async with (
                        aiohttp.ClientSession() as session,
                        session.post(
                            f"http://127.0.0.1:{settings.worker.health_port}/direct",
                            data=body,
                            headers={HEADER: SECRET},
                        ) as response,
                    ):
                        statuses.append(response.status)
                        break
                except aiohttp.ClientConnectionError:
                    pass  # it is starting
    return statuses


async def test_dispatch_takes_it(tmp_path: Path, said: list[bytes]) -> None:
    file = tmp_path / "centers.json"
    file.write_text(json.dumps({"people": ["chief"], "centers": []}))
    settings = settings_of(tmp_path / "dispatch", dispatch=DispatchSettings(centers_file=file))
    assert await posted(settings, said, "dispatch") == [200] * len(said)


async def test_notify_takes_it_and_pages_that_presses_are_not_kept(
    tmp_path: Path, said: list[bytes], paged: Receiver
) -> None:
    channels = private(tmp_path / "channels.toml", paged.channel())
    settings = settings_of(tmp_path / "notify", notify=NotifySettings(channels_file=channels))
    assert await posted(settings, said, "notify") == [200] * len(said)
    wanted = {AlertKind.PANIC, AlertKind.MONITORING_IMPAIRED}
    async with running(settings, "notify"):
        await until(lambda: wanted <= kinds(paged))


async def test_what_notify_has_taken_is_paged_though_it_was_killed_before_it_was_due(
    tmp_path: Path, paged: Receiver
) -> None:
    """Kafka has none of it yet: the answer that it is kept is all that anybody has."""
    channels = private(tmp_path / "channels.toml", paged.channel())
    policies = tmp_path / "policies.toml"
    kind = AlertKind.MONITORING_IMPAIRED
    policies.write_text(f'[[rules]]\nname = "late"\nkinds = ["{kind}"]\nhold_s = 3600\n')
    at_once = NotifySettings(channels_file=channels)
    late = at_once.model_copy(update={"policies_file": policies})
    now_ms = time.time_ns() // 1_000_000
    told = changed("ours", at_ms=now_ms, kind=kind, school="")
    folder = tmp_path / "notify"
    body = told.model_dump_json().encode()
    assert await posted(settings_of(folder, notify=late), [body], "notify") == [200]
    assert kinds(paged) == set()
    async with running(settings_of(folder, notify=at_once), "notify"):
        await until(lambda: kinds(paged) == {kind})


async def test_the_console_takes_it_and_shows_that_presses_are_not_kept(
    tmp_path: Path, said: list[bytes]
) -> None:
    settings = settings_of(tmp_path / "console")
    transport = ASGITransport(console(settings))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for body in said:
            response = await http.post("/direct", content=body, headers={HEADER: SECRET})
            assert response.status_code == 200, response.text
        snapshot = (await http.get("/api/snapshot", headers=bearer(settings.var))).json()
    assert [one["kind"] for one in snapshot["alerts"]] == [AlertKind.MONITORING_IMPAIRED]
    assert len(snapshot["panics"]) == 1


@pytest.mark.parametrize("receiver", MATTERS)
async def test_all_doors_answer_alike(tmp_path: Path, receiver: str) -> None:
    file = tmp_path / "secret"
    taken = []

    async def take(notice: object) -> bool:
        taken.append(notice)
        return True

    async def post(body: bytes, given: str = "ours", secret: Path | None = file) -> Answer:
        return await answer(receiver, secret, given, body, take)

    panic = alert().model_dump_json().encode()
    assert (await post(panic)).status == 503
    assert (await post(panic, secret=None)).status == 503
    file.write_text("ours")
    assert (await post(panic, given="theirs")).status == 401
    assert (await post(panic, given="")).status == 401
    assert (await post(b"{}")).status == 422
    offline = alert(kind=AlertKind.SCHOOL_OFFLINE).model_dump_json().encode()
    assert (await post(offline)).status == 422
    assert taken == []
    assert await post(panic) == Answer(200, {"kept": True})
    assert len(taken) == 1
