"""What the bytes of a DC-09 frame still say, after the standards and apart from our parser: SIA DC-09
(frame, encryption), DC-04 (blocks of the SIA format), DC-03 (its codes), DC-05 (Contact ID).

It imports nothing of streams. A mutation says which field it touched; from that, and from the data as
they are now, follows what a receiver owes.
"""

import re
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Owed(Enum):
    """RAISED: as a press or as an unidentified one. ``EITHER``: the bytes don't tell."""

    RAISED = "raised"
    SILENT = "silent"
    EITHER = "either"


@dataclass(frozen=True)
class Expected:
    """``duress``, ``place``: None when the bytes don't tell."""

    owed: Owed
    duress: bool | None = None
    place: str | None = None


# DC-03, section 5: panic, hold-up, medical, emergency. ND: Ajax, night mode ended under duress.
SIA_CALLS = {"PA": False, "HA": True, "MA": False, "QA": False, "ND": True}
# The same families' restores, troubles and bypasses, tests, openings and closings, other alarms.
SIA_NONE = frozenset(
    re.findall(
        "..",
        "PBPHPJPRPSPTPUHBHHHJHRHSHTHUMBMHMJMRMSMTMUQBQHQJQRQSQTQU"
        "RPRXTXRRRBRSTETSOPCLCAOAOGCGCFCSOSOCBABRBHBTBCBXFAFHFTGAWAKAZA"
        "ATARYTYRYCYKTATRUAURXTXRLTLRJTJLEAERETDGDDDF",
    )
)
# DC-05, appendix C, class 12x Panic and 10x Medical; 121, 122, 124, 125: nobody may see it.
CONTACT_DURESS = {"121", "122", "124", "125"}
CONTACT_CALLS = ("10", "12")

_CONTACT = re.compile(r"(?:#[0-9A-F]{3,16})?\|([136])([0-9A-F]{3}) ([0-9A-F]{2}) ([0-9A-F]{3})")
_SIA = re.compile(
    r"(?:#[0-9A-F]{3,16})?\|[NO](?:[a-z]{2}[0-9:]+/)*([A-Z]{2})([0-9A-F]{0,4})(?:\^[^^\[\]|]*\^)?"
)


def of_data(data: str) -> Expected:
    """What data in the standards' form say; whatever is not in it is unreadable, so it raises, unless
    it may be another event in a form that panels in the field use."""
    contact = _CONTACT.fullmatch(data)
    if contact is not None:
        qualifier, event, _, zone = contact.groups()
        if event[:2] in CONTACT_CALLS:
            if qualifier == "3":
                return Expected(Owed.SILENT)
            return Expected(Owed.RAISED, event in CONTACT_DURESS, _place(zone, event[:2] == "10"))
        return Expected(Owed.SILENT if event[0] in "123456789" else Owed.RAISED)
    sia = _SIA.fullmatch(data)
    if sia is not None:
        code, zone = sia.groups()
        if code in SIA_CALLS:
            return Expected(Owed.RAISED, SIA_CALLS[code], _place(zone, code in ("MA", "QA")))
        # Three capitals in a row may be the rest of two codes.
        known = code in SIA_NONE and not zone.isalpha()
        return Expected(Owed.SILENT if known else Owed.EITHER)
    return Expected(Owed.RAISED if not _may_be_another(data) else Owed.EITHER)


def _place(zone: str, medical: bool) -> str:
    return ", ".join(
        part for part in (f"zone {zone}" if zone else "", "medical call" if medical else "") if part
    )


def _may_be_another(data: str) -> bool:
    """Two capitals, or a qualifier and three digits, where an event may stand, that are no call's."""
    codes = re.findall(r"(?<![A-Za-z])[NO]?([A-Z]{2})(?![G-Zg-z])", data)
    events = re.findall(
        r"(?<![0-9A-F])[0-9A-FRP]?([0-9A-F]{3})(?![1-9A-F])", data.partition("|")[2]
    )
    return any(code not in SIA_CALLS for code in codes) or any(
        event[:2] not in CONTACT_CALLS and event != "000" for event in events
    )


def of_ciphertext(digits: str, key: bytes, account: str) -> str | None:
    """The data that the blocks hold, empty when they are not legible; None when nothing in the blocks
    shows that their sender has the key."""
    if len(digits) % 32 or re.fullmatch(r"[0-9A-Fa-f]+", digits) is None:
        return None
    decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
    text = (decryptor.update(bytes.fromhex(digits)) + decryptor.finalize()).decode("latin-1")
    stamp = re.search(r"\]_[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{2}-[0-9]{2}-[0-9]{4}", text)
    if f"#{account}|" not in text and stamp is None:
        return None
    # A changed block is noise, and turns one bit of the next.
    data = re.search(r"(?:#[0-9A-F]{3,16})?\|[A-Z0-9][^|\]]*(?=\])", text)
    return data[0] if data else ""
