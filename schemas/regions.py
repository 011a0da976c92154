"""The first-level units of Kazakhstan by their codes in ISO 3166-2, as schools' names begin."""

from typing import Final

_CODES: Final = "10 11 15 19 23 27 31 33 35 39 43 47 55 59 61 62 63 71 75 79"
REGIONS: Final = frozenset(f"KZ-{code}" for code in _CODES.split())
