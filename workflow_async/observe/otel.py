"""OpenTelemetry: a span for each request, the trace context in its headers, and metrics. Needs the extra `otel`.

Names follow the stable HTTP conventions. Those under `workflow_async.` are this library's own. See
https://opentelemetry.io/docs/specs/semconv/http/.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit
from weakref import WeakSet

from attrs import define, field
from opentelemetry import propagate
from opentelemetry.metrics import (
    CallbackOptions,
    Counter as MetricCounter,
    Histogram,
    MeterProvider,
    Observation,
    UpDownCounter,
    get_meter,
)
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider, get_tracer

from workflow_async import __version__
from workflow_async.observe.events import ClientEvent, Reported, Retrying
from workflow_async.observe.messages import Reply, Request, Send
from workflow_async.observe.stats import Stats
from workflow_async.phase import Phase

__all__ = ["Observed", "OpenTelemetry"]

Attributes = dict[str, str | int]

NAME = "workflow_async"
SCHEMA = "https://opentelemetry.io/schemas/1.36.0"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The buckets that the conventions give for the duration of requests."""
LAGS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
FIRST_ERROR = 400
HARMLESS = re.compile(r"[0-9]*|true|false")
"""Values of a query that a span shows, such as those of `limit` and `offset`."""
DEFAULT_PORTS = {"http": 80, "https": 443}


class Observed(Protocol):
    """A client, as far as its metrics need it."""

    @property
    def url(self) -> str:
        """The base URL of the server."""
        ...

    def stats(self) -> Stats:
        """Return the counters."""
        ...


@define(eq=False, init=False)
class OpenTelemetry:
    """Spans and metrics of one or more clients, through the global providers or those that are given.

    Give a client `middleware=[telemetry.middleware]` and `on_event=telemetry.on_event`. `telemetry.add(client)` adds
    the number of watched workflows by phase. Spans show no query except numbers, and no header.

    Args:
        tracer_provider: makes the tracer. The global one if None.
        meter_provider: makes the meter. The global one if None.
    """

    _tracer: Tracer = field(init=False, repr=False)
    _duration: Histogram = field(init=False, repr=False)
    _active: UpDownCounter = field(init=False, repr=False)
    _retries: MetricCounter = field(init=False, repr=False)
    _lag: Histogram = field(init=False, repr=False)
    _clients: "WeakSet[Observed]" = field(init=False, repr=False)

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        meter = get_meter(NAME, __version__, meter_provider, SCHEMA)
        self._tracer = get_tracer(NAME, __version__, tracer_provider, SCHEMA)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._active = meter.create_up_down_counter(
            "http.client.active_requests", "{request}", "Number of active HTTP requests."
        )
        self._retries = meter.create_counter(f"{NAME}.retries", "{retry}", "Number of repeated attempts.")
        self._lag = meter.create_histogram(
            f"{NAME}.report.lag",
            "s",
            "Time from the end of a workflow to its report.",
            explicit_bucket_boundaries_advisory=LAGS,
        )
        self._clients = WeakSet()
        meter.create_observable_gauge(
            f"{NAME}.workflows", [self._count_workflows], "{workflow}", "Number of watched workflows."
        )

    def add(self, client: Observed) -> None:
        """Count the watched workflows of a client too, as long as the client exists."""
        self._clients.add(client)

    async def middleware(self, request: Request, send: Send) -> Reply:
        """Run a request in a span of its own, whose context is sent along."""
        common = _common_attributes(request)
        self._active.add(1, common)
        started, result = time.perf_counter(), Attributes()
        try:
            with self._span(request, common) as span:
                return await _send_in_span(span, request, send, result)
        finally:
            self._active.add(-1, common)
            self._duration.record(time.perf_counter() - started, {**common, **result})

    def on_event(self, event: ClientEvent) -> None:
        """Count retries, and measure how late ends are reported."""
        if isinstance(event, Retrying):
            self._retries.add(1, {f"{NAME}.call": event.call, "error.type": event.error})
        elif isinstance(event, Reported) and event.lag is not None:
            self._lag.record(event.lag, {f"{NAME}.phase": event.phase})

    def _span(self, request: Request, common: Attributes) -> AbstractContextManager[Span]:
        attributes: Attributes = {**common, "url.full": _redacted(request.url), f"{NAME}.call": request.call}
        if request.attempt > 1:
            attributes["http.request.resend_count"] = request.attempt - 1
        return self._tracer.start_as_current_span(
            f"{request.method} {request.route}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def _count_workflows(self, _: CallbackOptions) -> Iterable[Observation]:
        """Yield the number of workflows in each phase on each server. Runs in the thread of the metric reader."""
        counts: Counter[tuple[str, str]] = Counter()
        for client in list(self._clients):
            phases = client.stats().phases
            counts.update({(client.url, phase.value): phases.get(phase.value, 0) for phase in Phase})
        for (url, phase), count in counts.items():
            yield Observation(count, {**_server_attributes(url), f"{NAME}.phase": phase})


async def _send_in_span(span: Span, request: Request, send: Send, result: Attributes) -> Reply:
    """Send a request with the context of its span. Put how it ended into the span and into `result`."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    try:
        reply = await send(request.with_headers(carrier))
    except BaseException as error:
        result["error.type"] = f"{type(error).__module__}.{type(error).__qualname__}"
        raise
    else:
        result["http.response.status_code"] = reply.status
        if reply.status >= FIRST_ERROR:
            result["error.type"] = str(reply.status)
        return reply
    finally:
        span.set_attributes(result)
        if "error.type" in result:
            span.set_status(StatusCode.ERROR)


def _common_attributes(request: Request) -> Attributes:
    return {"http.request.method": request.method, "url.template": request.route, **_server_attributes(request.url)}


def _server_attributes(url: str) -> Attributes:
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return {"server.address": parts.hostname or "", "server.port": port, "url.scheme": parts.scheme}


def _redacted(url: str) -> str:
    """Return the URL with the values of its query replaced by REDACTED, except numbers, true and false."""
    base, _, query = url.partition("?")
    if not query:
        return base
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = [(name, value if HARMLESS.fullmatch(value) else "REDACTED") for name, value in pairs]
    return f"{base}?{urlencode(shown)}"
