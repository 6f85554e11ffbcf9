"""Makes a synchronous class from an asynchronous one: the same members, whose calls block the calling thread."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from types import GenericAlias, TracebackType
from typing import Any, cast

from attrs import define, field

from workflow_async._core.client import service_names
from workflow_async.sync._loop_client import LoopClient
from workflow_async.sync._portal import Portal

RETURNED: dict[type[Any], type["Returned"]] = {}
"""The synchronous class for each asynchronous class whose objects calls return."""
SERVICES: dict[type[Any], type[Any]] = {}
"""The synchronous class for each class of a service."""
RENAMED = {"aclose": "close"}
"""Members of asynchronous classes that have another name in the synchronous class."""


class Blocking:
    """An object whose calls run in the event loop of the portal."""

    __slots__ = ()

    def _call(self, function: Callable[[Any], Any]) -> Any:
        """Run a function of the asynchronous object in the event loop. Await what it returns, and return the result."""


@define(eq=False, repr=False)
class Service(Blocking):
    """A service of a client, such as `client.workflows`."""

    _owner: LoopClient[Any]
    _attribute: str

    def _call(self, function: Callable[[Any], Any]) -> Any:
        return self._owner.call(
            lambda client, portal: perform(function, getattr(client, self._attribute), self._owner, portal)
        )


@define(eq=False, repr=False)
class Returned(Blocking):
    """An object that a call returned, such as a listing or a watch."""

    _owner: LoopClient[Any]
    _portal: Portal
    _object: Any
    _visit: "Visit | None" = field(default=None, init=False)

    def _call(self, function: Callable[[Any], Any]) -> Any:
        owner, portal, subject = self._owner, self._portal, self._object
        return owner.call_in(portal, lambda: perform(function, subject, owner, portal, self))


async def perform(
    function: Callable[[Any], Any], subject: Any, owner: LoopClient[Any], portal: Portal, caller: Returned | None = None
) -> Any:
    """Return the synchronous form of what a function of an asynchronous object returns."""
    result = function(subject)
    if inspect.isawaitable(result):
        result = await result
    if caller is not None and result is subject:
        return caller
    kind = RETURNED.get(type(result))
    if kind is not None:
        return kind(owner, portal, result)
    return dict(result) if isinstance(result, dict) else result  # the event loop goes on changing its own


@define(eq=False)
class Visit:
    """An asynchronous context manager that one task enters and leaves, as the task group of a batch needs it."""

    _leaving: "asyncio.Future[tuple[Any, ...]]" = field(init=False)
    _task: "asyncio.Task[None]" = field(init=False)

    async def enter(self, manager: Any) -> Any:
        """Return what the context manager returns."""
        loop = asyncio.get_running_loop()
        entered, self._leaving = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run(manager, entered))
        try:
            await asyncio.wait([entered, self._task], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        if not entered.done():
            await self._task  # raises
        return entered.result()

    async def _run(self, manager: Any, entered: "asyncio.Future[Any]") -> None:
        entered.set_result(await manager.__aenter__())
        try:
            info = await self._leaving
        except BaseException as error:  # the context manager has cancelled this task
            await manager.__aexit__(type(error), error, error.__traceback__)
            raise
        await manager.__aexit__(*info)

    async def leave(self, *info: object) -> None:
        """Leave the context manager with this exception information."""
        if not self._task.done():
            self._leaving.set_result(info)
        await self._task


def blocking(kind: type[Any], base: type[Blocking], module: str) -> type[Any]:
    """Return the synchronous class for an asynchronous class. Its name begins with `Sync`."""
    named = {RENAMED.get(name, name): member for name, member in _members(kind).items()} | _protocols(kind)
    named["__class_getitem__"] = classmethod(GenericAlias)
    members = {name: member for name, member in named.items() if not hasattr(base, name)}
    described = {"__module__": module, "__doc__": kind.__doc__, "__slots__": ()}
    made = type(f"Sync{kind.__name__}", (base,), {**described, **members})
    if issubclass(base, Returned):
        RETURNED[kind] = cast("type[Returned]", made)
    return made


def service(kind: type[Any]) -> type[Any]:
    """Return the synchronous class for the class of a service."""
    if kind not in SERVICES:
        SERVICES[kind] = blocking(kind, Service, f"workflow_async.sync.{kind.__module__.split('.')[1]}")
    return SERVICES[kind]


def _members(kind: type[Any]) -> dict[str, Any]:
    """Return the public methods and properties.

    Class methods, which make asynchronous clients, and the services of a client are left out.
    """
    found = {name: member for name, member in inspect.getmembers_static(kind) if not name.startswith("_")}
    methods = {name: _method(member) for name, member in found.items() if inspect.isfunction(member)}
    properties = {name: member for name, member in found.items() if isinstance(member, property)}
    services = service_names(kind)
    return methods | {name: _property(name, each) for name, each in properties.items() if name not in services}


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    name = function.__name__

    @wraps(function)
    def method(self: Blocking, *args: Any, **kwargs: Any) -> Any:
        given = [*map(_read, args)]
        named = {key: _read(value) for key, value in kwargs.items()}
        return self._call(lambda subject: getattr(subject, name)(*given, **named))

    return method


def _read(argument: Any) -> Any:
    """Return an argument. Read an iterator or a query here, since it may call the client or use a database."""
    return [*argument] if isinstance(argument, Iterable) and not isinstance(argument, Collection) else argument


def _property(name: str, member: property) -> property:
    @wraps(cast("Callable[..., Any]", member.fget))
    def value(self: Blocking) -> Any:
        return self._call(lambda subject: getattr(subject, name))

    return property(value)


def _protocols(kind: type[Any]) -> dict[str, Any]:
    """Return the synchronous protocols for the asynchronous ones that a class has."""
    found: dict[str, Any] = {}
    if hasattr(kind, "__aiter__"):
        found["__iter__"] = iterate
    if hasattr(kind, "__anext__"):
        found["__next__"] = step
    if hasattr(kind, "__aenter__"):
        found |= {"__enter__": _enter, "__exit__": _exit}
    return found


def iterate(self: Returned) -> Any:
    """Return the iterator: `__iter__` for `__aiter__`."""
    return self._call(aiter)


def step(self: Returned, function: Callable[[Any], Any] = anext) -> Any:
    """Return the next item: `__next__` for `__anext__`."""
    try:
        return self._call(function)
    except StopAsyncIteration:
        pass
    raise StopIteration


def _enter(self: Returned) -> Any:
    self._visit = visit = Visit()
    return self._call(visit.enter)


def _exit(
    self: Returned, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
) -> None:
    visit = self._visit
    if visit is not None and self._portal.usable:  # an event loop that ended has left it
        self._call(lambda _: visit.leave(kind, error, traceback))
