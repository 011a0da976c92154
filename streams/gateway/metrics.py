"""What the gateway counts where it happens, for /metrics."""

from streams.runtime.metrics import counter, histogram


class Metrics:
    def __init__(self) -> None:
        self.press_seconds = histogram("gateway_press_seconds")
        self.rejected = counter("gateway_events_rejected_total")
        self.unauthorized = counter("gateway_unauthorized_total")
        self.dc09_frames = counter("gateway_dc09_frames_total")
        self.all = (self.press_seconds, self.rejected, self.unauthorized, self.dc09_frames)
