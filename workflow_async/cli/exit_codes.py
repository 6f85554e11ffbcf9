"""What the command line ends with: exit codes and the sentence before them."""

import enum
import os
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

import typer

from workflow_async.errors import (
    AlreadyFinished,
    InvalidArgument,
    JournalError,
    WaitTimeout,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
)

WORKFLOW_ERRORS = (WorkflowFailed, WorkflowParked, WaitTimeout, AlreadyFinished)
"""Errors that tell of a workflow, and not of the server."""


REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Exit(enum.IntEnum):
    """Exit codes."""

    DONE = 0
    FAILED = 1
    """A workflow did not succeed."""
    USAGE = 2
    SERVER = 3
    """The server or the network did not do its part."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    """Whoever read the output has gone; as for a program that SIGPIPE ended."""


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


class SandboxError(Exception):
    """The sandbox cannot be served where it was asked to be."""


def code_of(error: Exception) -> Exit:
    """The exit code an error leads to."""
    if isinstance(error, InvalidArgument | UsageError | JournalError):
        return Exit.USAGE
    return Exit.FAILED if isinstance(error, WORKFLOW_ERRORS) else Exit.SERVER


def worst_code(codes: Iterable[Exit]) -> Exit:
    """One code for many: what could not be observed weighs more than what failed."""
    return max(codes, default=Exit.DONE)


def printable_text(text: str) -> str:
    """A text from a server as one that cannot steer a terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else REPLACEMENT for char in text)


def print_error(error: Exception) -> None:
    """Say on stderr what went wrong, in one sentence."""
    typer.echo(f"workflow-async: {printable_text(' '.join(str(error).split()))}", err=True)


def run_and_exit(run: Callable[[], Exit]) -> NoReturn:
    """Run a command and end with its exit code; only a fault of our own leaves a traceback."""
    raise typer.Exit(_code(run))


def _code(run: Callable[[], Exit]) -> Exit:
    try:
        return run()
    except (
        UsageError,
        SandboxError,
        WorkflowAsyncError,
        KeyboardInterrupt,
        BrokenPipeError,
        BaseExceptionGroup,
    ) as error:
        return _exit_for(_first_error(error))


def _first_error(error: BaseException) -> BaseException:
    """The first error that a task group raised, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _exit_for(error: BaseException) -> Exit:
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The interpreter flushes stdout once more as it ends, which would fail again, loudly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED
    if not isinstance(error, UsageError | SandboxError | WorkflowAsyncError):
        raise error
    print_error(error)
    return code_of(error)
