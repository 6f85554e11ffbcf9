"""Maps errors to exit codes and prints them."""

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
    NotHeld,
    WaitTimeout,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
)

WORKFLOW_ERRORS = (WorkflowFailed, WorkflowParked, WaitTimeout, AlreadyFinished, NotHeld)
"""Errors about a workflow. All others are about the server or the network."""


REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Exit(enum.IntEnum):
    """Exit codes."""

    DONE = 0
    FAILED = 1
    """A workflow did not succeed."""
    USAGE = 2
    SERVER = 3
    """A request failed, or the state of a workflow is not known."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    """The reader of stdout has closed it. A program that SIGPIPE ends has the same code."""


class UsageError(Exception):
    """The arguments of the command are invalid."""


class SandboxError(Exception):
    """The sandbox could not be served at the given address."""


def code_of(error: Exception) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, InvalidArgument | UsageError | JournalError):
        return Exit.USAGE
    return Exit.FAILED if isinstance(error, WORKFLOW_ERRORS) else Exit.SERVER


def worst_code(codes: Iterable[Exit]) -> Exit:
    """Return the highest of several exit codes: a server error counts more than a failed workflow."""
    return max(codes, default=Exit.DONE)


def printable_text(text: str) -> str:
    """Return a text without characters that control a terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else REPLACEMENT for char in text)


def print_error(error: Exception) -> None:
    """Print an error on stderr, in one line."""
    typer.echo(f"workflow-async: {printable_text(' '.join(str(error).split()))}", err=True)


def run_and_exit(run: Callable[[], Exit]) -> NoReturn:
    """Run a command and exit with its code. An unexpected error keeps its traceback."""
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
    """Return the first error of an exception group, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _exit_for(error: BaseException) -> Exit:
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The interpreter flushes stdout at exit. That would fail again and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED
    if not isinstance(error, UsageError | SandboxError | WorkflowAsyncError):
        raise error
    print_error(error)
    return code_of(error)
