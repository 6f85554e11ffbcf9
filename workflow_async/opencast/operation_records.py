"""The records of an operation of a workflow. See tests/contract/opencast.md, section 8."""

import enum
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Self

from attrs import field, frozen

from workflow_async._records.record import Record
from workflow_async._records.spans import seconds_between


class OperationState(enum.Enum):
    """The state of an operation of a workflow."""

    INSTANTIATED = "instantiated"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    RETRY = "retry"
    UNKNOWN = "unknown"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the member for a word in any case. UNKNOWN for a word that is not known."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])

    @property
    def final(self) -> bool:
        """True if the operation has ended."""
        return self in {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.SKIPPED}


STARTED_STATES = frozenset(
    {
        OperationState.RUNNING,
        OperationState.PAUSED,
        OperationState.SUCCEEDED,
        OperationState.FAILED,
        OperationState.RETRY,
    }
)
"""States of an operation that has run at least once."""


@frozen(kw_only=True)
class Operation(Record):
    """One operation of a workflow.

    Operations are in the order of execution. Their list changes while the workflow runs.
    """

    operation: str
    """The name, such as `encode`. Not unique within a workflow."""
    state: OperationState
    state_text: str
    id: int | None = None
    """None before its job exists. Changes with a retry."""
    description: str = ""
    start: datetime | None = None
    completion: datetime | None = None
    """Only for succeeded and failed operations. After a retry `start` may be later than it."""
    time_in_queue: int | None = None
    """Milliseconds. None until known."""
    host: str = ""
    if_: str = ""
    unless: str = ""
    """Opencast 11 and earlier only."""
    fail_workflow_on_error: bool | None = True
    """None if it cannot be read. The same holds for `max_attempts` and `failed_attempts`."""
    error_handler_workflow: str = ""
    retry_strategy: str = ""
    """`none`, `retry` or `hold`."""
    max_attempts: int | None = 1
    """-1 means unlimited."""
    failed_attempts: int | None = 0
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def duration(self) -> float | None:
        """Seconds from `start` to `completion`, without the time in the queue. None if they are not known.

        Also None if `start` is later than `completion`, as while a retry runs. After a retry it is the duration of the
        last attempt.
        """
        return seconds_between(self.start, self.completion)

    @property
    def queued(self) -> float | None:
        """Seconds in the queue before the start: `time_in_queue` in seconds. None until known.

        Newer servers write a `time_in_queue` of 0 if it is not known. See tests/contract/opencast.md, section 4.3.
        """
        return self.time_in_queue / 1000 if self.time_in_queue else None

    @property
    def has_run(self) -> bool:
        """True if the operation has run. A skipped operation has never run, although servers give it a start."""
        started = self.start is not None and self.state is not OperationState.SKIPPED
        return started or self.state in STARTED_STATES


def failure_text(failed: Operation) -> str:
    """Return the name of an operation that failed, with the known facts about its last attempt."""
    details = ", ".join(_details(failed))
    return f"{failed.operation} ({details})" if details else failed.operation


def _details(failed: Operation) -> Iterator[str]:
    """Yield the known facts about the last attempt of an operation that failed."""
    attempts, limit = failed.failed_attempts or 0, failed.max_attempts or 0
    if attempts > 0:
        yield f"attempt {attempts} of {limit}" if limit >= attempts else f"attempt {attempts}"
    if failed.host:
        yield f"host {failed.host}"
