"""Every public call of both clients, each as a case that can be run on its own system."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.support.loopback_system import LoopbackSystem
from workflow_async import Listing, OpencastClient, Poll, PreservicaClient, batch, monitor, opencast, preservica
from workflow_async._core.client import service_names
from workflow_async._listing.listing import Items, Pages
from workflow_async.sandbox import Step, StepResult

OPENCAST, PRESERVICA = ("16",), ("preservica",)
BOTH_SYSTEMS = (*OPENCAST, *PRESERVICA)
LISTING_SYSTEMS = ("11", "preservica")
"""Systems on which workflows can be listed."""
RETURNED_TYPES = (Listing, Pages, Items, monitor.OutcomeStream, monitor.Watch, batch.Run, batch.Slot)
"""Objects that calls return and that have public awaitables of their own."""
HOUR = 3600.0


@define
class CallContext:
    """A client of a system, and workflows to call it about. `number` distinguishes the contexts of one system."""

    loopback: LoopbackSystem
    client: Any
    directory: Path | None = None
    """The directory of its journal."""
    number: int = field(factory=count().__next__)

    @property
    def workflows(self) -> Any:
        """The client's workflow service."""
        return self.client.workflows

    @property
    def event(self) -> str:
        """The id of a new event of an Opencast."""
        return self.loopback.opencast.event()

    def new_running(self, kind: str = "quick", *, age: float = 0.0) -> int:
        """Return the id of a new workflow that started `age` seconds ago."""
        started_at = self.loopback.time() - age
        if self.loopback.kind == "preservica":
            archive = self.loopback.preservica.state.archive
            context = next(context for context in archive.contexts.values() if context.name == kind)
            return archive.engine.start(context.definition, context.id, context.steps, at=started_at).id
        workflow_id = self.loopback.opencast.state.start(self.event, kind, at=started_at)
        self.loopback.opencast.state.commit()
        return workflow_id

    def new_ended(self, kind: str = "quick") -> int:
        """Return the id of a new workflow that has ended."""
        return self.new_running(kind, age=HOUR)

    def start_arguments(self) -> tuple[Any, ...]:
        """Return the arguments of a start."""
        return ("quick",) if self.loopback.kind == "preservica" else (self.event, "quick")

    def batch_starts(self, count: int) -> list[Any]:
        """Return the starts of a batch."""
        keys = [f"{self.number}-{n}" for n in range(count)]
        if self.loopback.kind == "preservica":
            return [preservica.Start("quick", key=key) for key in keys]
        return [opencast.Start(self.event, "quick", key=key) for key in keys]

    @property
    def journal(self) -> Path:
        """The path of a journal that has not been opened yet."""
        assert self.directory is not None
        return self.directory / f"{self.number}.sqlite"


def define_workflows(loopback: LoopbackSystem) -> None:
    """Define the kinds of workflows that the cases use."""
    kinds = {"quick": Step("one", 1.0), "fails": Step("one", 1.0, StepResult.FAILED), "long": Step("one", HOUR * 9)}
    for name, step in kinds.items():
        if loopback.kind == "preservica":
            loopback.preservica.context(name, f"org.example.{name}", "Ingest", [step])
        else:
            loopback.opencast.define(name, [step])


CaseFunction = Callable[[CallContext], Coroutine[Any, Any, object]]


@frozen
class Case:
    """One way to make one or more public calls."""

    public_names: tuple[str, ...]
    """The public names that it uses, without the system's name."""
    systems: tuple[str, ...]
    function: CaseFunction
    before: CaseFunction | None = None
    """Runs before each call, uninterrupted, with a client of its own."""
    reuse: bool = False
    """True if one client repeats the call on open connections."""
    after: CaseFunction | None = None
    """What must work afterwards, in addition to another call."""
    collected: bool = False
    """True if an iterator is left to the garbage collector, so that watching ends some turns of the loop later."""

    def __str__(self) -> str:
        return ", ".join(self.public_names)


CASES: list[Case] = []


def case(*names: str, systems: tuple[str, ...] = BOTH_SYSTEMS, **more: Any) -> Callable[[CaseFunction], CaseFunction]:
    """Register a function as a case. See `Case`."""

    def register(function: CaseFunction) -> CaseFunction:
        CASES.append(Case(names, systems, function, **more))
        return function

    return register


async def collect(items: AsyncIterator[Any] | Listing[Any]) -> list[Any]:
    """Return all items of an async iterator."""
    return [item async for item in items]


async def short_call(context: CallContext) -> None:
    """Make the shortest call there is."""
    if context.loopback.kind == "preservica":
        await collect(context.client.contexts.list())
    else:
        await context.client.version()


# The public calls


def public_calls() -> set[str]:
    """Return the names of all public awaitables and async iterators, such as `workflows.get` or `Watch.__anext__`."""
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    names = {name for client in (oc, pv) for name in _public_members(type(client))}
    for client in (oc, pv):
        for service in service_names(type(client)):
            names |= {f"{service}.{name}" for name in _public_members(type(getattr(client, service)))}
    names |= {f"{kind.__name__}.{name}" for kind in RETURNED_TYPES for name in _public_members(kind)}
    return names | {name for name in monitor.__all__ if inspect.iscoroutinefunction(getattr(monitor, name))}


DUNDERS = {"__aenter__", "__aexit__", "__aiter__", "__anext__"}


def _public_members(kind: type[Any]) -> Iterator[str]:
    for name, member in inspect.getmembers_static(kind):
        if inspect.isfunction(member) and (name in DUNDERS or not name.startswith("_")) and _is_awaitable(member):
            yield name


def _is_awaitable(function: Callable[..., Any]) -> bool:
    """Return True if what the function returns can be awaited or iterated asynchronously."""
    if inspect.iscoroutinefunction(function) or function.__name__ == "__aiter__":
        return True
    annotation = str(inspect.signature(function).return_annotation)
    return any(name in annotation for name in ("Awaitable", "Listing", "Pages[", "OutcomeStream[", "Watch[", "Run["))


FAST_POLL = Poll(interval=1.0, ceiling=2.0, outage=30.0)
