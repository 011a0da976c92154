from collections import Counter
from math import cos, hypot, radians

import pytest

from loadtest.simulator.country import KM_PER_DEGREE, School, country
from loadtest.simulator.regions import REGIONS


@pytest.fixture(scope="module")
def nation() -> list[School]:
    return country(seed=7)


def share(schools: list[School], has: object) -> float:
    return sum(map(has, schools)) / len(schools)  # type: ignore[call-overload]


def test_it_is_the_same_country_for_the_same_seed(nation: list[School]) -> None:
    assert country(seed=7) == nation
    assert country(seed=8) != nation


def test_it_has_20_regions_with_unique_school_ids(nation: list[School]) -> None:
    assert len(nation) == 8_000
    assert len({school.region for school in nation}) == len(REGIONS) == 20
    assert len({school.id for school in nation}) == 8_000
    assert all(school.id.startswith(f"{school.region}-") for school in nation)


def test_it_keeps_its_ids_whatever_the_seed(nation: list[School]) -> None:
    assert [s.id for s in country(seed=8)] == [s.id for s in nation]


def test_it_has_the_pupils_and_devices_of_a_country(nation: list[School]) -> None:
    assert sum(school.pupils for school in nation) == pytest.approx(3.9e6, rel=0.01)
    assert sum(len(school.devices()) for school in nation) / 8_000 == pytest.approx(10, abs=0.7)
    assert max(school.turnstiles for school in nation) == 8
    assert max(school.pupils for school in nation) > 3_000


def test_it_is_equipped_as_the_ministry_says(nation: list[School]) -> None:
    assert share(nation, lambda s: s.turnstiles > 0) == 0.98
    assert share(nation, lambda s: s.contract is not None) == 0.97
    assert share(nation, lambda s: s.buttons > 0) == 0.96
    assert share(nation, lambda s: s.police_link) == 0.81
    private = [school for school in nation if school.private]
    assert 0.07 <= len(private) / 8_000 <= 0.10
    lacking = share(private, lambda s: not (s.turnstiles and s.buttons and s.contract))
    assert lacking == pytest.approx(0.30, abs=0.005)


def test_it_has_two_shifts_special_schools_and_assistants_as_counted(
    nation: list[School],
) -> None:
    assert share(nation, lambda s: len(s.shifts) == 1) == pytest.approx(3 / 8, abs=0.02)
    assert share(nation, lambda s: s.special) == pytest.approx(492 / 7_859, abs=0.001)
    assert sum(school.assistants for school in nation) == pytest.approx(2_400, rel=0.15)


def test_it_puts_each_school_near_a_town_of_its_region(nation: list[School]) -> None:
    towns = {f"KZ-{region.code}": region.towns for region in REGIONS}
    for school in nation:
        town = next(town for town in towns[school.region] if town.en == school.district)
        north = (school.latitude - town.latitude) * KM_PER_DEGREE
        east = (school.longitude - town.longitude) * KM_PER_DEGREE * cos(radians(town.latitude))
        assert hypot(north, east) <= town.radius_km + 0.1


def test_it_lets_one_provider_dominate_each_region(nation: list[School]) -> None:
    for region in REGIONS:
        there = Counter(s.provider for s in nation if s.region == f"KZ-{region.code}")
        assert there.most_common(1)[0][0] == region.provider


@pytest.mark.parametrize("schools", [1, 2, 19, 100])
def test_it_makes_small_countries_too(schools: int) -> None:
    assert len(country(seed=1, schools=schools)) == schools
