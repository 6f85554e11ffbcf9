"""The cases: how each public call is made."""

import asyncio
from contextlib import aclosing

from tests.support.public_calls import (
    CASES,
    FAST_POLL,
    LISTING_SYSTEMS,
    OPENCAST,
    PRESERVICA,
    CallContext,
    case,
    collect,
    short_call,
)
from workflow_async import batch, monitor
from workflow_async.sandbox.preservica.monitors import MonitoredProcess
from workflow_async.sandbox.preservica.processes import CONFIGS

__all__ = ["CASES"]

# The clients


@case("version", "me", "organization", systems=OPENCAST)
async def version_and_me(context: CallContext) -> None:
    await context.client.version()
    await context.client.me(with_roles=True)
    await context.client.organization()


@case("__aenter__", "__aexit__")
async def entering_a_client(context: CallContext) -> None:
    async with context.loopback.client() as another:
        await short_call(CallContext(context.loopback, another))


async def reopen(context: CallContext) -> None:
    await context.client.aclose()
    async with context.client:
        await short_call(context)


@case("open", after=short_call)
async def open_and_aclose(context: CallContext) -> None:
    another = await context.loopback.client().open()
    try:
        await short_call(CallContext(context.loopback, another))
    finally:
        await another.aclose()


@case("aclose", before=short_call, after=reopen)
async def closing(context: CallContext) -> None:
    await context.client.aclose()


async def age_the_token(context: CallContext) -> None:
    await short_call(context)
    context.loopback.time.advance(13 * 60.0)


@case("contexts.list", systems=PRESERVICA, before=age_the_token)
async def a_call_that_renews_the_token(context: CallContext) -> None:
    await collect(context.client.contexts.list())


async def revoke(context: CallContext) -> None:
    await short_call(context)
    context.loopback.preservica.revoke()


@case("contexts.list", systems=PRESERVICA, before=revoke)
async def a_call_whose_token_is_refused(context: CallContext) -> None:
    await collect(context.client.contexts.list(type="Ingest"))


# Single calls on an open connection


@case("workflows.get", reuse=True)
async def getting(context: CallContext) -> None:
    await context.workflows.get(context.new_running())


@case("workflows.start")
async def starting(context: CallContext) -> None:
    await context.workflows.start(*context.start_arguments())


@case("workflows.start", systems=OPENCAST)
async def starting_with_checked_options(context: CallContext) -> None:
    configuration = {"publishLive": False}
    await context.workflows.start(context.event, "fast", configuration=configuration, check_options=True)


@case("workflows.start", systems=OPENCAST)
async def starting_on_a_busy_event(context: CallContext) -> None:
    event = context.event
    context.loopback.opencast.start(event, "quick")
    await context.workflows.start(event, "quick", on_conflict="attach")
    await context.workflows.start(event, "quick", on_conflict="wait", poll=FAST_POLL)


@case("workflows.start", reuse=True)
async def starting_by_ticket(context: CallContext) -> None:
    await context.workflows.start(context.workflows.prepare_start(*context.start_arguments()))


@case("workflows.reconcile")
async def reconciling(context: CallContext) -> None:
    await context.workflows.reconcile(context.workflows.prepare_start(*context.start_arguments()), wait=3.0)


@case("workflows.update", systems=OPENCAST)
async def updating(context: CallContext) -> None:
    await context.workflows.update(context.new_running("long"), configuration={"a": "b"}, state="paused")


@case("workflows.update", systems=("11",))
async def merging_a_configuration(context: CallContext) -> None:
    await context.workflows.update(context.new_running("long"), configuration={"a": "b"}, merge=True)


@case("workflows.replace_configuration", systems=OPENCAST)
async def replacing_a_configuration(context: CallContext) -> None:
    await context.workflows.replace_configuration(context.new_running("long"), {"a": "b"})


@case("workflows.pause", "workflows.resume", "workflows.stop", systems=OPENCAST, reuse=True)
async def pausing_resuming_and_stopping(context: CallContext) -> None:
    id = context.new_running("long", age=9.0)
    await context.workflows.pause(id)
    await context.workflows.resume(id)
    await context.workflows.stop(id)


@case("workflows.delete", systems=OPENCAST)
async def deleting(context: CallContext) -> None:
    await context.workflows.delete(context.new_ended())


@case("workflows.for_event", systems=("16",))
async def the_workflows_of_an_event(context: CallContext) -> None:
    await context.workflows.for_event(context.event)


@case("workflows.errors", systems=OPENCAST, reuse=True)
async def the_errors_of_a_workflow(context: CallContext) -> None:
    await context.workflows.errors(context.new_ended("fails"), with_details=True)


@case("workflows.answer", systems=OPENCAST)
async def answering_a_hold(context: CallContext) -> None:
    await context.workflows.answer(context.new_ended("holds"), "retry")


@case("workflows.count", reuse=True)
async def counting(context: CallContext) -> None:
    context.new_running()
    await context.workflows.count(state="Active" if context.loopback.kind == "preservica" else "running")


@case("workflows.count", systems=("11",))
async def counting_by_definition(context: CallContext) -> None:
    context.new_running()
    await context.workflows.count(definition_id="quick")


@case("workflows.terminate", "workflows.retry", systems=PRESERVICA, reuse=True)
async def retrying_and_terminating(context: CallContext) -> None:
    failed = context.new_ended("fails")
    await context.workflows.retry(failed)
    await context.workflows.terminate(failed)


@case("definitions.get", systems=OPENCAST)
async def a_definition(context: CallContext) -> None:
    await context.client.definitions.get("quick")


@case("processes.activate", "processes.deactivate", systems=PRESERVICA, reuse=True)
async def switching_a_process(context: CallContext) -> None:
    id = CONFIGS[0].id
    await context.client.processes.activate(id)
    await context.client.processes.deactivate(id)


@case("monitors.wait", systems=PRESERVICA)
async def waiting_for_a_process(context: CallContext) -> None:
    run = context.loopback.system.engine.get(context.new_running())
    assert run is not None
    name = MonitoredProcess(context.loopback.preservica.state.archive, run).name
    await context.client.monitors.wait(name, poll=FAST_POLL)


@case("monitors.messages", "monitors.timeseries", systems=PRESERVICA, reuse=True)
async def messages_and_timeseries(context: CallContext) -> None:
    run = context.loopback.system.engine.get(context.new_ended())
    assert run is not None
    id = context.loopback.preservica.state.archive.monitor_id(run)
    await collect(context.client.monitors.messages(id, page_size=1))
    await context.client.monitors.timeseries(id)


# Listings


@case(
    "workflows.list",
    "Listing.__aiter__",
    "Items.__aiter__",
    "Items.__anext__",
    systems=LISTING_SYSTEMS,
    reuse=True,
)
async def a_listing_of_several_pages(context: CallContext) -> None:
    await collect(context.workflows.list(page_size=2, limit=5))


@case("workflows.list", systems=LISTING_SYSTEMS)
async def a_listing_that_is_resumed(context: CallContext) -> None:
    listing = context.workflows.list(page_size=2)
    await listing.first()
    await collect(context.workflows.list(page_size=2, limit=5, resume=listing.resume_point))


@case("workflows.get", "workflows.list", systems=LISTING_SYSTEMS)
async def keeping_the_raw_answers(context: CallContext) -> None:
    await context.workflows.get(context.new_running(), keep_raw=True)
    await collect(context.workflows.list(page_size=2, limit=5, keep_raw=True))


@case("Listing.pages", "Pages.__aiter__", "Pages.__anext__", systems=LISTING_SYSTEMS)
async def page_by_page(context: CallContext) -> None:
    await collect(context.workflows.list(page_size=2, limit=5).pages())


@case("Items.aclose", "Pages.aclose", systems=LISTING_SYSTEMS)
async def a_listing_that_is_left_early(context: CallContext) -> None:
    async with aclosing(aiter(context.workflows.list(page_size=2))) as items:
        for _ in range(5):
            await anext(items, None)


@case("Listing.first", systems=LISTING_SYSTEMS)
async def the_first_of_a_listing(context: CallContext) -> None:
    await context.workflows.list(page_size=2).first()


@case("workflows.list", systems=("16",))
async def a_listing_by_events(context: CallContext) -> None:
    context.new_running("long")
    await collect(context.workflows.list(page_size=2, limit=3, state="running"))


@case("definitions.list", "events.list", systems=OPENCAST)
async def definitions_and_events(context: CallContext) -> None:
    context.new_running("long")
    await collect(context.client.definitions.list())
    await collect(context.client.events.list(status="processing", page_size=2, limit=3))


@case("processes.list", "monitors.list", systems=PRESERVICA)
async def processes_and_monitors(context: CallContext) -> None:
    await collect(context.client.processes.list())
    await collect(context.client.monitors.list(limit=3))


# Waiting and watching


@case("workflows.wait")
async def waiting(context: CallContext) -> None:
    await context.workflows.wait(context.new_running(), poll=FAST_POLL)


@case("workflows.wait")
async def waiting_with_a_slow_report(context: CallContext) -> None:
    async def report(_: object) -> None:
        await asyncio.sleep(0)

    await context.workflows.wait(context.new_running(), poll=FAST_POLL, on_change=report)


@case("workflows.wait", reuse=True)
async def waiting_concurrently(context: CallContext) -> None:
    async with asyncio.TaskGroup() as group:  # cancels each task natively and waits for it
        for id in (context.new_running(), context.new_ended(), context.new_running()):
            group.create_task(context.workflows.wait(id, poll=FAST_POLL))


@case("workflows.start_and_wait")
async def starting_and_waiting(context: CallContext) -> None:
    await context.workflows.start_and_wait(*context.start_arguments(), poll=FAST_POLL)


@case("workflows.wait_all", reuse=True)
async def waiting_for_all(context: CallContext) -> None:
    await context.workflows.wait_all(
        [context.new_running(), context.new_ended(), context.new_running("long")], timeout=4.0
    )


@case("OutcomeStream.aclose", reuse=True)
async def as_they_end_and_closed(context: CallContext) -> None:
    ids = [context.new_running(), context.new_ended(), context.new_running("long")]
    async with aclosing(context.workflows.as_completed(ids, poll=FAST_POLL)) as outcomes:
        await anext(outcomes)


@case(
    "workflows.as_completed",
    "OutcomeStream.__aiter__",
    "OutcomeStream.__anext__",
    reuse=True,
    collected=True,
)
async def as_they_end(context: CallContext) -> None:
    async for outcome in context.workflows.as_completed([context.new_running(), context.new_ended()], poll=FAST_POLL):
        assert outcome.succeeded


@case("workflows.watch", "Watch.__aenter__", "Watch.__aexit__", "Watch.__aiter__", "Watch.__anext__")
async def watching(context: CallContext) -> None:
    async with context.workflows.watch(
        [context.new_running(), other := context.new_running("long")], poll=FAST_POLL
    ) as changes:
        changes.add(context.new_ended())
        await anext(changes)
        changes.drop(other)
        await collect(changes)


@case("Watch.aclose")
async def ending_a_watch(context: CallContext) -> None:
    async with context.workflows.watch([context.new_running("long")], poll=FAST_POLL) as changes:
        async for event in changes.heartbeat(60):
            assert event is not None
            await changes.aclose()


@case("workflows.watch", systems=LISTING_SYSTEMS, reuse=True)
async def watching_a_list(context: CallContext) -> None:
    id = context.new_running()
    state = ["instantiated", "running"] if context.loopback.kind == "11" else ["Pending", "Active"]
    async with context.workflows.watch(state=state, poll=FAST_POLL) as changes:
        async for change in changes:
            if change.id == id and change.now.final:
                break


@case("poll_once")
async def polling_once(context: CallContext) -> None:
    watch = monitor.WatchSpec.of(
        context.client, [context.new_running(), context.new_ended(), context.new_running("long")]
    )
    await monitor.poll_once(context.client, watch)


@case("snapshot_active", systems=LISTING_SYSTEMS)
async def reading_a_snapshot(context: CallContext) -> None:
    context.new_running()
    await monitor.snapshot_active(context.client)


# Batches


@case("Slot.__aenter__", "Slot.__aexit__", reuse=True)
async def starting_in_the_slots_of_a_gate(context: CallContext) -> None:
    gate = context.workflows.gate(max_running=50, poll=FAST_POLL)
    for weight in (1, 40):
        async with gate.slot(weight):
            await context.workflows.start_and_wait(*context.start_arguments(), poll=FAST_POLL)


@case("workflows.run_all", "Run.__aenter__", "Run.__aexit__", "Run.__aiter__", "Run.__anext__")
async def running_a_batch(context: CallContext) -> None:
    async with context.workflows.run_all(context.batch_starts(2), max_running=1, poll=FAST_POLL) as results:
        await collect(results)


async def journal_is_unlocked(context: CallContext) -> None:
    async with context.workflows.run_all([], journal=context.journal) as results:
        await collect(results)
    await batch.read_journal(context.journal)


@case("workflows.run_all", reuse=True, after=journal_is_unlocked)
async def running_a_batch_with_a_journal(context: CallContext) -> None:
    starts = context.batch_starts(1)
    async with context.workflows.run_all(starts, poll=FAST_POLL, journal=context.journal) as results:
        await collect(results)
