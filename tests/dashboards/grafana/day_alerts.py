"""The alerts of the simulated day: panics and what was done about them, drills, outages of many schools."""

import random
from datetime import datetime, timedelta

from tests.dashboards.grafana.truth import Day, Panic, Together, stamp

PRESSES = 12


def add_alerts(day: Day, rng: random.Random, silent_together: list[str]) -> None:
    for k in range(PRESSES):
        school = day.schools[k * 7 % 60].id
        opened = day.now - timedelta(hours=23) + timedelta(hours=1.9 * k)
        panic = Panic(school, opened, late=k == 3, center="" if k in (4, 11) else f"center-{k % 3}")
        _press(day, panic, k)
        day.panics.append(panic)
        if k % 4 == 0:
            at = opened + timedelta(seconds=30)
            day.event("panics", school, at, device="button-1", type="panic.cancelled")
        if k < 11:  # the last one still waits for everybody
            _course(day, panic, k, rng)
    _reopened(day)
    _drills(day)
    _outages(day, silent_together)


def _press(day: Day, panic: Panic, k: int | str) -> None:
    day.event("panics", panic.school, panic.opened, device="button-1", type="panic.pressed")
    for _ in range(2):  # two workers say every transition
        _transition(day, panic, k, 0, "opened", panic.opened + timedelta(seconds=2))


def _transition(
    day: Day, panic: Panic, k: int | str, number: int, action: str, decided: datetime
) -> None:
    day.add(
        "alert_transitions",
        panic.school,
        decided,
        id=f"panic-{k}",
        number=number,
        kind="panic",
        severity="info" if panic.drill else "panic",
        action=action,
        device="button-1",
        time=stamp(panic.opened),
        decided=stamp(decided),
        count=number + 1,
        late=panic.late,
        drill=panic.drill,
    )


def _step(
    day: Day, panic: Panic, k: int | str, took: str, at: datetime, target: str = "",
    outcome: str = "", once: str = "",
) -> None:  # fmt: skip
    """``once`` tells apart what is done more than once; the same step twice has the same id."""
    day.add(
        "alert_steps",
        panic.school,
        at,
        id=f"step-{k}-{took}-{once}",
        alert=f"panic-{k}",
        took=took,
        actor="somebody",
        time=stamp(at),
        target=target,
        outcome=outcome,
    )


def _course(day: Day, panic: Panic, k: int, rng: random.Random) -> None:
    """What is done about a press, the later ones not to the end."""
    delays = {"sent": 0.2, "delivered": 1.5, "acknowledged": rng.choice([8, 21, 75])}
    if k < 10:
        delays |= {"dispatched": 95.0, "arrived": 420.0 + k, "closed": 1200.0}
    if not panic.center:
        del delays["sent"], delays["delivered"]
    panic.outcome = "" if k >= 10 else ("false" if k % 4 == 0 else "real")
    for took, seconds in delays.items():
        at = panic.opened + timedelta(seconds=seconds)
        panic.steps[took] = at
        target = panic.center if took in ("sent", "delivered") else ""
        outcome = panic.outcome if took == "closed" else ""
        _step(day, panic, k, took, at, target, outcome)
    if panic.center and k == 5:  # refused at first, and said once more by a machine that was killed
        _step(day, panic, k, "failed", panic.opened + timedelta(seconds=1))
    if k == 6:
        _step(day, panic, k, "acknowledged", panic.steps["acknowledged"] + timedelta(hours=1))


def _reopened(day: Day) -> None:
    """Closed as a mistake, then pressed again: it waits again, and who had it before counts no more."""
    panic = Panic(day.schools[61].id, day.now - timedelta(hours=2))
    _press(day, panic, "again")
    for took, seconds in (("acknowledged", 10), ("closed", 60)):
        at = panic.opened + timedelta(seconds=seconds)
        _step(day, panic, "again", took, at, outcome="false" if took == "closed" else "")
    panic.reopened = day.now - timedelta(minutes=5)
    _transition(day, panic, "again", 1, "updated", panic.reopened)
    day.panics.append(panic)


def _drills(day: Day) -> None:
    for k, closed in ((0, True), (1, False)):
        panic = Panic(day.schools[70 + k].id, day.now - timedelta(hours=3), drill=True)
        _press(day, panic, f"drill-{k}")
        if closed:
            panic.outcome = "drill"
            panic.steps["closed"] = panic.opened + timedelta(minutes=9)
            _step(day, panic, "drill-0", "closed", panic.steps["closed"], outcome="drill")
        day.panics.append(panic)


def _outages(day: Day, silent: list[str]) -> None:
    """One that lasts, which grew after it was named, and one that is over."""
    since = day.now - timedelta(minutes=10)
    over = day.now - timedelta(hours=8)
    day.together = [
        Together("district:big", silent, since, since + timedelta(seconds=80), None),
        Together(
            "provider:kt", silent[:3], over, over + timedelta(seconds=85), over + timedelta(hours=1)
        ),
    ]
    for k, outage in enumerate(day.together):
        said = [("opened", outage.members[:3], outage.named)]
        said.append(("updated", outage.members, outage.named + timedelta(seconds=15)))
        if outage.resolved is not None:
            said.append(("resolved", [], outage.resolved))
        for number, (action, members, at) in enumerate(said):
            day.add(
                "alert_transitions",
                "",
                at,
                id=f"outage-{k}",
                number=number,
                kind="outage",
                severity="critical",
                action=action,
                time=stamp(outage.opened),
                decided=stamp(at),
                count=1,
                scope=outage.scope,
                members=members,
            )
