"""What a server counts, as Prometheus reads it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30)


class Metrics:
    """Counters of one server; labels are names of models, reasons and statuses, never what a client sent."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.streams = Gauge("memfold_open_streams", "Streams that are open", ["model"], registry=r)
        self.opened = Counter("memfold_streams", "Streams that were opened", ["model"], registry=r)
        self.ticks = Counter("memfold_ticks", "Times that the engine took what was ready", ["model"], registry=r)
        self.rows = Histogram("memfold_tick_rows", "Streams of a tick", ["model"], buckets=ROWS, registry=r)
        self.busy = Counter(
            "memfold_engine_seconds", "Seconds in which an engine's thread worked", ["model"], registry=r
        )
        self.sound = Counter("memfold_sound_seconds", "Seconds of sound that were heard", ["model"], registry=r)
        self.wait = Histogram(
            "memfold_message_seconds",
            "From a message's arrival to its answer",
            ["model"],
            buckets=SECONDS,
            registry=r,
        )
        self.received = Counter("memfold_received_bytes", "Bytes of messages and requests", ["model"], registry=r)
        self.requests = Counter("memfold_requests", "Requests to predict", ["model", "status"], registry=r)
        self.predict = Histogram(
            "memfold_predict_seconds", "Time of a prediction", ["model"], buckets=SECONDS, registry=r
        )
        self.refused = Counter("memfold_refusals", "Clients and messages that were refused", ["reason"], registry=r)
        self.loaded = Gauge(
            "memfold_model", "1 for the version of a model that answers", ["model", "sha256"], registry=r
        )

    def page(self) -> bytes:
        """All of them as text."""
        return generate_latest(self.registry)
