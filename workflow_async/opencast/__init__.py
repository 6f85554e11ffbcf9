"""Opencast: workflows, workflow definitions and events of the External API."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
    from workflow_async.opencast.client import OpencastClient
    from workflow_async.opencast.definitions import Definitions
    from workflow_async.opencast.events import Events
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
    from workflow_async.opencast.workflows import Workflows

__all__ = [
    "Definition",
    "DefinitionSort",
    "Definitions",
    "Event",
    "EventSort",
    "Events",
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
    "Workflows",
]

__getattr__ = lazily(
    __name__,
    {
        "client": ("OpencastClient",),
        "definitions": ("Definitions",),
        "events": ("Events",),
        "filters": ("DefinitionSort", "EventSort", "WorkflowFilters"),
        "records": (
            *("Definition", "Event", "Me", "Operation", "OperationDefinition"),
            *("OperationState", "State", "Version", "Workflow"),
        ),
        "start_backend": ("Start",),
        "workflows": ("Workflows",),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
