"""DC-09 accounts: which panel speaks for which device of which school, and from where."""

import json
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from schemas.events import DeviceId, DeviceKind, ProviderId, SchoolId
from streams.dc09 import read_key
from streams.gateway.keys import Device, KeyTrouble


class Account(BaseModel):
    """``key`` opens its encrypted frames (32, 48 or 64 hexadecimal digits, or ``text:`` and 16, 24 or
    32 characters). ``addresses`` are those from which plaintext and UDP are taken. A link test counts
    as a heartbeat of ``kind``, the next one due after ``period_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    school: SchoolId
    device: DeviceId
    key: str | None = None
    addresses: list[IPv4Network | IPv6Network] = []
    kind: DeviceKind = DeviceKind.PANIC_BUTTON
    period_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    provider: ProviderId = "unknown"

    @field_validator("key")
    @classmethod
    def _is_key(cls, said: str | None) -> str | None:
        if said is not None:
            read_key(said)
        return said

    @property
    def sender(self) -> Device:
        return Device(self.school, self.device)

    @property
    def aes_key(self) -> bytes | None:
        return None if self.key is None else read_key(self.key)

    def at(self, address: str) -> bool:
        """Whether this is one of its registered addresses."""
        there = ip_address(address)
        return any(there in network for network in self.addresses)


Accounts = dict[str, Account]
"""By account number, in upper case as frames have it."""

_ACCOUNTS: TypeAdapter[Accounts] = TypeAdapter(Accounts)


def read_accounts(path: Path) -> Accounts:
    """What the file says; nothing when there is none yet. Raises KeyTrouble and OSError."""
    try:
        said = _ACCOUNTS.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        # Its own text would show the keys.
        where = "; ".join(
            f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in error.errors()
        )
        raise KeyTrouble(f"{path} is no file of DC-09 accounts: {where}") from None
    except ValueError as error:
        raise KeyTrouble(f"{path} is no file of DC-09 accounts: {error}") from error
    return {number.upper(): account for number, account in said.items()}


def only_at(accounts: Accounts, address: str) -> Account | None:
    """The account that alone is registered at this address."""
    there = [account for account in accounts.values() if account.at(address)]
    return there[0] if len(there) == 1 else None
