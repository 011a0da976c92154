"""What the embedded parts show of themselves to the machine: ports and files."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from deploy.embedded.ports import LOOPBACK
from schemas.settings import stack_file
from tests.deploy.embedded.parts import Running, running
from tests.living import below

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="module")]

PARTS = ("kafka", "clickhouse")
ONLY_THE_OWNER = 0o600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("stack"), PARTS) as stack:
        yield stack


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def passwords(stack: Running) -> dict[str, str]:
    files = sorted((stack.var / "secrets").iterdir())
    return {path.name: path.read_text().strip() for path in files}


@pytest.mark.parametrize("part", PARTS)
async def test_all_that_listens_listens_to_this_machine_only(stack: Running, part: str) -> None:
    pid = stack.supervisor.pid(part)
    assert pid is not None
    process = psutil.Process(pid)
    listening = [
        connection.laddr
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    ]
    assert listening
    # Java has its sockets as IPv6: the same address, mapped.
    assert {address.ip for address in listening} <= {LOOPBACK, f"::ffff:{LOOPBACK}"}


async def test_passwords_are_in_files_of_the_owner_only(stack: Running) -> None:
    assert len(passwords(stack)) >= 3
    assert mode(stack.var / "secrets") == 0o700
    modes = {path.name: mode(path) for path in (stack.var / "secrets").iterdir()}
    assert set(modes.values()) == {ONLY_THE_OWNER}, modes


async def test_no_two_parts_have_the_same_password(stack: Running) -> None:
    found = list(passwords(stack).values())
    assert all(len(password) >= 32 for password in found)
    assert len(set(found)) == len(found)


async def test_the_stack_file_is_the_owners_and_holds_no_password(stack: Running) -> None:
    path = stack_file(stack.var)
    assert mode(path) == ONLY_THE_OWNER
    text = path.read_text()
    assert set(json.loads(text)) == {"kafka", "clickhouse"}
    assert not [name for name, password in passwords(stack).items() if password in text]


async def test_a_file_that_holds_a_password_is_the_owners_only(stack: Running) -> None:
    """Wherever under the data folder it is; the broker's own data is closed by its folder."""
    kafka_data = stack.var / "kafka"
    assert mode(kafka_data) == 0o700
    words = [password.encode() for password in passwords(stack).values()]
    open_to_others = [
        path
        for path in below(stack.var)
        if path.is_file()
        and kafka_data not in path.parents
        and mode(path) != ONLY_THE_OWNER
        and any(word in path.read_bytes() for word in words)
    ]
    assert open_to_others == []


@pytest.mark.parametrize("part", PARTS)
async def test_no_command_line_holds_a_password(stack: Running, part: str) -> None:
    pid = stack.supervisor.pid(part)
    assert pid is not None
    process = psutil.Process(pid)
    lines = [" ".join(each.cmdline()) for each in (process, *process.children(recursive=True))]
    assert not [
        name for name, password in passwords(stack).items() for line in lines if password in line
    ]
