"""Opencast: the External API's workflows and workflow definitions."""

from workflow_async.opencast.client import OpencastClient
from workflow_async.opencast.filters import DefinitionSort, EventSort, WorkflowFilters
from workflow_async.opencast.records import (
    Definition,
    Event,
    Me,
    Operation,
    OperationDefinition,
    OperationState,
    State,
    Version,
    Workflow,
)
from workflow_async.opencast.starts import Start

__all__ = [
    "Definition",
    "DefinitionSort",
    "Event",
    "EventSort",
    "Me",
    "OpencastClient",
    "Operation",
    "OperationDefinition",
    "OperationState",
    "Start",
    "State",
    "Version",
    "Workflow",
    "WorkflowFilters",
]
