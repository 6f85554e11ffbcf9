"""Opening, closing and sharing a synchronous client."""

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from tests.unit.sync.conftest import Connect
from workflow_async import OpencastClient, PreservicaClient
from workflow_async.errors import ClientClosed, InvalidArgument, NotFound, WrongEventLoop
from workflow_async.sandbox import Sandbox
from workflow_async.sync import SyncOpencastClient, _loop_client
from workflow_async.sync._portal import Portal, _process
from workflow_async.sync._portal_call import PortalCall, PortalEnded

THREAD = "workflow-async"


class Failure(Exception):
    """An error of the caller's code."""


def loop_threads() -> list[threading.Thread]:
    """Return the running threads of event loops."""
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_a_call_returns_what_the_asynchronous_call_returns(
    oc: SyncOpencastClient, sandbox: Sandbox, workflow_id: int
) -> None:
    workflow = oc.workflows.get(workflow_id, with_operations=True)
    assert workflow.id == workflow_id
    assert workflow.operations
    assert oc.url == sandbox.opencast.url
    assert oc.me().username == sandbox.opencast.username


def test_a_preservica_client_logs_in_and_lists(sandbox: Sandbox) -> None:
    fake = sandbox.preservica
    sandbox.preservica.seed(3)
    username, password = fake.auth
    with PreservicaClient.sync(fake.url, username=username, password=password, tenant=fake.tenant) as pv:
        assert len([*pv.workflows.list()]) == 3
        assert [*pv.contexts.list()]
    assert fake.logins == 1


def test_credentials_come_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCAST_URL", sandbox.opencast.url)
    monkeypatch.setenv("OPENCAST_USERNAME", sandbox.opencast.username)
    with SyncOpencastClient.from_env(password=sandbox.opencast.password) as oc:
        assert oc.me().username == sandbox.opencast.username


def test_making_a_client_starts_no_thread_and_checks_its_arguments() -> None:
    oc = OpencastClient.sync("https://oc.example.org", auth=("user", "secret"))
    assert repr(oc) == "SyncOpencastClient('https://oc.example.org')"
    assert loop_threads() == []
    with pytest.raises(InvalidArgument, match="url"):
        OpencastClient.sync("https://oc.example.org/api", auth=("user", "secret"))


def test_the_first_call_opens_the_client_and_the_last_close_ends_the_thread(connect: Connect) -> None:
    one, other = connect(), connect()
    one.version()
    other.version()
    assert len(loop_threads()) == 1
    one.close()
    assert other.version().default
    portal = _process.portal
    other.close()
    assert portal is not None
    portal._thread.join(10)
    assert loop_threads() == []


def test_openings_are_counted(connect: Connect) -> None:
    with connect() as oc:
        with oc:
            oc.version()
        assert oc.version().default
        assert oc.open() is oc
        oc.close()
        assert oc.version().default
    with pytest.raises(ClientClosed, match="open it again"):
        oc.version()


def test_a_closed_client_refuses_calls_until_it_is_opened_again(connect: Connect) -> None:
    oc = connect()
    oc.close()
    oc.close()
    with pytest.raises(ClientClosed):
        oc.workflows.list()
    assert loop_threads() == []
    with oc:
        assert oc.version().default
    with oc:
        assert oc.version().default


def test_a_call_that_another_thread_closes_the_client_before_does_not_open_it_again(
    connect: Connect, oc: SyncOpencastClient
) -> None:
    closed, portal = connect(), _process.usable_portal()
    closed.close()

    async def call(_: OpencastClient) -> None:
        await closed._owner._open(portal, entries=0)

    with pytest.raises(ClientClosed):
        oc.run(call)
    assert len(portal._clients) == 1


def test_a_service_outlives_the_name_of_its_client(connect: Connect, workflow_id: int) -> None:
    oc = connect()
    workflows = oc.workflows
    with oc:
        pass
    with oc:
        assert workflows.get(workflow_id).id == workflow_id


def test_a_listing_of_a_closed_client_raises_client_closed(connect: Connect, workflow_id: int) -> None:
    with connect() as oc:
        listing = oc.workflows.list()
    with pytest.raises(ClientClosed):
        list(listing)


async def test_a_call_in_a_running_event_loop_raises_wrong_event_loop(connect: Connect) -> None:
    oc = connect()
    for call in (oc.version, oc.open, oc.close, oc.workflows.list):
        with pytest.raises(WrongEventLoop, match="use the asynchronous client with `await`"):
            call()
    assert (await asyncio.to_thread(oc.version)).default
    await asyncio.to_thread(oc.close)


def test_a_callback_that_calls_the_client_raises_wrong_event_loop(oc: SyncOpencastClient, workflow_id: int) -> None:
    with pytest.raises(WrongEventLoop, match="worker thread"):
        oc.workflows.wait(workflow_id, until=lambda workflow: oc.version() is None)
    assert oc.version().default


def test_a_callback_runs_in_the_thread_of_the_event_loop(oc: SyncOpencastClient, workflow_id: int) -> None:
    names: list[str] = []

    def note(_: object) -> bool:
        names.append(threading.current_thread().name)
        return True

    oc.workflows.wait(workflow_id, until=note)
    assert names == [THREAD]


def test_a_callback_that_exits_raises_system_exit_in_the_calling_thread(
    oc: SyncOpencastClient, workflow_id: int
) -> None:
    def leave(_: object) -> bool:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        oc.workflows.wait(workflow_id, until=leave)
    assert oc.version().default


def test_a_task_that_exits_does_not_end_the_event_loop(oc: SyncOpencastClient) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def begin(_: OpencastClient) -> None:
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        assert isinstance(task.exception(), SystemExit)

    portal = _process.portal
    oc.run(begin)
    assert oc.version().default
    assert _process.portal is portal


def test_an_error_keeps_its_type_and_names_the_place_in_the_library(oc: SyncOpencastClient) -> None:
    with pytest.raises(NotFound) as caught:
        oc.workflows.get(424242)
    assert caught.value.status == 404
    names = [entry.name for entry in caught.traceback]
    assert names[0] == "test_an_error_keeps_its_type_and_names_the_place_in_the_library"
    assert {"get", "send"} <= set(names)


def test_an_error_is_in_no_reference_cycle(oc: SyncOpencastClient) -> None:
    async def fail(_: OpencastClient) -> None:
        raise Failure

    def failing() -> "weakref.ref[Failure]":
        try:
            oc.run(fail)
        except Failure as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        error = failing()
        oc.version()  # the event loop has released the call before this one begins
        assert error() is None
    finally:
        gc.enable()


def test_threads_share_one_client(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(10)
    with ThreadPoolExecutor(32) as threads:
        found = [*threads.map(lambda number: oc.workflows.get(ids[number % 10]).id, range(1000))]
    assert found == [ids[number % 10] for number in range(1000)]
    assert len(loop_threads()) == 1


def test_threads_that_make_the_first_call_open_one_connection_pool(connect: Connect) -> None:
    oc = connect()
    barrier = threading.Barrier(16)

    def first(_: int) -> object:
        barrier.wait()
        return oc.version()

    with ThreadPoolExecutor(16) as threads:
        assert len([*threads.map(first, range(16))]) == 16
    assert len(loop_threads()) == 1
    oc.close()


def test_clients_that_open_and_close_at_the_same_time_do_not_disturb_each_other(connect: Connect) -> None:
    def once(_: int) -> object:
        with connect() as oc:
            return oc.version()

    with ThreadPoolExecutor(8) as threads:
        assert len([*threads.map(once, range(80))]) == 80


def test_a_client_opens_in_a_new_event_loop_if_another_one_ends_at_the_same_time(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Portal()
    ended.end()
    portals = iter([ended])
    monkeypatch.setattr(_loop_client, "usable_portal", lambda: next(portals, None) or _process.usable_portal())
    with connect() as oc:
        assert oc.version().default


def test_a_call_that_reaches_an_event_loop_that_ends_never_begins() -> None:
    ended, call = Portal(), PortalCall[None](Failure)  # type: ignore[arg-type]  # never called
    ended.end()
    ended._begin(call)
    with pytest.raises(PortalEnded):
        call.wait()


def test_a_call_that_is_interrupted_before_it_begins_never_begins() -> None:
    call = PortalCall[None](Failure)  # type: ignore[arg-type]  # never called
    call._cancel()
    with pytest.raises(PortalEnded):
        call.wait()


def test_a_call_runs_with_the_context_variables_of_its_thread(oc: SyncOpencastClient) -> None:
    variable = ContextVar("variable", default="unset")
    variable.set("set by the caller")

    async def read(_: OpencastClient) -> str:
        return variable.get()

    assert oc.run(read) == "set by the caller"


def test_run_awaits_a_function_of_the_asynchronous_client(oc: SyncOpencastClient, sandbox: Sandbox) -> None:
    ids = sandbox.opencast.seed(3)

    async def at_once(client: OpencastClient, *, first: int) -> list[int]:
        found = await asyncio.gather(*(client.workflows.get(id) for id in ids[first:]))
        return [workflow.id for workflow in found]

    assert oc.run(at_once, first=1) == ids[1:]


def test_a_client_that_is_dropped_warns_and_closes(connect: Connect) -> None:
    oc = connect()
    oc.version()
    portal = _process.portal
    with pytest.warns(ResourceWarning, match=r"unclosed SyncOpencastClient\('http"):
        del oc
    assert portal is not None
    portal._thread.join(10)
    assert loop_threads() == []


def test_the_clients_that_are_open_at_exit_are_closed_with_a_warning(connect: Connect) -> None:
    oc = connect()
    oc.version()
    with pytest.warns(ResourceWarning, match="unclosed OpencastClient"):
        _process.at_exit()
    assert loop_threads() == []
    _process.at_exit()
