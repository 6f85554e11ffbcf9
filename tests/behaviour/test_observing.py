"""What observers see of every public call of both systems, over sockets: names and routes, and no secret."""

import base64
import logging
import pickle
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.call_cases import CASES
from tests.support.loopback_system import loopback_system
from tests.support.public_calls import FAST_POLL, CallContext, define_workflows
from workflow_async import OpencastClient, Phase, PreservicaClient, Retry
from workflow_async.errors import MiddlewareFailed, StartOutcomeUnknown, WorkflowAsyncError
from workflow_async.observe import ClientEvent, LoggedIn, Middleware, Reply, Request, RequestSent, Retrying, Send
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox
from workflow_async.sandbox.hashing import hash_uuid

ROUTES = {
    "opencast": """
        definitions.get /api/workflow-definitions/{id}
        definitions.list /api/workflow-definitions
        events.list /api/events
        me /api/info/me
        me /api/info/me/roles
        organization /api/info/organization
        version /api/version
        workflows.answer /admin-ng/event/{event_id}/workflows/{id}/action/{action}
        workflows.count /workflow/count
        workflows.count /workflow/instances.json
        workflows.delete /api/workflows/{id}
        workflows.errors /admin-ng/event/{event_id}/workflows/{id}/errors.json
        workflows.errors /admin-ng/event/{event_id}/workflows/{id}/errors/{incident_id}.json
        workflows.for_event /workflow/mediaPackage/{event_id}/instances.json
        workflows.get /api/workflows/{id}
        workflows.list /api/workflows
        workflows.start /api/workflows
        workflows.update /api/workflows/{id}
    """,
    "preservica": """
        contexts.list /sdb/rest/workflow/contexts
        login /api/accesstoken/login
        login.refresh /api/accesstoken/refresh
        monitors.list /api/processmonitor/monitors
        monitors.messages /api/processmonitor/messages
        monitors.timeseries /api/processmonitor/monitors/{id}/timeseries
        processes.activate /api/process/ingest/configs/{id}/active
        processes.deactivate /api/process/ingest/configs/{id}/active
        processes.list /api/process/ingest/configs
        version /api/entity/versiondetails/version
        workflows.count /sdb/rest/workflow/instances
        workflows.get /sdb/rest/workflow/instances/{id}
        workflows.list /sdb/rest/workflow/instances
        workflows.retry /sdb/rest/workflow/instances/retry
        workflows.start /sdb/rest/workflow/instances
        workflows.terminate /sdb/rest/workflow/instances/terminate
    """,
}
"""Every name of a call with its route."""
BACKENDS: tuple[Any, ...] = ("httpx", "httpx2", "aiohttp")
PASSWORD, SEED = "canary-p4ssw0rd", "KNSWG4TFORBWC3TBOJ4Q"


async def routes_of(kind: str, directory: Path) -> set[str]:
    """Return the names and the routes of all requests of every public call on a system."""
    seen: set[str] = set()

    def on_event(event: ClientEvent) -> None:
        if isinstance(event, RequestSent):
            seen.add(f"{event.call} {event.route}")

    for case in CASES:
        if kind not in case.systems:
            continue
        async with loopback_system(kind) as loopback, loopback.client(on_event=on_event) as client:
            define_workflows(loopback)
            context = CallContext(loopback, client, directory)
            if case.before is not None:
                await case.before(context)
            await case.function(context)
    return seen


@pytest.mark.parametrize(("system", "kinds"), [("opencast", ("11", "16")), ("preservica", ("preservica",))])
async def test_every_request_has_one_of_a_few_names_and_routes(
    system: str, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    known = set(ROUTES[system].split("\n")[1:-1])
    seen = set().union(*[await routes_of(kind, tmp_path) for kind in kinds])
    assert seen <= {line.strip() for line in known}
    assert len(seen) >= len(known) - 2


# Logins


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("11", time, two_factor=SEED) as served:
        served.preservica.state.accounts.password = PASSWORD
        yield served


def archive_client(sandbox: Sandbox, **settings: Any) -> PreservicaClient:
    archive = sandbox.preservica
    account: dict[str, Any] = {"username": archive.username, "password": PASSWORD, "two_factor": SEED}
    return PreservicaClient(archive.url, tenant=archive.tenant, **account, **settings)


async def test_a_login_and_its_renewal_are_events(
    sandbox: Sandbox, time: ManualClock, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[ClientEvent] = []
    caplog.set_level(logging.INFO, "workflow_async")
    async with archive_client(sandbox, clock=clock, on_event=events.append) as pv:
        await pv.contexts.list().first()
        time.advance(800.0)
        await pv.contexts.list().first()
        assert pv.stats().logins == 2
    assert [event.renewed for event in events if isinstance(event, LoggedIn)] == [False, True]
    assert [record.getMessage() for record in caplog.records if record.name == "workflow_async"] == ["logged in"] * 2
    calls = [event.call for event in events if isinstance(event, RequestSent)]
    assert calls == ["login", "login.code", "contexts.list", "login.refresh", "contexts.list"]


async def test_the_retry_of_a_login_is_an_event(sandbox: Sandbox, clock: Any) -> None:
    events: list[ClientEvent] = []
    sandbox.preservica.faults = Faults(script=(Fault.SERVER_ERROR,), paths=("/api/accesstoken/",))
    async with archive_client(sandbox, clock=clock, on_event=events.append) as pv:
        await pv.contexts.list().first()
        assert pv.stats().retries == 1
    (retry,) = [event for event in events if isinstance(event, Retrying)]
    assert (retry.call, retry.attempt, retry.error) == ("login", 1, "ServerError")


# Secrets


class Recorder:
    """Records every text that an observer could make of what it sees."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def record(self, value: Any) -> None:
        """Record a value as each of its texts."""
        self.texts += [repr(value), str(value.to_dict()), pickle.dumps(value).decode("latin-1")]

    @property
    def middleware(self) -> Middleware:
        """A middleware that records what it sees."""

        async def middleware(request: Request, send: Send) -> Reply:
            self.record(request)
            try:
                reply = await send(request)
            except WorkflowAsyncError as error:
                self.texts += [repr(error), str(error), repr(vars(error))]
                raise
            self.record(reply)
            return reply

        return middleware

    async def run(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run the work. Its own errors are not what is tested."""
        with suppress(WorkflowAsyncError):
            await work()

    def check(self, secrets: set[str], caplog: pytest.LogCaptureFixture) -> None:
        """Check that nothing that was recorded or logged has a secret."""
        own = [repr(vars(record)) for record in caplog.records if record.name == "workflow_async"]
        assert len(self.texts) > 100
        assert len(own) > 30
        assert not [(secret, text) for text in (*self.texts, *own) for secret in secrets if secret in text]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_observer_of_a_preservica_sees_a_secret(
    backend: Any, sandbox: Sandbox, time: ManualClock, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "workflow_async")
    recorder, archive = Recorder(), sandbox.preservica
    observing: dict[str, Any] = {"middleware": [recorder.middleware], "on_event": recorder.record}
    async with archive_client(sandbox, clock=clock, http=backend, retry=Retry(attempts=2), **observing) as pv:
        for faults in (Faults(), *(Faults(script=(fault,)) for fault in Fault)):
            archive.faults = faults
            await recorder.run(lambda: pv.workflows.start(42, {"a": "b"}))
            await recorder.run(lambda: pv.workflows.list(limit=2).first())
            archive.revoke()
            time.advance(100.0)
        recorder.record(pv.stats())
    accounts = archive.state.accounts
    issued = {hash_uuid("token", accounts.seed, number + 1) for number in range(accounts._issued)}
    assert len(issued) > 10
    recorder.check({PASSWORD, SEED, *issued}, caplog)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_observer_of_an_opencast_sees_a_secret(
    backend: Any, sandbox: Sandbox, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "workflow_async")
    recorder, opencast = Recorder(), sandbox.opencast
    observing: dict[str, Any] = {"middleware": [recorder.middleware], "on_event": recorder.record}
    observing |= {"clock": clock, "http": backend, "retry": Retry(attempts=2)}
    for faults in (Faults(), *(Faults(script=(fault,)) for fault in Fault)):
        opencast.faults = faults
        async with OpencastClient(opencast.url, auth=opencast.auth, **observing) as oc:
            await recorder.run(oc.me)
            await recorder.run(oc.workflows.list(limit=2).first)
            await recorder.run(partial(oc.workflows.start, opencast.event(), "fast", configuration={"a": "b"}))
            recorder.record(oc.stats())
    cookies = set(opencast.sessions)
    assert cookies
    pair = base64.b64encode(":".join(opencast.auth).encode()).decode()
    recorder.check({pair, *cookies}, caplog)


# Starts


@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_a_start_whose_middleware_fails_after_the_response_is_unknown_and_can_be_reconciled(kind: str) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        reply = await send(request)
        if request.call == "workflows.start":
            raise KeyError("mine")
        return reply

    async with loopback_system(kind) as loopback, loopback.client(middleware=[middleware]) as client:
        define_workflows(loopback)
        context, before = CallContext(loopback, client), loopback.started_count
        with pytest.raises(StartOutcomeUnknown) as caught:
            await client.workflows.start(*context.start_arguments())
        assert loopback.started_count == before + 1
        assert isinstance(caught.value.cause, MiddlewareFailed)


@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_a_start_whose_middleware_fails_before_sending_has_not_happened(kind: str) -> None:
    async def middleware(request: Request, send: Send) -> Reply:
        if request.call == "workflows.start":
            raise KeyError("mine")
        return await send(request)

    async with loopback_system(kind) as loopback, loopback.client(middleware=[middleware]) as client:
        define_workflows(loopback)
        context, before = CallContext(loopback, client), loopback.started_count
        with pytest.raises(MiddlewareFailed) as caught:
            await client.workflows.start(*context.start_arguments())
        assert not caught.value.sent
        assert loopback.started_count == before


async def test_a_third_poll_that_fails_is_two_lines_of_a_middleware(tmp_path: Path) -> None:
    polls: list[int] = []

    async def third_fails(request: Request, send: Send) -> Reply:
        polls.append(request.attempt)
        return Reply(503) if len(polls) == 3 else await send(request)

    async with loopback_system("16") as loopback, loopback.client(middleware=[third_fails]) as client:
        define_workflows(loopback)
        context = CallContext(loopback, client, tmp_path)
        workflow = await client.workflows.wait(context.new_running(), poll=FAST_POLL)
        assert workflow.phase is Phase.SUCCEEDED
    assert 2 in polls
