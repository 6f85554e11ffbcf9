"""Preservica: the workflow, process and process monitor services."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
    from workflow_async.preservica.client import PreservicaClient
    from workflow_async.preservica.filters import (
        MessageStatus,
        MonitorCategory,
        MonitorStatus,
        WorkflowFilters,
        WorkflowType,
    )
    from workflow_async.preservica.records import Context, Message, Monitor, Process, Started, State, Workflow
    from workflow_async.preservica.start_backend import Start
    from workflow_async.preservica.token_store import FileTokenStore, TokenStore

__all__ = [
    "Context",
    "FileTokenStore",
    "Message",
    "MessageStatus",
    "Monitor",
    "MonitorCategory",
    "MonitorStatus",
    "PreservicaClient",
    "Process",
    "Start",
    "Started",
    "State",
    "TokenStore",
    "Workflow",
    "WorkflowFilters",
    "WorkflowType",
]

__getattr__ = lazily(
    __name__,
    {
        "client": ("PreservicaClient",),
        "filters": ("MessageStatus", "MonitorCategory", "MonitorStatus", "WorkflowFilters", "WorkflowType"),
        "records": ("Context", "Message", "Monitor", "Process", "Started", "State", "Workflow"),
        "start_backend": ("Start",),
        "token_store": ("FileTokenStore", "TokenStore"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
