"""Maps errors to exit codes and prints them."""

import enum
import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn, TextIO

import typer

from workflow_async.cli.lookalikes import use_lookalikes
from workflow_async.cli.messages import error_text
from workflow_async.errors import (
    AlreadyFinished,
    BadRequest,
    CallError,
    Conflict,
    CountNotSupported,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    JournalError,
    ListingIncomplete,
    ListingNotSupported,
    NotAcceptable,
    NotFound,
    NotHeld,
    PartialFailure,
    ProcessNotFound,
    StartOutcomeUnknown,
    Unauthorized,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
)


class UsageError(Exception):
    """The arguments of the command are invalid."""


class SandboxError(Exception):
    """The sandbox could not be served at the given address."""


class SilentError(Exception):
    """The server has not answered."""


class OutputError(Exception):
    """The output cannot be written."""


class BrokerError(Exception):
    """NATS cannot be used."""


class BrokerRefusal(BrokerError):
    """NATS refuses the user."""


OWN_ERRORS = (UsageError, SandboxError, OutputError, BrokerError)
USAGE_ERRORS = (InvalidArgument, JournalError, BadRequest)
WORKFLOW_ERRORS = (WorkflowFailed, WorkflowParked)
REFUSALS = (Unauthorized, Forbidden, BrokerRefusal)
NOT_POSSIBLE = (
    *(AlreadyFinished, Conflict, CountNotSupported, ListingNotSupported, NotAcceptable, NotFound, NotHeld),
    *(PartialFailure, ProcessNotFound),
)
"""Errors that the same command would end with again. All others may pass, such as errors of the network."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""The errors of an output that takes no more."""
SQLITE_FULL = frozenset({10, 13})
"""SQLITE_IOERR and SQLITE_FULL, the errors of SQLite for the same."""


class Exit(enum.IntEnum):
    """Exit codes."""

    DONE = 0
    FAILED = 1
    """A workflow did not succeed."""
    USAGE = 2
    SERVER = 3
    """Try again later: no answer, an error of the server, too many requests, a timeout, or an unknown result."""
    REFUSED = 4
    """The user is not known or lacks a permission."""
    NOT_POSSIBLE = 5
    """Something does not exist, or its state does not allow the command."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    """The reader of stdout has closed it. A program that SIGPIPE ends has the same code."""


def code_of(error: Exception) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, StartOutcomeUnknown) or (isinstance(error, JournalError) and is_full(error.__context__)):
        return Exit.SERVER
    if isinstance(error, ForeignResponse) or (isinstance(error, CallError) and error.absent):
        return Exit.NOT_POSSIBLE if error.absent else Exit.SERVER
    if isinstance(error, ListingIncomplete) and error.role:
        return Exit.REFUSED
    kinds = ((*USAGE_ERRORS, UsageError), Exit.USAGE), (WORKFLOW_ERRORS, Exit.FAILED), (REFUSALS, Exit.REFUSED)
    found = (code for kind, code in (*kinds, (NOT_POSSIBLE, Exit.NOT_POSSIBLE)) if isinstance(error, kind))
    return next(found, Exit.SERVER)


def is_full(error: BaseException | None) -> bool:
    """Return True if a file could not be written because the disk is full, or a limit of the user is reached."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_FULL


def worst_code(codes: Iterable[Exit]) -> Exit:
    """Return the highest of several exit codes: what went wrong with a request counts more than a failed workflow."""
    return max(codes, default=Exit.DONE)


def printable_text(text: str) -> str:
    """Return a text without characters that control a terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else REPLACEMENT for char in text)


def print_error(error: Exception) -> None:
    """Print an error on stderr, in one line. Do nothing if stderr cannot be written."""
    try:
        typer.echo(f"workflow-async: {printable_text(' '.join(error_text(error).split()))}", err=True)
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: TextIO) -> None:
    """Write no more to the file of a stream.

    The interpreter flushes both streams at exit. Without this, that would fail again, and change the exit code.
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def run_and_exit(run: Callable[[], Exit]) -> NoReturn:
    """Run a command and exit with its code. An unexpected error keeps its traceback."""
    raise typer.Exit(_code(run))


def _code(run: Callable[[], Exit]) -> Exit:
    try:
        use_lookalikes()
        code = run()
        sys.stdout.flush()
    except (*OWN_ERRORS, WorkflowAsyncError, KeyboardInterrupt, OSError, BaseExceptionGroup) as error:
        return exit_for(_first_error(error))
    return code


def _first_error(error: BaseException) -> BaseException:
    """Return the first error of an exception group, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def exit_for(error: BaseException) -> Exit:
    """Print an error, and return its exit code. Raise an unexpected error again."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and is_full(error)):
        discard_output(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return Exit.PIPE_CLOSED
        unwritten = "".join(f". {note}" for note in getattr(error, "__notes__", ()))
        error = OutputError(f"the output cannot be written: {error.strerror}{unwritten}")
    if not isinstance(error, (*OWN_ERRORS, WorkflowAsyncError)):
        raise error
    print_error(error)
    return code_of(error)
