"""The systems that the command line knows: one module for each, and a table of all."""

from workflow_async.cli.systems.system import AnySystem, BatchOptions, PageTable, StartedWorkflow, System
from workflow_async.cli.systems.table import SYSTEMS, choose_system, system_for

__all__ = [
    "SYSTEMS",
    "AnySystem",
    "BatchOptions",
    "PageTable",
    "StartedWorkflow",
    "System",
    "choose_system",
    "system_for",
]
