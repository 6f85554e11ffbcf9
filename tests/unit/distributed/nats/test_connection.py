import logging
import socket
from pathlib import Path

import anyio
import pytest

from tests.support.nats_server import NatsServer, running_nats_server
from tests.support.nats_workers import SPEC, claim_all, until
from workflow_async.distributed.nats import NatsCoordinator, connection
from workflow_async.errors import CoordinatorUnavailable


async def test_a_url_is_enough(nats_server: NatsServer) -> None:
    async with NatsCoordinator.connect(nats_server.url, "by-url", lease_seconds=5.0) as worker:
        await worker.put({"a-0": SPEC})
        assert [*await claim_all(worker)] == ["a-0"]
        client = worker.client
    assert client.is_closed


async def test_the_connection_survives_a_restart_and_logs_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "workflow_async")
    with running_nats_server(tmp_path) as server:
        async with NatsCoordinator.connect(server.url, "restarted") as worker:
            await anyio.to_thread.run_sync(server.kill)
            await until(lambda: not worker.client.is_connected)
            await anyio.to_thread.run_sync(server.start)
            await until(lambda: worker.client.is_connected)
            await until(lambda: "connected to NATS again" in caplog.messages)
            assert not await worker.over()
    assert "disconnected from NATS" in caplog.messages
    assert "NATS client: UnexpectedEOF" in caplog.messages


async def test_without_a_server_the_error_says_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_CONNECTION", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"nats://user:secret@127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(
        CoordinatorUnavailable, match="no connection after 0.2 s .*check its URL and credentials"
    ) as found:
        async with NatsCoordinator.connect(url, "nowhere"):
            pass
    assert "secret" not in str(found.value)
