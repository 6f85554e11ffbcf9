"""Reads the list of active workflows again and again for the monitor. Rows that it knows are not parsed again. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from workflow_async._core.call import Call, Page, Params
from workflow_async._decode.json import SplitArray, split_array
from workflow_async._decode.records import complete_page
from workflow_async._decode.row_memory import MAX_CALLS, RowMemory
from workflow_async.errors import DecodeError
from workflow_async.opencast.calls import list_workflows
from workflow_async.opencast.params import including
from workflow_async.opencast.query import ENDED, WorkflowQuery
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.responses import LISTED, with_requested

ACTIVE = WorkflowQuery.of(state_not=ENDED).on_the_wire()


def active_rows(offset: int, size: int, include: Params = ()) -> Call[Page[Workflow]]:
    """Return the call for some rows of the list."""
    return list_workflows(filter=ACTIVE, sort="", include=include, size=size, offset=offset)


class ActiveList:
    """The list of the workflows that have not ended, as it was read last, with or without their operations."""

    def __init__(self, *, operations: bool) -> None:
        self._include = including(withoperations=operations)
        self.memory = RowMemory(split_array, self._read_rows)
        self.page = lru_cache(MAX_CALLS)(self._page)
        """Returns the call for a page, given the offset of its first row and the number of rows."""

    def _page(self, offset: int, size: int) -> Call[Page[Workflow]]:
        return self.memory.remembering(active_rows(offset, size, self._include), (offset, size))

    def _read_rows(self, split: SplitArray, known: list[Workflow | None], new: Sequence[int]) -> Page[Workflow] | None:
        trees = (split.tree(split.rows[place]) for place in new)
        try:
            return Page(complete_page(LISTED, known, new, with_requested(self._include, trees), Workflow))
        except DecodeError:
            return None
