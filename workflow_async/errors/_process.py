"""Errors of waiting for a process of Preservica."""

from typing import Any, Protocol

from workflow_async.errors._base import WorkflowAsyncError


class MonitorSummary(Protocol):
    """What an error message contains of a process monitor."""

    @property
    def status(self) -> str:
        """The server's word for the status."""
        ...


class ProcessNotFound(WorkflowAsyncError):
    """No process monitor of Preservica has this name, or none has it any more."""

    def __init__(self, name: str, seconds: float, monitor: MonitorSummary | None) -> None:
        super().__init__(name, seconds, monitor)
        self.name = name
        self.seconds = seconds
        """Seconds for which the monitor was missing."""
        self.monitor = monitor
        """The last record. None if there is none."""

    def __str__(self) -> str:
        missing = f"no process monitor has had the name {self.name!r} for {self.seconds:g} s"
        if self.monitor is not None:
            return f"{missing} (last seen {self.monitor.status}): it may have been abandoned"
        return f"{missing}: check the name, which is the full one, such as opex/<batch>"


class ProcessWaitTimeout(WorkflowAsyncError, TimeoutError):
    """The timeout of a wait for a process passed. `monitor` is the last record, None if there is none."""

    def __init__(self, name: str, timeout: float, monitor: MonitorSummary | None) -> None:
        super().__init__()
        # OSError.__init__ would take these for errno and strerror.
        self.args: tuple[Any, ...] = (name, timeout, monitor)
        self.name = name
        self.timeout = timeout
        self.monitor = monitor

    def __str__(self) -> str:
        seen = f"last seen {self.monitor.status}" if self.monitor is not None else "never seen"
        return f"the process {self.name!r} was not finished after {self.timeout:g} s ({seen})"
