"""Programs that fork after a synchronous client was used: `python -m tests.support.forked_clients PROGRAM URL`.

Each prints one line for each process that got what it asked for.
"""

import gc
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from workflow_async import OpencastClient
from workflow_async.errors import WrongEventLoop
from workflow_async.sync import SyncListing, SyncOpencastClient

AUTH = ("admin", "opencast")
oc: SyncOpencastClient


def say(*words: object) -> None:
    """Print a line that no other process splits."""
    print(*words, flush=True)  # noqa: T201 - the test reads it


def ids() -> list[int]:
    """Return the ids of all workflows."""
    return [workflow.id for workflow in oc.workflows.list(page_size=2)]


def in_child(work: Callable[[], object]) -> int:
    """Run a function in a forked process, which ends as a program does. Return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    work()
    sys.exit(0)


def fork_after_use() -> None:
    """Use the client before the fork, then in the child, then in the parent."""
    before = ids()

    def child() -> None:
        say("child", ids() == before, threading.active_count())
        oc.close()

    say("exit", in_child(child))
    say("parent", ids() == before)


def fork_and_forget() -> None:
    """Drop the client in the child, collect garbage there, and leave the child without closing anything."""
    before = ids()

    def child() -> None:
        del globals()["oc"]
        gc.collect()
        say("child")

    say("exit", in_child(child))
    say("parent", ids() == before)


def fork_in_use() -> None:
    """Fork while other threads use the client."""
    before, stop = ids(), threading.Event()

    def use() -> None:
        while not stop.is_set():
            ids()

    busy = [threading.Thread(target=use) for _ in range(4)]
    for thread in busy:
        thread.start()
    codes = [in_child(lambda: say("child", ids() == before)) for _ in range(5)]
    stop.set()
    for thread in busy:
        thread.join()
    say("exit", {*codes})
    say("parent", ids() == before)


def fork_with_objects() -> None:
    """Use objects of the parent in the child."""
    listing: SyncListing[Any] = oc.workflows.list()
    watch = oc.workflows.watch([1000])
    workflows = oc.workflows

    def child() -> None:
        for use in (lambda: [*listing], watch.__enter__):
            try:
                use()
            except WrongEventLoop as error:
                say("refused", error)
        say("child", [workflow.id for workflow in workflows.list()] == ids())

    with oc:
        say("exit", in_child(child))
        say("parent", [workflow.id for workflow in listing] == ids())


def prefork() -> None:
    """Share one client among the workers of a pool that forks, as Celery and gunicorn with `--preload` do."""
    before = ids()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(work, range(40), chunksize=1)
    say("workers", {ids == before for ids, _ in found}, len({pid for _, pid in found}) > 1)
    say("parent", ids() == before)


def work(_: int) -> tuple[list[int], int]:
    """Run one task of a worker."""
    return ids(), os.getpid()


def leave_open() -> None:
    """End without closing the client."""
    say("parent", bool(ids()))


PROGRAMS = {
    program.__name__: program
    for program in (fork_after_use, fork_and_forget, fork_in_use, fork_with_objects, prefork, leave_open)
}


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    oc = OpencastClient.sync(sys.argv[2], auth=AUTH)
    PROGRAMS[sys.argv[1]]()
