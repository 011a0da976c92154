"""One HTTPS request to an address that was checked: no redirects, no proxies, no surprises of DNS."""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from schemas.clear_text import SecretUrl
from streams.paging.retry import NotDelivered, refused_for_good

Network = IPv4Network | IPv6Network

_NAT64: Final = ip_network("64:ff9b::/96")
_SAID: Final = 200


def allowed(address: str, private: Sequence[Network]) -> bool:
    """Whether this address is public, or one of the private networks that may be reached."""
    ip = ip_address(address.partition("%")[0])
    for form in (ip, _inside(ip)):
        if form is not None and any(form in net for net in private if net.version == form.version):
            return True
    inner = _inside(ip)
    return all(form.is_global and not form.is_multicast for form in (ip, inner) if form is not None)


def _inside(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if not isinstance(ip, IPv6Address):
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if isinstance(_NAT64, IPv6Network) and ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


async def checked(host: str, port: int, private: Sequence[Network]) -> list[ResolveResult]:
    """The addresses of this host, all of them allowed. Raises NotDelivered."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotDelivered(f"its name cannot be resolved: {error.strerror}") from None
    for *_, address in found:
        if not allowed(str(address[0]), private):
            raise NotDelivered("its address is not public, nor in allow_private", final=True)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=family,
            proto=proto,
            flags=socket.AI_NUMERICHOST,
        )
        for family, _, proto, _, address in found
    ]


class _Pinned(AbstractResolver):
    """Gives the addresses that were checked and asks nobody again."""

    def __init__(self, addresses: list[ResolveResult]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return self._addresses

    async def close(self) -> None:
        pass


async def request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    private: Sequence[Network] = (),
    ca_file: Path | None = None,
    timeout_s: float = 10.0,
) -> None:
    """Send the JSON body; return when the other side answered with a 2xx. Raises NotDelivered."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await checked(parts.hostname or "", parts.port or 443, private)
            context = ssl.create_default_context(cafile=ca_file)
            connector = aiohttp.TCPConnector(
                ssl=context, resolver=_Pinned(addresses), use_dns_cache=False
            )
            async with (
                aiohttp.ClientSession(connector=connector, trust_env=False) as session,
                session.request(
                    method,
                    url,
                    data=body,
                    headers={"Content-Type": "application/json", **(headers or {})},
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status // 100 != 2:
                    raise NotDelivered(
                        f"it answered {answer.status}",
                        refused_for_good(answer.status),
                        after_s=_retry_after_s(answer.headers),
                    )
    except TimeoutError:
        raise NotDelivered(f"no answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NotDelivered(_safe(error)) from None


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """In seconds or as a date (RFC 9110, 10.2.3), counted by the other side's own clock where it tells
    it; 0 where it says nothing that we understand."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    at = _http_date_s(told)
    now = _http_date_s(headers.get("Date", ""))
    return 0.0 if at is None else max(0.0, at - (time.time() if now is None else now))


def _http_date_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _safe(error: Exception) -> str:
    """What went wrong, without the address: it may hold a token."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"[:_SAID]
    return type(error).__name__


class WebAddress(BaseModel):
    """``allow_private``: networks that are not public and may be reached all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretUrl
    allow_private: list[Network] = []
    ca_file: Path | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0

    @field_validator("url")
    @classmethod
    def _https(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("must begin with https:// and name a host")
        if parts.username or parts.password:
            raise ValueError("must not hold a user or password")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("its port is no number up to 65535") from None
        return url

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError):
            raise ValueError("must be a file with certificates (PEM) that we may read") from None
        return path

    async def ask(
        self,
        method: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = "",
    ) -> None:
        """Return when it answered with a 2xx. Raises NotDelivered."""
        url = self.url.get_secret_value()
        await request(
            method,
            f"{url.rstrip('/')}{path}" if path else url,
            body,
            headers,
            private=self.allow_private,
            ca_file=self.ca_file,
            timeout_s=self.timeout_s,
        )


class Ping(WebAddress):
    """Where a watchdog elsewhere waits for us: told by GET that we live."""

    kind: Literal["ping"] = "ping"
