"""What the gateway says of itself, for Prometheus. Figures that others count are asked at a scrape."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)


class Metrics:
    def __init__(self, asked: Callable[[], Mapping[str, float]] = dict) -> None:
        self._asked = asked
        self.registry = CollectorRegistry()
        self.press_seconds = Histogram(
            "saqshy_gateway_press_seconds",
            "From a press read to its answer, by where it was kept.",
            ["kept"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.rejected = Counter(
            "saqshy_gateway_events_rejected", "Events refused.", registry=self.registry
        )
        self.unauthorized = Counter(
            "saqshy_gateway_unauthorized", "Requests without a valid key.", registry=self.registry
        )
        self.dc09_frames = Counter(
            "saqshy_gateway_dc09_frames",
            "DC-09 frames by what was answered.",
            ["answer"],
            registry=self.registry,
        )
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        for name, value in self._asked().items():
            yield GaugeMetricFamily(f"saqshy_gateway_{name}", name.replace("_", " "), value)

    def text(self) -> bytes:
        """Prometheus text format 0.0.4."""
        return generate_latest(self.registry)
