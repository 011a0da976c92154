"""How calls become pages: few when a country falls silent, and none of a panic is ever one of many."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Action, AlertChanged, AlertKind
from schemas.steps import Took
from streams.notify.decide import LASTING_MS
from streams.notify.pager import FORGET_AFTER_MS, PagedBefore, Pager
from streams.notify.policy import Policies
from streams.paging.page import Page, page, text, title
from streams.paging.words import NO_MACHINE, TELEPHONE, WORDS
from tests.streams.notify.alerts import SCHOOL, changed, step

REGIONS = ("11", "15", "19", "23", "27", "31", "33", "35", "39", "43")


@dataclass
class Duty:
    """A pager on one channel, with its own clock, ticking as the process does."""

    pager: Pager = field(default_factory=lambda: Pager(Policies(), ["phone"]))
    now_ms: int = 0
    pages: list[Page] = field(default_factory=list)

    def until(self, now_ms: int, tick_ms: int = 1_000) -> list[Page]:
        """The pages of the time until then."""
        before = len(self.pages)
        while self.now_ms < now_ms:
            self.now_ms = min(now_ms, self.now_ms + tick_ms)
            for said in self.pager.pages(self.now_ms):
                self.pager.made(said)
                self.pages.append(said)
        return self.pages[before:]


def of(said: list[Page]) -> Counter[tuple[str, str]]:
    return Counter((call.alert, call.why) for page in said for call in page.calls)


def alerts_of(
    kind: AlertKind, schools: list[str], at_ms: int, action: Action = Action.OPENED
) -> list[AlertChanged]:
    number = 0 if action is Action.OPENED else 1
    return [
        changed(f"{kind}-{school}", number, at_ms, kind, school=school, action=action)
        for school in schools
    ]


SCHOOLS = [f"KZ-{REGIONS[number % 10]}-{number:05}" for number in range(400)]


def test_four_hundred_silent_schools_are_three_notifications_from_first_to_last() -> None:
    """Their alerts come over 15 s, the incident 38 s after the first; each school also lost its
    button. Then all come back."""
    duty = Duty()
    for number, school in enumerate(SCHOOLS):
        duty.until(1_000 + number * 15_000 // 400, 500)
        for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND):
            for transition in alerts_of(kind, [school], duty.now_ms):
                duty.pager.changed(transition)
    duty.until(39_000)
    duty.pager.changed(changed("o", 0, 39_000, AlertKind.OUTAGE, members=SCHOOLS, school=""))
    duty.until(100_000)
    assert len(duty.pages) <= 2
    named = {call.school for page in duty.pages for call in page.calls if call.urgent}
    assert named == set(SCHOOLS)
    duty.pager.changed(
        changed("o", 1, 100_000, AlertKind.OUTAGE, action=Action.RESOLVED, members=SCHOOLS)
    )
    for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND):
        for transition in alerts_of(kind, SCHOOLS, 100_000, Action.RESOLVED):
            duty.pager.changed(transition)
    duty.until(300_000)
    assert len(duty.pages) <= 3
    assert of(duty.pages)["o", "opened"] == 1
    assert of(duty.pages)["o", "resolved"] == 1


def test_an_incident_that_comes_within_the_hold_takes_its_schools_in() -> None:
    duty = Duty()
    for transition in alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:50], 0):
        duty.pager.changed(transition)
    duty.until(19_000)
    duty.pager.changed(changed("o", 0, 19_000, AlertKind.OUTAGE, members=SCHOOLS[:50], school=""))
    (page,) = duty.until(400_000)
    assert [call.alert for call in page.calls] == ["o"]


def test_a_school_that_stays_silent_after_the_incident_gets_its_own_page() -> None:
    duty = Duty()
    for transition in alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:2], 0):
        duty.pager.changed(transition)
    duty.pager.changed(changed("o", 0, 1, AlertKind.OUTAGE, members=SCHOOLS[:2], school=""))
    duty.until(60_000)
    duty.pager.changed(changed("o", 1, 60_000, AlertKind.OUTAGE, action=Action.RESOLVED))
    back = alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:1], 61_000, Action.RESOLVED)
    duty.pager.changed(back[0])
    pages = duty.until(120_000)
    assert of(pages)[f"school_offline-{SCHOOLS[1]}", "opened"] == 1
    assert of(pages)[f"school_offline-{SCHOOLS[0]}", "opened"] == 0


def test_a_school_silent_for_a_reason_of_its_own_is_paged_beside_the_incident() -> None:
    duty = Duty()
    duty.pager.changed(changed("o", 0, 0, AlertKind.OUTAGE, members=SCHOOLS[1:], school=""))
    duty.pager.changed(alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:1], 0)[0])
    assert of(duty.until(30_000))[f"school_offline-{SCHOOLS[0]}", "opened"] == 1


def test_schools_of_one_region_are_one_page_and_the_next_one_waits() -> None:
    duty = Duty()
    region = [f"KZ-75-{number:05}" for number in range(5)]
    for number, transition in enumerate(alerts_of(AlertKind.SCHOOL_OFFLINE, region[:4], 0)):
        duty.pager.changed(transition.model_copy(update={"decided_ms": number * 4_000}))
    (page,) = duty.until(40_000)
    assert len(page.calls) == 4
    for transition in alerts_of(AlertKind.SCHOOL_OFFLINE, region[4:], 40_000):
        duty.pager.changed(transition)
    assert not duty.until(79_000)
    assert len(duty.until(80_000)) == 1


def test_every_blind_school_is_named_with_what_to_do() -> None:
    duty = Duty()
    for transition in alerts_of(AlertKind.PANIC_BLIND, SCHOOLS[:100], 0):
        duty.pager.changed(transition)
    (page,) = duty.until(30_000)
    said = text(page, "https://console.example.kz", "en")
    assert said.startswith(WORDS["en"][TELEPHONE])
    assert all(school in said for school in SCHOOLS[:100])


@given(st.lists(st.sampled_from(SCHOOLS[:30]), min_size=1, max_size=30, unique=True))
def test_a_panic_is_never_one_of_many(schools: list[str]) -> None:
    duty = Duty()
    for kind in (AlertKind.SCHOOL_OFFLINE, AlertKind.PANIC_BLIND, AlertKind.PANIC):
        for transition in alerts_of(kind, schools, 0):
            duty.pager.changed(transition)
    duty.pager.changed(changed("o", 0, 0, AlertKind.OUTAGE, members=schools, school=""))
    pages = duty.until(1_000)
    panics = [page for page in pages if any(call.kind == AlertKind.PANIC for call in page.calls)]
    assert len(panics) == len(schools)
    assert all(len(page.calls) == 1 for page in panics)
    assert pages[: len(panics)] == panics or all(page.urgent for page in pages[: len(panics)])


@given(st.permutations(range(8)), st.integers(0, 8))
def test_a_restart_says_nothing_twice_and_forgets_nothing(order: list[int], before: int) -> None:
    happened = [
        *alerts_of(AlertKind.PANIC, SCHOOLS[:4], 0),
        *alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[4:8], 0),
    ]
    first = Duty()
    for number in order[:before]:
        first.pager.changed(happened[number])
    first.until(25_000)
    made = [one for page in first.pages for call in page.calls for one in call.makes]
    second = Duty(Pager(Policies(), ["phone"], PagedBefore(set(made))), now_ms=25_000)
    for transition in happened:
        second.pager.changed(transition)
    second.until(59_000)
    opened = Counter(
        call.alert
        for page in [*first.pages, *second.pages]
        for call in page.calls
        if call.why == "opened"
    )
    assert opened == {transition.id: 1 for transition in happened}


def test_repeats_of_a_group_fall_together() -> None:
    duty = Duty()
    region = [f"KZ-75-{number:05}" for number in range(20)]
    for number, transition in enumerate(alerts_of(AlertKind.PANIC_BLIND, region, 0)):
        duty.pager.changed(transition.model_copy(update={"decided_ms": number * 900}))
    assert len(duty.until(3_600_000, 1_000)) <= 2 + 12  # every 300 s


def test_nobody_to_page_means_one_record_and_no_repeats() -> None:
    duty = Duty(Pager(Policies(), ["log"]))
    duty.pager.changed(changed())
    assert of(duty.until(3_600_000, 10_000)) == {("alert-1", "opened"): 1}


def test_what_is_long_over_is_forgotten_and_what_is_open_is_not() -> None:
    pager = Pager(Policies(), ["phone"])
    pager.changed(changed("old", at_ms=0))
    pager.changed(changed("new", at_ms=FORGET_AFTER_MS))
    pager.took(step(Took.CLOSED, "old", at_ms=10), 10, 1)
    pager.forget(FORGET_AFTER_MS + LASTING_MS)
    assert pager.figures["alerts"] == 1


def test_it_knows_what_ended_while_a_page_waited() -> None:
    duty = Duty()
    for transition in alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:1], 0):
        duty.pager.changed(transition)
    (page,) = duty.until(30_000)
    assert duty.pager.over(page) == frozenset()
    (back,) = alerts_of(AlertKind.SCHOOL_OFFLINE, SCHOOLS[:1], 31_000, Action.RESOLVED)
    duty.pager.changed(back)
    assert duty.pager.over(page) == {back.id}


def test_people_read_what_and_where_and_nothing_else() -> None:
    duty = Duty()
    duty.pager.changed(changed(note="duress", duress=True, actor="aigul", device="button-7"))
    (page,) = duty.until(1_000)
    assert title(page, "en") == f"Saqshy: panic: {SCHOOL}"
    assert text(page, "https://c.kz/", "en").splitlines() == [
        f"panic {SCHOOL} https://c.kz/?alert=alert-1",
        f"page {page.id}",
    ]


def test_a_page_says_that_a_person_must_telephone_and_where_their_name_stands() -> None:
    duty = Duty()
    duty.pager.changed(changed())
    duty.until(1_000)
    named = step(Took.ESCALATED, at_ms=1_500, target="phone:Aigul, +7 727 000 00 00")
    duty.pager.took(named, 1_500, 9)
    (page,) = duty.until(2_000)
    assert page.urgent
    assert text(page, "https://c.kz/", "en").splitlines() == [
        WORDS["en"][NO_MACHINE],
        f"panic (telephone) {SCHOOL} https://c.kz/?alert=alert-1",
        f"page {page.id}",
    ]


def test_what_nobody_attends_to_is_repeated_whenever_it_began() -> None:
    for minute in range(16):
        duty = Duty(now_ms=minute * 60_000)
        duty.pager.changed(changed(kind=AlertKind.SCHOOL_OFFLINE, at_ms=duty.now_ms))
        said = duty.until(duty.now_ms + 3 * 3_600_000)
        assert of(said)["alert-1", "repeated"] >= 9, minute


class Plain(Pager):
    """Looks at everything that waits, each time."""

    def pages(self, now_ms: int) -> list[Page]:
        for alert in [*self._lives]:
            self._ask(alert, now_ms)
        alone = [c for calls in self._waiting.values() for c in calls if not c.group]
        pages = [page(c.channel, [c], now_ms) for c in alone if self._opens_ms(c) <= now_ms]
        for channel in self._channels:
            pages += self._in_groups(channel, now_ms)
        return pages


KINDS = st.sampled_from([AlertKind.PANIC, AlertKind.SCHOOL_OFFLINE, AlertKind.OUTAGE])
THINGS = st.one_of(
    st.tuples(st.just("opened"), KINDS, st.integers(0, 5)),
    st.tuples(st.just("resolved"), KINDS, st.integers(0, 5)),
    st.tuples(st.sampled_from([Took.ACKNOWLEDGED, Took.CLOSED, Took.REOPENED]), KINDS, st.integers(0, 5)),
    st.tuples(st.just("time"), st.sampled_from([200, 5_000, 31_000, 400_000]), st.integers(1, 4)),
)  # fmt: skip


@given(st.lists(THINGS, max_size=40), st.sets(st.integers(0, 60)))
def test_it_says_what_one_says_that_looks_at_everything(
    things: list[tuple[str, object, int]], refused: set[int]
) -> None:
    """Also where the outbox refuses a page now and then."""
    pagers = [one(Policies(), ["phone", "duty"]) for one in (Pager, Plain)]
    now_ms, asked = 1, 0
    for what, about, n in [*things, ("time", 3_600_000, 2)]:
        name, school = f"{about}-{n}", SCHOOLS[n]
        if what == "time":
            for _ in range(n):
                now_ms += int(str(about))
                asked += 1
                said = [sorted(p.pages(now_ms), key=lambda one: one.id) for p in pagers]
                assert [one.id for one in said[0]] == [one.id for one in said[1]]
                for pager, pages in zip(pagers, said, strict=True):
                    for made in pages if asked not in refused else []:
                        pager.made(made)
            continue
        now_ms += 1
        for pager in pagers:
            if what in ("opened", "resolved"):
                kind, number = AlertKind(str(about)), 0 if what == "opened" else 1
                fields = (
                    {"members": SCHOOLS[:4]} if kind is AlertKind.OUTAGE else {"school": school}
                )
                pager.changed(changed(name, number, now_ms, kind, action=Action(what), **fields))
            else:
                pager.took(step(Took(what), name, now_ms), now_ms, now_ms)
