"""SIA DC-09, Internet Protocol event reporting, as pure functions: bytes in, data out, and back.

The gateway receives it from schools, dispatch sends it to police centers. After ANSI/SIA
DC-09-2013: sections 5.4 (encryption) and 5.5 (messages). Nothing here raises for what was received.
"""

from streams.dc09.codes import CALLS, EVENT_TOKENS, RECEIVER_TOKENS, Kind, capitals
from streams.dc09.contact_id import ContactId, format_contact_id, parse_contact_id
from streams.dc09.crypt import decrypt, encrypt, read_key
from streams.dc09.cut import take_frame, take_frames
from streams.dc09.frame import (
    Frame,
    FrameFault,
    Refusal,
    crc16,
    format_frame,
    format_time,
    in_window,
    parse,
    parse_time,
)
from streams.dc09.glean import Gleaned, data_in, glean, stamp_in, unsealed
from streams.dc09.reply import ack, duh, nak
from streams.dc09.said import DataEvent, read_data
from streams.dc09.sia_dcs import SiaDcs, format_sia_dcs, parse_sia_dcs

__all__ = [
    "CALLS",
    "EVENT_TOKENS",
    "RECEIVER_TOKENS",
    "ContactId",
    "DataEvent",
    "Frame",
    "FrameFault",
    "Gleaned",
    "Kind",
    "Refusal",
    "SiaDcs",
    "ack",
    "capitals",
    "crc16",
    "data_in",
    "decrypt",
    "duh",
    "encrypt",
    "format_contact_id",
    "format_frame",
    "format_sia_dcs",
    "format_time",
    "glean",
    "in_window",
    "nak",
    "parse",
    "parse_contact_id",
    "parse_sia_dcs",
    "parse_time",
    "read_data",
    "read_key",
    "stamp_in",
    "take_frame",
    "take_frames",
    "unsealed",
]
