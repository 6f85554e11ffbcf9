"""Listings, waits, watches and batches of a synchronous client are plain iterators and context managers."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.sync.conftest import Connect
from workflow_async import OpencastClient, Page, Phase, Poll, opencast
from workflow_async.batch import Completed
from workflow_async.errors import ClientClosed, InvalidArgument, JournalError, WorkflowFailed
from workflow_async.monitor import Change, Finished, WatchSpec, poll_once
from workflow_async.sandbox import ManualClock, Sandbox, Step, StepResult
from workflow_async.sync import SyncListing, SyncOpencastClient
from workflow_async.sync._portal import _process

FAST = Poll(interval=1.0, ceiling=2.0)


def requests(sandbox: Sandbox) -> int:
    """Return the number of requests so far."""
    return len(list(sandbox.opencast.requests))


def test_a_listing_is_iterated_again_and_reports_its_pass(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(25)
    listing = oc.workflows.list(page_size=10)
    assert sorted(workflow.id for workflow in listing) == sorted(ids)
    assert listing.report.rows == 25
    assert len([*listing]) == 25
    first = listing.first()
    assert first is not None
    assert first.id in ids


def test_pages_are_iterated(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    sandbox.opencast.seed(25)
    pages = [*oc.workflows.list(page_size=10).pages()]
    assert {type(page) for page in pages} == {Page}
    assert [len(page.items) for page in pages] == [10, 10, 5]


def test_a_bad_argument_raises_before_any_request(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        oc.workflows.list(limit=0)
    assert requests(sandbox) == 0


def test_a_type_of_a_listing_can_be_written_at_run_time() -> None:
    assert SyncListing[opencast.Workflow].__origin__ is SyncListing  # type: ignore[attr-defined]  # an alias at run time


def test_items_of_a_page_need_no_call_in_the_event_loop(
    oc: SyncOpencastClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.opencast.seed(30)
    items = iter(oc.workflows.list(page_size=30))
    next(items)
    portal = _process.portal
    assert portal is not None
    with monkeypatch.context() as patch:
        patch.setattr(type(portal), "call", None)
        assert len([next(items) for _ in range(29)]) == 29
    with pytest.raises(StopIteration):
        next(items)


def test_the_resume_point_of_a_listing_follows_each_item(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    sandbox.opencast.seed(25)
    listing = oc.workflows.list(page_size=10)
    ids = [workflow.id for workflow in listing]
    items = iter(listing)
    read = [next(items).id for _ in range(13)]
    resumed = oc.workflows.list(page_size=10, resume=listing.resume_point)
    assert [*read, *(workflow.id for workflow in resumed)] == ids


def test_threads_that_share_a_pass_get_each_item_once(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(60)
    items = iter(oc.workflows.list(page_size=10))
    with ThreadPoolExecutor(8) as threads:
        found = [id for part in threads.map(lambda _: [item.id for item in items], range(8)) for id in part]
    assert sorted(found) == sorted(ids)


@pytest.mark.parametrize("ending", ["drop", "close", "close pages"])
def test_half_of_a_listing_leaves_no_request_in_flight(oc: SyncOpencastClient, sandbox: Sandbox, ending: str) -> None:
    sandbox.opencast.seed(100)
    listing = oc.workflows.list(page_size=5)
    items, pages = iter(listing), listing.pages()
    for _ in range(12):
        next(items)
    next(pages)
    if ending == "close":
        items.close()
    elif ending == "close pages":
        pages.close()
    del items, pages
    gc.collect()
    assert oc.run(idle) is True
    assert oc.workflows.list(limit=1).first() is not None


async def idle(client: OpencastClient) -> bool:
    """Return True once no other task runs in the event loop."""
    for _ in range(5000):
        if len(asyncio.all_tasks()) == 2:  # the portal's and this one
            return True
        await asyncio.sleep(0)
    return False


def test_a_closed_pass_has_no_more_items(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    sandbox.opencast.seed(30)
    items = iter(oc.workflows.list(page_size=10))
    next(items)
    items.close()
    assert [*items] == []


def test_a_wait_returns_the_end_and_raises_what_the_asynchronous_wait_raises(
    oc: SyncOpencastClient, sandbox: Sandbox, workflow_id: int
) -> None:
    assert oc.workflows.wait(workflow_id, poll=FAST).phase is Phase.SUCCEEDED
    sandbox.opencast.define("broken", [Step("encode", 1, StepResult.FAILED)])
    failing = sandbox.opencast.start(sandbox.opencast.event(), "broken")
    with pytest.raises(WorkflowFailed):
        oc.workflows.wait(failing, poll=FAST, check=True)
    outcomes = oc.workflows.wait_all([workflow_id, failing], poll=FAST)
    assert [outcome.succeeded for outcome in outcomes] == [True, False]


def test_an_iterator_of_ids_may_call_the_client(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(5, age=1e6)
    outcomes = oc.workflows.wait_all((workflow.id for workflow in oc.workflows.list()), poll=FAST)
    assert {outcome.id for outcome in outcomes} == {*ids}


def test_an_iterator_of_starts_is_read_in_the_calling_thread(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    def starts() -> Iterator[opencast.Start]:
        threads.add(threading.current_thread())
        for _ in range(3):
            oc.version()
            yield opencast.Start(sandbox.opencast.event(), "publish")

    threads: set[threading.Thread] = set()
    with oc.workflows.run_all(starts=starts(), poll=FAST) as results:
        assert len([*results]) == 3
    assert threads == {threading.current_thread()}


def test_outcomes_are_iterated_as_they_come(oc: SyncOpencastClient, sandbox: Sandbox, workflow_id: int) -> None:
    other = sandbox.opencast.start(sandbox.opencast.event(), "publish")
    outcomes = oc.workflows.as_completed([workflow_id, other], poll=FAST)
    assert isinstance(next(outcomes), Finished)
    outcomes.close()
    assert [*outcomes] == []


def test_a_watch_is_a_context_manager_with_plain_iteration(
    oc: SyncOpencastClient, sandbox: Sandbox, workflow_id: int
) -> None:
    other = sandbox.opencast.start(sandbox.opencast.event(), "publish")
    with oc.workflows.watch([workflow_id], poll=FAST) as changes:
        changes.add(other)
        assert changes.ids == {workflow_id, other}
        changes.drop(other)
        events = [event for event in changes if isinstance(event, Change)]
    assert [event.now.final for event in events] == [False] * (len(events) - 1) + [True]
    assert changes.eta(workflow_id) is None
    assert changes.last_error(workflow_id) is None
    assert oc.run(idle) is True


def test_a_watch_that_is_left_early_stops_polling(oc: SyncOpencastClient, workflow_id: int) -> None:
    with oc.workflows.watch([workflow_id]) as changes:
        next(changes)
    assert oc.run(idle) is True


def test_a_watch_is_ended_from_another_thread(oc: SyncOpencastClient, workflow_id: int) -> None:
    with oc.workflows.watch([workflow_id], poll=Poll(interval=3600, ceiling=3600)) as changes:
        next(changes)
        with ThreadPoolExecutor(1) as threads:
            rest = threads.submit(list, changes)
            changes.close()
            assert all(isinstance(event, Change) for event in rest.result(10))


def test_a_heartbeat_is_an_iterator(oc: SyncOpencastClient, workflow_id: int) -> None:
    with oc.workflows.watch([workflow_id], poll=FAST) as changes:
        beats = changes.heartbeat(10)
        first = next(beats)
        assert first is not None
        assert first.id == workflow_id
        changes.close()
        assert [*beats] == []


def test_a_heartbeat_that_is_closed_ends(oc: SyncOpencastClient, workflow_id: int) -> None:
    with oc.workflows.watch([workflow_id]) as changes:
        beats = changes.heartbeat(10)
        assert next(beats) is not None
        beats.close()  # type: ignore[attr-defined]  # the type says only Iterator, as the asynchronous one does
        assert [*beats] == []


def test_an_error_in_the_block_of_a_watch_is_raised_unchanged(oc: SyncOpencastClient, workflow_id: int) -> None:
    error = ValueError("of the caller")

    def watch() -> None:
        with oc.workflows.watch([workflow_id]) as changes:
            next(changes)
            raise error

    with pytest.raises(ValueError, match="of the caller") as caught:
        watch()
    assert caught.value is error
    assert oc.run(idle) is True


def test_a_watch_whose_client_is_closed_ends_with_client_closed(connect: Connect, workflow_id: int) -> None:
    oc = connect()
    with oc.workflows.watch([workflow_id]) as changes:
        next(changes)
        oc.close()
        with pytest.raises(ClientClosed):
            next(changes)


def test_a_watch_that_is_not_entered_says_so(oc: SyncOpencastClient, workflow_id: int) -> None:
    with pytest.raises(InvalidArgument, match="must be entered"):
        next(oc.workflows.watch([workflow_id]))


def test_a_batch_yields_results_and_its_status_is_a_copy(
    oc: SyncOpencastClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    starts = [opencast.Start(sandbox.opencast.event(), "publish") for _ in range(3)]
    journal = tmp_path / "batch.sqlite"
    with oc.workflows.run_all(starts, max_running=2, journal=journal, poll=FAST) as results:
        found = [*results]
        assert results.items is not results.items
        assert len(results.items) == 3
    assert {type(result) for result in found} == {Completed}
    assert oc.run(idle) is True


def test_a_batch_that_cannot_begin_raises_on_entering(oc: SyncOpencastClient, tmp_path: Path) -> None:
    (tmp_path / "batch.sqlite").write_text("no journal" * 100)
    with pytest.raises(JournalError), oc.workflows.run_all([], journal=tmp_path / "batch.sqlite"):
        pass
    assert oc.run(idle) is True


def test_a_batch_that_is_left_early_ends_its_tasks(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    starts = [opencast.Start(sandbox.opencast.event(), "publish") for _ in range(5)]
    with oc.workflows.run_all(starts, max_running=1) as results:
        next(results)
    assert oc.run(idle) is True


def test_an_error_that_ends_the_task_group_of_a_batch_is_raised_on_leaving(
    oc: SyncOpencastClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def feed(*_: object) -> None:
        raise SystemExit(3)

    monkeypatch.setattr("workflow_async.batch.run.Run._feed", feed)
    with pytest.raises(BaseExceptionGroup) as caught, oc.workflows.run_all([], poll=FAST) as results:
        list(results)
    assert caught.value.subgroup(SystemExit)
    assert oc.version().default


def test_poll_once_runs_on_the_client(oc: SyncOpencastClient, time: ManualClock, workflow_id: int) -> None:
    spec = oc.run(watch_spec, workflow_id)
    polled = oc.run(poll_once, spec)
    assert [event.id for event in polled.events] == [workflow_id]
    time.advance(100)
    polled = oc.run(poll_once, polled.spec)
    assert polled.spec.finished


async def watch_spec(client: OpencastClient, workflow_id: int) -> WatchSpec:
    """Return a watch that can be stored."""
    return WatchSpec.of(client, [workflow_id])


def test_a_listing_keeps_its_client_open(connect: Connect, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(30)
    oc = connect()
    items = iter(oc.workflows.list(page_size=10))
    owner = oc._owner
    del oc
    assert len([*items]) == len(ids)
    owner.close()
