"""A synchronous client can be used in forked processes, and the interpreter ends with open clients."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.forked_clients import AUTH
from tests.unit.sync.conftest import Connect
from workflow_async.errors import ClientClosed, WrongEventLoop
from workflow_async.sandbox import Sandbox
from workflow_async.sync._portal import Portal, _process

TIMEOUT = 60.0


@pytest.fixture
def url() -> Iterator[str]:
    with Sandbox("11") as sandbox:
        assert sandbox.opencast.auth == AUTH
        sandbox.opencast.seed(5)
        yield sandbox.opencast.url


def run(program: str, url: str) -> tuple[list[str], str]:
    """Run a program. Return what it printed to stdout and to stderr."""
    command = [sys.executable, "-W", "default", "-m", "tests.support.forked_clients", program, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines()), done.stderr


def test_a_client_that_was_used_before_a_fork_works_in_both_processes(url: str) -> None:
    assert run("fork_after_use", url)[0] == ["child True 2", "exit 0", "parent True"]


def test_a_child_that_drops_the_client_does_not_disturb_the_parent(url: str) -> None:
    printed, errors = run("fork_and_forget", url)
    assert printed == ["child", "exit 0", "parent True"]
    assert "Task was destroyed" not in errors


def test_a_fork_while_other_threads_use_the_client_works(url: str) -> None:
    assert run("fork_in_use", url)[0] == ["child True"] * 5 + ["exit {0}", "parent True"]


def test_an_object_of_the_parent_is_refused_in_the_child_and_a_service_is_not(url: str) -> None:
    printed, _ = run("fork_with_objects", url)
    assert printed[:3] == ["child True", "exit 0", "parent True"]
    assert [line.split(":")[0] for line in printed[3:]] == [
        "refused this object was made before the process was forked"
    ] * 2


def test_the_workers_of_a_pool_that_forks_share_a_client(url: str) -> None:
    assert run("prefork", url)[0] == ["parent True", "workers {True} True"]


def test_the_interpreter_ends_with_an_open_client_and_warns(url: str) -> None:
    printed, errors = run("leave_open", url)
    assert printed == ["parent True"]
    assert "ResourceWarning: unclosed OpencastClient('http://127.0.0.1" in errors
    assert errors.count("ResourceWarning") == 1


@contextmanager
def as_if_forked() -> Iterator[Portal]:
    """Let the event loop look like the one of a parent process. Yield it, and end the one that was used instead."""
    portal = _process.portal
    assert portal is not None
    pid, portal._pid = portal._pid, -1
    yield portal
    _process.at_exit()
    portal._pid = pid


def test_after_a_fork_the_client_is_made_again_and_what_it_returned_before_is_refused(connect: Connect) -> None:
    oc = connect()
    listing = oc.workflows.list()
    with as_if_forked() as parent:
        assert oc.version().default
        with pytest.raises(WrongEventLoop, match="before the process was forked"):
            list(listing)
        oc.close()
    with pytest.warns(ResourceWarning, match="unclosed OpencastClient"):
        parent.end()


def test_a_client_of_the_caller_is_refused_after_a_fork(connect: Connect) -> None:
    version = {"default": "v1.0.0", "versions": ["v1.0.0"]}
    borrowed = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=version)))
    oc = connect(http=borrowed)
    assert oc.version().default == "v1.0.0"
    with as_if_forked(), pytest.raises(WrongEventLoop, match="`http=` was used before"):
        oc.version()
    oc.close()


def test_a_client_that_is_closed_after_a_fork_leaves_the_connections_of_the_parent(connect: Connect) -> None:
    oc = connect()
    oc.version()
    with as_if_forked() as parent:
        oc.close()
        assert len(parent._clients) == 1
        with pytest.raises(ClientClosed):
            oc.version()
    with pytest.warns(ResourceWarning):
        parent.end()
