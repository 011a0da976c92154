"""What the event codes of Contact ID (SIA DC-05) and of the SIA format (DC-03) mean to a receiver of
panics. A table: code in, kind out.

A call for a doctor (MA, QA, Contact ID 10x) is one that a person pressed for, so it is no less a press:
acknowledged and dropped, nobody would come.
"""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """``other``: known, and no call for help: a restore, an arming, a trouble, another kind of alarm."""

    DURESS = "duress"
    PRESS = "press"
    MEDICAL = "medical"
    TEST = "test"
    OTHER = "other"


CALLS: Final = (Kind.DURESS, Kind.PRESS, Kind.MEDICAL)
"""Kinds behind which a person asks for help, the most urgent first."""

EVENT_TOKENS: Final = ("SIA-DCS", "ADM-CID")
RECEIVER_TOKENS: Final = ("ACK", "NAK", "DUH", "RSP")
"""What only receivers say (DC-09, 5.5.3)."""

# DC-05, class 12x Panic: duress, silent, and duress with access or egress granted. Also in it: 120
# panic, 123 audible, 126 hold-up suspicion.
_CONTACT_DURESS: Final = ("121", "122", "124", "125")
# Manual, periodic, as the panel's own report on one, periodic with trouble present.
_CONTACT_TESTS: Final = ("601", "602", "603", "608")
_RESTORED: Final = "3"

# ND is no code of DC-03: Ajax says so that night mode was ended under duress.
_SIA_CALLS: Final = {
    "PA": Kind.PRESS,
    "HA": Kind.DURESS,
    "ND": Kind.DURESS,
    "MA": Kind.MEDICAL,
    "QA": Kind.MEDICAL,
}
_SIA_TESTS: Final = ("RP", "RX", "TX")
# DC-03's codes, and those that panels in the field have beside it: second letters by the first.
_SIA_KNOWN: Final = {
    "A": "ABFNRST",
    "B": "ABCDEGHJMRSTUVXZ",
    "C": "ABCDEFGIJKLMOPQRSTWXZ",
    "D": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "E": "AEJMNRSTXZ",
    "F": "ABCGHIJKLMQRSTUVWXYZ",
    "G": "ABHJRSTUX",
    "H": "ABHJRSTU",
    "I": "AR",
    "J": "ACDHKLOPRSTVXYZ",
    "K": "ABHJRSTU",
    "L": "BDEFRSTUX",
    "M": "ABHIJRSTU",
    "N": "ABCDEFLMOPRST",
    "O": "ABCGHIJKLPQRSTUVZ",
    "P": "ABCDEFGHJORSTU",
    "Q": "ABHJRSTU",
    "R": "ABCDNOPRSTUXY",
    "S": "ABCHJMRSTU",
    "T": "ABCEHJPRSTUWXZ",
    "U": "ABGHJRSTUXYZ",
    "V": "IORTXYZ",
    "W": "ABHJRSTU",
    "X": "ACEFHIJLMQRSTWX",
    "Y": "ABCDEFGHIJKMNOPQRSTUWXYZ",
    "Z": "ABHJRSTUYZ",
}


def sia_kind(code: str) -> Kind | None:
    """None for two letters that no table has."""
    if code in _SIA_CALLS:
        return _SIA_CALLS[code]
    if code in _SIA_TESTS:
        return Kind.TEST
    return Kind.OTHER if code[1] in _SIA_KNOWN.get(code[0], "") else None


def contact_kind(event: str, qualifier: str) -> Kind | None:
    """By DC-05's classes, of which 1 to 9 are in use; None for another one.

    Every code of Panic and of Medical calls, also one that DC-05 has not. A condition that is still
    there (qualifier 6) calls as well: its beginning may not have come through.
    """
    if event[:2] in ("10", "12"):
        if qualifier == _RESTORED:
            return Kind.OTHER
        if event[:2] == "10":
            return Kind.MEDICAL
        return Kind.DURESS if event in _CONTACT_DURESS else Kind.PRESS
    if event in _CONTACT_TESTS:
        return Kind.TEST
    return Kind.OTHER if event[0] in "123456789" else None


def capitals(text: str) -> str:
    """In capitals as the standards mean it: ASCII letters only, so that no text grows longer."""
    return text.encode("latin-1", "replace").upper().decode("latin-1")
