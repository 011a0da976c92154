"""DC-09 accounts: which panel speaks for which device of which school, and from where."""

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from schemas.clear_text import is_here, told
from schemas.events import DeviceId, DeviceKind, ProviderId, SchoolId
from schemas.private import closed
from schemas.settings import Settings
from streams.dc09 import capitals, read_key
from streams.keys import Device, KeyTrouble

log = structlog.get_logger(__name__)

_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAPPED_BITS: Final = 96
MOST_CHARACTERS: Final = 16
"""Of an account number (DC-09, 5.5.1.6.4)."""
"""Of ``::ffff:0:0/96``, behind which the IPv4 address stands (RFC 4291, 2.5.5.2)."""


class Account(BaseModel):
    """``key`` opens its encrypted frames (32, 48 or 64 hexadecimal digits, or ``text:`` and 16, 24 or
    32 characters). ``addresses`` are those from which plaintext and UDP are taken;
    ``insecure`` says that plaintext over the network is wanted. A link test counts
    as a heartbeat of ``kind``, the next one due after ``period_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    school: SchoolId
    device: DeviceId
    key: str | None = None
    addresses: list[IPv4Network | IPv6Network] = Field([])
    insecure: bool = False
    kind: DeviceKind = DeviceKind.PANIC_BUTTON
    period_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    provider: ProviderId = "unknown"

    @field_validator("addresses")
    @classmethod
    def _are_plain(cls, said: list[IPv4Network | IPv6Network]) -> list[IPv4Network | IPv6Network]:
        return [_plain_network(network) for network in said]

    @field_validator("key")
    @classmethod
    def _is_key(cls, said: str | None) -> str | None:
        if said is not None:
            read_key(said)
        return said

    @property
    def in_clear(self) -> bool:
        """Whether its frames come over the network as plaintext and nobody has written that they may."""
        beyond = (n for n in self.addresses if not is_here(str(n.network_address)))
        return self.key is None and not self.insecure and any(beyond)

    @property
    def sender(self) -> Device:
        return Device(self.school, self.device)

    @property
    def aes_key(self) -> bytes | None:
        return None if self.key is None else read_key(self.key)

    def at(self, address: str) -> bool:
        """Whether this is one of its registered addresses, however a socket writes it."""
        return self.has(plain_address(address))

    def has(self, there: IPv4Address | IPv6Address) -> bool:
        return any(there in network for network in self.addresses)


Accounts = dict[str, Account]
"""By account number, in upper case as frames have it."""

_ACCOUNTS: TypeAdapter[Accounts] = TypeAdapter(Accounts)


def accounts_path(settings: Settings) -> Path:
    """Where the gateway looks for them."""
    return settings.gateway.accounts_file or settings.var / "gateway" / "accounts.json"


def in_clear(accounts: Accounts) -> str:
    """What to do about accounts that speak plaintext over the network; empty when there are none.

    Elsewhere clear text is refused. A panel is heard all the same: it may be the only way in which its
    school can call, and what it says may be a press.
    """
    numbers = sorted(number for number, account in accounts.items() if account.in_clear)
    if not numbers:
        return ""
    return (
        f"DC-09 accounts {', '.join(numbers)} speak plaintext over the network: give them a key, or write "
        "insecure: true beside their addresses if that is wanted"
    )


def read_accounts(path: Path) -> Accounts:
    """What the file says; nothing when there is none yet. Raises KeyTrouble and OSError."""
    try:
        said = _ACCOUNTS.validate_python(json.loads(closed(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        # Its own text would show the keys.
        raise KeyTrouble(f"{path} is no file of DC-09 accounts: {told(error)}") from None
    except ValueError as error:
        raise KeyTrouble(f"{path} is no file of DC-09 accounts: {error}") from error
    accounts = {number.upper(): account for number, account in said.items()}
    if trouble := in_clear(accounts):
        log.warning(trouble)
    return accounts


def named(accounts: Accounts, number: str) -> str | None:
    """The number of the account that is meant by this one. Some panels, and some people who write the
    file, fill it up with zeros."""
    number = capitals(number)
    digits = number.lstrip("0")
    filled = (digits.rjust(length, "0") for length in range(len(digits), MOST_CHARACTERS + 1))
    return next((one for one in (number, *filled) if one in accounts), None)


def near(accounts: Accounts, number: str) -> list[str]:
    """The numbers of accounts that one character changed, lost or added makes this one."""
    number = capitals(number)
    cuts = [(number[:at], number[at:]) for at in range(len(number) + 1)]
    others = [
        *(left + right[1:] for left, right in cuts if right),
        *(left + one + right[1:] for left, right in cuts if right for one in _CHARACTERS),
        *(left + one + right for left, right in cuts for one in _CHARACTERS),
    ]
    return [other for other in dict.fromkeys(others) if other != number and other in accounts]


def all_at(accounts: Accounts, address: str) -> list[str]:
    """The numbers of the accounts that are registered at this address."""
    there = plain_address(address)
    return [number for number, account in accounts.items() if account.has(there)]


def plain_address(address: str) -> IPv4Address | IPv6Address:
    """An IPv4 address is one also where a socket for both families shows it as ``::ffff:1.2.3.4``."""
    there = ip_address(address)
    return getattr(there, "ipv4_mapped", None) or there


def _plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
