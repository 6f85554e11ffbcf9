"""A process that runs batches in child processes, each of which kills or stops itself at a given step.

It reads one order (JSON) per line from stdin. For each order it writes a line with the child's exit code, the results
of its batch, and its number of steps. A step is a point before or after an access to the journal or a start, or before
a file is made, renamed or removed. With an order as its argument, the process runs that batch itself.
"""

import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import nats
from attrs import define

from workflow_async import Clock, OpencastClient, Poll, opencast, preservica
from workflow_async._core.call import Replay
from workflow_async._core.transport import Transport
from workflow_async.batch import Run, journal  # noqa: F401 - imported here once, for all children
from workflow_async.distributed.nats import NatsJournal
from workflow_async.distributed.nats.journal_subject import FencedSubject
from workflow_async.errors import JournalError
from workflow_async.preservica import PreservicaClient

FILES = {"tempfile.mkstemp", "sqlite3.connect", "os.link", "os.remove"}
"""Audit events of files that are made, renamed or removed."""
SPEED = 50.0
"""The speed of the clients' clock, as of the sandbox's."""


@define
class Steps:
    """Counts steps, and kills or stops this process at step `fatal`."""

    fatal: int | None
    signal: int = signal.SIGKILL
    taken: int = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken == self.fatal:
            os.kill(os.getpid(), self.signal)

    def around(self, work: Callable[..., Awaitable[Any]], *, where: Callable[..., bool]) -> Callable[..., Any]:
        """Return the same work with a step before and a step after it."""

        async def stepping(*arguments: Any, **named: Any) -> Any:
            if not where(*arguments):
                return await work(*arguments, **named)
            self.step()
            done = await work(*arguments, **named)
            self.step()
            return done

        return stepping


def clock() -> Clock:
    return Clock(now=lambda: time.monotonic() * SPEED, sleep=lambda seconds: anyio.sleep(seconds / SPEED))


@asynccontextmanager
async def journal_of(order: dict[str, Any]) -> AsyncIterator[str | NatsJournal]:
    """Return the journal of an order: the path of a file, or a name in a stream."""
    if "nats" not in order:
        yield order["journal"]
        return
    client = await nats.connect(order["nats"])
    yield NatsJournal(client, Path(order["journal"]).stem, lease=order["lease"])
    await client.close()


def batch(order: dict[str, Any], client: OpencastClient | PreservicaClient, kept: str | NatsJournal) -> Run[Any]:
    settings: dict[str, Any] = {
        "max_running": order["max_running"],
        "journal": kept,
        "poll": Poll(interval=0.5, ceiling=1.0),
        "settle": 1.0,
    }
    if isinstance(client, OpencastClient):
        return client.workflows.run_all([opencast.Start(*start) for start in order["starts"]], **settings)
    return client.workflows.run_all([preservica.Start(*start) for start in order["starts"]], **settings)


def client_of(order: dict[str, Any]) -> OpencastClient | PreservicaClient:
    if order["system"] == "opencast":
        return OpencastClient(order["url"], auth=tuple(order["auth"]), clock=clock())
    username, password = order["auth"]
    return PreservicaClient(order["url"], username=username, password=password, tenant=order["tenant"], clock=clock())


async def run(order: dict[str, Any]) -> list[dict[str, Any]]:
    async with journal_of(order) as kept, client_of(order) as client, batch(order, client, kept) as outcomes:
        return [{"type": type(each).__name__, "id": each.id, "succeeded": each.succeeded} async for each in outcomes]


def take(order: dict[str, Any], steps: Steps) -> list[dict[str, Any]]:
    """Run a batch, and take a step before and after each access to its journal and each start."""
    if "nats" in order:
        subject: Any = FencedSubject
        subject.append = steps.around(subject.append, where=lambda *_: True)
    else:
        sys.addaudithook(lambda event, _: steps.step() if event in FILES else None)
        connection: Any = aiosqlite.Connection
        connection._execute = steps.around(connection._execute, where=lambda *_: True)
    transport: Any = Transport
    transport.send = steps.around(transport.send, where=lambda _, call: call.replay is Replay.ONCE)
    return anyio.run(run, order)


def child(order: dict[str, Any]) -> None:
    steps = Steps(order["fatal"])
    reported = take(order, steps)
    Path(order["answer"]).write_text(json.dumps({"results": reported, "steps": steps.taken}))


def one_line(order: dict[str, Any], steps: Steps) -> str:
    """Run a batch, and return the types of its results or its error."""
    try:
        return " ".join(result["type"] for result in take(order, steps))
    except JournalError as error:
        return str(error)


def main() -> None:
    if sys.argv[1:]:
        order = json.loads(sys.argv[1])
        sys.stdout.write(one_line(order, Steps(order["fatal"], signal.Signals[order["signal"]])))
        return
    for line in sys.stdin:
        order = json.loads(line)
        id = os.fork()
        if id == 0:
            child(order)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(id, 0)
        answer = Path(order["answer"])
        found = json.loads(answer.read_text()) if answer.exists() else {}
        answer.unlink(missing_ok=True)
        sys.stdout.write(json.dumps({"code": os.waitstatus_to_exitcode(status), **found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
