# Written by `python -m tests.support.sync_stubs`. Do not edit.

import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, Unpack

from workflow_async import batch, monitor
from workflow_async._core.auth import Secret
from workflow_async._core.call import OnUnreadable, ParameterValue
from workflow_async._listing.scan import Consistency
from workflow_async.batch import Ticket
from workflow_async.batch.journals import Path
from workflow_async.errors import PreparedStart
from workflow_async.monitor.events import Outcome
from workflow_async.monitor.waits import OnChange, Predicate, WhenParked
from workflow_async.observe.stats import Stats
from workflow_async.preservica import filters
from workflow_async.preservica.client import ClientOptions, PreservicaClient
from workflow_async.preservica.filters import WorkflowFilters
from workflow_async.preservica.process_wait import WhenProcessParked
from workflow_async.preservica.records import Context, Message, Monitor, Process, Started, Workflow
from workflow_async.preservica.start_backend import Start
from workflow_async.settings import Poll
from workflow_async.sync._client import SyncClient
from workflow_async.sync.streams import SyncListing, SyncOutcomeStream, SyncRun, SyncWatch

class SyncContexts:
    def list(
        self,
        *,
        definition_id: str | None = None,
        type: filters.WorkflowType | None = None,
        limit: int | None = None,
        unreadable: OnUnreadable = "raise",
        keep_raw: bool = False,
    ) -> SyncListing[Context]: ...

class SyncWorkflows:
    def list(
        self,
        *,
        newest_first: bool = True,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        consistency: Consistency = "fast",
        ahead: int = ...,
        with_errors: bool = False,
        with_active_steps: bool = False,
        with_step_inputs: bool = False,
        with_start_inputs: bool = False,
        with_outputs: bool = False,
        unreadable: OnUnreadable = "raise",
        resume: str | None = None,
        keep_raw: bool = False,
        **filters: Unpack[WorkflowFilters],
    ) -> SyncListing[Workflow]: ...
    def count(self, **filters: Unpack[WorkflowFilters]) -> int: ...
    def get(self, workflow_id: int | str, *, keep_raw: bool = False) -> Workflow: ...
    def start(
        self,
        context: Context | int | str | Ticket,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        timeout: float | None = None,
    ) -> Started: ...
    def terminate(self, *workflow_ids: int | str) -> None: ...
    def retry(self, *workflow_ids: int | str) -> int: ...
    def start_and_wait(
        self,
        context: Context | int | str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow: ...
    def watch(
        self,
        workflow_ids: Iterable[int | str] | None = None,
        *,
        poll: Poll = ...,
        stalled_after: float | timedelta | None = None,
        retry_stalled: int = 0,
        **filters: Unpack[WorkflowFilters],
    ) -> SyncWatch[Workflow]: ...
    def prepare_start(
        self,
        context: Context | int | str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        key: str | None = None,
    ) -> batch.Ticket: ...
    def reconcile(self, ticket: PreparedStart, *, wait: float = 30.0) -> batch.ReconcileResult[Workflow]: ...
    def run_all(
        self,
        starts: Iterable[Start | batch.Ticket],
        *,
        max_running: int = ...,
        low: int | None = None,
        count_others: bool = False,
        gate: batch.Gate | None = None,
        journal: Path | batch.Journal | None = None,
        poll: Poll = ...,
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
        retry_failed: bool = False,
        limit: int | None = None,
    ) -> SyncRun[Workflow]: ...
    def gate(
        self, *, max_running: int, low: int | None = None, count_others: bool = True, poll: Poll = ...
    ) -> batch.Gate: ...
    def wait(
        self,
        workflow_id: int | str,
        *,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: WhenParked = "wait",
        until: Predicate[Workflow] | None = None,
        on_change: OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow: ...
    def wait_all(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: WhenParked = "wait",
        until: Predicate[Workflow] | None = None,
        on_change: OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> tuple[Outcome[Workflow], ...]: ...
    def as_completed(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: WhenParked = "wait",
        until: Predicate[Workflow] | None = None,
        on_change: OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> SyncOutcomeStream[Workflow]: ...
    def export_durations(self) -> str: ...
    def import_durations(self, text: str) -> None: ...
    def wake(self, workflow_id: int | str | None = None) -> bool: ...

class SyncProcesses:
    def list(
        self, *, type: filters.Texts | None = None, limit: int | None = None, unreadable: OnUnreadable = "raise"
    ) -> SyncListing[Process]: ...
    def activate(self, process_id: str) -> bool: ...
    def deactivate(self, process_id: str) -> bool: ...

class SyncMonitors:
    def list(
        self,
        *,
        status: filters.MonitorStatus | Iterable[filters.MonitorStatus] | None = None,
        category: filters.MonitorCategory | Iterable[filters.MonitorCategory] | None = None,
        subcategory: str | None = None,
        name: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        unreadable: OnUnreadable = "raise",
    ) -> SyncListing[Monitor]: ...
    def wait(
        self,
        name: str,
        *,
        since: datetime | None = None,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: WhenProcessParked = "wait",
    ) -> Monitor: ...
    def messages(
        self,
        monitor_id: str,
        *,
        status: filters.MessageStatus | Iterable[filters.MessageStatus] | None = None,
        limit: int | None = None,
        page_size: int = 1000,
        unreadable: OnUnreadable = "raise",
    ) -> SyncListing[Message]: ...
    def timeseries(self, monitor_id: str) -> tuple[Any, ...]: ...

class SyncPreservicaClient(SyncClient[PreservicaClient]):
    contexts: SyncContexts
    workflows: SyncWorkflows
    processes: SyncProcesses
    monitors: SyncMonitors
    @classmethod
    def from_env(
        cls,
        *,
        username: str | None = None,
        password: str | Secret | None = None,
        tenant: str | None = None,
        server: str | None = None,
        two_factor: str | Secret | None = None,
        credentials_path: str | os.PathLike[str] = "credentials.properties",
        **options: Unpack[ClientOptions],
    ) -> Self: ...
    def stats(self) -> Stats: ...
