"""Preservica: workflows, ingest processes and their monitors."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
    from workflow_async.preservica.client import ClientOptions, PreservicaClient
    from workflow_async.preservica.contexts import Contexts
    from workflow_async.preservica.filters import (
        MessageStatus,
        MonitorCategory,
        MonitorStatus,
        WorkflowFilters,
        WorkflowType,
    )
    from workflow_async.preservica.monitors import Monitors
    from workflow_async.preservica.processes import Processes
    from workflow_async.preservica.records import Context, Message, Monitor, Process, Started, State, Workflow
    from workflow_async.preservica.start_backend import Start
    from workflow_async.preservica.token_store import FileTokenStore, TokenStore
    from workflow_async.preservica.workflows import Workflows

__all__ = [
    "ClientOptions",
    "Context",
    "Contexts",
    "FileTokenStore",
    "Message",
    "MessageStatus",
    "Monitor",
    "MonitorCategory",
    "MonitorStatus",
    "Monitors",
    "PreservicaClient",
    "Process",
    "Processes",
    "Start",
    "Started",
    "State",
    "TokenStore",
    "Workflow",
    "WorkflowFilters",
    "WorkflowType",
    "Workflows",
]

__getattr__ = lazily(
    __name__,
    {
        "client": ("ClientOptions", "PreservicaClient"),
        "contexts": ("Contexts",),
        "filters": ("MessageStatus", "MonitorCategory", "MonitorStatus", "WorkflowFilters", "WorkflowType"),
        "monitors": ("Monitors",),
        "processes": ("Processes",),
        "records": ("Context", "Message", "Monitor", "Process", "Started", "State", "Workflow"),
        "start_backend": ("Start",),
        "token_store": ("FileTokenStore", "TokenStore"),
        "workflows": ("Workflows",),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
