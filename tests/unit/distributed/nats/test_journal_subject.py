"""The subject of a journal: each message once, in order, and only from the process that appended the last one."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from tests.support.nats_server import NatsServer, running_nats_server
from workflow_async.distributed.nats import journal_subject
from workflow_async.distributed.nats.journal_clock import CLOCK
from workflow_async.distributed.nats.journal_subject import FencedSubject, ShutOut
from workflow_async.errors import JournalError


@pytest.fixture
async def stream(client: Client) -> AsyncIterator[str]:
    name = uuid.uuid4().hex
    await client.jetstream().add_stream(StreamConfig(name=name, subjects=[f"{name}.*"]))
    yield name
    await client.jetstream().delete_stream(name)


def subject(client: Client, stream: str, patience: float = 20.0) -> FencedSubject:
    return FencedSubject(client, stream, f"{stream}.batch", "batch", patience, CLOCK)


@pytest.fixture
def first(client: Client, stream: str) -> FencedSubject:
    return subject(client, stream)


Publish = Callable[..., Awaitable[Any]]


def replace_publish(
    subject: FencedSubject, *instead: Callable[[Publish, tuple[Any, ...], Any], Awaitable[Any]]
) -> None:
    """Let the next calls of `publish` do this instead."""
    context, left = subject._jetstream, list(instead)
    real = context.publish

    async def publish(*arguments: Any, **named: Any) -> Any:
        return await (left.pop(0)(real, arguments, named) if left else real(*arguments, **named))

    context.publish = publish  # type: ignore[method-assign]


async def stored_but_not_acknowledged(publish: Publish, arguments: tuple[Any, ...], named: Any) -> None:
    await publish(*arguments, **named)
    raise nats.errors.TimeoutError


async def lost(*_: Any) -> None:
    raise nats.errors.TimeoutError


async def stored_twice(publish: Publish, arguments: tuple[Any, ...], named: Any) -> Any:
    await publish(*arguments, **named)
    return await publish(*arguments, **named)


async def test_messages_are_read_in_the_order_in_which_they_were_appended(first: FencedSubject) -> None:
    assert (await first.last()).sequence == 0
    assert await first.read() == []
    for n in range(5):
        await first.append(b"%d" % n)
    assert await first.read() == [b"0", b"1", b"2", b"3", b"4"]
    last = await first.last()
    assert (last.sequence, last.body) == (first.sequence, b"4")


@pytest.mark.parametrize(
    "failures",
    [[stored_but_not_acknowledged], [lost], [lost, lost], [lost, stored_but_not_acknowledged], [lost, stored_twice]],
)
async def test_a_message_whose_acknowledgement_is_lost_is_stored_once(first: FencedSubject, failures: Any) -> None:
    await first.append(b"a")
    replace_publish(first, *failures)
    await first.append(b"b")
    await first.append(b"c")
    assert await first.read() == [b"a", b"b", b"c"]


@pytest.mark.parametrize("failures", [[], [lost]])
async def test_the_process_before_is_shut_out(client: Client, stream: str, first: FencedSubject, failures: Any) -> None:
    await first.append(b"a")
    second = subject(client, stream)
    await second.last()
    await second.append(b"b")
    replace_publish(first, *failures)
    with pytest.raises(ShutOut):
        await first.append(b"c")
    assert await second.read() == [b"a", b"b"]


async def test_of_two_processes_that_begin_at_once_one_is_shut_out(
    client: Client, stream: str, first: FencedSubject
) -> None:
    second = subject(client, stream)
    await first.append(b"a")
    with pytest.raises(ShutOut):
        await second.append(b"b")


async def test_other_batches_of_the_stream_do_not_disturb(client: Client, stream: str, first: FencedSubject) -> None:
    other = FencedSubject(client, stream, f"{stream}.other", "other", 5.0, CLOCK)
    for n in range(3):
        await first.append(b"mine %d" % n)
        await other.append(b"other")
    assert await first.read() == [b"mine 0", b"mine 1", b"mine 2"]


async def test_missing_messages_are_an_error(client: Client, stream: str, first: FencedSubject) -> None:
    await first.append(b"a")
    await client.jetstream().purge_stream(stream)
    with pytest.raises(JournalError, match=r"last messages are missing from the stream\. Restore"):
        await first.append(b"b")


async def test_messages_that_are_lost_on_the_way_are_read_again(
    first: FencedSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        await first.append(b"%d" % n)
    real = first._jetstream.pull_subscribe
    reads: list[int] = []

    async def subscribing(*arguments: Any, **named: Any) -> Any:
        subscription = await real(*arguments, **named)
        fetch = subscription.fetch

        async def fetching(*options: Any, **more: Any) -> Any:
            messages = await fetch(*options, **more)
            reads.append(len(messages))
            return messages[1:] if len(reads) == 1 else messages

        monkeypatch.setattr(subscription, "fetch", fetching)
        return subscription

    monkeypatch.setattr(first._jetstream, "pull_subscribe", subscribing)
    assert await first.read() == [b"0", b"1", b"2"]
    assert reads == [3, 3]


async def test_a_message_that_the_broker_refuses_is_an_error(client: Client, stream: str) -> None:
    other = uuid.uuid4().hex
    await client.jetstream().add_stream(StreamConfig(name=other, subjects=[f"{other}.*"]))
    wrong = FencedSubject(client, stream, f"{other}.batch", "batch", 5.0, CLOCK)
    with pytest.raises(JournalError, match=r"refused a request: .*Correct the cause, then run the batch again"):
        await wrong.append(b"a")
    await client.jetstream().delete_stream(other)


async def test_a_missing_stream_is_an_error(client: Client) -> None:
    with pytest.raises(JournalError, match="stream not found"):
        await subject(client, "missing").last()


async def test_a_closed_client_is_an_error(nats_server: NatsServer, stream: str) -> None:
    client = await nats.connect(nats_server.url)
    await client.close()
    with pytest.raises(JournalError, match="client is closed"):
        await subject(client, stream).append(b"a")


async def test_a_broker_that_is_gone_is_an_error_after_the_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_subject, "REQUEST_TIMEOUT", 0.05)
    with running_nats_server(tmp_path) as server:
        client = await nats.connect(server.url, reconnect_time_wait=0.05)
        gone = subject(client, "S", patience=0.2)
        await gone.make_stream(StreamConfig(name="S", subjects=["S.*"]))
        server.kill()
        with pytest.raises(JournalError, match=r"has not answered for 0\.2 s .* Run the batch again when it does"):
            await gone.append(b"a")
        with suppress(OSError):  # the client flushes what it could not send
            await client.close()


async def test_a_restart_of_the_broker_loses_no_message_and_stores_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_subject, "REQUEST_TIMEOUT", 0.2)
    with running_nats_server(tmp_path) as server:
        client = await nats.connect(server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        restarted = subject(client, "S")
        await restarted.make_stream(StreamConfig(name="S", subjects=["S.*"]))
        await restarted.make_stream(StreamConfig(name="S", subjects=["S.*"]))

        async def append() -> None:
            for n in range(200):
                await restarted.append(b"%d" % n)

        async with anyio.create_task_group() as group:
            group.start_soon(append)
            while restarted.sequence < 20:
                await anyio.sleep(0.001)
            await anyio.to_thread.run_sync(server.kill)
            await anyio.to_thread.run_sync(server.start)
        assert await restarted.read() == [b"%d" % n for n in range(200)]
        await client.close()
