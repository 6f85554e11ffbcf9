"""`update(merge=True)` keeps the keys of a configuration that it does not name. Over a socket against the sandbox."""

import json
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.support.opencast_releases import on_11, on_11_and_16
from tests.support.stub_clients import MockServer, workflow
from workflow_async import Clock, OpencastClient
from workflow_async.errors import ConfigurationNotReplaced, DecodeError, InvalidArgument, NotFound, ServerError
from workflow_async.opencast import State
from workflow_async.sandbox import ManualClock, Sandbox


def sent(sandbox: Sandbox) -> list[str]:
    return [request.method for request in sandbox.opencast.requests]


async def started(sandbox: Sandbox, time: ManualClock, **configuration: str) -> int:
    id = sandbox.opencast.start(sandbox.opencast.event(), "publish", configuration)
    time.advance(10)
    return id


@on_11
async def test_the_other_keys_stay(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    id = await started(sandbox, time, a="1", b="2")
    changed = await oc.workflows.update(id, configuration={"b": 3, "c": True}, merge=True, with_configuration=True)
    assert changed.configuration == {"a": "1", "b": "3", "c": "true"}
    assert sent(sandbox) == ["GET", "PUT"]
    body = next(request.body for request in sandbox.opencast.requests if request.method == "PUT")
    assert json.loads(parse_qs(body.decode())["configuration"][0]) == changed.configuration


@on_11
async def test_without_merge_the_other_keys_go(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    id = await started(sandbox, time, a="1", b="2")
    changed = await oc.workflows.update(id, configuration={"b": "3"}, with_configuration=True)
    assert changed.configuration == {"b": "3"}


@on_11_and_16
@pytest.mark.parametrize("configuration", [{"b": 2}, {}])
async def test_a_configuration_that_is_there_already_is_not_sent(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, configuration: dict[str, Any]
) -> None:
    id = await started(sandbox, time, a="1", b="2")
    same = await oc.workflows.update(id, configuration=configuration, merge=True, with_configuration=True)
    assert same.configuration == {"a": "1", "b": "2"}
    assert "PUT" not in sent(sandbox)


@on_11
async def test_the_state_changes_after_the_merge(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    id = await started(sandbox, time, a="1")
    changed = await oc.workflows.update(
        id, configuration={"b": "2"}, merge=True, state="paused", with_configuration=True
    )
    assert (changed.state, changed.configuration) == (State.PAUSED, {"a": "1", "b": "2"})


async def test_the_bug_of_newer_servers_is_named_and_nothing_has_changed(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await started(sandbox, time, a="1", b="2")
    with pytest.raises(ConfigurationNotReplaced, match="Opencast 12 and later cannot replace a configuration"):
        await oc.workflows.update(id, configuration={"b": "3"}, merge=True, state="paused")
    with pytest.raises(ConfigurationNotReplaced):
        await oc.workflows.replace_configuration(id, {"b": "3"})
    unchanged = await oc.workflows.get(id, with_configuration=True)
    assert (unchanged.configuration, unchanged.state) == ({"a": "1", "b": "2"}, State.RUNNING)


async def test_newer_servers_merge_into_a_configuration_of_one_key(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await started(sandbox, time, a="1")
    changed = await oc.workflows.update(id, configuration={"b": "2"}, merge=True, with_configuration=True)
    assert changed.configuration == {"a": "1", "b": "2"}


async def test_there_must_be_something_to_merge(sandbox: Sandbox, oc: OpencastClient) -> None:
    with pytest.raises(InvalidArgument, match="^merge: must be False without a configuration"):
        await oc.workflows.update(7, merge=True)
    with pytest.raises(InvalidArgument, match="^configuration"):
        await oc.workflows.update(7, configuration={"a": [1]}, merge=True)  # type: ignore[dict-item]
    assert sent(sandbox) == []
    with pytest.raises(NotFound):
        await oc.workflows.update(7, configuration={"a": "1"}, merge=True)


async def test_a_configuration_that_cannot_be_read_is_not_overwritten(clock: Clock) -> None:
    server = MockServer("opencast", lambda _: httpx.Response(200, content=workflow("opencast", 7, configuration=[1])))
    async with server.client(clock) as oc:
        with pytest.raises(DecodeError, match=r"the configuration cannot be read, so nothing can be added"):
            await oc.workflows.update(7, configuration={"a": "1"}, merge=True)
    assert [request.method for request in server.requests] == ["GET"]


async def test_another_500_stays_a_server_error(clock: Clock) -> None:
    server = MockServer("opencast", lambda _: httpx.Response(500, text="Could not retrieve workflow instance"))
    async with server.client(clock) as oc:
        with pytest.raises(ServerError) as raised:
            await oc.workflows.replace_configuration(7, {"a": "1"})
    assert type(raised.value) is ServerError
