"""What may be said in clear text: what never leaves this machine.

Presses, children's reports, keys and passwords go over the network encrypted, or somebody has written
``insecure = true`` beside the address. A model of settings with an address in it is a ``Reaching``; a field
that is a URL is a ``Url``, and what else may be in clear the model says itself.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

_ENCRYPTED: Final = frozenset({"https"})


class _IsUrl:
    """Marks a field that holds a URL, or several."""


Url = Annotated[str, _IsUrl()]
"""Called in clear text when it does not begin with https://. Empty for none."""
SecretUrl = Annotated[SecretStr, _IsUrl()]


def is_here(host: str) -> bool:
    """Whether this is the machine itself: a loopback address, ``localhost``, or the path of a socket.

    Names are not looked up: what they mean may change. 0.0.0.0 and :: are every address.
    """
    if host.startswith("/"):
        return True
    bare = host.strip("[]").lower()
    if bare == "localhost" or bare.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def elsewhere(servers: str | Iterable[str]) -> Iterator[str]:
    """Of ``host:port`` (several apart by commas, or as a collection) those that are not this machine."""
    for server in servers.split(",") if isinstance(servers, str) else servers:
        host, _, port = server.strip().rpartition(":")
        # A bare IPv6 address or name has no port to take off.
        whole = not host or not port.isdigit() or (":" in host and not host.startswith("["))
        if server.strip() and not is_here(server.strip() if whole else host):
            yield server.strip()


def url_in_clear(url: str) -> bool:
    """Whether this URL is called over the network without encryption. An empty one is not called."""
    if not url:
        return False
    parts = urlsplit(url.strip())
    return parts.scheme not in _ENCRYPTED and not is_here(parts.hostname or "")


class Reaching(BaseModel):
    """Settings that name an address. Refused when something would go there in clear text."""

    insecure: bool = Field(False, description="clear text over the network is wanted here")

    def in_clear(self) -> Iterator[tuple[str, str]]:
        """(field, what to do instead) of each that would go over the network in clear text."""
        yield from urls_in_clear(self)

    @model_validator(mode="after")
    def _not_in_clear(self) -> Self:
        found = () if self.insecure else dict(self.in_clear()).items()
        if found:
            each = "; ".join(f"{field}: {instead}" for field, instead in found)
            raise ValueError(
                f"{each} (it would go over the network in clear text; if that is wanted, "
                "write insecure = true beside it)"
            )
        return self


def urls_in_clear(model: BaseModel) -> Iterator[tuple[str, str]]:
    """The fields of type Url and SecretUrl, also within lists and mappings."""
    for name, field in type(model).model_fields.items():
        if _is_url(field.metadata, field.annotation):
            for url in _texts(getattr(model, name)):
                if url_in_clear(url):
                    yield name, "begin it with https://"


def _is_url(metadata: list[Any], annotation: Any) -> bool:
    marked = any(isinstance(mark, _IsUrl) for mark in metadata)
    inner = [*getattr(annotation, "__metadata__", ()), *getattr(annotation, "__args__", ())]
    return marked or any(isinstance(one, _IsUrl) or _is_url([], one) for one in inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def told(error: ValidationError) -> str:
    """What is wrong, by field, and no value: it may be a secret."""
    return "; ".join(
        f"{'.'.join(str(step) for step in one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_input=False, include_url=False)
    )
