"""The public API as users write it. The type checkers read this file. It is never run."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, assert_never, assert_type

from nats.aio.client import Client as NatsClient

from workflow_async import (
    TLS,
    Basic,
    Bearer,
    Clock,
    Digest,
    Limits,
    Listing,
    ListingReport,
    OpencastClient,
    Page,
    ParameterValue,
    Phase,
    Poll,
    PreservicaClient,
    Retry,
    Secret,
    Timeouts,
    UnreadableRow,
    batch,
    monitor,
    observe,
    opencast,
    preservica,
    settings,
)
from workflow_async.distributed import Claim, Coordinator, Lease, MemoryCoordinator, MemoryStore, distribute, shards_of
from workflow_async.distributed.nats import NatsCoordinator, NatsJournal, ShardInfo
from workflow_async.errors import CallError, StartOutcomeUnknown, WaitTimeout, WorkflowAsyncError, WorkflowFailed
from workflow_async.monitor import (
    Change,
    ConditionMet,
    Finished,
    Outcome,
    OutcomeStream,
    Parked,
    PollingFailed,
    Replaced,
    Stalled,
    TimedOut,
    Vanished,
)
from workflow_async.observe.otel import OpenTelemetry
from workflow_async.sync import SyncListing, SyncOpencastClient, SyncPreservicaClient, SyncWatch
from workflow_async.testing import (
    ClientTime,
    SkippingTime,
    change,
    finished,
    opencast_workflow,
    preservica_workflow,
)


async def handle_change(change: Change[opencast.Workflow]) -> None:
    assert_type(change.workflow.step, str | None)


async def clients() -> None:
    async with (
        OpencastClient("https://oc.example.org", auth=("user", "secret"), timeouts=Timeouts(call=10)) as oc,
        OpencastClient("https://oc.example.org", auth=Basic("user", "secret"), run_as_user="other"),
        OpencastClient("https://oc.example.org", auth=("user", lambda: "secret")),
        OpencastClient("https://oc.example.org", auth=Digest("user", "secret"), limits=Limits(rate=20.0)),
        OpencastClient("https://oc.example.org", auth=("user", "secret"), tls=TLS(ca_file="ca.pem"), proxy="env"),
        OpencastClient("https://oc.example.org", auth=Bearer("token"), clock=Clock(), run_with_roles=("ROLE_A",)),
        PreservicaClient("eu.preservica.com", username="user", password="secret", tenant="t") as pv,
        PreservicaClient.from_env(credentials_path=Path("credentials.properties"), retry=Retry()) as from_env,
    ):
        assert_type(oc, OpencastClient)
        assert_type(pv, PreservicaClient)
        assert_type(from_env, PreservicaClient)
        assert_type(pv.url, str)
        assert_type(oc.stats(), observe.Stats)
        assert_type(pv.stats().phases, Mapping[str, int])
        assert_type(oc.workflows, opencast.Workflows)
        assert_type(oc.definitions, opencast.Definitions)
        assert_type(oc.events, opencast.Events)
        assert_type(pv.workflows, preservica.Workflows)
        assert_type(pv.contexts, preservica.Contexts)
        assert_type(pv.processes, preservica.Processes)
        assert_type(pv.monitors, preservica.Monitors)
        assert_type(await pv.monitors.wait("opex/batch-1", timeout=60, parked="return"), preservica.Monitor)
        oc_options: opencast.ClientOptions = {"run_as_user": "lecturer", "limits": Limits(connections=4)}
        assert_type(OpencastClient.from_env(url="https://oc.example.org", **oc_options), OpencastClient)
        options: preservica.ClientOptions = {"retry": Retry(), "timeouts": Timeouts(call=10), "proxy": Secret("env")}
        assert_type(TLS(client_cert=(Path("c.pem"), "k.pem", Secret("s")), system_store=True), TLS)
        PreservicaClient.from_env(**options)
    assert_type(await oc.open(), OpencastClient)
    assert_type(await pv.open(), PreservicaClient)
    assert_type(await oc.aclose(), None)


async def nats_workers(client: NatsClient, spec: monitor.WatchSpec) -> None:
    async with NatsCoordinator(client, "ingests", lease_seconds=30.0, clock=Clock()) as worker:
        assert_type(worker, NatsCoordinator)
        coordinator: Coordinator = worker
        assert_type(coordinator.lease_seconds, float)
        assert_type(await worker.put(shards_of("nightly", spec, 16)), tuple[str, ...])
        assert_type(await worker.remove_finished(), int)
        for shard in await worker.shards():
            assert_type(shard, ShardInfo)
            assert_type((shard.shard, shard.owner, shard.age), tuple[str, str, float])
            assert_type((shard.finished, shard.size, shard.left), tuple[bool, int, int | None])
    async with NatsCoordinator.connect("nats://localhost", "ingests", lease_seconds=30.0) as worker:
        assert_type(worker, NatsCoordinator)


async def saved_watches(oc: OpencastClient, pv: PreservicaClient) -> None:
    spec = monitor.WatchSpec.of(oc, [1, "2"], operations=True, poll=Poll(), stalled_after=2.0, label="a")
    assert_type(spec, monitor.WatchSpec)
    assert_type(monitor.WatchSpec.where(pv, state="Active"), monitor.WatchSpec)
    assert_type(spec.split(2), tuple[monitor.WatchSpec, ...])
    assert_type(monitor.WatchSpec.merge(spec, spec.add(3).drop(1).at("https://oc.example.org")), monitor.WatchSpec)
    assert_type(monitor.WatchSpec.from_bytes(spec.to_bytes()), monitor.WatchSpec)
    seen = await monitor.snapshot_active(oc)
    assert_type(seen, monitor.ActiveSnapshot[opencast.Workflow])
    polled = await monitor.poll_once(oc, spec, limit=5, within=1.0, seen=seen)
    assert_type(polled, monitor.PollResult[opencast.Workflow])
    assert_type(polled.events, tuple[monitor.WatchEvent[opencast.Workflow], ...])
    assert_type(await monitor.poll_once(pv, spec), monitor.PollResult[preservica.Workflow])


def synchronous(oc: SyncOpencastClient, pv: SyncPreservicaClient, spec: monitor.WatchSpec) -> None:
    with OpencastClient.sync("https://oc.example.org", auth=("user", "secret"), limits=Limits(connections=4)) as opened:
        assert_type(opened, SyncOpencastClient)
    assert_type(PreservicaClient.sync("eu.preservica.com", username="u", password="p"), SyncPreservicaClient)
    assert_type(SyncOpencastClient.from_env(url="https://oc.example.org", run_as_user="lecturer"), SyncOpencastClient)
    assert_type(oc.workflows.get(1603, with_operations=True), opencast.Workflow)
    assert_type(oc.workflows.start("e-1", "fast", timeout=300), opencast.Workflow)
    assert_type(oc.workflows.start(oc.workflows.prepare_start("e-1", "fast")), opencast.Workflow)
    assert_type(oc.workflows.wait_all([1], until=lambda w: w.current is None), tuple[Outcome[opencast.Workflow], ...])
    listing = oc.workflows.list(state="running", limit=5)
    assert_type(listing, SyncListing[opencast.Workflow])
    assert_type([workflow for workflow in listing], list[opencast.Workflow])  # noqa: C416 - the type of an item
    assert_type([page for page in listing.pages()], list[Page[opencast.Workflow]])  # noqa: C416 - likewise
    assert_type(listing.first(), opencast.Workflow | None)
    with oc.workflows.watch([1603]) as changes:
        assert_type(changes, SyncWatch[opencast.Workflow])
        assert_type(next(changes), monitor.WatchEvent[opencast.Workflow])
    with oc.workflows.run_all([opencast.Start("e-1", "fast")]) as results:
        for result in results:
            assert_type(result, batch.Result[opencast.Workflow])
    assert_type(oc.run(monitor.poll_once, spec).spec, monitor.WatchSpec)
    assert_type(pv.workflows.get(51234), preservica.Workflow)
    assert_type(next(iter(pv.monitors.list())), preservica.Monitor)


async def observed() -> None:
    async def middleware(request: observe.Request, send: observe.Send) -> observe.Reply:
        assert_type(request.headers, Mapping[str, str])
        assert_type(request.with_headers({"x-mine": "1"}), observe.Request)
        reply = await send(request)
        assert_type(reply.status, int)
        return reply

    def on_event(event: observe.ClientEvent) -> None:
        match event:
            case observe.RequestSent():
                assert_type(event.status, int | None)
            case observe.Outage():
                assert_type(event.began, datetime)
            case _:
                assert_type(event.to_dict(), dict[str, Any])

    telemetry = OpenTelemetry()
    layers: list[observe.Middleware] = [middleware, telemetry.middleware]
    async with OpencastClient("https://oc.example.org", auth=("user", "secret"), middleware=layers) as oc:
        telemetry.add(oc)
    PreservicaClient("eu.preservica.com", username="user", password="secret", on_event=on_event)
    PreservicaClient.from_env(middleware=layers, on_event=telemetry.on_event)

    async def acquire() -> None: ...

    pace: settings.Pace = acquire
    OpencastClient("https://oc.example.org", auth=("user", "secret"), pace=pace)
    OpencastClient.sync("https://oc.example.org", auth=("user", "secret"), pace=asyncio.Semaphore(1).acquire)
    PreservicaClient.from_env(pace=acquire)


async def opencast_lists(oc: OpencastClient) -> None:
    listing = oc.workflows.list(state="running", sort="event_created:desc", limit=500)
    assert_type(listing, Listing[opencast.Workflow])
    async for workflow in listing:
        assert_type(workflow, opencast.Workflow)
    async for page in listing.pages():
        assert_type(page, Page[opencast.Workflow])
        assert_type(page.items, tuple[opencast.Workflow, ...])
        assert_type(page.total, int | None)
    assert_type(await listing.first(), opencast.Workflow | None)
    assert_type(listing.resume_point, str | None)
    assert_type((await oc.workflows.get(1603, keep_raw=True)).raw, Mapping[str, Any] | None)
    assert_type(oc.workflows.list(keep_raw=True), Listing[opencast.Workflow])
    assert_type((await oc.definitions.get("fast", keep_raw=True)).raw, Mapping[str, Any] | None)
    assert_type(oc.workflows.list(state="running", resume=listing.resume_point), Listing[opencast.Workflow])
    assert_type([workflow.id async for workflow in listing], list[int])
    month = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    oc.workflows.list(state=[opencast.State.RUNNING, "paused"], event_created=month, with_operations=True)
    filters: opencast.WorkflowFilters = {"event_title": "algebra", "current_operation_not": ["encode"]}
    assert_type(oc.workflows.list(**filters), Listing[opencast.Workflow])
    assert_type(oc.workflows.list(consistency="anchored", ahead=4).report, ListingReport)
    literal = oc.workflows.list(event_title="What is love?", literal=True, unreadable="skip")
    assert_type(literal.report.unreadable, tuple[UnreadableRow, ...])
    oc.workflows.list(event_created="2018-03-01T00:00:00Z/2018-03-31T23:59:59Z")
    assert_type(oc.definitions.list(tag=["archive", "upload"], sort="title:asc"), Listing[opencast.Definition])
    assert_type(
        oc.definitions.list(sort=["title:asc", "identifier:desc"], limit=5, offset=1), Listing[opencast.Definition]
    )
    assert_type(oc.events.list(status="processing", identifier=["e-1"], limit=10), Listing[opencast.Event])


async def journals(oc: OpencastClient, pv: PreservicaClient, ticket: batch.Ticket, entry: batch.Entry) -> None:
    kept = NatsJournal(NatsClient(), "batch", stream="BATCHES", replicas=3, lease=5.0, patience=30.0)
    journal: batch.Journal = kept
    assert_type(oc.workflows.run_all([], journal=journal), batch.Run[opencast.Workflow])
    assert_type(pv.workflows.run_all([], journal=kept), batch.Run[preservica.Workflow])
    assert_type(await journal.write(entry), Callable[[], bool] | None)
    assert_type(await kept.read(), batch.JournalContents)
    assert_type(batch.entry_from_json(batch.entry_to_json(entry)), batch.Entry)
    assert_type(batch.status_after(batch.planned_status(ticket), entry), batch.StartStatus)


async def opencast_calls(oc: OpencastClient, word: batch.OnConflict) -> None:
    assert_type(await oc.workflows.get(1603, with_operations=True), opencast.Workflow)
    assert_type(await oc.workflows.get("1603"), opencast.Workflow)
    assert_type(await oc.workflows.start("e-1", "fast", configuration={"publishLive": False}), opencast.Workflow)
    assert_type(await oc.workflows.start("e-1", "fast", timeout=300), opencast.Workflow)
    assert_type(await oc.workflows.start("e-1", "fast", check_options=True), opencast.Workflow)
    assert_type(
        await oc.workflows.start(oc.workflows.prepare_start("e-1", "fast"), check_options=True), opencast.Workflow
    )
    assert_type(await oc.workflows.start(oc.workflows.prepare_start("e-1", "fast"), timeout=0.5), opencast.Workflow)
    assert_type(
        oc.workflows.run_all([], start_unknown_again=True, retry_failed=True, limit=1), batch.Run[opencast.Workflow]
    )
    ticket = oc.workflows.prepare_start("e-1", "fast")
    assert_type(await oc.workflows.start("e-1", "fast", on_conflict="attach"), opencast.Workflow)
    assert_type(await oc.workflows.start("e-1", "fast", on_conflict="skip"), opencast.Workflow | None)
    assert_type(await oc.workflows.start("e-1", "fast", on_conflict=word), opencast.Workflow | None)
    assert_type(await oc.workflows.start(ticket, on_conflict="wait", poll=Poll(), timeout=60), opencast.Workflow)
    assert_type(await oc.workflows.start(ticket, on_conflict="skip"), opencast.Workflow | None)
    assert_type(await oc.workflows.start_and_wait("e-1", "fast", on_conflict="wait"), opencast.Workflow)
    assert_type(await oc.workflows.start_and_wait("e-1", "fast", on_conflict="skip"), opencast.Workflow | None)
    gate = oc.workflows.gate(max_running=10, low=3)
    async with gate.slot(weight=2) as slot:
        assert_type((gate, slot, slot.weight, gate.taken), tuple[batch.Gate, batch.Slot, int, int])
    assert_type(oc.workflows.run_all([], gate=gate), batch.Run[opencast.Workflow])
    assert_type(await oc.workflows.update(1603, state="paused", configuration={"a": "b"}), opencast.Workflow)
    assert_type(await oc.workflows.update(1603, configuration={"a": "b"}, merge=True), opencast.Workflow)
    assert_type(await oc.workflows.update(1603, state=opencast.State.STOPPED), opencast.Workflow)
    assert_type(await oc.workflows.replace_configuration(1603, {"a": True}), opencast.Workflow)
    assert_type(await oc.workflows.pause(1603), opencast.Workflow)
    assert_type(await oc.workflows.resume(1603), opencast.Workflow)
    assert_type(await oc.workflows.resume(1603, settle=5), opencast.Workflow)
    assert_type(await oc.workflows.update(1603, state="STOPPED", force=True), opencast.Workflow)
    assert_type(await oc.workflows.stop(1603, force=True), opencast.Workflow)
    assert_type(await oc.workflows.pause(1603, force=True), opencast.Workflow)
    assert_type((await oc.workflows.start("e-1", "fast")).location, str | None)
    assert_type(await oc.workflows.stop(1603), opencast.Workflow)
    assert_type(await oc.workflows.delete(1603), None)
    assert_type(await oc.workflows.for_event("e-1"), tuple[opencast.Workflow, ...])
    (row,) = await oc.workflows.for_event("e-1")
    assert_type((row.source, row.superseded_by), tuple[Literal["list", "event", "known"] | None, int | None])
    assert_type(await oc.workflows.count(), int)
    assert_type(await oc.workflows.errors(1603, event_id="e-1", with_details=True), tuple[opencast.Incident, ...])
    assert_type(await oc.workflows.answer(1603, "retry"), opencast.Workflow)
    assert_type(await oc.workflows.count(state=["running", opencast.State.PAUSED], definition_id="fast"), int)
    assert_type(await oc.definitions.get("fast", with_configuration_panel=True), opencast.Definition)
    definition = await oc.definitions.get("fast", with_configuration_panel_json=True)
    assert_type(definition.options, tuple[opencast.Option, ...])
    assert_type(definition.options[0].type, opencast.OptionType)
    assert_type(definition.options[0].default, ParameterValue | None)
    assert_type(definition.check({"publishLive": True}), None)
    assert_type(await oc.version(), opencast.Version)
    assert_type(await oc.me(), opencast.Me)
    assert_type((await oc.me(with_roles=True)).roles, tuple[str, ...] | None)
    assert_type(await oc.organization(), opencast.Organization)


def opencast_records(workflow: opencast.Workflow, definition: opencast.Definition) -> None:
    assert_type(workflow.id, int)
    assert_type(workflow.state, opencast.State)
    assert_type(workflow.state_text, str)
    assert_type(workflow.phase, Phase)
    assert_type(workflow.phase.final, bool)
    assert_type(workflow.step, str | None)
    assert_type(workflow.current, opencast.Operation | None)
    assert_type(workflow.failed_operation, opencast.Operation | None)
    assert_type(workflow.held_operation, opencast.Operation | None)
    assert_type(workflow.failure, str | None)
    assert_type(workflow.operations, tuple[opencast.Operation, ...] | None)
    assert_type(definition.operations, tuple[opencast.OperationDefinition, ...] | None)
    for operation in workflow.operations or ():
        assert_type(operation.state, opencast.OperationState)
        assert_type(operation.start, datetime | None)


async def opencast_waits(oc: OpencastClient) -> None:
    poll = Poll(interval=5, ceiling=60)
    assert_type(await oc.workflows.wait(1603, timeout=3600, check=True, parked="return"), opencast.Workflow)
    assert_type(await oc.workflows.wait(1603, until=lambda workflow: workflow.step == "encode"), opencast.Workflow)
    changes: list[Change[opencast.Workflow]] = []
    assert_type(await oc.workflows.wait(1603, on_change=changes.append), opencast.Workflow)
    assert_type(oc.workflows.export_durations(), str)
    assert_type(oc.workflows.import_durations("{}"), None)
    assert_type(await oc.workflows.wait_all([1603], on_change=handle_change), tuple[Outcome[opencast.Workflow], ...])
    assert_type(oc.workflows.as_completed([1603], on_change=handle_change), OutcomeStream[opencast.Workflow])
    assert_type(await oc.workflows.start_and_wait("e-1", "fast", on_change=handle_change), opencast.Workflow)
    assert_type(await oc.workflows.start_and_wait("e-1", "fast", timeout=3600, poll=poll), opencast.Workflow)
    assert_type(
        await oc.workflows.start_and_wait("e-1", "fast", until=lambda workflow: workflow.step == "encode"),
        opencast.Workflow,
    )
    assert_type(await oc.workflows.wait_all([1603, "1604"]), tuple[Outcome[opencast.Workflow], ...])
    assert_type(
        await oc.workflows.wait_all([1603], until=lambda workflow: workflow.step == "encode", check=True),
        tuple[Outcome[opencast.Workflow], ...],
    )
    assert_type(
        oc.workflows.as_completed([1603], until=lambda workflow: workflow.phase is Phase.PARKED, check=True),
        OutcomeStream[opencast.Workflow],
    )
    assert_type(oc.workflows.as_completed(range(9)), OutcomeStream[opencast.Workflow])
    assert_type(oc.workflows.wake(1603), bool)


async def opencast_watches(oc: OpencastClient) -> None:
    oc.workflows.watch(definition_id="fast", state_not="paused", stalled_after=3.0)
    oc.workflows.watch([1603], stalled_after=timedelta(minutes=30))
    async with oc.workflows.watch([1603], operations=True) as changes:
        assert_type(changes, monitor.Watch[opencast.Workflow])
        assert_type(changes.ids, frozenset[int])
        assert_type(changes.eta(1603), float | None)
        assert_type(changes.last_error(1603), CallError | None)
        assert_type(changes.add(1604, "1605"), None)
        assert_type(changes.drop(1604), None)
        async for event in changes:
            assert_type(event, monitor.WatchEvent[opencast.Workflow])
            match event:
                case Change():
                    assert_type(event.was, Phase | None)
                    assert_type(event.now, Phase)
                    assert_type(event.workflow, opencast.Workflow)
                    assert_type(event.operations, tuple[monitor.OperationChange, ...])
                case Stalled():
                    assert_type(event.usual, float | None)
                case Vanished() | PollingFailed():
                    assert_type(event.error, CallError)
                    assert_type(event.workflow, opencast.Workflow | None)
                case Replaced():
                    assert_type(event.workflow, opencast.Workflow | None)
                    assert_type(event.found, opencast.Workflow)
                case _:
                    assert_never(event)


async def preservica_lists(pv: PreservicaClient) -> None:
    listing = pv.workflows.list(state=["Active", "Pending"], type="Ingest", since=datetime.now(UTC), limit=10)
    assert_type(listing, Listing[preservica.Workflow])
    async for workflow in listing:
        assert_type(workflow, preservica.Workflow)
    async for page in listing.pages():
        assert_type(page, Page[preservica.Workflow])
    assert_type(pv.workflows.list(consistency="partitioned").report.requests, int)
    filters: preservica.WorkflowFilters = {"type": "Ingest", "creator": "bob", "until": datetime.now(UTC)}
    assert_type(pv.workflows.list(**filters), Listing[preservica.Workflow])
    assert_type(pv.workflows.watch(**filters), monitor.Watch[preservica.Workflow])
    assert_type(pv.contexts.list(type="Ingest"), Listing[preservica.Context])
    assert_type(pv.processes.list(type="OPEX"), Listing[preservica.Process])
    assert_type(pv.monitors.list(status="Running", category=["Ingest"]), Listing[preservica.Monitor])
    assert_type(pv.monitors.messages("m-1", status="Error"), Listing[preservica.Message])


async def preservica_calls(pv: PreservicaClient, context: preservica.Context) -> None:
    assert_type(await pv.workflows.get(51234), preservica.Workflow)
    assert_type(
        await pv.workflows.start(context, {"seedUrl": "https://example.org", "maxDepth": 8}), preservica.Started
    )
    assert_type(await pv.workflows.start(42), preservica.Started)
    assert_type(await pv.workflows.start("Ingest", correlation_id="mine"), preservica.Started)
    assert_type(await pv.workflows.start(42, timeout=300), preservica.Started)
    assert_type(
        pv.workflows.run_all([], start_unknown_again=True, retry_failed=True, limit=1), batch.Run[preservica.Workflow]
    )
    assert_type(pv.workflows.gate(max_running=10, low=3, count_others=False), batch.Gate)
    assert_type(await pv.workflows.terminate(7, 8, "9"), None)
    assert_type(await pv.workflows.retry(51240), int)
    assert_type(await pv.workflows.count(state="Active", type="Ingest"), int)
    assert_type(await pv.processes.activate("p-1"), bool)
    assert_type(await pv.processes.deactivate("p-1"), bool)


def preservica_records(workflow: preservica.Workflow, started: preservica.Started) -> None:
    assert_type(workflow.state, preservica.State)
    assert_type(workflow.phase, Phase)
    assert_type(workflow.step, str | None)
    assert_type(started.id, int | None)
    assert_type(started.correlation_id, str)
    assert_type(started.workflow, preservica.Workflow | None)


async def preservica_waits(pv: PreservicaClient) -> None:
    assert_type(await pv.workflows.wait(51234, poll=Poll(interval=5)), preservica.Workflow)
    assert_type(await pv.workflows.start_and_wait("Ingest", {"a": 1}, check=True), preservica.Workflow)
    assert_type(await pv.workflows.wait_all((1, 2), timeout=60), tuple[Outcome[preservica.Workflow], ...])
    assert_type(pv.workflows.as_completed([1, 2]), OutcomeStream[preservica.Workflow])
    async with pv.workflows.watch(type="Ingest", state="Active") as changes:
        assert_type(changes, monitor.Watch[preservica.Workflow])
        async for event in changes:
            assert_type(event, monitor.WatchEvent[preservica.Workflow])


def outcomes(outcome: Outcome[opencast.Workflow]) -> None:
    assert_type(outcome.id, int)
    assert_type(outcome.succeeded, bool)
    assert_type(outcome.to_dict(), dict[str, Any])
    match outcome:
        case Finished() | Parked() | ConditionMet():
            assert_type(outcome.workflow, opencast.Workflow)
        case TimedOut():
            assert_type(outcome.workflow, opencast.Workflow | None)
        case Vanished() | PollingFailed():
            assert_type(outcome.error, CallError)
        case Replaced():
            assert_type(outcome.found, opencast.Workflow)
        case _:
            assert_never(outcome)


async def errors(oc: OpencastClient) -> None:
    try:
        await oc.workflows.start_and_wait("e-1", "fast", check=True)
    except StartOutcomeUnknown as error:
        assert_type(error.look_for, str)
        assert_type(error.workflow_id, int | None)
    except WorkflowFailed as error:
        assert_type(error.workflow.state_text, str)
    except WaitTimeout as error:
        assert_type(error.timeout, float)
    except CallError as error:
        assert_type(error.attempts, int)
    except WorkflowAsyncError as error:
        assert_type(str(error), str)


async def testing() -> None:
    time = SkippingTime(start=0.0, seed=1)
    assert_type(time(), float)
    assert_type(time.elapsed, float)
    assert_type(time.options, ClientTime)
    assert_type(OpencastClient("http://127.0.0.1", auth=("user", "secret"), **time.options), OpencastClient)
    assert_type(opencast_workflow(1603, "running", operations={"encode": "failed"}), opencast.Workflow)
    assert_type(preservica_workflow(7, "Active"), preservica.Workflow)
    assert_type(change(opencast_workflow()), Change[opencast.Workflow])
    assert_type(finished(preservica_workflow(7, "Failed")), Finished[preservica.Workflow])


async def distribute_watches(oc: OpencastClient, pv: PreservicaClient, spec: monitor.WatchSpec) -> None:
    store = MemoryStore(lease_seconds=20)
    assert_type(shards_of("all", spec, 4), Mapping[str, bytes])
    await store.put(shards_of("all", spec, 4))
    coordinator: Coordinator = MemoryCoordinator(store)
    claim = await coordinator.claim(["all-0"])
    assert_type(claim, Claim)
    assert_type(await coordinator.renew(claim.leases[0]), Lease | None)
    assert_type(await coordinator.save(claim.leases[0], b"", [*store.events.values()]), Lease | None)
    assert_type(await distribute(oc, coordinator), None)
    await distribute([oc, pv], coordinator)
