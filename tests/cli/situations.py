"""A case for each command: its arguments, and what they need on a server."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.cli.conftest import opencast_of, preservica_of
from workflow_async._core import retry
from workflow_async.cli import batching, demo, display
from workflow_async.sandbox import Sandbox, Step
from workflow_async.sandbox.preservica.processes import CONFIGS
from workflow_async.settings import Poll

Words = Sequence[object]
TITLE = "Vorlesung \N{FULL BLOCK} \u65e5\u672c\u8a9e"
"""The title of events. cp1252 does not have all of its letters, and some take two cells."""
FAST = ("--every", 0.1)


@frozen(kw_only=True)
class Case:
    """How a command is tried. The arguments are made for each run, because a change works once."""

    command: str
    arguments: Callable[[Sandbox], Words] = lambda _: ()
    nonsense: Words
    """Arguments that are wrong, whatever the server says."""
    system: str = "opencast"
    """The system of the command. "" for a command without a server."""
    release: str = "11"
    serves: bool = False
    """True if the command runs until Ctrl-C."""
    limits: Words = ()
    """Options that end a wait which would go on until the server answers."""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.command, self.system, self.release if self.release != "11" else "")))

    def env(self, sandbox: Sandbox) -> dict[str, str]:
        """Return the variables that name the server."""
        variables = {"opencast": opencast_of, "preservica": preservica_of}
        return variables[self.system](sandbox) if self.system else {}


def event(sandbox: Sandbox) -> str:
    """Return a new event."""
    return sandbox.opencast.event(title=TITLE)


def started(definition: str) -> Callable[[Sandbox], int]:
    """Return a function that starts a workflow of Opencast."""
    return lambda sandbox: sandbox.opencast.start(event(sandbox), definition)


def running(sandbox: Sandbox) -> int:
    """Return a workflow of Opencast that runs for long."""
    sandbox.opencast.define("long", [Step("encode", 1e6)])
    return sandbox.opencast.start(event(sandbox), "long")


def seeded(definition: str) -> Callable[[Sandbox], int]:
    """Return a function that makes a workflow of Opencast that began long ago."""

    def make(sandbox: Sandbox) -> int:
        state = sandbox.opencast.state
        id = state.start(event(sandbox), definition, at=sandbox.clock() - 600)  # `seed` would stop some of them
        state.commit()
        return id

    return make


def archived(context: str, age: float = 10_000) -> Callable[[Sandbox], int]:
    """Return a function that makes a workflow of Preservica."""
    return lambda sandbox: sandbox.preservica.seed(1, contexts=[context], age=age)[0]


def with_ids(*make: Callable[[Sandbox], int], more: Words = (), first: Words = ()) -> Callable[[Sandbox], Words]:
    """Return a function that makes workflows, and returns their ids with other arguments around them."""
    return lambda sandbox: (*first, *(each(sandbox) for each in make), *more)


def listed(*words: object) -> Callable[[Sandbox], Words]:
    """Return a function that makes workflows to list, and returns the arguments."""

    def make(sandbox: Sandbox) -> Words:
        if len(sandbox.opencast.engine.runs) < 30:
            for definition in ("fast", "fails", "review", "publish"):
                sandbox.opencast.state.start(event(sandbox), definition, at=sandbox.clock() - 600)
            sandbox.opencast.seed(30)
            sandbox.preservica.seed(30, age=1000)
            sandbox.opencast.state.commit()
        return words

    return make


def batch(*rows: str) -> Callable[[Sandbox], Words]:
    """Return a function that writes a batch, and returns the arguments of `run`."""

    def make(sandbox: Sandbox) -> Words:
        Path("batch.csv").write_text("".join(f"{row.format(event=event(sandbox))}\n" for row in rows))
        return ("batch.csv", *FAST, "--settle", 0.1)

    return make


def hurry() -> None:
    """Shorten what a command waits for. The process that runs it calls this."""
    display.LINE_INTERVAL = 0.1
    demo.SPEED, demo.START_SPREAD, demo.DEMO_POLL = 1000.0, 0.1, Poll(interval=0.1, ceiling=0.1)
    setattr(batching, "Poll", partial(Poll, outage=0.5))  # noqa: B010 - a stand-in for the class, in this process only
    unhurried = retry.retry_delay

    def hurried(*args: Any, **options: Any) -> float | None:
        delay = unhurried(*args, **options)
        return None if delay is None else min(delay, 0.01)

    retry.retry_delay = hurried


HURRY = "tests.cli.situations:hurry"
ID, PROCESS = ("x7",), (CONFIGS[0].id,)
SOON = ("--timeout", 1.5)

CASES: Sequence[Case] = (
    Case(command="demo", arguments=lambda _: ("--workflows", 4), nonsense=("--workflows", "few"), system=""),
    Case(
        command="sandbox", arguments=lambda _: ("--port", 0), nonsense=("--fault", "nonsense"), system="", serves=True
    ),
    Case(command="report", arguments=lambda _: ("b.sqlite",), nonsense=("garbage",), system=""),
    Case(command="profiles", nonsense=("extra",), system=""),
    Case(command="list", arguments=listed("--limit", 20), nonsense=("--sort", "nonsense")),
    Case(command="list", arguments=listed("--limit", 20), nonsense=("--limit", "0"), release="16"),
    Case(command="list", arguments=listed("--limit", 20), nonsense=("--state", "nonsense"), system="preservica"),
    Case(command="show", arguments=with_ids(seeded("fails")), nonsense=ID),
    Case(command="show", arguments=with_ids(archived("42")), nonsense=ID, system="preservica"),
    Case(command="start", arguments=lambda box: (event(box), "fast"), nonsense=("event",)),
    Case(command="start", arguments=lambda box: (event(box), "noop", "--wait", *FAST), nonsense=("e", "d", "-p", "x")),
    Case(command="start", arguments=lambda _: ("Ingest Packages",), nonsense=("42", "43"), system="preservica"),
    Case(
        command="run",
        arguments=batch("event,definition", "{event},noop", "{event},noop"),
        nonsense=("garbage",),
    ),
    Case(command="run", arguments=batch("context", "42"), nonsense=("garbage",), system="preservica"),
    Case(
        command="watch",
        arguments=with_ids(started("noop"), seeded("noop"), more=FAST),
        nonsense=("x7", "8"),
        limits=SOON,
    ),
    Case(
        command="watch",
        arguments=with_ids(started("noop"), more=FAST),
        nonsense=("--filter", "nonsense"),
        release="16",
        limits=SOON,
    ),
    Case(command="watch", arguments=with_ids(archived("42"), more=FAST), nonsense=ID, system="preservica", limits=SOON),
    Case(command="stop", arguments=with_ids(running, running, more=("--yes",)), nonsense=(*ID, "--yes")),
    Case(
        command="stop",
        arguments=with_ids(archived("45", 0), more=("--yes",)),
        nonsense=(*ID, "--yes"),
        system="preservica",
    ),
    Case(command="pause", arguments=with_ids(running), nonsense=ID),
    Case(command="resume", arguments=with_ids(seeded("review")), nonsense=ID),
    Case(command="answer", arguments=with_ids(seeded("holds"), first=("retry",)), nonsense=("maybe", "7")),
    Case(command="retry", arguments=with_ids(archived("46")), nonsense=ID, system="preservica"),
    Case(command="delete", arguments=with_ids(seeded("noop"), more=("--yes",)), nonsense=(*ID, "--yes")),
    Case(command="count", nonsense=("--state", "nonsense")),
    Case(command="count", nonsense=("--state", "nonsense"), system="preservica"),
    Case(command="events", arguments=listed("--limit", 20), nonsense=("--status", "nonsense")),
    Case(command="check", nonsense=("extra",)),
    Case(command="check", nonsense=("extra",), system="preservica"),
    Case(command="definitions", arguments=listed("--limit", 5), nonsense=("--limit", "0")),
    Case(command="contexts", nonsense=("--type", "nonsense"), system="preservica"),
    Case(command="processes", nonsense=("extra",), system="preservica"),
    Case(command="activate", arguments=lambda _: PROCESS, nonsense=(), system="preservica"),
    Case(command="deactivate", arguments=lambda _: PROCESS, nonsense=(), system="preservica"),
    Case(command="monitors", arguments=listed("--limit", 5), nonsense=("--status", "nonsense"), system="preservica"),
)
