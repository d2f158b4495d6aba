"""What the operator counts, for Prometheus.

Labels are bounded: verbs, status codes, plurals of the kinds that are watched. No metric has an object's name in it;
what became of one object is in its status, its Events and the log.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from sse_operator.cluster.kinds import WATCHED

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

RESULTS = ("done", "refused", "conflict", "error")
"""How a reconcile ends: all written; the API server refuses an object; somebody wrote at the same time; anything else.
All but the first are tried again."""

NO_ANSWER = "none"
"""The `code` of a request that got no answer."""

_PREFIX = "sse_gateway_operator"
_RECONCILE_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Everything that one process counts. What can be counted is there from the start, with 0."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.reconciles = Histogram(
            f"{_PREFIX}_reconcile_seconds", "Time to reconcile one gateway, by how it ended.", ["result"],
            buckets=_RECONCILE_BOUNDS, registry=self._registry,
        )  # fmt: skip
        self.api_requests = Counter(
            f"{_PREFIX}_api_requests", "Requests to the API server, by verb and status code; none: no answer.",
            ["verb", "code"], registry=self._registry,
        )  # fmt: skip
        self.watch_restarts = Counter(
            f"{_PREFIX}_watch_restarts", "Watches that were begun anew, by plural of the kind.", ["resource"],
            registry=self._registry,
        )  # fmt: skip
        self.apply_conflicts = Counter(
            f"{_PREFIX}_apply_conflicts", "Writes that met a newer object, or one that was there already.",
            registry=self._registry,
        )  # fmt: skip
        self.events_dropped = Counter(
            f"{_PREFIX}_events_dropped", "Kubernetes Events that were not written, since too many waited.",
            registry=self._registry,
        )  # fmt: skip

        for result in RESULTS:
            self.reconciles.labels(result)
        for kind in WATCHED:
            self.watch_restarts.labels(kind.plural)

    def read(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Have a gauge read its value whenever Prometheus asks."""
        Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set_function(value)

    def count_request(self, verb: str, code: int | None) -> None:
        """One request to the API server has ended; without `code` it got no answer."""
        self.api_requests.labels(verb, NO_ANSWER if code is None else str(code)).inc()
        if code == 409:
            self.apply_conflicts.inc()

    def exposition(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self._registry)
