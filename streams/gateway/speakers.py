"""Who says a DC-09 frame, and what is left of one that can't be read. Pure: bytes in, findings out.

Who has the account's key is that account, wherever the frame comes from over TCP. Plaintext, and all of
UDP, comes from a registered address. A frame that names nobody whole is of the account that its bytes
name in part, else of each that is registered where it comes from.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.dc09 import (
    CALLS,
    EVENT_TOKENS,
    Frame,
    FrameFault,
    Gleaned,
    Refusal,
    data_in,
    decrypt,
    glean,
    parse,
    parse_time,
    read_data,
    stamp_in,
    unsealed,
)
from streams.gateway.accounts import Account, Accounts, all_at, named, near
from streams.keys import Device

_STAMP = re.compile(r"_[^_\[\]|]*\Z")
MOST_CANDIDATES: Final = 4
"""More accounts at one address are a provider's, and a press of them all would be nobody's."""
MOST_TRIED: Final = 50
"""So many keys at most are tried on a frame that names no account."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A frame as its sender made it, in the clear. ``key``: it was encrypted. ``odd``: not as the
    standard has it. ``no_time``: its timestamp is missing or unusable.
    """

    frame: Frame
    account: Account
    key: bytes | None = None
    odd: bool = False
    no_time: bool = False


@dataclass(frozen=True, slots=True)
class Damaged:
    """``frame``: what is left of it, ``seq`` its number if that is legible. ``plain``: in the clear, if
    it was encrypted.
    """

    frame: Frame
    accounts: tuple[Account, ...]
    seq: int | None
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Stranger:
    """``finding``: for an operator, empty when there is nothing to say. ``device``: who it claims to be."""

    finding: str = ""
    device: Device | None = None


def who_says(
    raw: bytes, accounts: Accounts, address: str, *, udp: bool
) -> Whole | Damaged | Stranger:
    read = parse(raw)
    frame = read if isinstance(read, Frame) else read.frame
    if frame is not None:
        whole = _whole(frame, accounts, address, udp=udp, no_time=isinstance(read, Refusal))
        if whole is not None:
            return whole
    seen = glean(raw)
    there = all_at(accounts, address)
    return (
        _by_key(seen, accounts, there, udp=udp)
        or _by_address(seen, accounts, there, whole=frame is not None and frame.account != "")
        or _stranger(read, accounts, address, udp=udp)
    )


def _whole(
    frame: Frame, accounts: Accounts, address: str, *, udp: bool, no_time: bool
) -> Whole | None:
    number = named(accounts, frame.account)
    if number is None:
        return None
    account = accounts[number]
    if (udp or not frame.encrypted) and not account.at(address):
        return None
    if not frame.encrypted:
        return Whole(frame, account, no_time=no_time)
    if account.aes_key is None:
        return None
    opened = decrypt(frame, account.aes_key)
    if isinstance(opened, Frame):
        return Whole(opened, account, account.aes_key)
    if opened.frame is not None:
        return Whole(opened.frame, account, account.aes_key, no_time=True)
    return None


def _by_key(
    seen: Gleaned, accounts: Accounts, there: list[str], *, udp: bool
) -> Whole | Damaged | None:
    """Of the account whose key makes it legible."""
    if not seen.sealed:
        return None
    for number in dict.fromkeys(_candidates(seen, accounts, there)):
        key = accounts[number].aes_key
        if key is None or (udp and number not in there):
            continue
        plain = unsealed(seen.sealed, key, number)
        if plain is not None:
            return _found(seen, accounts, [number], plain, key)
    return None


def _candidates(seen: Gleaned, accounts: Accounts, there: list[str]) -> Iterator[str]:
    for said in (*seen.accounts, *seen.perhaps):
        number = named(accounts, said)
        if number is not None:
            yield number
    for said in seen.accounts[:2]:
        yield from near(accounts, said)
    yield from there[:MOST_TRIED]


def _by_address(
    seen: Gleaned, accounts: Accounts, there: list[str], *, whole: bool
) -> Whole | Damaged | Stranger | None:
    """Of those at this address whom it names, or may have named before it was damaged."""
    told = [number for said in seen.accounts if (number := named(accounts, said)) in there]
    if not there or (not told and whole):
        return None  # it names somebody else, and says so with a right CRC
    told = told or [number for said in seen.perhaps if (number := named(accounts, said)) in there]
    if not told and seen.token not in EVENT_TOKENS:
        return None  # a scanner's bytes, in which two letters may be anything
    if not told:
        close = {n for said in seen.accounts for n in near(accounts, said) if n in there}
        told = list(close) if len(close) == 1 else there
    else:
        told = told[:1]
    if len(told) > MOST_CANDIDATES:
        return Stranger(f"DC-09 frame of one of {len(told)} accounts, unreadable")
    # Ciphertext that no key opens is nobody's.
    return None if seen.sealed else _found(seen, accounts, told, "", None)


def _found(
    seen: Gleaned, accounts: Accounts, numbers: list[str], plain: str, key: bytes | None
) -> Whole | Damaged:
    stamp = stamp_in(plain) if plain else seen.stamp
    frame = Frame(
        token=seen.token,
        seq=seen.seq or 0,
        account=numbers[0],
        data=_data(seen, plain, numbers[0]),
        time_s=None if stamp is None else parse_time(stamp),
        raw_crc=seen.raw_crc,
    )
    if seen.intact and seen.seq is not None and len(numbers) == 1:
        no_time = frame.time_s is None and (plain != "" or stamp is not None)
        return Whole(frame, accounts[numbers[0]], key, odd=True, no_time=no_time)
    return Damaged(frame, tuple(accounts[number] for number in numbers), seen.seq, plain)


def _data(seen: Gleaned, plain: str, number: str) -> str:
    """Up to the bracket that closes the data, unless an event can be made out behind it only."""
    data = data_in(plain) if plain else seen.data
    if read_data(seen.token, data, number).kind is not None:
        return data
    beyond = _STAMP.sub("", plain or seen.content).replace("]", "|")
    said = read_data(seen.token, beyond, number)
    return beyond if said.placed and (said.kind in CALLS or said.firm) else data


def _stranger(read: Frame | Refusal, accounts: Accounts, address: str, *, udp: bool) -> Stranger:
    frame = read if isinstance(read, Frame) else read.frame
    if frame is None:
        damaged = isinstance(read, Refusal) and read.reason is FrameFault.CRC
        return Stranger("" if damaged else "no DC-09 frame")
    number = named(accounts, frame.account)
    if number is None:
        return Stranger(f"unknown DC-09 account {frame.account}")
    account = accounts[number]
    if (udp or not frame.encrypted) and not account.at(address):
        carried = "UDP" if udp else "plaintext"
        said = f"DC-09 by {carried} from an address that is not registered"
        return Stranger(said, account.sender)
    return Stranger("wrong DC-09 key", account.sender)
