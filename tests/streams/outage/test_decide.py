"""Outages found from bursts of silence, without a broker."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, AlertKind, Status, StatusChanged
from streams.outage.decide import HOLD_S, Outages
from streams.outage.incident import CLEARED_MS
from streams.outage.scope import COUNTRY, Place, is_inside, preference, scopes
from streams.outage.surprise import surprise

T0 = 1_790_000_000_000
PERIOD_MS = 15_000
PROVIDERS = ("kt", "alatau", "steppe", "caspian")
Timed = tuple[int, StatusChanged]


class Country:
    """Schools of four providers, in five regions of four districts each."""

    def __init__(self, schools: int = 2_000, seed: int = 1) -> None:
        rng = random.Random(seed)
        self.rng = rng
        self.it = Outages()
        self.schools: dict[str, Place] = {}
        for number in range(schools):
            region = f"KZ-{rng.randint(10, 14)}"
            place = Place(rng.choice(PROVIDERS), f"District {rng.randint(1, 4)}", region)
            school = f"{region}-{number:05}"
            self.schools[school] = place
            self.it.register(school, place)
            self.it.change(said(school, Status.ONLINE, T0), T0)

    def of(self, **wanted: str) -> list[str]:
        return [
            school
            for school, place in self.schools.items()
            if all(getattr(place, name) == value for name, value in wanted.items())
        ]

    def fall(self, schools: Iterable[str], cut_ms: int) -> list[Timed]:
        """Each has beaten at a moment of its own; it is told half a second after its deadline."""
        return [
            (at_ms + 500, said(school, Status.OFFLINE, at_ms, at_ms - 50_000))
            for school in schools
            for at_ms in [cut_ms + 35_000 + self.rng.randrange(PERIOD_MS)]
        ]

    def back(self, schools: Iterable[str], at_ms: int) -> list[Timed]:
        return [
            (there_ms, said(school, Status.ONLINE, there_ms))
            for school in schools
            for there_ms in [at_ms + self.rng.randrange(PERIOD_MS)]
        ]

    def run(self, changes: Iterable[Timed], until_ms: int) -> list[AlertChanged]:
        alerts: list[AlertChanged] = []
        for stamp_ms, change in sorted(changes, key=lambda one: (one[0], one[1].school)):
            alerts += self.it.change(change, stamp_ms)
        return [*alerts, *self.it.advance(until_ms)]


def said(
    school: str, status: Status, decided_ms: int, since_ms: int | None = None
) -> StatusChanged:
    before = Status.ONLINE if status is Status.OFFLINE else Status.OFFLINE
    return StatusChanged(
        school=school,
        status=status,
        previous=before,
        since_ms=since_ms or decided_ms,
        decided_ms=decided_ms,
    )


def opened(alerts: Iterable[AlertChanged]) -> dict[str, AlertChanged]:
    return {alert.scope: alert for alert in alerts if alert.action is Action.OPENED}


def members(alerts: Iterable[AlertChanged]) -> set[str]:
    return {school for alert in alerts for school in alert.members}


@pytest.mark.parametrize(
    "shared",
    [
        {"provider": "kt"},
        {"region": "KZ-12"},
        {"region": "KZ-12", "district": "District 3"},
        {"provider": "kt", "region": "KZ-12"},
        {"provider": "kt", "region": "KZ-12", "district": "District 3"},
        {},
    ],
)
def test_a_burst_is_named_by_the_narrowest_that_explains_it(shared: dict[str, str]) -> None:
    there = Country()
    gone = there.of(**shared)
    alerts = there.run(there.fall(gone, T0 + 60_000), T0 + 180_000)
    expected = {
        "provider": "provider:kt",
        "region": "region:KZ-12",
        "region district": "district:KZ-12/District 3",
        "provider region": "provider:kt region:KZ-12",
        "provider region district": "provider:kt district:KZ-12/District 3",
        "": COUNTRY,
    }[" ".join(shared)]
    assert set(opened(alerts)) == {expected}
    assert members(alerts) == set(gone)
    assert [alert.kind for alert in alerts] == [AlertKind.OUTAGE] * len(alerts)


def test_a_part_of_a_providers_schools_is_the_providers_outage() -> None:
    there = Country(8_000)
    gone = there.rng.sample(there.of(provider="kt"), 400)
    alerts = there.run(there.fall(gone, T0 + 60_000), T0 + 180_000)
    assert set(opened(alerts)) == {"provider:kt"}
    assert len(members(alerts) & set(gone)) >= 396


def test_silences_of_their_own_are_no_outage() -> None:
    """Two a school and day, for a day."""
    there = Country()
    changes: list[Timed] = []
    for school in there.schools:
        for _ in range(2):
            at_ms = T0 + there.rng.randrange(86_400_000)
            changes += there.fall([school], at_ms)
            changes += there.back([school], at_ms + 300_000)
    assert there.run(changes, T0 + 90_000_000) == []


def test_a_failure_of_another_provider_inside_is_not_absorbed() -> None:
    there = Country()
    gone = there.of(provider="kt", region="KZ-12")
    other = there.of(provider="steppe", region="KZ-12")[:2]
    alerts = there.run(there.fall([*gone, *other], T0 + 60_000), T0 + 180_000)
    assert set(opened(alerts)) == {"provider:kt region:KZ-12"}
    assert members(alerts) == set(gone)


def test_two_causes_at_once_are_two_outages() -> None:
    there = Country()
    a, b = there.of(provider="kt", region="KZ-12"), there.of(region="KZ-14", district="District 1")
    alerts = there.run(there.fall({*a, *b}, T0 + 60_000), T0 + 180_000)
    found = opened(alerts)
    assert set(found) == {"provider:kt region:KZ-12", "district:KZ-14/District 1"}
    assert set(found["provider:kt region:KZ-12"].members) <= set(a)


def test_it_is_named_before_the_hold_of_its_members_is_over() -> None:
    there = Country()
    changes = there.fall(there.of(provider="kt"), T0 + 60_000)
    alerts = there.run(changes, T0 + 180_000)
    for stamp_ms, change in changes:
        named_ms = min(a.decided_ms for a in alerts if change.school in a.members)
        assert named_ms <= change.decided_ms + HOLD_S * 1000, stamp_ms
    assert len(alerts) <= 2


def test_it_resolves_when_its_members_are_back_and_says_who_is_not() -> None:
    there = Country()
    gone = there.of(provider="kt")
    still, back = set(gone[:5]), gone[5:]
    changes = there.fall(gone, T0 + 60_000) + there.back(back, T0 + 600_000)
    alerts = there.run(changes, T0 + 600_000 + PERIOD_MS + CLEARED_MS)
    assert len({alert.id for alert in alerts}) == 1
    assert [alert.number for alert in alerts] == list(range(len(alerts))) and len(alerts) <= 3
    assert alerts[-1].action is Action.RESOLVED
    assert set(alerts[-1].members) == still
    assert there.it.incidents == {}


def test_it_stays_open_while_most_are_silent() -> None:
    there = Country()
    gone = there.of(provider="kt")
    changes = there.fall(gone, T0 + 60_000) + there.back(gone[: len(gone) // 3], T0 + 600_000)
    alerts = there.run(changes, T0 + 40_000_000)
    assert Action.RESOLVED not in {alert.action for alert in alerts}


def test_a_member_that_returns_and_falls_again_says_nothing_new() -> None:
    there = Country()
    gone = there.of(provider="kt")
    changes = there.fall(gone, T0 + 60_000) + there.back(gone[:3], T0 + 200_000)
    before = there.run(changes, T0 + 250_000)
    after = there.run(there.fall(gone[:3], T0 + 260_000), T0 + 400_000)
    assert len(opened(before)) == 1 and after == []


def test_schools_that_were_never_heard_are_no_outage() -> None:
    there = Country()
    changes = [
        (stamp_ms, change.model_copy(update={"previous": Status.UNKNOWN}))
        for stamp_ms, change in there.fall(there.of(provider="kt"), T0 + 60_000)
    ]
    assert there.run(changes, T0 + 180_000) == []


def test_silences_that_we_are_told_late_are_judged_by_their_deadlines() -> None:
    """A lagging partition tells in a second what fell in an hour."""
    there = Country()
    changes = [
        (T0 + 4_000_000, change)
        for n, school in enumerate(there.of(provider="kt")[:40])
        for _, change in there.fall([school], T0 + 90_000 * n)
    ]
    assert there.run(changes, T0 + 4_200_000) == []


@given(cut=st.integers(5, 60), seed=st.integers(0, 50))
def test_whoever_takes_over_says_the_same_of_the_same_outage(cut: int, seed: int) -> None:
    """The heir reads the old records and alerts, and goes on from any of them."""
    first, heir = Country(200, seed), Country(200, seed)
    gone = first.of(provider="kt")
    changes = sorted(
        first.fall(gone, T0 + 60_000) + first.back(gone, T0 + 600_000), key=lambda one: one[0]
    )
    alerts = first.run(changes, T0 + 700_000)
    assert alerts
    at_ms = changes[min(cut, len(changes) - 1)][0]
    for alert in alerts:
        if alert.decided_ms < at_ms:
            heir.it.restore(alert)
    for stamp_ms, change in changes:
        if stamp_ms < at_ms:
            heir.it.recall(change, stamp_ms)
    later = heir.run([one for one in changes if one[0] >= at_ms], T0 + 700_000)
    assert {a.id for a in later} <= {a.id for a in alerts}
    assert later[-1].action is Action.RESOLVED


def test_the_same_changes_say_the_same_however_time_is_cut() -> None:
    one, two = Country(), Country()
    changes = sorted(one.fall(one.of(provider="kt"), T0 + 60_000), key=lambda c: c[0])
    expected = one.run(changes, T0 + 200_000)
    alerts: list[AlertChanged] = []
    for stamp_ms, change in changes:
        alerts += two.it.advance(stamp_ms - 1)
        alerts += two.it.change(change, stamp_ms)
    for at_ms in range(T0 + 110_000, T0 + 200_001, 250):
        alerts += two.it.advance(at_ms)
    assert [a.model_dump_json() for a in alerts] == [a.model_dump_json() for a in expected]


@given(st.integers(1, 5_000), st.data())
def test_more_of_them_are_more_surprising(schools: int, data: st.DataObject) -> None:
    silent = data.draw(st.integers(0, schools - 1))
    assert surprise(silent, schools, 0.001) <= surprise(silent + 1, schools, 0.001)


def test_what_one_has_in_common_is_preferred_in_the_order_of_its_scopes() -> None:
    ranked = sorted(scopes(Place("kt", "By the region: north", "KZ-10")), key=preference)
    assert ranked == list(scopes(Place("kt", "By the region: north", "KZ-10")))


def test_one_scope_is_inside_another_when_its_schools_are() -> None:
    provider, district, region, both, in_region, country = scopes(Place("kt", "North", "KZ-10"))
    inside = {
        (a, b)
        for a in (*scopes(Place("kt", "North", "KZ-10")),)
        for b in scopes(Place("kt", "North", "KZ-10"))
        if is_inside(a, b)
    }
    assert inside == {
        *((narrow, country) for narrow in (provider, district, region, both, in_region)),
        *((narrow, region) for narrow in (district, both, in_region)),
        *((narrow, provider) for narrow in (both, in_region)),
        (both, district),
        (both, in_region),
    }
    assert not is_inside("district:KZ-10/North", "region:KZ-1")
