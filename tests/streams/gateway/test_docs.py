"""What docs/gateway.md tells a vendor to run works, word for word."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.events import EVENT, UUID7_PATTERN
from schemas.topics import HEARTBEATS, PANICS, PASSES
from streams.gateway.api import Api
from streams.gateway.metrics import Metrics
from streams.gateway.watched import Watched
from streams.keys import Keys, read_keys, write_keys
from tests.streams.gateway.parts import BEARER, KEYS, HeldKafka, desk
from tests.streams.gateway.test_fuzz import listening

DOCS = Path(__file__).parents[3] / "docs" / "gateway.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[tuple[HeldKafka, dict[str, str]]]:
    """A gateway on real ports, and the environment that names it."""
    write_keys(tmp_path / "keys.json", KEYS)
    keys: Watched[Keys] = Watched(tmp_path / "keys.json", read_keys, {})
    async with desk(tmp_path) as it:
        api = Api(keys, it.panics, it.events, it.findings, Metrics())
        async with listening(api.for_events()) as events, listening(api.for_panics()) as panics:
            named = {"KEY": BEARER, "EVENTS": events, "PANIC": panics, "no_proxy": "127.0.0.1"}
            yield it.kafka, {**os.environ, **named}


async def run(environment: dict[str, str], *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, wrong = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, wrong.decode()
    return said.decode()


async def test_the_commands_send_a_pass_a_heartbeat_and_a_press(
    there: tuple[HeldKafka, dict[str, str]],
) -> None:
    kafka, environment = there
    said = await run(environment, "bash", "-euc", block("bash"))
    answers = [
        json.loads("{" + one) for one in said.split("{", 1)[1].replace("}{", "}\0{").split("\0{")
    ]
    assert [answer.get("accepted") for answer in answers] == [1, 1, None]
    (press,) = answers[2]["presses"]
    assert not press["event"].startswith("unread-") and press["alerts"]
    for topic in (PASSES, HEARTBEATS, PANICS):
        assert len(kafka.on(topic.name)) == 1


async def test_the_python_sender_presses(there: tuple[HeldKafka, dict[str, str]]) -> None:
    kafka, environment = there
    await run(environment, sys.executable, "-I", "-c", block("python"))
    (press,) = kafka.on(PANICS.name)
    assert EVENT.validate_json(json.dumps(press)).type == "panic.pressed"
    assert press["place"] == "Room 5"


async def test_the_recipes_for_an_id_make_uuid7s() -> None:
    (bash,) = re.findall(r"^uuid7\(\).*$", block("bash"), re.MULTILINE)
    python = block("python").partition("def press")[0]
    environment = {**os.environ, "KEY": BEARER}
    made = (
        await run(environment, "bash", "-euc", bash + "\nfor i in 1 2 3 4 5; do uuid7; done")
    ).split()
    loop = "\nfor _ in range(5): print(uuid7())"
    made += (await run(environment, sys.executable, "-I", "-c", python + loop)).split()
    assert len(set(made)) == 10
    assert all(re.fullmatch(UUID7_PATTERN.strip("^$"), one) for one in made)
