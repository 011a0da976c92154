"""Alive but useless: what is wrong with a device that is heard. Pure.

A finding is opened by heartbeats in a row that show it, and closed by as many that show the
opposite. Each stands in the device's status, from which a new owner knows what is open.
"""

from typing import Final

from schemas.alerts import AlertKind
from streams.liveness.device import RUN, Device

SKEW_MS: Final = 60_000
SKEW_CALM_MS: Final = 30_000
BUFFER_LEAST: Final = 20
TEST_EVERY_MS: Final = 8 * 86_400_000
"""A week, and a day more for those whose test fell on a day off."""
HOUR_MS: Final = 3_600_000
BUTTON: Final = "panic_button"


def look(device: Device, skew_ms: int, buffered: int, kafka_ms: int) -> tuple[bool, bool]:
    """Take a live heartbeat into account; whether a finding was opened, and whether one was closed."""
    recount(device, skew_ms, buffered)
    skew = _settle(device, AlertKind.CLOCK_SKEW, device.skew_run, kafka_ms)
    buffer = _settle(device, AlertKind.BUFFER_GROWING, device.buffer_run, kafka_ms)
    period = _settle(device, AlertKind.LONG_PERIOD, device.period_run, kafka_ms)
    device.plain = device.plain and not device.findings
    changes = (skew, buffer, period)
    return max(changes) > 0, min(changes) < 0


def recount(device: Device, skew_ms: int, buffered: int) -> None:
    """Count heartbeats in a row that show something, or its opposite."""
    skewed = skew_ms if skew_ms > 0 else -skew_ms
    device.skew_run = _run(device.skew_run, skewed > SKEW_MS, skewed < SKEW_CALM_MS)
    grows = buffered > device.buffered and buffered >= BUFFER_LEAST
    device.buffer_run = _run(device.buffer_run, grows, buffered < max(1, device.buffered))
    device.buffered = buffered
    longer = device.claimed_s > device.period_s
    device.period_run = _run(device.period_run, longer, not longer)
    runs = device.skew_run == device.buffer_run == device.period_run == -RUN
    device.plain = runs and not buffered and not device.findings


def look_at_test(device: Device, tested_ms: int, known_from_ms: int, now_ms: int) -> int:
    """1 when its weekly test is overdue from now on, -1 when it no longer is, 0 for no change.

    ``known_from_ms``: tests before it are not known of; 0 when tests are not known at all.
    """
    overdue = bool(known_from_ms) and now_ms - max(tested_ms, known_from_ms) > TEST_EVERY_MS
    change = _settle(device, AlertKind.TEST_OVERDUE, RUN if overdue else -RUN, now_ms)
    if change:
        device.plain = False
    return change


def _run(run: int, bad: bool, good: bool) -> int:
    if bad:
        return min(run + 1, RUN) if run > 0 else 1
    if good:
        return max(run - 1, -RUN) if run < 0 else -1
    return 0


def _settle(device: Device, kind: AlertKind, run: int, now_ms: int) -> int:
    if run >= RUN and kind not in device.findings:
        device.findings[kind.value] = now_ms
        return 1
    if run <= -RUN and kind in device.findings:
        del device.findings[kind.value]
        return -1
    return 0
