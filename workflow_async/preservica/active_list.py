"""Reads the list of active workflows again and again for the monitor. Rows that it knows are not parsed again. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from workflow_async._core.call import Call, Page
from workflow_async._decode.records import complete_page
from workflow_async._decode.row_memory import MAX_CALLS, RowMemory
from workflow_async._decode.xml_split import SplitElements, split_elements
from workflow_async.preservica.calls import ROW, list_mark, list_workflows, total_count
from workflow_async.preservica.converter import CONVERTER
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import State, Workflow

ACTIVE = (State.ACTIVE, State.PENDING, State.SUSPENDED, State.UNKNOWN)


class ActiveList:
    """The list of the workflows that have not ended, as it was read last."""

    def __init__(self) -> None:
        query = WorkflowQuery.of(state=ACTIVE)
        self._query = query.on_the_wire()
        self.mark = list_mark(query.on_the_wire(newest_first=True))
        """The call for the length of the list and the id of its newest workflow."""
        self.memory = RowMemory(_split, _read_rows)
        self.page = lru_cache(MAX_CALLS)(self._page)
        """Returns the call for a page, given the offset of its first row and the number of rows."""

    def _page(self, offset: int, size: int) -> Call[Page[Workflow]]:
        call = list_workflows(self._query, size=size, start=offset)
        return self.memory.remembering(call, (offset, size))


def _split(body: bytes) -> SplitElements | None:
    return split_elements(body, ROW)


def _read_rows(split: SplitElements, known: list[Workflow | None], new: Sequence[int]) -> Page[Workflow] | None:
    frame, uniform = split.frame(), split.uniform(new)
    if frame is None or uniform is None:
        return None
    return Page(complete_page(CONVERTER, known, new, uniform, Workflow), total=total_count(frame))
