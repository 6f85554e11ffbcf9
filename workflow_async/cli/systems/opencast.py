"""Opencast for the command line."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Self, cast

from attrs import frozen

from workflow_async import OpencastClient, Poll
from workflow_async._listing.scan import Consistency
from workflow_async.auth import Basic, Bearer, Digest
from workflow_async.batch import Run, Ticket
from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.secret_sources import ask, secret_of
from workflow_async.cli.systems.changes import Change, ChangeResult
from workflow_async.cli.systems.checks import Check
from workflow_async.cli.systems.opencast_checks import opencast_checks
from workflow_async.cli.systems.opencast_tables import (
    COUNT_FILTERS,
    DEFINITIONS,
    ERRORS,
    EVENT_FILTERS,
    EVENTS,
    FILTERS,
    NO_PROCESSES,
    WORKFLOWS,
    SourcedPages,
)
from workflow_async.cli.systems.system import (
    BatchOptions,
    ErrorFinder,
    ErrorTable,
    PageTable,
    StartedWorkflow,
    used_filters,
)
from workflow_async.cli.target import Target, connection_options
from workflow_async.cli.timeline import Span
from workflow_async.monitor import Watch
from workflow_async.opencast import Definition, Event, Incident, Operation, Start, Workflow
from workflow_async.opencast.credential_sources import VARIABLES


@frozen
class OpencastSystem:
    """Opencast, with a client of one server."""

    client: OpencastClient

    name: ClassVar[str] = "opencast"
    title: ClassVar[str] = "Opencast"
    variables: ClassVar[Mapping[str, str]] = VARIABLES
    has_credentials_file: ClassVar[bool] = False
    own_commands: ClassVar[frozenset[str]] = frozenset({"events", "definitions", "pause", "resume", "answer", "delete"})
    start_columns: ClassVar[tuple[str, ...]] = ("event", "definition")

    @classmethod
    def from_target(cls, target: Target) -> Self:
        """Create the client from options, environment and prompts. Raise `UsageError` if something is missing."""
        if target.credentials is not None:
            raise UsageError("--credentials is an option for Preservica: give --password-file or set OPENCAST_PASSWORD")
        if not target.url:
            raise UsageError(
                "no server: give --url or --profile, or set OPENCAST_URL, or PRESERVICA_SERVER for Preservica"
            )
        roles = tuple(role.strip() for role in (target.run_with_roles or "").split(",") if role.strip())
        return cls(
            OpencastClient(
                target.url,
                auth=_credential(target),
                run_as_user=target.run_as,
                run_with_roles=roles,
                **connection_options(target),
            )
        )

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self.client.url

    def checks(self) -> Sequence[Check]:
        """Return the checks of the server."""
        return opencast_checks(self.client)

    def list_workflows(
        self, options: Mapping[str, object], *, limit: int | None, consistency: Consistency
    ) -> PageTable[Workflow]:
        """List workflows. Raise `UsageError` for a filter that Opencast does not have."""
        filters = used_filters(options, FILTERS, self.title)
        pages = SourcedPages(self.client.workflows.list(limit=limit, consistency=consistency, **filters).pages())
        return PageTable(WORKFLOWS, pages, pages.note)

    def list_events(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Event]:
        """List events. Raise `UsageError` for a filter that Opencast does not have."""
        filters = used_filters(options, EVENT_FILTERS, self.title)
        return PageTable(EVENTS, self.client.events.list(limit=limit, **filters).pages())

    def list_definitions(self, *, tags: Sequence[str] | None, limit: int | None) -> PageTable[Definition]:
        """List workflow definitions."""
        return PageTable(DEFINITIONS, self.client.definitions.list(tag=tags or None, limit=limit).pages())

    def list_contexts(self, *, type: str | None, definition: str | None) -> PageTable[Any]:
        """Raise `UsageError`, because Opencast has no contexts."""
        raise UsageError("Opencast has no workflow contexts: use the command definitions")

    def startable(self) -> PageTable[Definition]:
        """List what the last argument of a start can be."""
        return self.list_definitions(tags=None, limit=None)

    def list_processes(self, *, types: Sequence[str] | None) -> PageTable[Any]:
        """Raise `UsageError`, because Opencast has no ingest processes."""
        raise UsageError(NO_PROCESSES)

    async def switch_process(self, process_id: str, *, active: bool) -> bool:
        """Raise `UsageError`, because Opencast has no ingest processes."""
        raise UsageError(NO_PROCESSES)

    def list_monitors(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Any]:
        """Raise `UsageError`, because Opencast has no process monitors."""
        raise UsageError("Opencast has no process monitors: use the commands list and watch")

    async def get(self, workflow_id: str) -> Workflow:
        """Get a workflow with its operations and its configuration."""
        return await self.client.workflows.get(workflow_id, with_operations=True, with_configuration=True)

    def error_finder(self) -> ErrorFinder[Workflow]:
        """Return the function that gets the errors of workflows."""
        return self._errors

    async def _errors(self, workflows: Sequence[Workflow]) -> ErrorTable[Incident]:
        found = [
            error
            for workflow in workflows
            for error in await self.client.workflows.errors(workflow.id, event_id=workflow.event_id, with_details=True)
        ]
        return ErrorTable(ERRORS, found)

    def spans(self, workflow: Workflow) -> Sequence[Span]:
        """Return a span for each operation."""
        failed, reason = workflow.failed_operation, failure_text(workflow)
        return [
            _span(operation, ended=workflow.phase.final, reason=reason if operation is failed else "")
            for operation in workflow.operations or ()
        ]

    def kind(self, workflow: Workflow) -> str:
        """Return the name of what a workflow was started from: its definition or its context."""
        return workflow.definition_id

    async def start(self, arguments: Sequence[str], settings: Mapping[str, str]) -> StartedWorkflow:
        """Start a workflow from an event's id and a definition's id."""
        if len(arguments) != len(self.start_columns):
            raise UsageError("a start on Opencast needs two arguments, EVENT and DEFINITION")
        event, definition = arguments
        workflow = await self.client.workflows.start(event, definition, configuration=settings or None)
        message = f"Workflow {workflow.id} of {workflow.definition_id} is {workflow.state_text}"
        return StartedWorkflow(workflow.id, workflow, message)

    def change(self, name: str) -> Change:
        """Return the function for a change. Raise `UsageError` for "retry", which Opencast does not have."""
        workflows = self.client.workflows
        changes: dict[str, Callable[[int], Awaitable[Workflow | None]]] = {
            "stop": workflows.stop,
            "pause": workflows.pause,
            "resume": workflows.resume,
            "delete": workflows.delete,
            "answer retry": partial(workflows.answer, answer="retry"),
            "answer fail": partial(workflows.answer, answer="fail"),
        }
        if name not in changes:
            raise UsageError("Opencast retries only an operation on hold: use the command answer retry")
        return partial(_change, changes[name])

    async def count(self, options: Mapping[str, object]) -> int:
        """Count workflows. Raise `UsageError` for a filter that Opencast does not have."""
        return await self.client.workflows.count(**used_filters(options, COUNT_FILTERS, f"A count of {self.title}"))

    def watch(self, workflow_ids: Sequence[int], *, poll: Poll) -> Watch[Workflow]:
        """Watch workflows by id, with their operations."""
        return self.client.workflows.watch(workflow_ids, poll=poll, operations=True)

    def watch_filter(self, filter: Mapping[str, str], *, poll: Poll) -> Watch[Workflow]:
        """Watch the workflows that pass a filter. `workflows.watch` checks its names."""
        return self.client.workflows.watch(poll=poll, operations=True, **cast("Any", filter))

    def start_from_row(self, row: Mapping[str, str], settings: Mapping[str, str] | None, key: str | None) -> Start:
        """Return the start that a CSV row describes."""
        return Start(row["event"], row["definition"], settings, key)

    def ticket(self, start: Start) -> Ticket:
        """Return a start as a ticket."""
        return self.client.workflows.prepare_start(
            start.event_id, start.definition_id, start.configuration, key=start.key
        )

    def run_all(self, starts: Sequence[Start], options: BatchOptions) -> Run[Workflow]:
        """Return the run of a batch."""
        return self.client.workflows.run_all(
            starts,
            max_running=options.max_running,
            low=options.low,
            count_others=options.count_others,
            on_conflict=options.on_conflict,
            journal=options.journal,
            poll=options.poll,
            parked=options.parked,
            settle=options.settle,
            start_unknown_again=options.start_unknown_again,
            retry_failed=options.retry_failed,
            limit=options.limit,
        )


def _credential(target: Target) -> Basic | Bearer | Digest:
    """Return the token of the target, else its user name and password. Raise `UsageError` if something is missing."""
    token = secret_of(target, "token")
    if token is not None:
        if target.digest:
            raise UsageError("--digest is for a user name and a password: remove it, or the token")
        return Bearer(token)
    username = target.username or ask(target, "User name")
    password = secret_of(target, "password") or ask(target, f"Password of {username}", hidden=True)
    if not username or not password:
        raise UsageError("no credentials: set OPENCAST_USERNAME and OPENCAST_PASSWORD, or give --password-file")
    return (Digest if target.digest else Basic)(username, password)


async def _change(change: Callable[[int], Awaitable[Workflow | None]], id: int) -> ChangeResult:
    workflow = await change(id)
    if workflow is None:
        return ChangeResult({"id": id, "deleted": True}, f"Workflow {id} is deleted")
    return ChangeResult(workflow, f"Workflow {id} is {workflow.state_text}")


def _span(operation: Operation, *, ended: bool, reason: str) -> Span:
    # A stopped workflow can keep an operation in the state `running`.
    done = operation.state.final or ended
    queued = timedelta(seconds=operation.queued) if operation.queued is not None else None
    return Span(
        operation.operation,
        operation.state_text,
        operation.start,
        operation.completion,
        done=done,
        queued=queued,
        reason=reason,
    )
