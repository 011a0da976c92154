"""How people and other systems are reached: the channels file (TOML, private to us).

[channels.duty-phone]
kind = "apprise"
url = "tgram://123456789:AA-the-token-of-your-bot/987654321"
language = "kk"

[channels.situation-center]
kind = "webhook"
url = "https://pages.example.kz/saqshy"
secret = "at least 32 characters that only the two sides know"
allow_private = ["10.20.0.0/16"]

[channels.alertmanager]
kind = "alertmanager"
url = "https://alertmanager.example.kz"
"""

import ssl
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from apprise import Apprise
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from schemas.clear_text import Reaching, SecretUrl, is_here
from streams.paging import ear as _ear  # noqa: F401  before apprise reads an address: it logs them
from streams.paging.files import Unusable, explained, private_toml
from streams.paging.words import Language

Network = IPv4Network | IPv6Network


class _Channel(BaseModel):
    """``per_minute``: so many messages at most are sent to each of its receivers in a minute; 0 for any
    number. What it does not let through one by one is said together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_minute: Annotated[int, Field(ge=0, le=6_000, strict=True)] = 0


class Log(_Channel):
    """For who has no channel: what would be said is logged and recorded, nobody is reached."""

    kind: Literal["log"] = "log"


class AppriseChannel(_Channel, Reaching):
    """``url`` in apprise's notation. ``language`` of who reads it. A group of Telegram takes 20 a minute
    (core.telegram.org/bots/faq, "My bot is hitting limits")."""

    kind: Literal["apprise"] = "apprise"
    url: SecretStr
    language: Language = "ru"
    per_minute: Annotated[int, Field(ge=4, le=6_000, strict=True)] = 20

    @field_validator("url")
    @classmethod
    def _understood(cls, url: SecretStr) -> SecretStr:
        if Apprise.instantiate(url.get_secret_value()) is None:
            raise ValueError("apprise does not understand this address")
        return url

    def in_clear(self) -> Iterator[tuple[str, str]]:
        """apprise has one scheme for each way without encryption, and another with."""
        url = self.url.get_secret_value()
        way = Apprise.instantiate(url)
        clear = way.protocol or ()
        schemes = (clear,) if isinstance(clear, str) else clear
        named = url.partition(":")[0].lower() in schemes
        if named and not way.secure and way.host and not is_here(way.host):
            yield "url", f"use {way.secure_protocol or 'a way that encrypts'}"


class _Web(_Channel):
    """``allow_private``: networks that are not public and may be reached all the same."""

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


class Webhook(_Web):
    kind: Literal["webhook"] = "webhook"
    secret: SecretStr

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return secret


class Alertmanager(_Web):
    """``url`` without /api/v2."""

    kind: Literal["alertmanager"] = "alertmanager"


class Ping(_Web):
    """Where a watchdog elsewhere waits for us: told by GET that we live."""

    kind: Literal["ping"] = "ping"


Channel = Annotated[Log | AppriseChannel | Webhook | Alertmanager, Field(discriminator="kind")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channels: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")], Channel]


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


def load_ping(path: Path) -> Ping:
    """The address to ping, from a private TOML file of its own. Raises as load_channels does."""
    try:
        return Ping.model_validate(private_toml(path))
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None


def load_channels(path: Path | None) -> dict[str, Any]:
    """The channels of this file by name; only ``log`` without one.

    Raises Unusable, NotPrivate, and OSError.
    """
    if path is None:
        return {"log": Log()}
    try:
        found = _FILE.validate_python(private_toml(path)).channels
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None
    return dict(found) or {"log": Log()}
