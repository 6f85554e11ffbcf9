"""A signal that raises an error in a thread that waits for a call cancels the call."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import anyio
import pytest

from workflow_async import OpencastClient, opencast
from workflow_async.errors import ClientClosed
from workflow_async.sandbox import Sandbox
from workflow_async.sync import SyncOpencastClient
from workflow_async.sync._portal import _process
from workflow_async.sync._portal_call import PortalEnded


@pytest.fixture(autouse=True)
def _interrupt_by_sigusr1() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for SIGUSR1, because SIGINT would also reach the process that runs the tests."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


def interrupt_main_thread() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


@contextmanager
def silent_server(received: Callable[[bytes], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Accept connections, report what each sends, and never respond. Yield the URL and what was received."""
    seen: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                seen.append(connection.recv(65536))
                received(seen[-1])

    open_ones: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    for connection in open_ones:
        connection.close()


def connected(url: str) -> SyncOpencastClient:
    return OpencastClient.sync(url, auth=("user", "secret"))


def test_an_interrupt_cancels_a_get_and_raises() -> None:
    with silent_server(lambda _: interrupt_main_thread()) as (url, seen), connected(url) as oc:
        with pytest.raises(KeyboardInterrupt):
            oc.workflows.get(1603)
        assert len(seen) == 1
        portal = _process.portal
        assert portal is not None
        assert not portal._calls


def test_an_interrupted_start_is_sent_once() -> None:
    with silent_server(lambda _: interrupt_main_thread()) as (url, seen), connected(url) as oc:
        with pytest.raises(KeyboardInterrupt):
            oc.workflows.start("event", "publish")
        assert [request.partition(b" ")[0] for request in seen] == [b"POST"]


def test_an_interrupted_watch_is_left_and_the_client_goes_on(
    oc: SyncOpencastClient, sandbox: Sandbox, workflow_id: int
) -> None:
    def waiting(_: opencast.Workflow) -> bool:
        interrupt_main_thread()
        return False

    with pytest.raises(KeyboardInterrupt):
        oc.workflows.wait(workflow_id, until=waiting)
    assert oc.workflows.get(workflow_id).id == workflow_id


def test_an_interrupt_while_a_batch_opens_its_journal_ends_the_batch(
    oc: SyncOpencastClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = oc.workflows.run_all([])
    entered = threading.Event()

    async def enter(_: object) -> None:
        entered.set()
        interrupt_main_thread()
        await anyio.sleep_forever()

    monkeypatch.setattr("workflow_async.batch.run.Run.__aenter__", enter)
    with pytest.raises(KeyboardInterrupt), run:
        pass
    assert entered.is_set()
    assert oc.version().default


def test_a_second_interrupt_ends_the_wait_for_the_cleanup(oc: SyncOpencastClient) -> None:
    go_on = threading.Event()

    async def stubborn(_: OpencastClient) -> None:
        interrupt_main_thread()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupt_main_thread()
            while not go_on.is_set():
                await asyncio.sleep(0)

    with pytest.raises(KeyboardInterrupt):
        oc.run(stubborn)
    go_on.set()
    assert oc.version().default


def test_closing_a_client_ends_the_calls_of_other_threads() -> None:
    errors: list[Exception] = []
    with silent_server(lambda _: waiting.set()) as (url, _):
        waiting = threading.Event()
        oc = connected(url)

        def wait() -> None:
            try:
                oc.workflows.wait(1603)
            except ClientClosed as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait(10)
        oc.close()
        thread.join(10)
    assert [type(error) for error in errors] == [ClientClosed]


def test_a_start_on_its_way_survives_the_closing_of_the_client(oc: SyncOpencastClient) -> None:
    begun, go_on, found = threading.Event(), threading.Event(), []

    async def slow(_: OpencastClient) -> str:
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0)
        return "complete"

    thread = threading.Thread(target=lambda: found.append(oc.run(slow)))
    thread.start()
    begun.wait(10)
    oc.close()
    go_on.set()
    thread.join(10)
    assert found == ["complete"]
    oc.open()


def test_a_call_that_the_end_of_the_event_loop_cancels_raises_client_closed(oc: SyncOpencastClient) -> None:
    async def cancel_itself(_: OpencastClient) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(ClientClosed) as caught:
        oc.run(cancel_itself)
    assert type(caught.value) is ClientClosed
    assert not isinstance(caught.value, PortalEnded)
