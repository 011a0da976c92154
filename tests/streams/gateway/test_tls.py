import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme

from deploy.embedded.ports import free_port
from schemas.settings import GatewaySettings, KafkaSettings, Settings, WorkerSettings
from streams.gateway.process import Gateway
from streams.keys import write_keys
from tests.streams.gateway.parts import BEARER, KEYS, press, until


@pytest.fixture
async def https(tmp_path: Path) -> AsyncIterator[tuple[str, ssl.SSLContext, str]]:
    """A gateway that has never seen a broker: (its panic listener, whom to trust, its health)."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    write_keys(tmp_path / "keys.json", KEYS)
    gateway = Gateway(
        Settings(
            var=tmp_path,
            kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
            worker=WorkerSettings(health_port=free_port()),
            gateway=GatewaySettings(
                port=0,
                panic_port=free_port(),
                keys_file=tmp_path / "keys.json",
                tls_cert_file=tmp_path / "cert.pem",
                tls_key_file=tmp_path / "key.pem",
                ack_timeout_ms=50,
            ),
        )
    )
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    await gateway.start()
    await until(lambda: all(server.started for server in gateway._servers))
    settings = gateway._settings
    try:
        yield (
            f"https://127.0.0.1:{settings.gateway.panic_port}",
            trusted,
            f"http://127.0.0.1:{settings.worker.health_port}",
        )
    finally:
        await gateway.stop()


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
