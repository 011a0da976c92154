"""SIA DC-09, Internet Protocol event reporting, as pure functions: bytes in, data out, and back.

The gateway receives it from schools, dispatch sends it to police centers. After ANSI/SIA
DC-09-2013: sections 5.4 (encryption) and 5.5 (messages). Nothing here raises for what was received.
"""

from streams.dc09.contact_id import ContactId, format_contact_id, parse_contact_id
from streams.dc09.crypt import decrypt, encrypt, read_key
from streams.dc09.frame import (
    Frame,
    Refusal,
    Refused,
    crc16,
    format_frame,
    format_time,
    in_window,
    parse,
    parse_time,
    take_frame,
)
from streams.dc09.reply import ack, duh, nak
from streams.dc09.sia_dcs import SiaDcs, format_sia_dcs, parse_sia_dcs

__all__ = [
    "ContactId",
    "Frame",
    "Refusal",
    "Refused",
    "SiaDcs",
    "ack",
    "crc16",
    "decrypt",
    "duh",
    "encrypt",
    "format_contact_id",
    "format_frame",
    "format_sia_dcs",
    "format_time",
    "in_window",
    "nak",
    "parse",
    "parse_contact_id",
    "parse_sia_dcs",
    "parse_time",
    "read_key",
    "take_frame",
]
