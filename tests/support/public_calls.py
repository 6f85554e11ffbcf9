"""Every public call of both clients, each as a case that can be made on a system of its own."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tests.support.loopback_system import Ground
from workflow_async import Listing, OpencastClient, Poll, PreservicaClient, batch, monitor, opencast, preservica
from workflow_async._listing.listing import Items, Pages
from workflow_async.sandbox import Step, StepResult

OPENCAST, PRESERVICA = ("16",), ("preservica",)
EITHER = (*OPENCAST, *PRESERVICA)
LISTED = ("11", "preservica")
"""Where workflows can be listed."""
SERVED = (Listing, Pages, Items, monitor.OutcomeStream, monitor.Watch, batch.Run)
"""What calls give instead of an answer, and what has awaitables of its own."""
LONG = 3600.0


@define
class Scene:
    """A client of a system, and something to call it about; `number` tells the scenes of one system apart."""

    here: Ground
    client: Any
    directory: Path | None = None
    """For its journal."""
    number: int = field(factory=count().__next__)

    @property
    def event(self) -> str:
        """A new event of an Opencast."""
        return self.here.opencast.event()

    def running(self, kind: str = "quick", *, age: float = 0.0) -> int:
        """A new workflow, begun so long ago."""
        at = self.here.time() - age
        if self.here.kind == "preservica":
            archive = self.here.preservica.state.archive
            context = next(context for context in archive.contexts.values() if context.name == kind)
            return archive.engine.start(context.definition, context.id, context.steps, at=at).id
        made = self.here.opencast.state.start(self.event, kind, at=at)
        self.here.opencast.state.commit()
        return made

    def ended(self, kind: str = "quick") -> int:
        """A new workflow that has come to its end."""
        return self.running(kind, age=LONG)

    def start(self) -> tuple[Any, ...]:
        """What to start."""
        return ("quick",) if self.here.kind == "preservica" else (self.event, "quick")

    def starts(self, several: int) -> list[Any]:
        """What to start as a batch."""
        keys = [f"{self.number}-{n}" for n in range(several)]
        if self.here.kind == "preservica":
            return [preservica.Start("quick", key=key) for key in keys]
        return [opencast.Start(self.event, "quick", key=key) for key in keys]

    @property
    def journal(self) -> Path:
        """A journal that nobody has opened yet."""
        assert self.directory is not None
        return self.directory / f"{self.number}.sqlite"


def furnish(here: Ground) -> None:
    """Teach a system the kinds of workflows that the cases are about."""
    kinds = {"quick": Step("one", 1.0), "fails": Step("one", 1.0, StepResult.FAILED), "long": Step("one", LONG * 9)}
    for name, step in kinds.items():
        if here.kind == "preservica":
            here.preservica.context(name, f"org.example.{name}", "Ingest", [step])
        else:
            here.opencast.define(name, [step])


Act = Callable[[Scene], Coroutine[Any, Any, object]]


@frozen
class Case:
    """One way to make one call, or several."""

    names: tuple[str, ...]
    """The public names it makes use of, without those of the systems."""
    on: tuple[str, ...]
    act: Act
    before: Act | None = None
    """What is done before each time, and not interrupted, with a client of its own."""
    warm: bool = False
    """Whether one client does it again and again, on connections that are there already."""
    after: Act | None = None
    """What must work afterwards, besides another call."""
    collected: bool = False
    """True if an iterator is left to the garbage collector, so that its watching ends some turns of the loop later."""

    def __str__(self) -> str:
        return ", ".join(self.names)


CASES: list[Case] = []


def case(*names: str, on: tuple[str, ...] = EITHER, **more: Any) -> Callable[[Act], Act]:
    """Make a function a case; see `Case`."""

    def noted(act: Act) -> Act:
        CASES.append(Case(names, on, act, **more))
        return act

    return noted


async def all_of(things: AsyncIterator[Any] | Listing[Any]) -> list[Any]:
    """Everything an async iterator gives."""
    return [thing async for thing in things]


async def one_more(scene: Scene) -> None:
    """The shortest call there is."""
    if scene.here.kind == "preservica":
        await all_of(scene.client.contexts.list())
    else:
        await scene.client.version()


# What there is


def public_calls() -> set[str]:
    """The names of all public awaitables and async iterators, as `workflows.get`, `Watch.__anext__` or `poll_once`."""
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    found = {name for client in (oc, pv) for name in _of(type(client))}
    for client in (oc, pv):
        for service, thing in vars(client).items():
            if not service.startswith("_"):
                found |= {f"{service}.{name}" for name in _of(type(thing))}
    found |= {f"{kind.__name__}.{name}" for kind in SERVED for name in _of(kind)}
    return found | {name for name in monitor.__all__ if inspect.iscoroutinefunction(getattr(monitor, name))}


DUNDERS = {"__aenter__", "__aexit__", "__aiter__", "__anext__"}


def _of(kind: type[Any]) -> Iterator[str]:
    for name, member in inspect.getmembers_static(kind):
        if inspect.isfunction(member) and (name in DUNDERS or not name.startswith("_")) and _waits(member):
            yield name


def _waits(function: Callable[..., Any]) -> bool:
    """Whether what a function gives can be waited for."""
    if inspect.iscoroutinefunction(function) or function.__name__ == "__aiter__":
        return True
    given = str(inspect.signature(function).return_annotation)
    return any(name in given for name in ("Awaitable", "Listing", "Pages[", "OutcomeStream[", "Watch[", "Run["))


OFTEN = Poll(interval=1.0, ceiling=2.0, outage=30.0)
