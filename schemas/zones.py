"""Time zones come from the tzdata that is locked with us, not from the host's, which may be old.

Kazakhstan is on UTC+5 since March 2024; a host whose tzdata is older than 2024a says UTC+6 for Almaty, and
Python asks the host first. Imported by the package itself, so that no process can forget it.
"""

import zoneinfo
from datetime import datetime, timedelta
from typing import Final

import tzdata

COUNTRY: Final = "Asia/Almaty"
OFFSET: Final = timedelta(hours=5)

zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo.clear_cache()  # what was read from the host's before


def version() -> str:
    """The release of IANA's time zone database that is used, such as 2024a."""
    return str(tzdata.IANA_VERSION)


def country_offset(now: datetime) -> timedelta | None:
    """What the database says of the country's clocks."""
    return now.astimezone(zoneinfo.ZoneInfo(COUNTRY)).utcoffset()
