"""Preservica for the command line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, cast

from attrs import frozen

from workflow_async import Poll
from workflow_async._listing.scan import Consistency
from workflow_async.batch import Run, Ticket
from workflow_async.batch.workflow_details import failure_text
from workflow_async.cli.columns import Column
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.styles import word_style, workflow_style
from workflow_async.cli.systems.changes import Change, ChangeRefused, ChangeResult, NothingToStop
from workflow_async.cli.systems.checks import Check
from workflow_async.cli.systems.preservica_client import preservica_checks, preservica_client
from workflow_async.cli.systems.system import BatchOptions, ErrorFinder, PageTable, StartedWorkflow, used_filters
from workflow_async.cli.target import Target
from workflow_async.cli.timeline import Span, format_instant
from workflow_async.errors import PartialFailure
from workflow_async.monitor import Watch
from workflow_async.phase import Phase
from workflow_async.preservica import Context, Monitor, PreservicaClient, Process, Start, Workflow, WorkflowType


def _files(monitor: Monitor) -> str:
    """Return how many files of a process are done, and of how many if that is known."""
    done, pending = monitor.files_processed, monitor.files_pending
    if done is None:
        return ""
    return str(done) if pending is None else f"{done} of {done + pending}"


FILTERS = {name: name for name in ("state", "type", "context", "creator", "since", "until")}
"""The client's name of each filter option."""
WORKFLOWS: Sequence["Column[Workflow]"] = (
    Column("ID", lambda workflow: str(workflow.id), 9),
    Column("STATE", lambda workflow: workflow.state_text, 22, narrow=10, style=workflow_style),
    Column("STARTED", lambda workflow: format_instant(workflow.started), 19),
    Column("CONTEXT", lambda workflow: workflow.context_name or ""),
    Column("STEP", lambda workflow: workflow.step or ""),
    Column("CREATOR", lambda workflow: workflow.creator or "", 20, from_width=140),
)
CONTEXTS: Sequence["Column[Context]"] = (
    Column("ID", lambda context: context.id, 9),
    Column("NAME", lambda context: context.name),
)
PROCESSES: Sequence["Column[Process]"] = (
    Column("ID", lambda process: process.id, 36),
    Column("TYPE", lambda process: process.type, 10),
    Column("ACTIVE", lambda process: {True: "on", False: "off", None: ""}[process.active], 6),
    Column("NAME", lambda process: process.name),
)
MONITOR_FILTERS = {name: name for name in ("status", "category", "subcategory", "name", "since")}
"""The client's name of each filter option of monitors."""
MONITORS: Sequence["Column[Monitor]"] = (
    Column("STATUS", lambda monitor: monitor.status, 12, style=lambda monitor: word_style(monitor.status)),
    Column("STARTED", lambda monitor: format_instant(monitor.started), 19, from_width=100),
    Column("DONE", lambda monitor: f"{monitor.percent_complete}%" if monitor.percent_complete.strip() else "", 5),
    Column("FILES", _files, 13, from_width=100),
    Column("ERRORS", lambda monitor: "" if monitor.errors is None else str(monitor.errors), 6),
    Column("NAME", lambda monitor: monitor.name),
    Column("PROGRESS", lambda monitor: monitor.progress_text, below=True),
)


@frozen
class PreservicaSystem:
    """Preservica, with a client of one server."""

    client: PreservicaClient

    name: ClassVar[str] = "preservica"
    title: ClassVar[str] = "Preservica"
    variables: ClassVar[Mapping[str, str]] = {
        "url": "PRESERVICA_SERVER",
        "username": "PRESERVICA_USERNAME",
        "password": "PRESERVICA_PASSWORD",
        "tenant": "PRESERVICA_TENANT",
    }
    has_credentials_file: ClassVar[bool] = True
    own_commands: ClassVar[frozenset[str]] = frozenset(
        {"contexts", "processes", "activate", "deactivate", "monitors", "retry"}
    )
    start_columns: ClassVar[tuple[str, ...]] = ("context",)

    @classmethod
    def from_target(cls, target: Target) -> Self:
        """Create the client from options, environment, file and prompt.

        Raises `UsageError` for an option of Opencast.
        """
        return cls(preservica_client(target))

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self.client.url

    def checks(self) -> Sequence[Check]:
        """Return the checks of the server: the login, and the list of workflows."""
        return preservica_checks(self.client)

    def list_workflows(
        self, options: Mapping[str, object], *, limit: int | None, consistency: Consistency
    ) -> PageTable[Workflow]:
        """List workflows. Raise `UsageError` for a filter that Preservica does not have."""
        filters = used_filters(options, FILTERS, self.title)
        listing = self.client.workflows.list(limit=limit, consistency=consistency, **filters)
        return PageTable(WORKFLOWS, listing.pages())

    def list_events(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Any]:
        """Raise `UsageError`, because Preservica has no events."""
        raise UsageError("Preservica has no events: use the command list")

    def list_definitions(self, *, tags: Sequence[str] | None, limit: int | None) -> PageTable[Any]:
        """Raise `UsageError`, because Preservica has no list of definitions."""
        raise UsageError("Preservica has no list of workflow definitions: use the command contexts")

    def list_contexts(self, *, type: str | None, definition: str | None) -> PageTable[Context]:
        """List workflow contexts."""
        listing = self.client.contexts.list(definition_id=definition, type=cast("WorkflowType | None", type))
        return PageTable(CONTEXTS, listing.pages())

    def startable(self) -> PageTable[Context]:
        """List what the last argument of a start can be."""
        return self.list_contexts(type=None, definition=None)

    def list_processes(self, *, types: Sequence[str] | None) -> PageTable[Process]:
        """List ingest processes."""
        return PageTable(PROCESSES, self.client.processes.list(type=types or None).pages())

    async def switch_process(self, process_id: str, *, active: bool) -> bool:
        """Switch an ingest process. Return True if it is on now."""
        processes = self.client.processes
        return await (processes.activate(process_id) if active else processes.deactivate(process_id))

    def list_monitors(self, options: Mapping[str, object], *, limit: int | None) -> PageTable[Monitor]:
        """List process monitors."""
        filters = used_filters(options, MONITOR_FILTERS, self.title)
        return PageTable(MONITORS, self.client.monitors.list(limit=limit, **filters).pages())

    async def get(self, workflow_id: str) -> Workflow:
        """Get a workflow."""
        return await self.client.workflows.get(workflow_id)

    def error_finder(self) -> ErrorFinder[Workflow]:
        """Raise `UsageError`, because the record of a workflow holds all that Preservica says about its errors."""
        raise UsageError("--errors is an option for Opencast: the record holds the errors that Preservica reports")

    def spans(self, workflow: Workflow) -> Sequence[Span]:
        """Return one span for the workflow. A record has no times of its steps."""
        name = workflow.step or workflow.context_name or ""
        reason = failure_text(workflow) if workflow.phase is Phase.FAILED else ""
        times = workflow.started, workflow.finished
        return [Span(name, workflow.state_text, *times, done=workflow.phase.final, reason=reason)]

    def kind(self, workflow: Workflow) -> str:
        """Return the name of what a workflow was started from: its definition or its context."""
        return workflow.context_name or workflow.definition_name or ""

    async def start(self, arguments: Sequence[str], settings: Mapping[str, str]) -> StartedWorkflow:
        """Start a workflow from a context's id or name."""
        if len(arguments) != len(self.start_columns):
            raise UsageError("a start on Preservica needs one argument, the id or the name of a CONTEXT")
        started = await self.client.workflows.start(arguments[0], settings or None)
        return StartedWorkflow(
            started.id, started, f"Workflow {started.id} started with correlation id {started.correlation_id}"
        )

    def change(self, name: str) -> Change:
        """Return the function for a change. Raise `UsageError` for one that Preservica does not have."""
        if name == "stop":
            return self._terminate
        if name == "retry":
            return self._retry
        raise UsageError(f"Preservica cannot {name} a workflow: it has the commands stop and retry")

    async def _terminate(self, id: int) -> ChangeResult:
        """Ask the server to terminate a workflow. It ends some time after the response."""
        workflow = await self.client.workflows.get(id)  # the server accepts ids that do not exist
        if workflow.phase.final:
            raise NothingToStop(workflow)
        try:
            await self.client.workflows.terminate(id)
        except PartialFailure:
            raise ChangeRefused("terminate", workflow) from None
        return ChangeResult({"id": id, "asked": "terminate"}, f"Workflow {id} will be terminated")

    async def _retry(self, id: int) -> ChangeResult:
        """Ask the server to retry a workflow."""
        workflow = await self.client.workflows.get(id)
        try:
            await self.client.workflows.retry(id)
        except PartialFailure:
            raise ChangeRefused("retry", workflow) from None
        return ChangeResult({"id": id, "asked": "retry"}, f"Workflow {id} will be retried")

    async def count(self, options: Mapping[str, object]) -> int:
        """Count workflows. Raise `UsageError` for a filter that Preservica does not have."""
        return await self.client.workflows.count(**used_filters(options, FILTERS, self.title))

    def watch(self, workflow_ids: Sequence[int], *, poll: Poll) -> Watch[Workflow]:
        """Watch workflows by id."""
        return self.client.workflows.watch(workflow_ids, poll=poll)

    def watch_filter(self, filter: Mapping[str, str], *, poll: Poll) -> Watch[Workflow]:
        """Watch the workflows that pass a filter. `workflows.watch` checks its names."""
        watch: Callable[..., Watch[Workflow]] = self.client.workflows.watch
        return watch(poll=poll, **filter)

    def start_from_row(self, row: Mapping[str, str], settings: Mapping[str, str] | None, key: str | None) -> Start:
        """Return the start that a CSV row describes."""
        return Start(row["context"], settings, key)

    def ticket(self, start: Start) -> Ticket:
        """Return a start as a ticket."""
        return self.client.workflows.prepare_start(start.context, start.parameters, key=start.key)

    def run_all(self, starts: Sequence[Start], options: BatchOptions) -> Run[Workflow]:
        """Return the run of a batch. Raise `UsageError` for an `on_conflict` other than "raise"."""
        if options.on_conflict != "raise":
            raise UsageError("--on-conflict is an option for Opencast: remove it, starts on Preservica do not conflict")
        return self.client.workflows.run_all(
            starts,
            max_running=options.max_running,
            low=options.low,
            count_others=options.count_others,
            journal=options.journal,
            poll=options.poll,
            parked=options.parked,
            settle=options.settle,
            start_unknown_again=options.start_unknown_again,
            retry_failed=options.retry_failed,
            limit=options.limit,
        )
