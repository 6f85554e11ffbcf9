"""OpenTelemetry with the SDK's exporters: spans, the propagated context and metrics, over sockets on every backend."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.support import virtual_time as virtual
from tests.support.byte_server import GET, RawResponse, connected, http, refused_url, serve
from tests.support.monitored_system import new_system
from tests.unit.conftest import POOLED
from workflow_async import Clock, OpencastClient, Poll, PreservicaClient, Retry
from workflow_async._core.call import Call
from workflow_async.errors import CallError
from workflow_async.observe.otel import OpenTelemetry, _redacted
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox
from workflow_async.sandbox.hashing import hash_uuid


class Collected:
    """An `OpenTelemetry` with what it has exported."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = OpenTelemetry(self.tracers, MeterProvider([self.reader]))

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of a client."""
        return {"middleware": (self.telemetry.middleware,), "on_event": self.telemetry.on_event}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Every span that has ended."""
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        data = self.reader.get_metrics_data()
        metrics = [
            metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    @property
    def text(self) -> str:
        """Everything that was exported, as JSON."""
        data = self.reader.get_metrics_data()
        return "".join([*(span.to_json() for span in self.spans), data.to_json() if data is not None else ""])


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("11", time) as served:
        yield served


@pytest.fixture(params=POOLED)
async def oc(
    request: pytest.FixtureRequest, sandbox: Sandbox, clock: Clock, collected: Collected
) -> AsyncIterator[OpencastClient]:
    """Yield a client with each backend in turn."""
    auth, url = sandbox.opencast.auth, sandbox.opencast.url
    async with OpencastClient(url, auth=auth, http=request.param, clock=clock, **collected.options) as client:
        yield client


async def test_a_request_is_a_client_span_with_the_stable_conventions(
    oc: OpencastClient, sandbox: Sandbox, collected: Collected
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    await oc.workflows.get(id, with_operations=True)
    (span,) = collected.spans
    host, _, port = oc.url.removeprefix("http://").partition(":")
    assert (span.name, span.kind) == ("GET /api/workflows/{id}", SpanKind.CLIENT)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": host,
        "server.port": int(port),
        "url.full": f"{oc.url}/api/workflows/{id}?withoperations=true",
        "url.scheme": "http",
        "url.template": "/api/workflows/{id}",
        "workflow_async.call": "workflows.get",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "workflow_async"


async def test_the_context_is_propagated_and_continued(
    oc: OpencastClient, sandbox: Sandbox, collected: Collected
) -> None:
    with collected.tracers.get_tracer("mine").start_as_current_span("the job") as job:
        await oc.version()
    child = collected.spans[0]
    assert child.parent is not None
    assert child.parent.span_id == job.get_span_context().span_id
    assert child.context is not None
    expected = f"00-{child.context.trace_id:032x}-{child.context.span_id:016x}-"
    assert sandbox.opencast.requests[-1].headers["traceparent"].startswith(expected)


async def test_each_attempt_is_a_span_with_its_resend_count(
    oc: OpencastClient, sandbox: Sandbox, collected: Collected
) -> None:
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR, Fault.CUT_BEFORE))
    await oc.version()
    attributes = [dict(span.attributes or {}) for span in collected.spans]
    assert [found.get("http.request.resend_count") for found in attributes] == [None, 1, 2]
    assert [found.get("http.response.status_code") for found in attributes] == [503, None, 200]
    errors = ["503", "workflow_async.errors.ConnectionBroken", None]
    assert [found.get("error.type") for found in attributes] == errors
    assert [span.status.status_code for span in collected.spans] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert [span.events for span in collected.spans] == [()] * 3
    parents = {request.headers["traceparent"] for request in sandbox.opencast.requests}
    assert len(parents) == 3
    (retried, broken) = sorted(collected.points("workflow_async.retries"), key=str)
    assert (retried.value, broken.value) == (1, 1)
    kinds = {dict(point.attributes)["error.type"] for point in (retried, broken)}
    assert kinds == {"ServerError", "ConnectionBroken"}


async def test_the_duration_of_requests_is_a_histogram_with_the_buckets_of_the_conventions(
    oc: OpencastClient, collected: Collected
) -> None:
    for _ in range(3):
        await oc.version()
    (point,) = collected.points("http.client.request.duration")
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.explicit_bounds[0], point.explicit_bounds[-1]) == (3, 0.005, 10)
    assert 0 < point.sum < 3
    attributes = dict(point.attributes or {})
    assert attributes["url.template"] == "/api/version"
    assert attributes["http.response.status_code"] == 200
    assert "url.full" not in attributes


@pytest.mark.parametrize("http_name", POOLED)
async def test_requests_in_flight_are_counted_until_they_end_or_are_cancelled(
    http_name: Any, collected: Collected, fake_time: Any
) -> None:
    options = {"middleware": collected.options["middleware"], "http": http_name}
    async with (
        serve(lambda _: RawResponse(b"", "stall")) as server,
        connected(server.url, fake_time.clock, **options) as transport,
    ):
        call = asyncio.create_task(transport.send(GET))
        while not server.requests:
            await asyncio.sleep(0.001)
        (active,) = collected.points("http.client.active_requests")
        assert active.value == 1
        call.cancel()
        await asyncio.wait([call])
    (active,) = collected.points("http.client.active_requests")
    assert active.value == 0
    (span,) = collected.spans
    assert dict(span.attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"


@pytest.mark.parametrize("http_name", POOLED)
async def test_a_server_that_refuses_connections_is_an_error_span(
    http_name: Any, collected: Collected, fake_time: Any
) -> None:
    options = {"middleware": collected.options["middleware"], "http": http_name, "retry": Retry(attempts=1)}
    async with connected(refused_url(), fake_time.clock, **options) as transport:
        with pytest.raises(CallError):
            await transport.send(GET)
    (span,) = collected.spans
    assert dict(span.attributes or {})["error.type"] == "workflow_async.errors.ConnectFailed"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None


async def test_the_texts_of_a_query_are_not_exported(collected: Collected, fake_time: Any) -> None:
    call: Call[Any] = Call("GET", "/thing", GET.read, (("filter", "textFilter:s3cret"), ("limit", "5"), ("sort", "")))
    async with (
        serve(http(200, b"{}")) as server,
        connected(server.url, fake_time.clock, middleware=(collected.telemetry.middleware,)) as transport,
    ):
        await transport.send(call)
    (span,) = collected.spans
    assert dict(span.attributes or {})["url.full"] == f"{server.url}/thing?filter=REDACTED&limit=5&sort="
    assert "s3cret" not in collected.text


def test_a_url_without_a_query_is_shown_as_it_is() -> None:
    assert _redacted("https://oc.example.org/api/version") == "https://oc.example.org/api/version"
    assert (
        _redacted("https://oc.example.org/api?a=true&b=x&c=12") == "https://oc.example.org/api?a=true&b=REDACTED&c=12"
    )


@pytest.mark.parametrize("backend", POOLED)
async def test_no_secret_is_exported(
    backend: Any, sandbox: Sandbox, time: ManualClock, clock: Clock, collected: Collected
) -> None:
    archive = sandbox.preservica
    archive.state.accounts.password = "canary-p4ssw0rd"
    async with PreservicaClient(
        archive.url,
        username=archive.username,
        password="canary-p4ssw0rd",
        tenant=archive.tenant,
        http=backend,
        clock=clock,
        **collected.options,
    ) as pv:
        for _ in range(5):
            await pv.contexts.list().first()
            archive.revoke()
            time.advance(100.0)
    accounts = archive.state.accounts
    issued = {hash_uuid("token", accounts.seed, number + 1) for number in range(accounts._issued)}
    assert {"POST /api/accesstoken/login"} < {span.name for span in collected.spans}
    assert len(issued) >= 5
    assert not [secret for secret in {"canary-p4ssw0rd", *issued} if secret in collected.text]


def test_watched_workflows_are_counted_by_phase_and_the_lag_of_ends_is_measured() -> None:
    collected = Collected()
    during: dict[str, float] = {}

    async def main() -> None:
        system = new_system("16")
        async with system.client(**collected.options) as client:
            collected.telemetry.add(client)
            ids = system.starts(20, 10.0)
            asyncio.get_running_loop().call_later(5, lambda: during.update(phases(collected)))
            await client.workflows.wait_all(ids, poll=Poll(interval=1, backoff=1, ceiling=1, jitter=0))
            assert sum(phases(collected).values()) == 0

    virtual.run(main())
    assert {phase: count for phase, count in during.items() if count} == {"running": 20}
    assert set(during) >= {"waiting", "running", "parked", "succeeded", "failed"}
    (lag,) = collected.points("workflow_async.report.lag")
    assert lag.count == 20
    assert 0 <= lag.max <= 1.1
    assert dict(lag.attributes) == {"workflow_async.phase": "succeeded"}


def phases(collected: Collected) -> dict[str, float]:
    points = collected.points("workflow_async.workflows")
    return {str(dict(point.attributes)["workflow_async.phase"]): point.value for point in points}


async def test_the_counters_can_be_read_in_another_thread_while_workflows_come_and_go() -> None:
    system = new_system("16")
    problems: list[BaseException] = []
    over = threading.Event()

    async with system.client() as client:

        def read() -> None:
            while not over.is_set():
                try:
                    client.stats()
                except BaseException as error:  # noqa: BLE001 - whatever it is
                    problems.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        ids = system.starts(50, 1000.0)
        for _ in range(20):
            async with client.workflows.watch(ids):
                await asyncio.sleep(0.001)
        over.set()
        await asyncio.to_thread(thread.join)
    assert problems == []


def test_two_clients_of_one_server_are_added_up_and_those_that_are_gone_are_not_counted(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [OpencastClient("https://oc.example.org", auth=("user", "secret")) for _ in range(2)]
    running = attrs.evolve(clients[0].stats(), phases={"running": 1})
    monkeypatch.setattr(OpencastClient, "stats", lambda _: running)
    for number in range(2):
        collected.telemetry.add(clients[number])
    assert phases(collected)["running"] == 2
    (address,) = {dict(point.attributes)["server.address"] for point in collected.points("workflow_async.workflows")}
    assert address == "oc.example.org"
    del clients
    gc.collect()
    assert phases(collected) == {}


def test_without_providers_nothing_is_collected_and_requests_work() -> None:
    telemetry = OpenTelemetry()

    async def main() -> None:
        system = new_system("16")
        async with system.client(middleware=[telemetry.middleware], on_event=telemetry.on_event) as client:
            await client.version()
            assert system.asked()

    virtual.run(main())
    assert isinstance(trace.get_current_span(), trace.NonRecordingSpan)
