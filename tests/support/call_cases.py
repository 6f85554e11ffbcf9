"""The cases: how each public call is made."""

import asyncio
from contextlib import aclosing

from tests.support.public_calls import CASES, LISTED, OFTEN, OPENCAST, PRESERVICA, Scene, all_of, case, one_more
from workflow_async import batch, monitor
from workflow_async.sandbox.preservica.processes import CONFIGS

__all__ = ["CASES"]

# The clients


@case("version", "me", on=OPENCAST)
async def asking_who_is_there(scene: Scene) -> None:
    await scene.client.version()
    await scene.client.me()


@case("__aenter__", "__aexit__")
async def a_client_of_its_own(scene: Scene) -> None:
    async with scene.here.client() as another:
        await one_more(Scene(scene.here, another))


async def open_again(scene: Scene) -> None:
    await scene.client.aclose()
    async with scene.client:
        await one_more(scene)


@case("open", after=one_more)
async def opening_and_closing_by_hand(scene: Scene) -> None:
    another = await scene.here.client().open()
    try:
        await one_more(Scene(scene.here, another))
    finally:
        await another.aclose()


@case("aclose", before=one_more, after=open_again)
async def closing(scene: Scene) -> None:
    await scene.client.aclose()


async def let_the_token_grow_old(scene: Scene) -> None:
    await one_more(scene)
    scene.here.time.advance(13 * 60.0)


@case("contexts.list", on=PRESERVICA, before=let_the_token_grow_old)
async def a_call_that_renews_the_token(scene: Scene) -> None:
    await all_of(scene.client.contexts.list())


async def revoke(scene: Scene) -> None:
    await one_more(scene)
    scene.here.preservica.revoke()


@case("contexts.list", on=PRESERVICA, before=revoke)
async def a_call_whose_token_is_refused(scene: Scene) -> None:
    await all_of(scene.client.contexts.list(type="Ingest"))


# Single calls on a connection that is there already


@case("workflows.get", warm=True)
async def getting(scene: Scene) -> None:
    await scene.client.workflows.get(scene.running())


@case("workflows.start")
async def starting(scene: Scene) -> None:
    await scene.client.workflows.start(*scene.start())


@case("workflows.start", warm=True)
async def starting_by_ticket(scene: Scene) -> None:
    await scene.client.workflows.start(scene.client.workflows.prepare_start(*scene.start()))


@case("workflows.reconcile")
async def reconciling(scene: Scene) -> None:
    await scene.client.workflows.reconcile(scene.client.workflows.prepare_start(*scene.start()), wait=3.0)


@case("workflows.update", on=OPENCAST)
async def updating(scene: Scene) -> None:
    await scene.client.workflows.update(scene.running("long"), configuration={"a": "b"}, state="paused")


@case("workflows.replace_configuration", on=OPENCAST)
async def replacing_a_configuration(scene: Scene) -> None:
    await scene.client.workflows.replace_configuration(scene.running("long"), {"a": "b"})


@case("workflows.pause", "workflows.resume", "workflows.stop", on=OPENCAST, warm=True)
async def pausing_resuming_and_stopping(scene: Scene) -> None:
    id = scene.running("long", age=9.0)
    await scene.client.workflows.pause(id)
    await scene.client.workflows.resume(id)
    await scene.client.workflows.stop(id)


@case("workflows.delete", on=OPENCAST)
async def deleting(scene: Scene) -> None:
    await scene.client.workflows.delete(scene.ended())


@case("workflows.for_event", on=("16",))
async def the_workflows_of_an_event(scene: Scene) -> None:
    await scene.client.workflows.for_event(scene.event)


@case("workflows.terminate", "workflows.retry", on=PRESERVICA, warm=True)
async def retrying_and_terminating(scene: Scene) -> None:
    failed = scene.ended("fails")
    await scene.client.workflows.retry(failed)
    await scene.client.workflows.terminate(failed)


@case("definitions.get", on=OPENCAST)
async def a_definition(scene: Scene) -> None:
    await scene.client.definitions.get("quick")


@case("processes.activate", "processes.deactivate", on=PRESERVICA, warm=True)
async def switching_a_process(scene: Scene) -> None:
    id = CONFIGS[0].id
    await scene.client.processes.activate(id)
    await scene.client.processes.deactivate(id)


@case("monitors.messages", "monitors.timeseries", on=PRESERVICA, warm=True)
async def what_a_process_says(scene: Scene) -> None:
    run = scene.here.system.engine.get(scene.ended())
    assert run is not None
    id = scene.here.preservica.state.archive.monitor_id(run)
    await all_of(scene.client.monitors.messages(id, page_size=1))
    await scene.client.monitors.timeseries(id)


# Listings


@case("workflows.list", "Listing.__aiter__", "Items.__aiter__", "Items.__anext__", on=LISTED, warm=True)
async def a_listing_of_several_pages(scene: Scene) -> None:
    await all_of(scene.client.workflows.list(page_size=2, limit=5))


@case("Listing.pages", "Pages.__aiter__", "Pages.__anext__", on=LISTED)
async def page_by_page(scene: Scene) -> None:
    await all_of(scene.client.workflows.list(page_size=2, limit=5).pages())


@case("Items.aclose", "Pages.aclose", on=LISTED)
async def a_listing_that_is_left_early(scene: Scene) -> None:
    async with aclosing(aiter(scene.client.workflows.list(page_size=2))) as items:
        for _ in range(5):
            await anext(items, None)


@case("Listing.first", on=LISTED)
async def the_first_of_a_listing(scene: Scene) -> None:
    await scene.client.workflows.list(page_size=2).first()


@case("definitions.list", "events.processing", on=OPENCAST)
async def definitions_and_events(scene: Scene) -> None:
    scene.running("long")
    await all_of(scene.client.definitions.list())
    await all_of(scene.client.events.processing(page_size=2, limit=3))


@case("processes.list", "monitors.list", on=PRESERVICA)
async def processes_and_monitors(scene: Scene) -> None:
    await all_of(scene.client.processes.list())
    await all_of(scene.client.monitors.list(limit=3))


# Waiting and watching


@case("workflows.wait")
async def waiting(scene: Scene) -> None:
    await scene.client.workflows.wait(scene.running(), poll=OFTEN)


@case("workflows.wait", warm=True)
async def waiting_behind_another(scene: Scene) -> None:
    async with asyncio.TaskGroup() as group:  # cancels each natively, and waits for it
        for id in (scene.running(), scene.ended(), scene.running()):
            group.create_task(scene.client.workflows.wait(id, poll=OFTEN))


@case("workflows.start_and_wait")
async def starting_and_waiting(scene: Scene) -> None:
    await scene.client.workflows.start_and_wait(*scene.start(), poll=OFTEN)


@case("workflows.wait_all", warm=True)
async def waiting_for_all(scene: Scene) -> None:
    await scene.client.workflows.wait_all([scene.running(), scene.ended(), scene.running("long")], timeout=4.0)


@case("OutcomeStream.aclose", warm=True)
async def as_they_end_and_closed(scene: Scene) -> None:
    ids = [scene.running(), scene.ended(), scene.running("long")]
    async with aclosing(scene.client.workflows.as_completed(ids, poll=OFTEN)) as outcomes:
        await anext(outcomes)


@case("workflows.as_completed", "OutcomeStream.__aiter__", "OutcomeStream.__anext__", warm=True, collected=True)
async def as_they_end(scene: Scene) -> None:
    async for outcome in scene.client.workflows.as_completed([scene.running(), scene.ended()], poll=OFTEN):
        assert outcome.succeeded


@case("workflows.watch", "Watch.__aenter__", "Watch.__aexit__", "Watch.__aiter__", "Watch.__anext__")
async def watching(scene: Scene) -> None:
    async with scene.client.workflows.watch([scene.running(), other := scene.running("long")], poll=OFTEN) as changes:
        changes.add(scene.ended())
        await anext(changes)
        changes.drop(other)
        await all_of(changes)


@case("workflows.watch", on=LISTED, warm=True)
async def watching_a_list(scene: Scene) -> None:
    id = scene.running()
    state = ["instantiated", "running"] if scene.here.kind == "11" else ["Pending", "Active"]
    async with scene.client.workflows.watch(state=state, poll=OFTEN) as changes:
        async for change in changes:
            if change.id == id and change.now.final:
                break


@case("poll_once")
async def ticking(scene: Scene) -> None:
    watch = monitor.WatchSpec.of(scene.client, [scene.running(), scene.ended(), scene.running("long")])
    await monitor.poll_once(scene.client, watch)


# Batches


@case("workflows.run_all", "Run.__aenter__", "Run.__aexit__", "Run.__aiter__", "Run.__anext__")
async def running_a_batch(scene: Scene) -> None:
    async with scene.client.workflows.run_all(scene.starts(2), max_running=1, poll=OFTEN) as results:
        await all_of(results)


async def the_journal_is_free(scene: Scene) -> None:
    async with scene.client.workflows.run_all([], journal=scene.journal) as results:
        await all_of(results)
    await batch.read_journal(scene.journal)


@case("workflows.run_all", warm=True, after=the_journal_is_free)
async def running_a_batch_with_a_journal(scene: Scene) -> None:
    starts = scene.starts(1)
    async with scene.client.workflows.run_all(starts, poll=OFTEN, journal=scene.journal) as results:
        await all_of(results)
