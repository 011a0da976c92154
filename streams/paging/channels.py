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

from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from streams.paging.alertmanager import Alertmanager
from streams.paging.channel import Channel
from streams.paging.files import Unusable, explained, private_toml
from streams.paging.log import Log
from streams.paging.people import AppriseChannel
from streams.paging.web import Ping
from streams.paging.webhook import Webhook

KINDS: Final[dict[str, type[Channel]]] = {
    it.model_fields["kind"].default: it for it in (Log, AppriseChannel, Webhook, Alertmanager)
}
"""Every kind of channel; the one place where one is added."""

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def load_ping(path: Path) -> Ping:
    """The address to ping, from a private TOML file of its own. Raises as load_channels does."""
    try:
        return Ping.model_validate(private_toml(path))
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None


def load_channels(path: Path | None) -> dict[str, Channel]:
    """The channels of this file by name; only ``log`` without one.

    Raises Unusable, NotPrivate, and OSError.
    """
    if path is None:
        return {"log": Log()}
    try:
        found: dict[str, Channel] = _file().model_validate(private_toml(path)).channels  # type: ignore[attr-defined]
    except ValidationError as error:
        raise Unusable(f"{path}: {explained(error)}") from None
    return found or {"log": Log()}


def _file() -> type[BaseModel]:
    kinds: Any = reduce(or_, KINDS.values())
    one = Annotated[kinds, Field(discriminator="kind")]
    strict = ConfigDict(extra="forbid")
    return create_model("File", __config__=strict, channels=(dict[_Name, one], ...))
