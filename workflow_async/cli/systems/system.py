"""Defines what the commands ask of a system."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar

from attrs import field, frozen

from workflow_async import Page, Poll
from workflow_async._core.client import Client
from workflow_async._listing.scan import Consistency
from workflow_async.batch import OnConflict, Run, Ticket
from workflow_async.cli.columns import Column
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.systems.changes import Change
from workflow_async.cli.systems.checks import Check
from workflow_async.cli.target import Target
from workflow_async.cli.timeline import Span
from workflow_async.monitor import Watch, WhenParked
from workflow_async.phase import Workflow

T = TypeVar("T")
W = TypeVar("W", bound=Workflow)
S = TypeVar("S")


@frozen
class PageTable(Generic[T]):
    """The pages of a listing, and the columns that show their records."""

    columns: Sequence[Column[T]]
    pages: AsyncIterator[Page[T]]
    note: Callable[[], str] = field(default=lambda: "")
    """Returns what to say about the listing after its last page, "" for nothing."""


@frozen
class ErrorTable(Generic[T]):
    """The errors of workflows, and the columns that show them."""

    columns: Sequence[Column[T]]
    errors: Sequence[T]


ErrorFinder: TypeAlias = Callable[[Sequence[W]], Awaitable[ErrorTable[Any]]]


@frozen
class StartedWorkflow:
    """The result of a start."""

    id: int | None
    """None if the response does not contain the id."""
    record: object
    message: str


@frozen(kw_only=True)
class BatchOptions:
    """The options of a batch, with the names and types of `workflows.run_all`."""

    max_running: int
    low: int | None
    count_others: bool
    on_conflict: OnConflict
    """Only "raise" where starts cannot conflict."""
    journal: Path | None
    poll: Poll
    parked: WhenParked
    settle: float
    start_unknown_again: bool
    retry_failed: bool
    limit: int | None


class System(Protocol[W, S]):
    """A system with a client of one server. `W` is its record of a workflow, `S` its record of a start."""

    name: ClassVar[str]
    """The value of `--system`."""
    title: ClassVar[str]
    """The name in messages."""
    variables: ClassVar[Mapping[str, str]]
    """The environment variable of each option that reads one."""
    has_credentials_file: ClassVar[bool]
    """True if `--credentials` implies this system."""
    own_commands: ClassVar[frozenset[str]]
    """The commands that only this system has."""
    start_columns: ClassVar[tuple[str, ...]]
    """The columns that a CSV file of starts must have."""

    @property
    def client(self) -> Client:
        """The client. The command opens it."""
        ...

    @property
    def url(self) -> str:
        """The base URL of the server."""
        ...

    def checks(self) -> Sequence[Check]:
        """Return the checks of the server. The first one shows whether it can be used at all."""
        ...

    @classmethod
    def from_target(cls, target: Target) -> Self:
        """Create the client from options, environment and prompts. Raise `UsageError` if something is missing."""
        ...

    def list_workflows(
        self, options: Mapping[str, object], *, limit: int | None, consistency: Consistency
    ) -> PageTable[Any]:
        """List workflows. `options` are the filters by option name, None or [] where not given.

        Raises `UsageError` for a filter that the system does not have.
        """
        ...

    def list_events(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Any]:
        """List events. `options` are the filters by option name, None or [] where not given.

        Raises `UsageError` if the system has none.
        """
        ...

    def list_definitions(self, *, tags: Sequence[str] | None, limit: int | None) -> PageTable[Any]:
        """List workflow definitions. Raise `UsageError` if the system has none."""
        ...

    def list_contexts(self, *, type: str | None, definition: str | None) -> PageTable[Any]:
        """List workflow contexts. Raise `UsageError` if the system has none."""
        ...

    def startable(self) -> PageTable[Any]:
        """List what the last argument of a start can be: definitions or contexts."""
        ...

    def list_processes(self, *, types: Sequence[str] | None) -> PageTable[Any]:
        """List ingest processes. Raise `UsageError` if the system has none."""
        ...

    async def switch_process(self, process_id: str, *, active: bool) -> bool:
        """Switch an ingest process. Return True if it is on now. Raise `UsageError` if the system has none."""
        ...

    def list_monitors(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Any]:
        """List process monitors. `options` are the filters by option name, None or [] where not given.

        Raises `UsageError` if the system has none.
        """
        ...

    async def get(self, workflow_id: str) -> W:
        """Get a workflow with all that the server tells about it."""
        ...

    def error_finder(self) -> ErrorFinder[W]:
        """Return the function that gets the errors of workflows. Raise `UsageError` if the system has none."""
        ...

    def spans(self, workflow: W) -> Sequence[Span]:
        """Return the time spans in a record. Their total is the duration of the workflow."""
        ...

    def kind(self, workflow: W) -> str:
        """Return the name of what a workflow was started from: its definition or its context."""
        ...

    async def start(self, arguments: Sequence[str], settings: Mapping[str, str]) -> StartedWorkflow:
        """Start a workflow from command-line arguments. Raise `UsageError` for a wrong number of them."""
        ...

    def change(self, name: str) -> Change:
        """Return the function for a change, such as "stop". Raise `UsageError` if the system has no such change."""
        ...

    async def count(self, options: Mapping[str, object]) -> int:
        """Count workflows. `options` are the filters by option name, None or [] where not given.

        Raises `UsageError` for a filter that the system does not have.
        """
        ...

    def watch(self, workflow_ids: Sequence[int], *, poll: Poll) -> Watch[W]:
        """Watch workflows by id."""
        ...

    def watch_filter(self, filter: Mapping[str, str], *, poll: Poll) -> Watch[W]:
        """Watch the workflows that pass a filter. Its names are those of `workflows.watch`."""
        ...

    def start_from_row(self, row: Mapping[str, str], settings: Mapping[str, str] | None, key: str | None) -> S:
        """Return the start that a CSV row describes."""
        ...

    def ticket(self, start: S) -> Ticket:
        """Return a start as a ticket. Raises `InvalidArgument` for a start that cannot be sent."""
        ...

    def run_all(self, starts: Sequence[S], options: BatchOptions) -> Run[W]:
        """Return the run of a batch. Raise `UsageError` for an option that the system does not have."""
        ...


AnySystem: TypeAlias = System[Any, Any]


def used_filters(options: Mapping[str, object], known: Mapping[str, str], title: str) -> dict[str, Any]:
    """Return the filters that were given, under the names that the client uses.

    Args:
        options: values by option name, None or [] where not given.
        known: the client's names by option name.
        title: the system's name for the message.

    Raises:
        UsageError: for an option that is not in `known`.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    unknown = given.keys() - known.keys()
    if unknown:
        raise UsageError(f"{title} cannot filter by {', '.join(f'--{name}' for name in sorted(unknown))}")
    return {known[name]: value for name, value in given.items()}
