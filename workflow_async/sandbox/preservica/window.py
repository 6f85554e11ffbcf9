"""The window of rows that a list request asks for."""

from typing import TypeVar

from attrs import frozen
from starlette.datastructures import QueryParams

from workflow_async.sandbox.preservica.query import int_param

T = TypeVar("T")
PAGING = frozenset({"start", "max"})
"""The query parameters that choose a page."""


@frozen
class Window:
    """The rows of a list that one response holds."""

    start: int
    size: int

    @classmethod
    def read(cls, params: QueryParams, *, default: int, cap: int) -> "Window":
        """Read `start` and `max`. A `max` above the cap is silently reduced to the cap."""
        return cls(int_param(params, "start", 0), min(int_param(params, "max", default), cap))

    def select(self, rows: list[T]) -> list[T]:
        """Return the rows in the window."""
        return rows[self.start : self.start + self.size]
