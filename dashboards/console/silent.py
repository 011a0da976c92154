"""Which schools are silent, and what was last heard of each of their devices. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from dashboards.console.picture import Picture
from schemas.alerts import Status
from schemas.events import DeviceKind

_HEARD: Final = (Status.ONLINE.value, Status.LATE.value, Status.FLAPPING.value)


def devices_of(picture: Picture, school: str) -> dict[str, dict[str, Any]]:
    """What was heard of, and what the registry expects and nobody has heard. Behind a silent gateway
    nothing is known: what was online before it fell silent is not any more.
    """
    expected = picture.expected.get(school, [])
    never = {
        device: {"kind": kind, "status": Status.UNKNOWN.value, "since_ms": 0}
        for device, kind, _, _ in expected
    }
    known = {device: (place, period_s) for device, _, place, period_s in expected}
    heard = {**never, **picture.devices.get(school, {})}
    ways = [one["status"] for one in heard.values() if one["kind"] == DeviceKind.GATEWAY.value]
    cut_off = bool(ways) and all(status == Status.OFFLINE.value for status in ways)
    found = {}
    for device, said in heard.items():
        place, period_s = known.get(device, ("", 0))
        behind = cut_off and said["kind"] != DeviceKind.GATEWAY.value and said["status"] in _HEARD
        status = Status.UNKNOWN.value if behind else said["status"]
        found[device] = {**said, "status": status, "place": place, "period_s": period_s}
    return found


def silent_schools(
    picture: Picture, sees: Callable[[str], bool], now_ms: int
) -> list[dict[str, Any]]:
    """The longest silent first. ``same_provider`` and ``same_district`` count the others that the reader
    may see. ``last_heard_ms`` is None where nobody knows it, and ``misses`` with it.
    """
    silent = [
        school
        for id_, school in picture.schools.items()
        if school["status"] == Status.OFFLINE.value and sees(id_)
    ]
    providers = Counter(school["provider"] for school in silent)
    districts = Counter((school["region"], school["district"]) for school in silent)
    told = [
        {
            "school": school["id"],
            "since_ms": school["since_ms"],
            "devices": [
                _told(device, said, now_ms)
                for device, said in sorted(devices_of(picture, school["id"]).items())
            ],
            "provider": school["provider"],
            "district": school["district"],
            "same_provider": providers[school["provider"]] - 1,
            "same_district": districts[school["region"], school["district"]] - 1,
        }
        for school in silent
    ]
    return sorted(told, key=lambda one: one["since_ms"])


def _told(device: str, said: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    # Only of what is offline is ``since_ms`` the last sign of life (schemas.alerts.StatusChanged).
    heard_ms = said["since_ms"] if said["status"] == Status.OFFLINE.value else None
    period_ms = said["period_s"] * 1000
    misses = (now_ms - heard_ms) // period_ms if heard_ms and period_ms else None
    return {
        "device": device,
        "kind": said["kind"],
        "last_heard_ms": heard_ms,
        "period_s": said["period_s"],
        "misses": misses if misses is None else max(0, misses),
        "state": said["status"],
    }
