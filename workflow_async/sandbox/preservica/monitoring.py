"""The process monitor service of the sandbox's Preservica: `/api/processmonitor`."""

import json
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlencode

from attrs import define
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workflow_async.sandbox.page_responses import PageResponses
from workflow_async.sandbox.preservica.monitors import MonitoredProcess, Tree
from workflow_async.sandbox.preservica.query import text_params
from workflow_async.sandbox.preservica.state import Archive
from workflow_async.sandbox.preservica.tokens import RefusalError
from workflow_async.sandbox.preservica.window import PAGING, Window

BASE = "/api/processmonitor"
PAGE_SIZE = 25
MAX_PAGE_SIZE = 1000
JSON = "application/json"

T = TypeVar("T")


def success_body(value: Tree) -> bytes:
    """Return the body of a successful response."""
    return json.dumps({"success": True, "version": 1, "value": value}).encode()


@define(eq=False)
class MonitorService:
    """Monitors, messages and timeseries over HTTP."""

    archive: Archive
    pages: PageResponses
    paging_host: str = "https://other.example.org"
    """The host of `next` and `previous`. It is another host, as behind a misconfigured proxy."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(f"{BASE}/monitors", self.monitors),
            Route(f"{BASE}/messages", self.messages),
            Route(f"{BASE}/monitors/{{id}}/timeseries", self.timeseries),
        ]

    async def monitors(self, request: Request) -> Response:
        """Return a page of the processes that match all filters."""
        params = request.query_params
        processes = (MonitoredProcess(self.archive, run) for run in self.archive.engine.all())
        filters = _filters(params)
        rows = [p for p in processes if all(getattr(p, name) in wanted for name, wanted in filters.items())]
        return self._page(request, "monitors", rows, MonitoredProcess.tree)

    async def messages(self, request: Request) -> Response:
        """Return a page of the messages of the given processes."""
        params = request.query_params
        if not text_params(params, "monitor"):
            raise RefusalError(400, "Missing parameter: monitor")
        wanted = set(text_params(params, "status"))
        rows = [
            m
            for process in self._monitors_of(params)
            for m in process.messages()
            if not wanted or m["status"] in wanted
        ]
        return self._page(request, "messages", rows, dict)

    async def timeseries(self, request: Request) -> Response:
        """Return the progress of one process."""
        run = self.archive.find_by_monitor(request.path_params["id"])
        if run is None:
            raise RefusalError(404, "No such monitor")
        value = {"timeseries": MonitoredProcess(self.archive, run).timeseries()}
        return JSONResponse({"success": True, "version": 1, "value": value})

    def _monitors_of(self, params: QueryParams) -> Iterator[MonitoredProcess]:
        ids = dict.fromkeys(text_params(params, "monitor"))
        runs = filter(None, map(self.archive.find_by_monitor, ids))
        return (MonitoredProcess(self.archive, run) for run in runs)

    def _page(self, request: Request, name: str, rows: list[T], tree: Callable[[T], Tree]) -> Response:
        window = Window.read(request.query_params, default=PAGE_SIZE, cap=MAX_PAGE_SIZE)

        def render(page: list[T]) -> Response:
            paging = self._paging(request, window, window.start + len(page), len(rows))
            return Response(success_body({"paging": paging, name: [tree(row) for row in page]}), media_type=JSON)

        return self.pages.respond(request, window.select(rows), render)

    def _paging(self, request: Request, window: Window, end: int, total: int) -> Tree:
        paging: Tree = {"totalResults": total}
        if end < total:
            paging["next"] = self._page_url(request, end, window.size)
        if window.start > 0:
            paging["previous"] = self._page_url(request, max(0, window.start - window.size), window.size)
        return paging

    def _page_url(self, request: Request, start: int, size: int) -> str:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k not in PAGING]
        query = urlencode([*kept, ("start", start), ("max", size)])
        return f"{self.paging_host}{request.url.path}?{query}"


def _filters(params: QueryParams) -> dict[str, list[str]]:
    lists = {name: text_params(params, name) for name in ("status", "category", "subcategory")}
    # A name may contain a comma, so it is not a comma-separated list.
    lists["name"] = params.getlist("name")
    return {name: wanted for name, wanted in lists.items() if wanted}
