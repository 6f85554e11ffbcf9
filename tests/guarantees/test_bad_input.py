"""Whatever a public method is given, what comes out is an error of this library, and nothing is started by it."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

import anyio
import pytest

from tests.support.monitored_system import Station, station
from tests.support.virtual_time import run
from workflow_async import Listing, OpencastClient, PreservicaClient, batch, monitor
from workflow_async.errors import InvalidArgument, WorkflowAsyncError
from workflow_async.monitor.watch import WaitOptions

LONG = 50.0
"""Seconds of the server that a call may take."""
LAST = datetime.max.replace(tzinfo=UTC)
"""What cannot be rounded up."""
NONSENSE = object()
"""What no parameter takes but those that are true or false."""
WRONG: tuple[Any, ...] = (
    NONSENSE, None, True, -1, 1.5, float("nan"), 10**400, b"x", "", " ", "\ud800", "a,b", "2020/2021",
    [], [None], [[7, 8]], (None, None), ("a", "b"), {}, {1: 2}, {"a": None}, {"\ud800": "b"}, {5}, range(3),
    LAST, (LAST, LAST), LAST.replace(tzinfo=None),
)  # fmt: skip
CLIENTS: dict[str, Any] = {
    "11": OpencastClient("https://oc.example.org", auth=("user", "secret")),
    "preservica": PreservicaClient("eu.preservica.com", username="user", password="secret"),
}
OWN = frozenset({"journal"})
"""A path is opened: tested apart."""
STARTS = {"11": ("event_id", "definition_id"), "preservica": ("context",)}
Parameter = inspect.Parameter


def methods() -> Iterator[tuple[str, str, str]]:
    for kind, client in CLIENTS.items():
        for service, thing in vars(client).items():
            names = () if service.startswith("_") else dir(type(thing))
            yield from ((kind, service, name) for name in names if _is_public(type(thing), name))


def _is_public(kind: type[Any], name: str) -> bool:
    return not name.startswith("_") and inspect.isfunction(inspect.getattr_static(kind, name))


def parameters(method: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a method. Each filter of workflows is one."""
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is not Parameter.VAR_KEYWORD:
            yield parameter
    yield from (Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in filters_of(method))


def filters_of(method: Callable[..., Any]) -> list[str]:
    """The filters that a method takes by keyword, which `watch` takes instead of ids."""
    keywords = [p for p in inspect.signature(method).parameters.values() if p.kind is Parameter.VAR_KEYWORD]
    return [name for parameter in keywords for name in get_args(parameter.annotation)[0].__annotations__]


def good(here: Station, service: Any) -> dict[str, Any]:
    """A value for each parameter that must be given."""
    if here.kind == "preservica":
        start = {"context": "42"}
    else:
        start = {"event_id": here.opencast.event(), "definition_id": "fast"}
    ticket = service.prepare_start(**start) if hasattr(service, "prepare_start") else None
    (id,) = here.starts(1, 1e9)
    names = {
        "event_id": "e",
        "definition_id": "fast",
        "process_id": "p",
        "monitor_id": "m",
        "configuration": {"a": "b"},
    }
    return {**start, **names, "ticket": ticket, "workflow_id": id, "workflow_ids": [id], "starts": []}


async def used(given: Any) -> None:
    """Await it, or take the first of what it gives."""
    with anyio.move_on_after(LONG):
        found = await given if inspect.isawaitable(given) else given
        if isinstance(found, monitor.Watch | batch.Run):
            async with found as things:
                await _first(things)
        elif isinstance(found, Listing):
            await found.first()
        elif isinstance(found, AsyncIterator):
            await _first(found)


async def _first(things: AsyncIterator[Any]) -> None:
    async for _ in things:
        return


async def outcome(call: Callable[[], Any]) -> BaseException | None:
    try:
        await used(call())
    except Exception as error:  # noqa: BLE001 - which one it is, is what the test is about
        return _cause(error)
    return None


def _cause(error: BaseException) -> BaseException:
    return _cause(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def calls_of(method: Callable[..., Any], usual: dict[str, Any]) -> Iterator[tuple[Parameter, Any, Callable[[], Any]]]:
    """The method called with each parameter wrong in each way, all others as they should be."""
    wanted = list(parameters(method))
    several = [p.name for p in wanted if p.kind is Parameter.VAR_POSITIONAL]
    needed = {p.name: usual[p.name] for p in wanted if p.default is Parameter.empty and p.name not in several}
    watches = method.__name__ == "watch"
    if watches:
        needed = {"workflow_ids": usual["workflow_ids"]}
    for parameter in (p for p in wanted if p.name not in OWN):
        instead = {} if watches and parameter.name in filters_of(method) else needed
        for value in WRONG:
            if parameter.name in several:
                yield parameter, value, partial(method, value)
            else:
                yield parameter, value, partial(method, **{**instead, parameter.name: value})


async def tried(kind: str, service: str, name: str) -> list[str]:
    """What was wrong with what each call came to."""
    here = station(kind)
    async with here.client() as client:
        thing = getattr(client, service)
        found = []
        for parameter, value, call in calls_of(getattr(thing, name), good(here, thing)):
            started = len(here.engine.runs)
            error = await outcome(call)
            said = f"{name}({parameter.name}={repr(value)[:40]}): {error!r}"
            found += [said for fault in faults(parameter, value, error, len(here.engine.runs) - started) if fault]
        return found


def faults(parameter: Parameter, value: Any, error: BaseException | None, started: int) -> Iterator[bool]:
    yield error is not None and not isinstance(error, WorkflowAsyncError)
    yield isinstance(error, InvalidArgument) and started > 0
    named = isinstance(error, InvalidArgument) and error.argument.partition("[")[0] == parameter.name
    yield value is NONSENSE and parameter.annotation is not bool and not named


@pytest.mark.sweep
@pytest.mark.parametrize(("kind", "service", "name"), list(methods()))
def test_bad_input_is_an_invalid_argument_that_is_named_and_never_a_bare_error(
    kind: str, service: str, name: str
) -> None:
    assert run(tried(kind, service, name)) == []


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [{"poll": 5}, {"timeout": 0}, {"parked": "no"}, {"poll": None}])
def test_what_is_wrong_with_the_waiting_is_told_before_anything_is_started(kind: str, wrong: dict[str, Any]) -> None:
    async def main() -> tuple[BaseException | None, int]:
        here = station(kind)
        async with here.client() as client:
            start = {name: value for name, value in good(here, client.workflows).items() if name in STARTS[kind]}
            before = len(here.engine.runs)
            error = await outcome(partial(client.workflows.start_and_wait, **start, **wrong))
            return error, len(here.engine.runs) - before

    error, started = run(main())
    assert isinstance(error, InvalidArgument)
    assert (error.argument, started) == (next(iter(wrong)), 0)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [object(), 5, ["batch.sqlite"]])
def test_a_journal_that_is_no_path_is_refused(kind: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="^journal: must be a path"):
        CLIENTS[kind].workflows.run_all([], journal=wrong)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("wrong", [5, "12", b"x", None])
def test_starts_that_are_no_starts_are_refused(kind: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="^starts: must be a list or another iterable of starts"):
        CLIENTS[kind].workflows.run_all(wrong)


@pytest.mark.parametrize(
    ("argument", "wrong"), [("parked", "no"), ("parked", []), ("until", 5), ("poll", 5), ("timeout", "5")]
)
def test_terms_of_a_wait_that_make_no_sense_are_refused(argument: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: must be "):
        WaitOptions(**{argument: wrong})
