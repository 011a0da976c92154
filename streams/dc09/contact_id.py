"""Contact ID (SIA DC-05) as the data of an "ADM-CID" frame: ``#acct|QEEE GG CCC``."""

import re
from dataclasses import dataclass
from typing import Final

NEW: Final = 1
STATUS: Final = 6

PANIC: Final = "120"
DURESS: Final = "121"
SILENT: Final = "122"
PERIODIC_TEST: Final = "602"

_DATA = re.compile(
    r"(?:#(?P<account>[0-9A-Za-z]{1,16}))?\|"
    r"(?P<qualifier>[136])(?P<event>[0-9A-F]{3}) (?P<group>[0-9A-F]{2}) (?P<zone>[0-9A-F]{3})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ContactId:
    """``qualifier`` 1 is new, 3 restored, 6 still so. ``zone`` is the point or the user."""

    event: str
    qualifier: int = NEW
    group: str = "00"
    zone: str = "000"


def parse_contact_id(data: str) -> ContactId | None:
    """None when it is no Contact ID."""
    match = _DATA.fullmatch(data)
    if match is None:
        return None
    return ContactId(match["event"], int(match["qualifier"]), match["group"], match["zone"])


def format_contact_id(account: str, event: ContactId) -> str:
    return f"#{account}|{event.qualifier}{event.event} {event.group} {event.zone}"
