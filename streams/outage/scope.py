"""What schools share that can take them all away at once. Pure."""

from typing import Final, NamedTuple

COUNTRY: Final = "country"


class Place(NamedTuple):
    """What the registry knows of a school."""

    provider: str
    district: str
    region: str


def scopes(place: Place) -> tuple[str, ...]:
    """All that a school is part of.

    ``provider:kt``, ``district:KZ-19/Talgar`` (names of districts repeat), ``region:KZ-19``, a
    provider in a district or region (``provider:kt region:KZ-19``), the whole country.
    """
    provider = f"provider:{place.provider}"
    district = f"district:{place.region}/{place.district}"
    region = f"region:{place.region}"
    return (
        provider,
        district,
        region,
        f"{provider} {district}",
        f"{provider} {region}",
        COUNTRY,
    )


def preference(scope: str) -> int:
    """Of scopes that explain the same: one attribute before two, before the whole country."""
    if scope == COUNTRY:
        return 5
    kind, _, rest = scope.partition(":")
    if kind != "provider":
        return ("district", "region").index(kind) + 1
    # The name of a provider has no blank in it.
    return 3 if " district:" in rest else 4 if " region:" in rest else 0


def is_inside(narrow: str, broad: str) -> bool:
    """Whether the schools of one scope are a part of another's, by their names."""
    if broad == COUNTRY or narrow == broad:
        return narrow != broad
    kind, _, name = broad.partition(":")
    if preference(broad) > 2:
        pair = broad.partition(" region:")
        return bool(pair[2]) and narrow.startswith(f"{pair[0]} district:{pair[2]}/")
    if kind == "provider":
        return narrow.startswith(f"{broad} ")
    inner = narrow.partition(" ")[2] if narrow.startswith("provider:") else narrow
    if kind == "region":
        return inner == broad or inner.startswith(f"district:{name}/")
    return inner == broad
