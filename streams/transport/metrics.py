"""What the transport counts, and how far each partition has been handled."""

from dataclasses import dataclass, field

from faust.types import TP

from streams.transport.latency import Latency


@dataclass(slots=True)
class Progress:
    """How far one partition of this worker has come. Times are seconds of the wall clock."""

    handled_offset: int | None = None
    """Every record before it was finished by the agent (or lies before our start)."""
    handled_timestamp_ms: int | None = None
    """Kafka's time of the last record finished."""
    end_offset: int | None = None
    """Where the partition ended at `asked_at_s`."""
    asked_at_s: float | None = None
    caught_up_at_s: float | None = None
    """Everything appended before this moment has been finished: the proof that silence in the
    partition is silence of its senders, and not our own lag."""
    delivered_at_s: float | None = None
    in_flight_since_s: float | None = None

    @property
    def lag(self) -> int | None:
        """Records (offsets, gaps included) between what is finished and the end."""
        if self.end_offset is None or self.handled_offset is None:
            return None
        return max(0, self.end_offset - self.handled_offset)

    def end_seen(self, end_offset: int, asked_at_s: float) -> None:
        """Note an end offset that was asked for at `asked_at_s`, before the broker answered."""
        self.end_offset = end_offset
        self.asked_at_s = asked_at_s
        self._note_caught_up()

    def handled(self, offset: int, timestamp_ms: int | None = None) -> None:
        self.handled_offset = offset
        if timestamp_ms is not None:
            self.handled_timestamp_ms = timestamp_ms
        self._note_caught_up()

    def _note_caught_up(self) -> None:
        if self.lag == 0:
            self.caught_up_at_s = self.asked_at_s


@dataclass(slots=True)
class Metrics:
    """Counters since the start of the worker, and the progress of the partitions it owns."""

    batches: int = 0
    records: int = 0
    bytes: int = 0
    commits: int = 0
    abandoned: int = 0
    """Batches whose partition was taken before they were finished."""
    retries: int = 0
    """Batches handed out again because an agent raised."""
    rebalances: int = 0
    in_flight: int = 0
    latency: Latency = field(default_factory=Latency)
    progress: dict[TP, Progress] = field(default_factory=dict)
