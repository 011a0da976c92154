"""What the way to the police needs to know of a school, out of its record in the registry."""

from pydantic import BaseModel, ConfigDict

from schemas.events import SchoolRegistered


class SchoolAddress(BaseModel):
    """``places``: device -> where in the school it is, of those of which the registry knows it."""

    model_config = ConfigDict(frozen=True)

    school: str
    name: str
    region: str
    district: str
    latitude: float
    longitude: float
    center: str
    places: dict[str, str] = {}


def address_of(record: SchoolRegistered) -> SchoolAddress:
    return SchoolAddress(
        school=record.school,
        name=record.names.en,
        region=record.region,
        district=record.district,
        latitude=record.latitude,
        longitude=record.longitude,
        center=record.center,
        places={d.device: d.place for d in record.devices if d.place},
    )
