# Written by `python -m tests.support.sync_stubs`. Do not edit.

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Literal, Self, Unpack, overload

from workflow_async import batch, monitor
from workflow_async._core.call import OnUnreadable, ParameterValue
from workflow_async._listing.scan import Consistency
from workflow_async.auth import Secret
from workflow_async.batch import OnConflict, Ticket
from workflow_async.batch.journals import Path
from workflow_async.errors import PreparedStart
from workflow_async.monitor.events import Outcome
from workflow_async.monitor.waits import OnChange, Predicate, WhenParked
from workflow_async.observe.stats import Stats
from workflow_async.opencast import filters
from workflow_async.opencast.client import ClientOptions, OpencastClient
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.event_query import EventFilters, EventListSort
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.filters import States
from workflow_async.opencast.incident_calls import HoldAnswer
from workflow_async.opencast.incidents import Incident
from workflow_async.opencast.records import State, Workflow
from workflow_async.opencast.server_records import Me, Organization, Version
from workflow_async.opencast.start_backend import Start
from workflow_async.settings import Poll
from workflow_async.sync._client import SyncClient
from workflow_async.sync.streams import SyncListing, SyncOutcomeStream, SyncRun, SyncWatch

class SyncWorkflows:
    def list(
        self,
        *,
        sort: filters.EventSort | None = None,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        consistency: Consistency = "fast",
        ahead: int = ...,
        literal: bool = False,
        with_operations: bool = False,
        with_configuration: bool = False,
        unreadable: OnUnreadable = "raise",
        resume: str | None = None,
        keep_raw: bool = False,
        **filter: Unpack[filters.WorkflowFilters],
    ) -> SyncListing[Workflow]: ...
    def get(
        self,
        workflow_id: int | str,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        keep_raw: bool = False,
    ) -> Workflow: ...
    def for_event(self, event_id: str, *, unreadable: OnUnreadable = "raise") -> tuple[Workflow, ...]: ...
    def watch(
        self,
        workflow_ids: Iterable[int | str] | None = None,
        *,
        poll: Poll = ...,
        operations: bool = False,
        stalled_after: float | timedelta | None = None,
        **filter: Unpack[filters.WorkflowFilters],
    ) -> SyncWatch[Workflow]: ...
    @overload
    def start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        poll: Poll = ...,
        timeout: float | None = None,
    ) -> Workflow: ...
    @overload
    def start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: OnConflict,
        poll: Poll = ...,
        timeout: float | None = None,
    ) -> Workflow | None: ...
    @overload
    def start(
        self,
        ticket: Ticket,
        /,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        poll: Poll = ...,
        timeout: float | None = None,
    ) -> Workflow: ...
    @overload
    def start(
        self,
        ticket: Ticket,
        /,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: OnConflict,
        poll: Poll = ...,
        timeout: float | None = None,
    ) -> Workflow | None: ...
    @overload
    def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        timeout: float | None = None,
        poll: Poll = ...,
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow: ...
    @overload
    def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        on_conflict: OnConflict,
        timeout: float | None = None,
        poll: Poll = ...,
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow | None: ...
    def errors(
        self, workflow_id: int | str, *, event_id: str | None = None, with_details: bool = False
    ) -> tuple[Incident, ...]: ...
    def answer(self, workflow_id: int | str, answer: HoldAnswer, *, settle: float = ...) -> Workflow: ...
    def update(
        self,
        workflow_id: int | str,
        *,
        state: State | str | None = None,
        configuration: Mapping[str, ParameterValue] | None = None,
        merge: bool = False,
        force: bool = False,
        settle: float = ...,
        with_operations: bool = False,
        with_configuration: bool = False,
    ) -> Workflow: ...
    def replace_configuration(
        self,
        workflow_id: int | str,
        configuration: Mapping[str, ParameterValue],
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
    ) -> Workflow: ...
    def pause(self, workflow_id: int | str, *, force: bool = False) -> Workflow: ...
    def resume(self, workflow_id: int | str, *, settle: float = ...) -> Workflow: ...
    def stop(self, workflow_id: int | str, *, force: bool = False) -> Workflow: ...
    def delete(self, workflow_id: int | str) -> None: ...
    def count(
        self, *, state: States | None = None, definition_id: str | None = None, current_operation: str | None = None
    ) -> int: ...
    def gate(
        self, *, max_running: int, low: int | None = None, count_others: bool = True, poll: Poll = ...
    ) -> batch.Gate: ...
    def prepare_start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        key: str | None = None,
        baseline: int | None = None,
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
        on_conflict: batch.OnConflict = "raise",
        journal: Path | batch.Journal | None = None,
        poll: Poll = ...,
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
        retry_failed: bool = False,
        limit: int | None = None,
    ) -> SyncRun[Workflow]: ...
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

class SyncDefinitions:
    def list(
        self,
        *,
        tag: filters.Texts | None = None,
        sort: filters.DefinitionSort | Iterable[filters.DefinitionSort] | None = None,
        limit: int | None = None,
        offset: int = 0,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
        unreadable: OnUnreadable = "raise",
        keep_raw: bool = False,
    ) -> SyncListing[Definition]: ...
    def get(
        self,
        definition_id: str,
        *,
        with_operations: bool = False,
        with_configuration_panel: bool = False,
        with_configuration_panel_json: bool = False,
        keep_raw: bool = False,
    ) -> Definition: ...

class SyncEvents:
    def list(
        self,
        *,
        sort: EventListSort | None = None,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        ahead: int = ...,
        unreadable: OnUnreadable = "raise",
        **filter: Unpack[EventFilters],
    ) -> SyncListing[Event]: ...

class SyncOpencastClient(SyncClient[OpencastClient]):
    workflows: SyncWorkflows
    definitions: SyncDefinitions
    events: SyncEvents
    @classmethod
    def from_env(
        cls,
        *,
        url: str | None = None,
        username: str | None = None,
        password: str | Secret | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self: ...
    def version(self) -> Version: ...
    def me(self, *, with_roles: bool = False) -> Me: ...
    def organization(self) -> Organization: ...
    def stats(self) -> Stats: ...
