"""Opencast: the External API's workflows and workflow definitions."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
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
    from workflow_async.opencast.start_backend import Start

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

__getattr__ = lazily(
    __name__,
    {
        "client": ("OpencastClient",),
        "filters": ("DefinitionSort", "EventSort", "WorkflowFilters"),
        "records": (
            *("Definition", "Event", "Me", "Operation", "OperationDefinition"),
            *("OperationState", "State", "Version", "Workflow"),
        ),
        "start_backend": ("Start",),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
