"""What Prometheus reads: counters of what passed, and gauges asked of the database on each read.

A registry of its own each process. Must not label by dealer, reference or anything unbounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portal_db.gateway_figures import Figure

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """The process's metrics. `figures` reads what the database knows when it is asked."""

    def __init__(self, figures: Callable[[], list[Figure]]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "waybill_gateway_requests_total", "Requests answered, by route and status.",
            ["route", "status"], registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "waybill_gateway_request_seconds", "How long a request took.", ["route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.asks = Counter(
            "waybill_asks_total", "What was asked of ERPs, by how it was answered.",
            ["erp", "what", "answer"], registry=self.registry,
        )  # fmt: skip
        self.ask_seconds = Histogram(
            "waybill_ask_seconds", "How long an answer took, live or not.", ["erp", "what"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.orders = Counter(
            "waybill_orders_total", "Orders by the outcome of their credit decision.",
            ["erp", "outcome"], registry=self.registry,
        )  # fmt: skip
        self.webhooks = Counter(
            "waybill_webhook_calls_total", "Calls of ERPs, by what became of them.",
            ["erp", "result"], registry=self.registry,
        )  # fmt: skip
        self.deliveries = Counter(
            "waybill_deliveries_total", "Tries to deliver a message, by outcome.",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self.registry.register(_FromDatabase(figures))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _FromDatabase(Collector):
    def __init__(self, figures: Callable[[], list[Figure]]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One gauge a name."""
        families: dict[str, GaugeMetricFamily] = {}
        for figure in self._figures():
            family = families.get(figure.name)
            if family is None:
                labels = list(figure.labels)
                family = GaugeMetricFamily(figure.name, figure.says, labels=labels)
                families[figure.name] = family
            family.add_metric(list(figure.labels.values()), figure.value)
        yield from families.values()
