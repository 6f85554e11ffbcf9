"""The state of one Opencast: its events, definitions, workflows and accounts."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field

from workflow_async.sandbox.clock import SkewedClock
from workflow_async.sandbox.conditions import Condition, IndexFault, OddRows, SecondResume, ServerClock
from workflow_async.sandbox.engine import Engine, FakeWorkflow, Status, Step, TimeSource
from workflow_async.sandbox.hashing import hash_choice, hash_float
from workflow_async.sandbox.opencast.auth import ACCOUNTS, Access, Account
from workflow_async.sandbox.opencast.definitions import BUILT_IN, Definition
from workflow_async.sandbox.opencast.event import Event, sample_event
from workflow_async.sandbox.opencast.index import EventIndex, IndexHealth, WorkflowIndex
from workflow_async.sandbox.opencast.json import STATES
from workflow_async.sandbox.opencast.releases import DEFAULT, RELEASES, Release, ReleaseRules

SEEDED_DEFINITIONS = (
    *("fast",) * 8,
    *("publish",) * 5,
    *("schedule-and-upload",) * 3,
    *("review", "fails", "fails-with-handler", "skips"),
)
"""The definitions of seeded workflows, repeated by their relative frequency."""


class BusyError(Exception):
    """The event has an active workflow."""


@define(eq=False)
class OpencastState:
    """Everything that the routes of an Opencast read and change.

    The state is safe to share between threads. The public methods take the lock of the engine.
    """

    sandbox_time: TimeSource
    """The sandbox's time."""
    _seed: int = 0
    release: Release = DEFAULT
    clock: SkewedClock = field(init=False)
    """The server's clock."""
    utc_offset: float = field(default=0.0, init=False)
    """The server's local time minus UTC, in hours."""
    accounts: dict[str, Account] = field(init=False)
    access: Access = field(init=False)
    rules: ReleaseRules = field(init=False)
    engine: Engine = field(init=False)
    events: dict[str, Event] = field(factory=dict, init=False)
    definitions: dict[str, Definition] = field(init=False)
    index_health: IndexHealth = field(init=False)
    workflow_index: WorkflowIndex = field(init=False)
    event_index: EventIndex = field(init=False)
    odd_rows: OddRows = field(factory=OddRows, init=False)
    second_resume: SecondResume = field(factory=SecondResume, init=False)
    _events_made: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.clock = SkewedClock(self.sandbox_time)
        self.accounts = {account.name: account for account in ACCOUNTS}
        if self.release not in RELEASES:
            raise ValueError(f"opencast_version must be one of {', '.join(RELEASES)}, not {self.release!r}")
        self.rules = RELEASES[self.release]
        self.access = Access(self.clock, self.accounts, challenges_basic=self.rules.challenges_basic)
        self.definitions = {definition.identifier: definition for definition in BUILT_IN}
        self.index_health = IndexHealth(self.sandbox_time)
        self.workflow_index = WorkflowIndex(self.sandbox_time, self.index_health, self.events, self.definitions)
        self.event_index = EventIndex(self.index_health, self._latest_state)
        self.engine = Engine(self.clock, end_without_steps=Status.FAILED, on_change=self._on_change)

    @property
    def username(self) -> str:
        """The user name of an account with all permissions."""
        return ACCOUNTS[0].name

    @property
    def password(self) -> str:
        """The password of that account."""
        return ACCOUNTS[0].password

    @property
    def supports_listing(self) -> bool:
        """True if an index serves a list of workflows."""
        return self.rules.listing

    def set_conditions(self, conditions: Sequence[Condition]) -> None:
        """Replace the current conditions."""
        self.engine.advance()
        self.event_index.refresh()
        self.index_health.set_faults(tuple(c for c in conditions if isinstance(c, IndexFault)))
        self.odd_rows = OddRows.from_conditions(conditions)
        self.second_resume = next((c for c in conditions if isinstance(c, SecondResume)), SecondResume())
        clock = next((c for c in conditions if isinstance(c, ServerClock)), ServerClock())
        self.utc_offset = clock.utc_offset
        self.engine.postpone(clock.ahead - self.clock.ahead)
        self.clock.ahead = clock.ahead

    def define(self, identifier: str, steps: Iterable[Step], **metadata: Any) -> Definition:
        """Add a workflow definition with these steps. `metadata` are fields of `Definition`."""
        with self.engine.lock:
            self.definitions[identifier] = Definition(identifier, tuple(steps), **metadata)
            return self.definitions[identifier]

    def event(self, **metadata: Any) -> str:
        """Add an event and return its id. `metadata` are fields of the event. All other fields get sample values."""
        with self.engine.lock:
            event = sample_event(self._seed, self._events_made, self.clock())
            self._events_made += 1
            for name, value in metadata.items():
                setattr(event, name, value)
            self.events[event.identifier] = event
            self.event_index.mark_changed(event)
            return event.identifier

    def start(
        self,
        event: str,
        definition: str,
        configuration: dict[str, str] | None = None,
        *,
        creator: str | None = None,
        at: float | None = None,
    ) -> int:
        """Start a workflow on an event, now or as of an earlier instant, and return its id."""
        with self.engine.lock:
            return self.start_if_idle(
                self.events[event], self.definitions[definition], configuration or {}, creator, at
            ).id

    def start_if_idle(
        self,
        event: Event,
        definition: Definition,
        configuration: dict[str, str],
        creator: str | None = None,
        at: float | None = None,
    ) -> FakeWorkflow:
        """Start a workflow unless the event has an active one. The event keeps the configuration in any case.

        On a release that lists workflows, the check reads the index, which is late.
        """
        event.properties |= configuration
        if self._is_busy(event):
            raise BusyError(event.identifier)
        return self._start_workflow(event, definition, creator, at)

    def _start_workflow(
        self,
        event: Event,
        definition: Definition,
        creator: str | None = None,
        at: float | None = None,
        id: int | None = None,
    ) -> FakeWorkflow:
        run = self.engine.start(
            definition.identifier,
            event.identifier,
            definition.steps,
            creator=self.username if creator is None else creator,
            parameters=event.properties,
            at=at,
            id=id,
        )
        event.workflow_ids.append(run.id)
        return run

    def seed(self, count: int, *, definitions: Sequence[str] | None = None, age: float = 0.0) -> list[int]:
        """Start `count` workflows, each on its own event, and return their ids.

        The workflows start at different instants before `age` seconds ago, so that about half of them have ended by
        then.
        """
        with self.engine.lock:
            now = self.clock() - age
            chosen = [
                hash_choice(definitions or SEEDED_DEFINITIONS, self._seed, n + self._events_made, "definition")
                for n in range(count)
            ]
            starts = sorted(
                (now - self._seconds_ago(name, n + self._events_made), name) for n, name in enumerate(chosen)
            )
            ids = [self.start(self.event(), name, self._sample_configuration(), at=at) for at, name in starts]
            self.engine.advance()
            self._stop_some(ids)
            self.commit()
            return ids

    def stop(self, run: FakeWorkflow) -> None:
        """Stop a workflow. An ended workflow is stopped too, except on a release that keeps results."""
        if not (self.rules.keeps_finished and run.status.final):
            self.engine.stop(run)

    def replace(self, id: int, definition: str, event: str | None = None) -> None:
        """Reuse the id of a workflow for a new one, as a restored database does."""
        with self.engine.lock:
            self.engine.remove(self.engine.runs[id])
            subject, plan = self.events[event or self.event()], self.definitions[definition]
            self._start_workflow(subject, plan, id=id)

    def commit(self) -> None:
        """Index every change of a workflow now."""
        with self.engine.lock:
            self.workflow_index.commit(self.engine)

    def active_workflow(self, event: Event) -> FakeWorkflow | None:
        """Return the active workflow of an event, or None."""
        self.engine.advance()
        return next((run for run in self.workflows_of(event) if run.active), None)

    def _is_busy(self, event: Event) -> bool:
        if not self.supports_listing:
            return self.active_workflow(event) is not None
        self.workflow_index.refresh(self.engine)
        return self.workflow_index.is_busy(event.identifier)

    def workflows_of(self, event: Event) -> list[FakeWorkflow]:
        """Return the workflows of an event in the order of their start."""
        return [self.engine.runs[id] for id in event.workflow_ids]

    def latest_workflow(self, event: Event) -> FakeWorkflow | None:
        """Return the latest workflow of an event, or None."""
        return self.engine.runs[event.workflow_ids[-1]] if event.workflow_ids else None

    def _on_change(self, run: FakeWorkflow) -> None:
        if self.rules.listing:
            self.workflow_index.mark_changed(run)
        if run.id not in self.engine.runs:
            self.events[run.subject].workflow_ids.remove(run.id)
        self.event_index.mark_changed(self.events[run.subject])

    def _latest_state(self, event: Event) -> str:
        run = self.latest_workflow(event)
        return STATES[run.status] if run is not None else ""

    def _seconds_ago(self, name: str, n: int) -> float:
        return 2 * (self.definitions[name].seconds + self.engine.queue_seconds) * hash_float(self._seed, n, "since")

    def _sample_configuration(self) -> dict[str, str]:
        n = self._events_made
        settings = {"publishLive": "false", "publishToEngage": "true", "comment": "d'après <Fourier> & fils / 1822"}
        return {k: v for k, v in settings.items() if hash_float(self._seed, n, k) < 1 / 2}

    def _stop_some(self, ids: list[int]) -> None:
        for run in (self.engine.runs[id] for id in ids):
            if run.active and hash_float(self._seed, run.id, "stop") < 1 / 50:
                self.engine.stop(run)
