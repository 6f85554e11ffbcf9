"""Bad input to a public method raises an error of this library, and nothing is started."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

import anyio
import pytest

from tests.support.monitored_system import System, new_system
from tests.support.virtual_time import run
from workflow_async import Listing, OpencastClient, PreservicaClient, batch, monitor
from workflow_async._core.client import service_names
from workflow_async.errors import InvalidArgument, WorkflowAsyncError
from workflow_async.monitor.waits import WaitOptions

CALL_TIMEOUT = 50.0
"""Seconds of the server's time that a call may take."""
MAX_DATE = datetime.max.replace(tzinfo=UTC)
"""A date that cannot be rounded up."""
NONSENSE = object()
"""A value that only boolean parameters accept."""
WRONG: tuple[Any, ...] = (
    NONSENSE, None, True, -1, 1.5, float("nan"), 10**400, b"x", "", " ", "\ud800", "a,b", "2020/2021",
    [], [None], [[7, 8]], (None, None), ("a", "b"), {}, {1: 2}, {"a": None}, {"\ud800": "b"}, {5}, range(3),
    MAX_DATE, (MAX_DATE, MAX_DATE), MAX_DATE.replace(tzinfo=None),
)  # fmt: skip
CLIENTS: dict[str, Any] = {
    "11": OpencastClient("https://oc.example.org", auth=("user", "secret")),
    "preservica": PreservicaClient("eu.preservica.com", username="user", password="secret"),
}
TESTED_SEPARATELY = frozenset({"journal"})
"""The path of a journal would be opened."""
STARTS = {"11": ("event_id", "definition_id"), "preservica": ("context",)}
Parameter = inspect.Parameter


def methods() -> Iterator[tuple[str, str, str]]:
    for kind, client in CLIENTS.items():
        for service in service_names(type(client)):
            value = getattr(client, service)
            yield from ((kind, service, name) for name in dir(type(value)) if _is_public(type(value), name))


def _is_public(kind: type[Any], name: str) -> bool:
    return not name.startswith("_") and inspect.isfunction(inspect.getattr_static(kind, name))


def parameters(method: Callable[..., Any]) -> Iterator[Parameter]:
    """Yield the method's parameters. Each workflow filter is one."""
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is not Parameter.VAR_KEYWORD:
            yield parameter
    yield from (Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in filters_of(method))


def filters_of(method: Callable[..., Any]) -> list[str]:
    """Return the filters that a method takes by keyword. `watch` takes them instead of ids."""
    keywords = [p for p in inspect.signature(method).parameters.values() if p.kind is Parameter.VAR_KEYWORD]
    return [name for parameter in keywords for name in get_args(parameter.annotation)[0].__annotations__]


def valid_arguments(server: System, service: Any) -> dict[str, Any]:
    """Return a valid value for each required parameter."""
    if server.kind == "preservica":
        start = {"context": "42"}
    else:
        start = {"event_id": server.opencast.event(), "definition_id": "fast"}
    ticket = service.prepare_start(**start) if hasattr(service, "prepare_start") else None
    (id,) = server.starts(1, 1e9)
    names = {
        "event_id": "e",
        "definition_id": "fast",
        "process_id": "p",
        "monitor_id": "m",
        "configuration": {"a": "b"},
        "name": "opex/batch-1",
        "answer": "retry",
        "max_running": 2,
        "text": client_text(service),
    }
    return {**start, **names, "ticket": ticket, "workflow_id": id, "workflow_ids": [id], "starts": []}


def client_text(service: Any) -> str:
    """Return the saved durations of a service that has them."""
    return str(service.export_durations()) if hasattr(service, "export_durations") else ""


async def consume(value: Any) -> None:
    """Await the value, or take its first item."""
    with anyio.move_on_after(CALL_TIMEOUT):
        result = await value if inspect.isawaitable(value) else value
        if isinstance(result, monitor.Watch | batch.Run):
            async with result as items:
                await _first(items)
        elif isinstance(result, Listing):
            await result.first()
        elif isinstance(result, AsyncIterator):
            await _first(result)


async def _first(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        return


async def call_error(call: Callable[[], Any]) -> BaseException | None:
    try:
        await consume(call())
    except Exception as error:  # noqa: BLE001 - the test checks its type
        return _cause(error)
    return None


def _cause(error: BaseException) -> BaseException:
    return _cause(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def calls_of(method: Callable[..., Any], valid: dict[str, Any]) -> Iterator[tuple[Parameter, Any, Callable[[], Any]]]:
    """Yield calls of the method, each with one parameter wrong in one way and all others valid."""
    declared = list(parameters(method))
    several = [p.name for p in declared if p.kind is Parameter.VAR_POSITIONAL]
    needed = {p.name: valid[p.name] for p in declared if p.default is Parameter.empty and p.name not in several}
    watches = method.__name__ == "watch"
    if watches:
        needed = {"workflow_ids": valid["workflow_ids"]}
    for parameter in (p for p in declared if p.name not in TESTED_SEPARATELY):
        instead = {} if watches and parameter.name in filters_of(method) else needed
        for value in WRONG:
            if parameter.name in several:
                yield parameter, value, partial(method, value)
            else:
                yield parameter, value, partial(method, **{**instead, parameter.name: value})


async def wrong_calls(kind: str, service: str, name: str) -> list[str]:
    """Return the calls that ended in an unexpected way."""
    server = new_system(kind)
    async with server.client() as client:
        service_object = getattr(client, service)
        wrong: list[str] = []
        for parameter, value, call in calls_of(getattr(service_object, name), valid_arguments(server, service_object)):
            started = len(server.engine.runs)
            error = await call_error(call)
            call_text = f"{name}({parameter.name}={repr(value)[:40]}): {error!r}"
            wrong += [
                call_text for problem in problems(parameter, value, error, len(server.engine.runs) - started) if problem
            ]
        return wrong


def problems(parameter: Parameter, value: Any, error: BaseException | None, started: int) -> Iterator[bool]:
    yield error is not None and not isinstance(error, WorkflowAsyncError)
    yield isinstance(error, InvalidArgument) and started > 0
    named = isinstance(error, InvalidArgument) and error.argument.partition("[")[0] == parameter.name
    yield value is NONSENSE and parameter.annotation is not bool and not named


@pytest.mark.sweep
@pytest.mark.parametrize(("kind", "service", "name"), list(methods()))
def test_bad_input_raises_invalid_argument_with_the_parameters_name(kind: str, service: str, name: str) -> None:
    assert run(wrong_calls(kind, service, name)) == []


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [{"poll": 5}, {"timeout": 0}, {"parked": "no"}, {"poll": None}])
def test_invalid_wait_options_are_reported_before_anything_is_started(kind: str, wrong: dict[str, Any]) -> None:
    async def main() -> tuple[BaseException | None, int]:
        server = new_system(kind)
        async with server.client() as client:
            start = {
                name: value for name, value in valid_arguments(server, client.workflows).items() if name in STARTS[kind]
            }
            before = len(server.engine.runs)
            error = await call_error(partial(client.workflows.start_and_wait, **start, **wrong))
            return error, len(server.engine.runs) - before

    error, started = run(main())
    assert isinstance(error, InvalidArgument)
    assert (error.argument, started) == (next(iter(wrong)), 0)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [object(), 5, ["batch.sqlite"]])
def test_a_journal_that_is_not_a_path_is_rejected(kind: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="^journal: must be a path, an object with the methods of Journal"):
        CLIENTS[kind].workflows.run_all([], journal=wrong)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [5, "12", b"x", None])
def test_starts_that_are_not_starts_are_rejected(kind: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="^starts: must be a list or another iterable of starts"):
        CLIENTS[kind].workflows.run_all(wrong)


@pytest.mark.parametrize(
    ("argument", "wrong"), [("parked", "no"), ("parked", []), ("until", 5), ("poll", 5), ("timeout", "5")]
)
def test_invalid_wait_options_are_rejected(argument: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: must be "):
        WaitOptions(**{argument: wrong})
