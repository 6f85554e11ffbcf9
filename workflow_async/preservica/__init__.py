"""Preservica: the workflow, process and process monitor services."""

from workflow_async.preservica.client import PreservicaClient
from workflow_async.preservica.filters import MessageStatus, MonitorCategory, MonitorStatus, WorkflowType
from workflow_async.preservica.records import Context, Message, Monitor, Process, Started, State, Workflow
from workflow_async.preservica.starts import Start

__all__ = [
    "Context",
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
    "Workflow",
    "WorkflowType",
]
