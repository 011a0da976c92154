"""Latencies in HDR histograms (Gil Tene's), which keep three digits from a microsecond to an hour."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hdrh.histogram import HdrHistogram

LOWEST_US: Final = 1
HIGHEST_US: Final = 3_600_000_000
DIGITS: Final = 3
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 100.0)


def histogram() -> Any:
    """Empty; its values are whole microseconds."""
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def recorded(latencies_ms: Iterable[tuple[float, int]]) -> Any:
    """Of (latency in ms, how many events had it)."""
    made = histogram()
    for latency_ms, count in latencies_ms:
        at = min(max(round(latency_ms * 1000), LOWEST_US), HIGHEST_US)
        made.record_value(at, count)
    return made


def percentiles_ms(made: Any) -> dict[str, float]:
    """``{"p50": …, "p99": …, "max": …}`` in ms; empty for an empty histogram."""
    if not made.get_total_count():
        return {}
    return {
        "max" if p == 100 else f"p{p:g}": round(made.get_value_at_percentile(p) / 1000, 1)
        for p in PERCENTILES
    }


def saved(histograms: Mapping[str, Any]) -> dict[str, str]:
    """As text of HdrHistogram's own compressed encoding (V2, base64), for a result file."""
    return {name: made.encode().decode() for name, made in histograms.items()}


def loaded(text: str) -> Any:
    """What ``saved`` wrote."""
    return HdrHistogram.decode(text.encode())
