"""Answers that are pages of a list, and the faults a page can have."""

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field, frozen
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox.preservica.query import int_param

T = TypeVar("T")


@frozen
class Window:
    """The part of a list that one answer holds."""

    start: int
    size: int

    @classmethod
    def read(cls, params: QueryParams, *, default: int, cap: int) -> "Window":
        """Take `start` and `max`; more than the cap is silently the cap."""
        return cls(int_param(params, "start", 0), min(int_param(params, "max", default), cap))

    def cut(self, rows: list[T]) -> list[T]:
        """The rows in the window."""
        return rows[self.start : self.start + self.size]


def fault(request: Request) -> str:
    """The name of the fault that somebody has laid on this request, or nothing."""
    return getattr(request.scope.get("fault"), "name", "")


@define(eq=False)
class PageResponses:
    """The last page each list has answered with."""

    _last: dict[str, bytes] = field(factory=dict, init=False)

    def answer(self, request: Request, media_type: str, rows: list[T], render: Callable[[list[T]], bytes]) -> Response:
        """A page of those rows, of half of them, or once more the bytes of the page before, as the fault says."""
        path, name = request.url.path, fault(request)
        if name != "REPEATED_PAGE" or path not in self._last:
            self._last[path] = render(rows[: (len(rows) + 1) // 2] if name == "SHORT_PAGE" else rows)
        return Response(self._last[path], media_type=media_type)
