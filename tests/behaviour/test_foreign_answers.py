"""Watching while others answer for the server, or its index fails: boots, proxies, redirects."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_system import System, new_system
from workflow_async import Phase, Poll
from workflow_async.batch import Completed
from workflow_async.errors import CallError, ForeignResponse, NotFound, Unauthorized, WorkflowReplaced
from workflow_async.monitor import Change, Finished, Replaced, Stalled, Vanished
from workflow_async.opencast import Start
from workflow_async.preservica import Start as ContextStart
from workflow_async.sandbox.engine import Step, StepResult

pytestmark = pytest.mark.sweep

Story = Callable[[System, Any], Awaitable[None]]

JSON, HTML, TEXT = "application/json", "text/html", "text/plain"
JETTY = '{"servlet":"org.apache.cxf","message":"Not Found","url":"/api/workflows/1","status":"404"}'
FOREIGN: dict[str, dict[str, Any]] = {
    "Jetty's JSON": {"status_code": 404, "content": JETTY, "headers": {"content-type": JSON}},
    "Jetty's page": {"status_code": 404, "content": "<html><body><h2>HTTP ERROR 404</h2></body></html>"},
    "no service": {"status_code": 404, "content": "<html><body>No service was found.</body></html>"},
    "empty": {"status_code": 404},
    "a router": {"status_code": 404, "content": "404 page not found", "headers": {"content-type": TEXT}},
    "not allowed": {"status_code": 405, "headers": {"allow": "OPTIONS"}},
    "gone": {"status_code": 410, "content": "<html><body>Gone</body></html>"},
    "forbidden by a proxy": {"status_code": 403, "content": "<html><body>Blocked</body></html>"},
    "legal reasons": {"status_code": 451, "content": "no"},
    "another host": {"status_code": 302, "headers": {"location": "https://maintenance.example.org/"}},
    "maintenance": {"status_code": 307, "headers": {"location": "/maintenance.html"}},
    "a page": {"status_code": 200, "content": "<html><body>CXF - Service list</body></html>"},
    "a gateway": {"status_code": 502, "content": "<html><body>Bad Gateway</body></html>"},
}
foreign = pytest.mark.parametrize("form", FOREIGN)


def answering(form: str, *paths: str) -> Callable[[httpx.Request], httpx.Response | None]:
    """Return a proxy that answers in this form, for all paths or for those that begin with one of these."""
    return lambda request: httpx.Response(**FOREIGN[form]) if request.url.path.startswith(paths or ("/",)) else None


def played(kind: str, story: Story, **settings: Any) -> None:
    """Run a story of a system and a client on virtual time."""

    async def main() -> None:
        system = new_system(kind)
        async with system.client(**settings) as client:
            await story(system, client)

    virtual.run(main())


def later(seconds: float, action: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, action)


def in_front(system: System, begin: float, end: float, form: str, *paths: str) -> None:
    """Let a proxy answer in place of the server between these instants."""
    later(begin, lambda: setattr(system.wire, "instead", answering(form, *paths)))
    later(end, lambda: setattr(system.wire, "instead", lambda _: None))


# A server that starts


@foreign
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_workflows_that_were_seen_outlast_a_boot(kind: str, form: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(3, 190.0)
        in_front(system, 10, 160, form)
        outcomes = await client.workflows.wait_all(ids, timeout=400)
        assert [(type(outcome), outcome.succeeded) for outcome in outcomes] == [(Finished, True)] * 3

    played(kind, story)


@foreign
def test_workflows_that_were_seen_outlast_a_path_that_is_not_served(form: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(3, 190.0)
        in_front(system, 10, 160, form, "/api/workflows")
        outcomes = await client.workflows.wait_all(ids, timeout=400)
        assert [(type(outcome), outcome.succeeded) for outcome in outcomes] == [(Finished, True)] * 3

    played("16", story)


@pytest.mark.parametrize(("seconds", "form"), [(12, "Jetty's JSON"), (30, "empty"), (100, "another host")])
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.parametrize("how", ["start_and_wait", "start", "run_all"])
def test_a_workflow_whose_start_was_answered_outlasts_a_boot(kind: str, form: str, seconds: int, how: str) -> None:
    async def story(system: System, client: Any) -> None:
        made = system.define("made", Step("a", 60.0))
        what: Any = [made] if kind == "preservica" else [system.opencast.event(), made]
        posted = False

        def instead(request: httpx.Request) -> httpx.Response | None:
            nonlocal posted
            if not posted and request.method == "POST" and "accesstoken" not in request.url.path:
                posted = True
                later(seconds, lambda: setattr(system.wire, "instead", lambda _: None))
                return None
            return httpx.Response(**FOREIGN[form]) if posted else None

        system.wire.instead = instead
        if how == "start_and_wait":
            workflow = await client.workflows.start_and_wait(*what)
        elif how == "start":
            workflow = await client.workflows.wait((await client.workflows.start(*what)).id)
        else:
            start = ContextStart(made) if kind == "preservica" else Start(*what)
            async with client.workflows.run_all([start]) as results:
                (result,) = [result async for result in results]
            assert isinstance(result, Completed)
            workflow = result.workflow
        assert workflow.phase is Phase.SUCCEEDED

    played(kind, story)


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_a_workflow_that_was_seen_before_outlasts_a_boot_in_another_wait(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 100.0)
        in_front(system, 10, 90, "empty")
        for _ in range(5):
            with anyio.move_on_after(12):
                await client.workflows.wait(id)
        assert (await client.workflows.wait(id)).phase is Phase.SUCCEEDED

    played(kind, story)


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_a_wrong_base_url_is_reported_within_seconds_with_the_reason(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        system.wire.instead = lambda request: (
            None if "accesstoken" in request.url.path else httpx.Response(**FOREIGN["a router"])
        )
        with pytest.raises(ForeignResponse, match="check the path"):
            await client.workflows.wait(1603)
        assert asyncio.get_running_loop().time() < 60

    played(kind, story)


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_the_servers_own_404_is_believed_in_time(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(2, 400.0)
        later(20, lambda: system.engine.remove(system.run(ids[0])))
        found = {outcome.id: (outcome, now()) async for outcome in client.workflows.as_completed([*ids, 999_999])}
        gone, at = found[ids[0]]
        assert isinstance(gone, Vanished)
        assert isinstance(gone.error, NotFound)
        assert 140 <= at <= 200
        assert isinstance(found[999_999][0], Vanished)
        assert isinstance(found[ids[1]][0], Finished)

    played(kind, story)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_refused_login_ends_only_waits_for_workflows_that_were_never_seen() -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 100.0)
        later(10, lambda: system.opencast.state.access.accounts.pop("admin"))
        admin = system.opencast.state.access.accounts["admin"]
        later(60, lambda: system.opencast.state.access.accounts.update(admin=admin))
        seen = asyncio.create_task(client.workflows.wait(id))
        await anyio.sleep(30)
        with pytest.raises(CallError) as caught:
            await client.workflows.wait(999_999)
        assert isinstance(caught.value, Unauthorized)
        assert (await seen).phase is Phase.SUCCEEDED

    played("16", story)


# An index that is ill


@pytest.mark.parametrize("status", [500, 502, 503, 429, 403, 404, 200])
def test_a_failing_index_loses_no_end(status: int) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(30, 500.0)
        system.wire.instead = lambda request: (
            httpx.Response(status, content="[{") if request.url.path == "/api/events" else None
        )
        outcomes = await client.workflows.wait_all(ids, poll=Poll(outage=60))
        assert {(type(outcome), outcome.succeeded) for outcome in outcomes} == {(Finished, True)}
        assert system.looks()[1] == 0  # none was answered by the server

    played("16", story)


@pytest.mark.parametrize("kind", ["11", "preservica"])
@pytest.mark.parametrize("status", [500, 503, 404, 400])
def test_a_failing_list_loses_no_end(kind: str, status: int) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(30, 300.0)
        path = "/sdb/rest/workflow/instances" if kind == "preservica" else "/api/workflows"
        system.wire.instead = lambda request: (
            httpx.Response(status, content="ill", headers={"content-type": TEXT}) if request.url.path == path else None
        )
        outcomes = await client.workflows.wait_all(ids, poll=Poll(outage=60))
        assert {(type(outcome), outcome.succeeded) for outcome in outcomes} == {(Finished, True)}

    played(kind, story)


# A server that asks for a pause


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_of_an_hour_holds_for_every_watched_workflow(kind: str, status: int) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(40, 4000.0)
        refused: list[float] = []

        def instead(request: httpx.Request) -> httpx.Response | None:
            if not 20 <= now() < 3600 or "accesstoken" in request.url.path:
                return None
            refused.append(now())
            return httpx.Response(status, headers={"retry-after": "3600"})

        system.wire.instead = instead
        outcomes = await client.workflows.wait_all(ids)
        assert {(type(outcome), outcome.succeeded) for outcome in outcomes} == {(Finished, True)}
        assert max(refused) - min(refused) < 1
        assert len(refused) <= 40

    played(kind, story)


# Another workflow under the same id


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_an_id_that_becomes_another_workflow_is_reported(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(5, 100.0)
        run = system.run(ids[2])
        other = system.define("other", Step("x", 5.0)) if kind == "preservica" else system.opencast.event()
        later(30, lambda: setattr(run, "subject", other))
        waits = asyncio.create_task(client.workflows.wait(ids[2], check=True))
        outcomes = await client.workflows.wait_all(ids)
        assert [type(outcome) for outcome in outcomes] == [Replaced if n == 2 else Finished for n in range(5)]
        with pytest.raises(WorkflowReplaced):
            await waits

    played(kind, story)


@pytest.mark.parametrize("kind", ["11", "16"])
@pytest.mark.parametrize("operations", [False, True])
def test_an_error_handler_that_takes_over_is_not_another_workflow(kind: str, operations: bool) -> None:  # noqa: FBT001 - a case
    async def story(system: System, client: Any) -> None:
        failing = system.define("fails", Step("a", 20.0, StepResult.FAILED, (Step("tell", 20.0), Step("clean", 5.0))))
        ids = [system.start(failing) for _ in range(4)]
        for id in ids:
            later(30, partial(setattr, system.run(id), "definition", "handler"))
        async with client.workflows.watch(ids, operations=operations) as changes:
            events = [event async for event in changes]
        assert {type(event) for event in events} == {Change}
        assert sum(event.now is Phase.FAILED for event in events) == 4

    played(kind, story)


# Steps in which nothing changes


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
def test_a_step_that_never_ends_is_reported_by_a_new_client(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 1e6)
        with anyio.move_on_after(6000):
            async with client.workflows.watch([id], stalled_after=timedelta(minutes=30)) as changes:
                while not isinstance(event := await anext(changes), Stalled):
                    pass
        assert (event.id, event.usual) == (id, None)
        assert 1800 <= event.seconds <= 1900
        assert 1800 <= now() <= 1900

    played(kind, story)
