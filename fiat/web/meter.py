"""What `/metrics` says, in a registry of its own for each app; every label comes from a bounded set.

Source: the text format and naming rules of Prometheus.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fiat.run.view import Numbers

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
# Where a plain route, of which FastAPI does not tell, puts its template in the scope.
ROUTE_KEY = "fiat.route"
KNOWN_EVENTS = frozenset(
    [
        *(
            "push",
            "pull_request",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_comment",
        ),
        *(
            "issue_comment",
            "issues",
            "commit_comment",
            "check_run",
            "check_suite",
            "merge_group",
            "create",
            "delete",
        ),
        *(
            "status",
            "ping",
            "installation",
            "installation_repositories",
            "repository",
            "release",
            "fork",
            "star",
        ),
        *("deployment", "deployment_status", "workflow_run", "workflow_job", "pull_request_sync"),
        *(
            "Push Hook",
            "Tag Push Hook",
            "Merge Request Hook",
            "Note Hook",
            "Issue Hook",
            "Pipeline Hook",
            "Job Hook",
        ),
    ]
)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meter:
    """Counts what the web does itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._webhooks = Counter(
            "fiat_webhooks",
            "Webhook calls by what became of them.",
            ["forge", "event", "outcome"],
            registry=self.registry,
        )
        self._requests = Histogram(
            "fiat_http_request_seconds",
            "Time to answer, by route.",
            ["route", "method", "status"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.streams = Gauge("fiat_event_streams", "Event streams that are open.", registry=self.registry)
        Info("fiat_build", "This Fiat.", registry=self.registry).info({"version": version("fiat-ml")})

    def hook(self, forge: str, event: str, outcome: str) -> None:
        """Count a webhook call.

        Args:
            forge: name of its trigger plugin, or `other`.
            event: the forge's word, hostile; what we don't know is `other`.
            outcome: one of ours.
        """
        self._webhooks.labels(forge, event if event in KNOWN_EVENTS else OTHER, outcome).inc()

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer; the method may be anything."""
        known = method if method in _METHODS else OTHER
        self._requests.labels(route, known, f"{status // 100}xx").observe(seconds)

    def page(self, numbers: Numbers, repositories: Iterable[str]) -> bytes:
        """The whole text.

        Args:
            numbers: what the engine says.
            repositories: names in the settings; what is about another is left out.
        """
        own = generate_latest(self.registry)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Engine(numbers, frozenset(repositories)))
        return own + generate_latest(registry)


class Stopwatch:
    """Measures each request by the template of its route, never by its path.

    Args:
        app: what comes behind it.
        meter: where the times go.
    """

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        measured = False

        async def send_measured(message: Message) -> None:
            nonlocal measured
            # Up to the first byte: a stream of events takes as long as its run.
            if message["type"] == "http.response.start" and not measured:
                measured = True
                route = str(scope.get(ROUTE_KEY) or getattr(scope.get("route"), "path", OTHER))
                self._meter.request(route, scope["method"], message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_measured)


class _Engine(Collector):
    """Turns the engine's numbers into metrics."""

    def __init__(self, numbers: Numbers, repositories: frozenset[str]) -> None:
        self._numbers = numbers
        self._repositories = repositories

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        numbers = self._numbers
        known = self._repositories
        deliveries: dict[tuple[str, ...], float] = {}
        for (forge, event, state), count in numbers.deliveries.items():
            key = (forge, event if event in KNOWN_EVENTS else OTHER, state)
            deliveries[key] = deliveries.get(key, 0) + count
        yield _gauge(
            "deliveries", "Deliveries in the store.", ("forge", "event", "state"), deliveries.items()
        )
        depths = [
            ((depth.repo, state), count)
            for depth in numbers.depths
            for state, count in depth.counts.items()
            if depth.repo in known
        ]
        yield _gauge("queue_runs", "Runs that are not done.", ("repo", "state"), depths)
        outbox = [row for row in numbers.outbox.items() if row[0][0] in known]
        yield _gauge("outbox_reports", "Reports on their way, or given up.", ("repo", "state"), outbox)
        done = [row for row in numbers.verdicts.items() if row[0][0] in known]
        yield _gauge("done_runs", "Runs that are done.", ("repo", "verdict"), done)
        yield _gauge("leases", "Runs that a worker holds.", (), [((), numbers.leases)])
        yield _gauge("workers", "Workers that live.", (), [((), numbers.workers)])
        limits = [((limit.repo,), limit) for limit in numbers.rate_limits if limit.repo in known]
        rows = [(key, limit.limit) for key, limit in limits]
        yield _gauge("rate_limit_limit", "Calls that the forge allows in a window.", ("repo",), rows)
        rows = [(key, limit.remaining) for key, limit in limits]
        yield _gauge("rate_limit_remaining", "Calls left in this window.", ("repo",), rows)


def _gauge(
    name: str, words: str, labels: tuple[str, ...], rows: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    family = GaugeMetricFamily(f"fiat_{name}", words, labels=labels)
    for key, value in rows:
        family.add_metric(key, value)
    return family
