"""Responses that are pages of a list, and the faults that such a page can have."""

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox.fault_middleware import FAULT
from workflow_async.sandbox.faults import Fault

T = TypeVar("T")
ListingKey = tuple[str, tuple[tuple[str, str], ...]]
"""A path, and the sorted query parameters that do not choose a page."""
MAX_LISTINGS = 64
"""The number of lists whose last page is kept."""


@define(eq=False)
class PageResponses:
    """Page responses, and the last page of each list for `Fault.REPEATED_PAGE`."""

    paging: frozenset[str]
    """The query parameters that choose a page. Requests that differ in these alone read the same list."""
    _last: dict[ListingKey, Response] = field(factory=dict, init=False)

    def respond(self, request: Request, rows: list[T], render: Callable[[list[T]], Response]) -> Response:
        """Return a page of the rows, of the first half of the rows, or the last page of the same list again.

        The fault of the request decides. The first page of a list cannot be a repeated one.
        """
        listing, fault = self._key(request), request.scope.get(FAULT)
        page = self._last.get(listing)
        if fault is not Fault.REPEATED_PAGE or page is None:
            page = render(rows[: (len(rows) + 1) // 2] if fault is Fault.SHORT_PAGE else rows)
        self._last.pop(listing, None)
        self._last[listing] = page
        if len(self._last) > MAX_LISTINGS:
            del self._last[next(iter(self._last))]
        return page

    def _key(self, request: Request) -> ListingKey:
        params = request.query_params.multi_items()
        return request.url.path, tuple(sorted(pair for pair in params if pair[0] not in self.paging))
