"""The state of Preservica: contexts, and the workflows that the engine runs in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from attrs import define, field

from workflow_async.sandbox.conditions import OddRows
from workflow_async.sandbox.engine import Engine, FakeWorkflow, Status, Step, TimeSource
from workflow_async.sandbox.hashing import hash_float, hash_uuid
from workflow_async.sandbox.preservica.contexts import DEFAULT_CONTEXTS, TYPES, Context, scale_seconds

SPEEDS = (0.5, 1.0, 1.5, 2.0, 3.0)
ABORTED_EVERY = 20


@define(eq=False)
class ArchiveEngine(Engine):
    """An engine that also terminates workflows after a delay."""

    _terminating: set[int] = field(factory=set, init=False)

    def terminate(self, run: FakeWorkflow, seconds: float) -> None:
        """Stop the workflow after `seconds`. Until then it does not advance, and further calls have no effect."""
        with self.lock:
            if run.id not in self._terminating:
                self._terminating.add(run.id)
                self._schedule(run, self.clock() + seconds)

    def _move_on(self, run: FakeWorkflow, at: float) -> None:
        if run.id not in self._terminating:
            super()._move_on(run, at)
            return
        self._terminating.remove(run.id)
        self._set_status(run, Status.STOPPED, at)
        run.finished = at


@define(eq=False)
class Archive:
    """The contexts and workflows of one tenant."""

    clock: TimeSource
    creator: str
    seed: int = 0
    abort_seconds: float = 1.0
    """Seconds from the request to terminate a workflow until its state is ABORTED."""
    contexts: dict[str, Context] = field(factory=lambda: {c.id: c for c in DEFAULT_CONTEXTS})
    starts: list[str | None] = field(factory=list, init=False)
    """The correlation id of every start that was executed, in order."""
    engine: ArchiveEngine = field(init=False)
    odd_rows: OddRows = field(factory=OddRows, init=False)
    _last_context: int = field(default=183, init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = ArchiveEngine(self.clock, first_id=51234)

    def add_context(self, name: str, definition: str, type: str, plan: Sequence[Step]) -> str:
        """Add a context and return its id."""
        if type not in TYPES:
            raise ValueError(f"type must be one of {', '.join(TYPES)}, not {type!r}")
        self._last_context += 1
        id = str(self._last_context)
        self.contexts[id] = Context(id, name, definition, type, tuple(plan))
        return id

    def find_context(self, id: str | None, name: str | None) -> Context | None:
        """Return the active context with the id, or without an id the one with the name."""
        candidates = [self.contexts.get(id)] if id else self.contexts.values()
        matches = (c for c in candidates if c is not None and c.active and (id or c.name == name))
        return next(matches, None)

    def start_workflow(self, context: Context, parameters: Mapping[str, str], correlation: str | None) -> FakeWorkflow:
        """Start a workflow and record its correlation id."""
        self.starts.append(correlation)
        return self.engine.start(
            context.definition,
            context.id,
            context.steps,
            creator=self.creator,
            parameters=parameters,
            correlation=correlation,
        )

    def replace(self, id: int, context: Context) -> None:
        """Reuse the id of a workflow for a new one in that context."""
        self.engine.remove(self.engine.runs[id])
        self.engine.start(context.definition, context.id, context.steps, creator=self.creator, id=id)

    def terminate(self, ids: Iterable[int]) -> None:
        """Terminate the active workflows among these ids. Other ids are ignored."""
        for run in filter(None, map(self.engine.get, ids)):
            if run.active:
                self.engine.terminate(run, self.abort_seconds)

    def retry(self, ids: Iterable[int]) -> tuple[int, int]:
        """Retry workflows. Return the number of retried ones and the number of others."""
        results = [run is not None and self.engine.retry(run) for run in map(self.engine.get, ids)]
        return sum(results), len(results) - sum(results)

    def retryable(self) -> list[int]:
        """Return the ids of the workflows that a retry resumes."""
        return [run.id for run in self.engine.all() if run.status in {Status.FAILED, Status.PARKED}]

    def seed_workflows(self, count: int, contexts: Iterable[str] | None, age: float) -> list[int]:
        """Start workflows in all contexts or in the given ones, at five speeds, and abort every 20th.

        The workflows start at different instants before `age` seconds ago, so that about half of them have ended by
        then.
        """
        with self.engine.lock:
            starts = sorted(self._backdated_starts(count, contexts, self.clock() - age), key=itemgetter(0))
            ids = [self._start_at(*start) for start in starts]
            self.engine.advance()
            for run in map(self.engine.runs.__getitem__, ids[ABORTED_EVERY - 1 :: ABORTED_EVERY]):
                if run.active:
                    self.engine.terminate(run, 0.0)
            return ids

    def group_id(self, run: FakeWorkflow) -> str:
        """Return the id of a workflow in the user interface."""
        return hash_uuid("group", self.seed, run.id)

    def record_id(self, run: FakeWorkflow) -> str:
        """Return the id of the entity that an ingest created."""
        return hash_uuid("record", self.seed, run.id)

    def monitor_id(self, run: FakeWorkflow) -> str:
        """Return the 32 hexadecimal digits of a process monitor, which contain the id for a fast look-up."""
        return f"{run.id:08x}{hash_uuid('monitor', self.seed, run.id).replace('-', '')[8:]}"

    def find_by_monitor(self, monitor: str) -> FakeWorkflow | None:
        """Return the workflow of a process monitor, or None."""
        try:
            run = self.engine.get(int(monitor[:8], 16))
        except ValueError:
            return None
        return run if run is not None and self.monitor_id(run) == monitor else None

    def _backdated_starts(
        self, count: int, contexts: Iterable[str] | None, latest: float
    ) -> Iterator[tuple[float, Context, tuple[Step, ...]]]:
        active = (c for c in self.contexts.values() if c.active)
        chosen = list(active) if contexts is None else [self.contexts[id] for id in contexts]
        kinds = [(context, scale_seconds(context.steps, pace)) for pace in SPEEDS for context in chosen]
        for number in range(count):
            context, plan = kinds[number % len(kinds)]
            span = 2 * (self.engine.queue_seconds + sum(step.seconds for step in plan))
            ago = span * hash_float("age", self.seed, len(self.engine.runs) + number)
            yield latest - ago, context, plan

    def _start_at(self, at: float, context: Context, plan: Sequence[Step]) -> int:
        return self.engine.start(context.definition, context.id, plan, creator=self.creator, at=at).id
