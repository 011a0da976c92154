"""Schools as the registry has them."""

import time

from schemas.events import Names, Ownership, SchoolRegistered, Shift
from tests.streams.workers import uuid7


def registered(school: str, provider: str) -> bytes:
    event = SchoolRegistered(
        id=uuid7(),
        school=school,
        device="registry",
        time_ms=int(time.time() * 1000),
        boot=1,
        seq=1,
        names=Names(kk=school, ru=school, en=school),
        region=school[:5],
        district="Centre",
        latitude=43.2,
        longitude=76.9,
        pupils=500,
        ownership=Ownership.PUBLIC,
        shifts=[Shift(bells=["08:00", "13:00"])],
        provider=provider,
        devices=[],
    )
    return event.model_dump_json().encode()
