import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from deploy.embedded.ports import free_port
from schemas.settings import GatewaySettings, KafkaSettings, Settings
from streams.gateway.process import service
from streams.keys import write_keys
from streams.runtime.service import inner
from tests.streams.gateway.parts import BEARER, KEYS, press, until


@pytest.fixture
async def https(tmp_path: Path) -> AsyncIterator[tuple[str, ssl.SSLContext, str]]:
    """A gateway that has never seen a broker: (its panic listener, whom to trust, its health)."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    write_keys(tmp_path / "keys.json", KEYS)
    settings = Settings(
        var=tmp_path,
        kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
        gateway=GatewaySettings(
            port=0,
            panic_port=free_port(),
            keys_file=tmp_path / "keys.json",
            tls_cert_file=tmp_path / "cert.pem",
            tls_key_file=tmp_path / "key.pem",
            ack_timeout_ms=50,
        ),
    )
    gateway = service(settings)
    runner = web.AppRunner(inner("gateway", [gateway]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    running = asyncio.create_task(gateway.run())
    await until(gateway.ready)
    try:
        yield (
            f"https://127.0.0.1:{settings.gateway.panic_port}",
            trusted,
            f"http://127.0.0.1:{runner.addresses[0][1]}",
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await runner.cleanup()


async def test_it_speaks_https_and_keeps_a_press_without_any_broker(
    https: tuple[str, ssl.SSLContext, str],
) -> None:
    url, trusted, health = https
    headers = {"authorization": f"Bearer {BEARER}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(f"{url}/v1/panic", data=press(), ssl=trusted) as answer:
            assert answer.status == 202
            assert (await answer.json())["presses"][0]["kept"] == "journal"
        async with http.get(f"{health}/health") as answer:
            said = await answer.json()
            assert (answer.status, said["kafka"], said["journaled"]) == (200, "late", 1)
        async with http.get(f"{health}/metrics") as answer:
            text = await answer.text()
    assert "saqshy_gateway_presses_journal_total 1.0" in text
    assert 'saqshy_gateway_press_seconds_count{kept="journal"} 1.0' in text
