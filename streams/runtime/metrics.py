"""Every metric that a process of ours says, by name, with its type, labels and help.

Prometheus text format 0.0.4 is written here, by prometheus-client, and read again by the sampler.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.alerts import Reason

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)
PREFIX: Final = "saqshy_"

LANE: Final = ("lane",)
PARTITION: Final = ("lane", "topic", "partition")


class Declared(NamedTuple):
    """``name`` is without PREFIX. One that ends in _total is a counter."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    type: Literal["", "histogram"] = ""


DECLARED: Final = (
    # Of every process; ``lane`` is its name.
    Declared("cpu_seconds_total", "CPU time of the process, user and system.", LANE),
    Declared("source_age_seconds", "Since a source last proved to be there.", ("lane", "source")),
    # Of every lane
    Declared("records_total", "Records read.", LANE),
    Declared("batches_total", "Batches handed to the lane.", LANE),
    Declared("bytes_total", "Bytes of the records read.", LANE),
    Declared("commits_total", "Commits of offsets.", LANE),
    Declared("abandoned_total", "Batches whose partition was taken meanwhile.", LANE),
    Declared("retries_total", "Batches handed out again after a failure.", LANE),
    Declared("rebalances_total", "Rebalances of the group.", LANE),
    Declared("in_flight", "Batches that are being worked on.", LANE),
    Declared("latency_p99_seconds", "From Kafka's time of a record to its end, p99.", LANE),
    Declared("lag", "Records between what is finished and the partition's end.", PARTITION),
    Declared("caught_up_age_seconds", "Since all of the partition was finished.", PARTITION),
    # Of the storing lanes
    Declared("blocks_total", "Blocks stored.", LANE),
    Declared("stored_total", "Records stored.", LANE),
    Declared("insert_seconds_total", "Time that ClickHouse took.", LANE),
    Declared("insert_failures_total", "Inserts that failed.", LANE),
    Declared("dead_letters_total", "Records that are dead letters.", LANE),
    *(
        Declared(f"dead_letters_{reason.value}_total", f"Dead letters: {reason.value}.", LANE)
        for reason in Reason
    ),
    Declared("topics_stopped", "Topics that stand still, of too many dead letters.", LANE),
    Declared("canaries_total", "Canaries, which are stored nowhere.", LANE),
    Declared("deletions_total", "Tombstones.", LANE),
    Declared("lost_total", "Records that Kafka deleted before they were stored.", LANE),
    Declared("stepped_over_total", "Records that were stored already.", LANE),
    Declared("went_back_total", "Partitions whose group's offset went back.", LANE),
    # Of the deciding lanes
    Declared("transitions_total", "Transitions of alerts said.", LANE),
    Declared("decisions_total", "Alerts and statuses said.", LANE),
    Declared("schools", "Schools that are judged.", LANE),
    Declared("unreadable_total", "Records that could not be read.", LANE),
    Declared("unreadable", "Records that could not be read.", LANE),
    Declared("outages_open", "Outages that last.", LANE),
    Declared("late_total", "Statuses that came too late to be merged in order.", LANE),
    Declared("rushes_unproven", "Arrival rushes that nobody could judge.", LANE),
    Declared("findings_held", "Findings held back, as so many at once are likely ours.", LANE),
    # Of dispatch
    Declared("dispatch_acts", "1: it acts; 0: it stands by."),
    Declared("dispatch_sent_total", "Messages sent to centers."),
    Declared("dispatch_delivered_total", "Messages that a center acknowledged."),
    Declared("dispatch_failed_total", "Messages that no receiver took."),
    Declared("dispatch_escalated_total", "Alarms handed on to the next."),
    Declared("dispatch_direct_total", "Notices told directly."),
    Declared("dispatch_canaries_total", "Canary presses heard."),
    Declared("dispatch_steps_waiting", "Steps that wait for Kafka."),
    Declared("dispatch_journal_failures_total", "Writes that the journal's disk refused."),
    Declared("dispatch_kafka_age_seconds", "Since the topics were last read to their ends."),
    Declared("dispatch_link_up", "Whether a link test was answered.", ("center", "address")),
    # Of the notifier
    Declared("notify_direct_total", "Notices told directly."),
    Declared("notify_unfolded_total", "Records that could not be taken in."),
    Declared("notify_unreadable_total", "Records that could not be read."),
    Declared("notify_canaries_total", "Canary alerts heard."),
    Declared("notify_caught_up", "Whether alerts and steps were read to their ends."),
    Declared("notify_attempts_total", "Attempts at a channel."),
    Declared("notify_delivered_total", "Attempts that a channel took."),
    Declared("notify_failed_attempts_total", "Attempts that failed."),
    Declared("notify_refused_total", "Attempts refused for good."),
    Declared("notify_renewed_total", "Leases renewed at an Alertmanager."),
    Declared("notify_failed_renewals_total", "Leases that could not be renewed."),
    Declared("notify_alerts", "Alerts that are known."),
    Declared("notify_waiting_calls", "Calls that wait for their group."),
    Declared("notify_undecided", "Alerts on which the policies fail."),
    Declared("notify_pages_waiting", "Pages that wait for their channel."),
    Declared("notify_pages_sending", "Pages under way."),
    Declared("notify_pages_sent", "Pages that a channel took."),
    Declared("notify_pages_failed", "Pages that are given up."),
    Declared("notify_messages_failed", "Messages to single receivers that are given up."),
    Declared("notify_steps_unsaid", "Steps that wait for Kafka."),
    # Of verify
    Declared("verify_said_total", "Steps of evidence said."),
    Declared("verify_unreadable_total", "Records that could not be read."),
    Declared("verify_flow_known", "Whether ClickHouse answered the last question."),
    # Of the watchdog
    Declared("watchdog_checked_at_seconds", "When it looked last, in seconds since 1970."),
    Declared("watchdog_press_to_alert_seconds", "What the last canary press took."),
    Declared("watchdog_pages_unsaid", "Pages on their way."),
    Declared("watchdog_receivers_deaf", "Receivers that refused the last page."),
    Declared("watchdog_pings_total", "Pings that the watchdog elsewhere took."),
    Declared("watchdog_lost_pings_total", "Pings that failed."),
    Declared("watchdog_finding", "1: the finding is open.", ("name",)),
    # Of the gateway
    Declared("gateway_presses_kafka_total", "Presses that Kafka took in time."),
    Declared("gateway_presses_journal_total", "Presses that went to the journal."),
    Declared("gateway_presses_memory_total", "Presses that only memory has."),
    Declared("gateway_presses_coalesced_total", "Presses that an earlier one stands for."),
    Declared("gateway_presses_unheard_total", "Presses that no worker answered in time."),
    Declared("gateway_presses_refused_total", "Presses that Kafka refused for good."),
    Declared("gateway_presses_unsent", "Presses on their way to Kafka."),
    Declared("gateway_presses_journaled", "Presses in the journal."),
    Declared(
        "gateway_press_seconds",
        "From a press read to its answer, by where it was kept.",
        ("kept",),
        "histogram",
    ),
    Declared("gateway_direct_told_total", "Direct messages that were taken."),
    Declared("gateway_direct_failed_total", "Direct messages that failed."),
    Declared("gateway_events_accepted_total", "Events handed to Kafka."),
    Declared("gateway_events_repeated_total", "Events that were repetitions."),
    Declared("gateway_events_rejected_total", "Events refused."),
    Declared("gateway_events_unsent", "Events on their way to Kafka."),
    Declared("gateway_unauthorized_total", "Requests without a valid key."),
    Declared("gateway_dc09_frames_total", "DC-09 frames by what was answered.", ("answer",)),
    Declared("gateway_findings_total", "Security alerts said."),
    Declared("gateway_kafka_up", "Whether Kafka takes presses in time."),
    *(
        Declared(name.format(listener), text.format(listener))
        for listener in ("panic", "events", "dc09")
        for name, text in (
            ("gateway_connections_{}", "Connections of the {} listener."),
            ("gateway_connections_closed_{}_total", "Connections of {} closed for others."),
        )
    ),
    # Of the console
    Declared("console_schools", "Schools by status.", ("status",)),
    Declared("console_open_alerts", "Open alerts."),
    Declared("console_audit_waiting", "Audit entries that wait for the disk."),
    Declared("console_source_age_seconds", "Age of a source.", ("source",)),
)
BY_NAME: Final[Mapping[str, Declared]] = {one.name: one for one in DECLARED}


class Figure(NamedTuple):
    """A value of the metric ``name`` of BY_NAME, with the values of its labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


def figures(values: Mapping[str, float], *labels: str, prefix: str = "") -> list[Figure]:
    """``values`` by name without ``prefix``, all with the same labels."""
    return [Figure(f"{prefix}{name}", value, labels) for name, value in values.items()]


def counter(name: str) -> Counter:
    """One that is counted where it happens, for a process to give to its Service."""
    it = BY_NAME[name]
    return Counter(PREFIX + name.removesuffix("_total"), it.help, it.labels, registry=None)


def histogram(name: str) -> Histogram:
    it = BY_NAME[name]
    return Histogram(PREFIX + name, it.help, it.labels, buckets=SECONDS, registry=None)


def exposition(said: Iterable[Figure], live: Sequence[Collector] = ()) -> bytes:
    """Text format 0.0.4. Raises KeyError for a name, and ValueError for labels, that are not declared."""
    registry = CollectorRegistry()
    for one in live:
        registry.register(one)
    registry.register(_Once(families(said)))
    return generate_latest(registry)


def families(said: Iterable[Figure]) -> list[Metric]:
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, value, labels in said:
        it = BY_NAME[name]
        if name not in found:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            found[name] = kind(PREFIX + name, it.help, labels=it.labels)
        if len(labels) != len(it.labels):
            raise ValueError(f"{name} has the labels {it.labels}, and not {labels}")
        found[name].add_metric(labels, value)
    return list(found.values())


class _Once(Collector):
    def __init__(self, said: list[Metric]) -> None:
        self._said = said

    def collect(self) -> Iterator[Metric]:
        yield from self._said
