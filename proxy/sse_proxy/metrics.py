"""What the proxy counts. Counting is plain integers on plain objects; Prometheus sees them only when it asks.

Labels are bounded: `api` is namespace/name of a config entry (`""`: the request belonged to none), the others come
from enumerations. Durations of streams are a series of their own: in a request latency they would ruin its quantiles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sse_proxy.stream.close import CloseReason
from sse_proxy.stream.shared.catch_up import Found

_HEAD_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_LIFETIME_BOUNDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)

MOST_CONSUMERS = 100
"""How many consumers of one API have series of their own."""

OTHER_CONSUMERS = "(others)"
"""The label of all others."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts by upper bound, in seconds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts, as the exposition format wants them."""
        cumulated, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            cumulated += count
            buckets.append((bound, float(cumulated)))
        return buckets


class MeasuredHealth(Protocol):
    """What is told of an endpoint's health."""

    @property
    def healthy(self) -> bool: ...


class MeasuredEndpoint(Protocol):
    """What is told of an endpoint."""

    name: str
    streams: int

    @property
    def health(self) -> MeasuredHealth: ...


class ApiCounts:
    """Everything that is counted for one API."""

    __slots__ = (
        "closed",
        "consumers",
        "endpoints",
        "first_byte",
        "head",
        "heartbeats",
        "lifetime",
        "refused",
        "replays",
        "requests",
        "response_bytes",
        "streams_active",
        "upstream_connections",
    )

    def __init__(self) -> None:
        self.requests = [0] * 6
        """By status class, 1xx to 5xx; [0]: the client went before there was a status."""
        self.refused: dict[str, int] = {}
        """Answers of the gateway's own, by problem reason."""
        self.streams_active = 0
        self.endpoints: Iterable[MeasuredEndpoint] = ()
        self.upstream_connections = 0
        """In use now."""
        self.closed = dict.fromkeys(CloseReason, 0)
        """Ended event streams by reason."""
        self.consumers: dict[str, ConsumerCounts] = {}
        """By name, those whom the plan let in; at most `MOST_CONSUMERS` have counts of their own."""
        self.response_bytes = 0
        self.replays = dict.fromkeys(Found, 0)
        """Clients that came back to a shared stream, by what became of what they missed."""
        self.heartbeats = 0
        """Comments that the gateway added to streams."""
        self.head = Histogram(_HEAD_BOUNDS)
        self.first_byte = Histogram(_HEAD_BOUNDS)
        self.lifetime = Histogram(_LIFETIME_BOUNDS)

    def consumer(self, name: str) -> ConsumerCounts:
        """The counts of one consumer, or of all those beyond the first `MOST_CONSUMERS`."""
        if name not in self.consumers and len(self.consumers) >= MOST_CONSUMERS:
            name = OTHER_CONSUMERS
        return self.consumers.setdefault(name, ConsumerCounts())


class ConsumerCounts:
    """What is counted for one consumer of an API."""

    __slots__ = ("requests", "streams_active")

    def __init__(self) -> None:
        self.requests = 0
        self.streams_active = 0


class Counts(Collector):
    """All counts of the process, and their exposition."""

    def __init__(self) -> None:
        self._apis: dict[str, ApiCounts] = {}
        self.connections_refused: dict[str, int] = {}
        """Requests that could not be read as HTTP, by problem reason."""
        self.config_revision = 0
        self.config_loads = 0
        self.config_load_errors = 0
        self.config_faults = 0
        self.ready = False
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def api(self, key: str) -> ApiCounts:
        """The counts of one API, which begin here if there are none."""
        counts = self._apis.get(key)
        if counts is None:
            counts = self._apis[key] = ApiCounts()
        return counts

    def keep_only(self, keys: Iterable[str]) -> None:
        """Forget APIs other than these, once their last stream has ended."""
        wanted = {"", *keys}
        self._apis = {key: counts for key, counts in self._apis.items() if key in wanted or counts.streams_active}

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Part of prometheus_client's `Collector`."""
        requests = CounterMetricFamily(
            "sse_gateway_requests", "Requests answered, by status class.", labels=["api", "code"]
        )
        problems = CounterMetricFamily(
            "sse_gateway_problems", "Answers of the gateway's own, by reason.", labels=["api", "reason"]
        )
        active = GaugeMetricFamily("sse_gateway_streams_active", "Event streams open now.", labels=["api"])
        connections = GaugeMetricFamily(
            "sse_gateway_upstream_connections", "Connections to upstream in use now.", labels=["api"]
        )
        healthy = GaugeMetricFamily(
            "sse_gateway_endpoint_healthy", "1 when requests should go to the endpoint.", labels=["api", "endpoint"]
        )
        held = GaugeMetricFamily(
            "sse_gateway_endpoint_connections",
            "Connections to the endpoint in use now.",
            labels=["api", "endpoint"],
        )
        closed = CounterMetricFamily(
            "sse_gateway_streams_closed", "Event streams ended, by reason.", labels=["api", "reason"]
        )
        sent = CounterMetricFamily("sse_gateway_response_bytes", "Bytes of response bodies relayed.", labels=["api"])
        heartbeats = CounterMetricFamily(
            "sse_gateway_heartbeats", "Heartbeats that silent streams were given.", labels=["api"]
        )
        replays = CounterMetricFamily(
            "sse_gateway_replays",
            "Clients that came back to a shared stream with the id that they had last, by what they got.",
            labels=["api", "result"],
        )
        head = HistogramMetricFamily(
            "sse_gateway_response_head_seconds", "From a request to upstream's response head.", labels=["api"]
        )
        first = HistogramMetricFamily(
            "sse_gateway_stream_first_byte_seconds", "From a request to its stream's first byte.", labels=["api"]
        )
        lifetime = HistogramMetricFamily(
            "sse_gateway_stream_lifetime_seconds", "From an event stream's response head to its end.", labels=["api"]
        )
        by_consumer = CounterMetricFamily(
            "sse_gateway_consumer_requests", "Requests that a plan let in, by consumer.", labels=["api", "consumer"]
        )
        consumer_streams = GaugeMetricFamily(
            "sse_gateway_consumer_streams_active", "Event streams open now, by consumer.", labels=["api", "consumer"]
        )
        for key, counts in self._apis.items():
            for consumer, of_consumer in counts.consumers.items():
                by_consumer.add_metric([key, consumer], of_consumer.requests)
                consumer_streams.add_metric([key, consumer], of_consumer.streams_active)
            for status_class, count in enumerate(counts.requests):
                if count:
                    requests.add_metric([key, f"{status_class}xx" if status_class else "none"], count)
            for reason, count in counts.refused.items():
                problems.add_metric([key, reason], count)
            active.add_metric([key], counts.streams_active)
            connections.add_metric([key], counts.upstream_connections)
            for endpoint in counts.endpoints:
                healthy.add_metric([key, endpoint.name], float(endpoint.health.healthy))
                held.add_metric([key, endpoint.name], endpoint.streams)
            for close_reason, count in counts.closed.items():
                closed.add_metric([key, close_reason.value], count)
            sent.add_metric([key], counts.response_bytes)
            heartbeats.add_metric([key], counts.heartbeats)
            for found, count in counts.replays.items():
                if count:
                    replays.add_metric([key, found.value], count)
            head.add_metric([key], counts.head.buckets(), counts.head.total)
            first.add_metric([key], counts.first_byte.buckets(), counts.first_byte.total)
            lifetime.add_metric([key], counts.lifetime.buckets(), counts.lifetime.total)
        for reason, count in self.connections_refused.items():
            problems.add_metric(["", reason], count)
        yield from (
            requests,
            problems,
            active,
            connections,
            healthy,
            held,
            closed,
            sent,
            heartbeats,
            replays,
            head,
            first,
            lifetime,
            by_consumer,
            consumer_streams,
        )
        yield GaugeMetricFamily("sse_gateway_ready", "1 when requests may be sent here.", float(self.ready))
        yield GaugeMetricFamily(
            "sse_gateway_config_revision", "Revision of the loaded configuration.", self.config_revision
        )
        yield CounterMetricFamily("sse_gateway_config_loads", "Configurations loaded.", self.config_loads)
        yield CounterMetricFamily(
            "sse_gateway_config_load_errors",
            "Configurations that could not be loaded; the last good one stayed.",
            self.config_load_errors,
        )
        yield GaugeMetricFamily(
            "sse_gateway_config_faults", "Faults in the configuration that is loaded now.", self.config_faults
        )
