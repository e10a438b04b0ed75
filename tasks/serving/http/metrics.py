"""What a service counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tasks.serving.alias_follower import FollowerState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from tasks.traffic.writer import WriterCounts

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServiceMetrics:
    """The numbers of one service; what changes by itself (versions, queues) is asked for at each read."""

    def __init__(
        self,
        model: str,
        standing: Callable[[], FollowerState],
        waiting: Callable[[], int],
        traffic_counts: Callable[[], WriterCounts | None],
    ) -> None:
        self._model, self._standing, self._waiting, self._kept = model, standing, waiting, traffic_counts
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter("tunekeeper_requests", "Requests by path and status.", ("path", "status"), registry=own)
        self.seconds = Histogram(
            "tunekeeper_predict_seconds", "Seconds of a /predict that was answered.", buckets=SECONDS, registry=own
        )
        self.answers = Counter("tunekeeper_answers", "Texts answered, by version.", ("version",), registry=own)
        self.tokens = Counter("tunekeeper_tokens", "Tokens written token by token, by version.", ("version",), registry=own)
        self.rows = Histogram("tunekeeper_batch_rows", "Texts that went through the model at once.", buckets=ROWS, registry=own)
        self.model_seconds = Counter("tunekeeper_model_seconds", "Seconds that the model was at work.", registry=own)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def batch(self, rows: int, seconds: float) -> None:
        """Called by the thread that answers, once a batch."""
        self.rows.observe(rows)
        self.model_seconds.inc(seconds)

    def collect(self) -> Iterator[Metric]:
        """The numbers that are only known when they are read."""
        now = self._standing()
        info = GaugeMetricFamily("tunekeeper_model_info", "1 for the version that answers.", labels=("model", "version"))
        if now.version is not None:
            info.add_metric((self._model, now.version), 1)
        yield info
        gauges = {
            "ready": ("1 if a version answers.", now.version is not None),
            "registry_up": ("1 if the alias could be read when last tried.", now.registry is None),
            "model_refused": ("1 while the version that the alias names does not load or check.", now.refused is not None),
            "model_loading": ("1 while a version is being loaded.", now.loading),
            "waiting": ("Texts that wait for an answer.", self._waiting()),
        }
        for name, (description, value) in gauges.items():
            yield GaugeMetricFamily(f"tunekeeper_{name}", description, value=float(value))
        yield CounterMetricFamily("tunekeeper_swaps", "Times a version took another's place.", value=now.swaps)
        yield CounterMetricFamily("tunekeeper_load_failures", "Times a version did not load or check.", value=now.failures)
        counts = self._kept()
        if counts is not None:
            yield CounterMetricFamily("tunekeeper_traffic_written", "Records of the traffic log on disk.", value=counts.written)
            yield CounterMetricFamily("tunekeeper_traffic_lost", "Records that the traffic log could not take.", value=counts.lost)
            yield GaugeMetricFamily("tunekeeper_traffic_waiting", "Records on their way to the disk.", value=counts.waiting)

    def page(self) -> bytes:
        return generate_latest(self.registry)
