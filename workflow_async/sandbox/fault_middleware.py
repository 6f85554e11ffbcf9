"""ASGI middleware between the server and a system: it applies fault plans, locks the state and records requests."""

import asyncio
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qs

from attrs import Factory, define, evolve, field, frozen
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflow_async.sandbox.canned import CannedResponse
from workflow_async.sandbox.clock import RealClock
from workflow_async.sandbox.engine import TimeSource
from workflow_async.sandbox.faults import Fault, Faults, Trouble
from workflow_async.testing.skipping_time import SkippingTime

TRANSPORT = "workflow_async.transport"
"""The key in the state of a request for the connection that carries the request."""
FAULT = "fault"
"""The key in the scope of a request for the fault of a page."""


@frozen
class RecordedRequest:
    """A request, and the status of its response."""

    method: str
    path: str
    query: str
    status: int
    headers: Mapping[str, str] = field(factory=dict, eq=False, repr=False)
    """The headers of the request, with names in lower case."""
    body: bytes = field(default=b"", eq=False, repr=False)
    """The body of the request."""
    fault: Trouble | None = field(default=None, eq=False)
    """The planned fault of this exchange, if there was one."""

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The decoded query."""
        return parse_qs(self.query, keep_blank_values=True)


@frozen
class CompleteResponse:
    """A complete response, before any part of it is sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@define(eq=False)
class ActivePlan:
    """A fault plan, the instant from which it applies, and the number of exchanges that it has covered."""

    plan: Faults
    since: float
    count: int = field(default=0, init=False)

    def next_fault(self, method: str, path: str, now: float) -> tuple[Trouble | None, float]:
        """Count an exchange if the plan covers it, and return its fault and its delay in seconds."""
        if not self.plan.covers(method, path, now - self.since):
            return None, 0.0
        n, self.count = self.count, self.count + 1
        return self.plan.fault_for(n), self.plan.delay_for(n)


@define(eq=False)
class FaultMiddleware:
    """An ASGI application around another. It applies fault plans and records requests."""

    app: ASGIApp
    lock: threading.RLock = field(factory=threading.RLock, repr=False)
    """Held while the inner application handles a request, so that other threads can read its state."""
    clock: TimeSource = field(factory=RealClock)
    """The clock for the time spans of plans."""
    server_clock: TimeSource = field(default=Factory(lambda self: self.clock, takes_self=True))
    """The clock for the Date header of a response."""
    requests: list[RecordedRequest] = field(factory=list, init=False)
    _plans: list[ActivePlan] = field(factory=list, init=False)

    @property
    def faults(self) -> tuple[Faults, ...]:
        """The active plans."""
        return tuple(active.plan for active in self._plans)

    @faults.setter
    def faults(self, plans: Faults | Iterable[Faults]) -> None:
        """Replace the active plans. Each counts exchanges from 0 and measures time from now on.

        The first plan that finds a fault for an exchange decides, and the longest delay counts.
        """
        now = self.clock()
        all_plans = (plans,) if isinstance(plans, Faults) else plans
        self._plans = [ActivePlan(plan, now) for plan in all_plans]

    @property
    def covered(self) -> int:
        """The number of exchanges that the active plans have covered."""
        return sum(active.count for active in self._plans)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one exchange."""
        body = await _read_body(receive)
        if body is None:
            return
        with self._hold():
            await self._handle(scope, body, receive, send)

    def _hold(self) -> AbstractContextManager[None]:
        """Return a context manager that keeps the time from skipping."""
        return self.clock.hold() if isinstance(self.clock, SkippingTime) else nullcontext()

    async def _handle(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        fault, retry_after, delay = self._next_fault(scope["method"], scope["path"])
        if delay:
            await asyncio.sleep(delay)
        response = await self._respond(scope, body, fault, retry_after)
        self.requests.append(_recorded(scope, body, response.status, fault))
        await _send(_with_date(response, self.server_clock()), fault, scope, receive, send)

    def _next_fault(self, method: str, path: str) -> tuple[Trouble | None, int, float]:
        now = self.clock()
        fault, retry_after, delay = None, 0, 0.0
        for active in self._plans:
            planned, seconds = active.next_fault(method, path, now)
            if fault is None:
                fault, retry_after = planned, active.plan.retry_after
            delay = max(delay, seconds)
        return fault, retry_after, delay

    async def _respond(self, scope: Scope, body: bytes, fault: Trouble | None, retry_after: int) -> CompleteResponse:
        if isinstance(fault, CannedResponse):
            if fault.executed:
                await self._execute(scope, body)
            return CompleteResponse(fault.status, fault.raw_headers(), fault.content(scope["path"]))
        refusal = _fault_response(fault, retry_after)
        if refusal is not None:
            return refusal
        response = await self._execute({**scope, FAULT: fault}, body)
        return CompleteResponse(500, _TEXT, b"Internal Server Error") if fault is Fault.ERROR_AFTER else response

    async def _execute(self, scope: Scope, body: bytes) -> CompleteResponse:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        with self.lock:
            await self.app(scope, receive, send)
        start, *parts = sent
        return CompleteResponse(
            start["status"], tuple(start.get("headers", ())), b"".join(p.get("body", b"") for p in parts)
        )


_TEXT = ((b"content-type", b"text/plain"),)
_HTML = ((b"content-type", b"text/html;charset=utf-8"),)
_LOGIN = b"<!DOCTYPE html><html><head><title>Login</title></head><body><form method='post'></form></body></html>"


def _fault_response(fault: Fault | None, retry_after: int) -> CompleteResponse | None:
    if fault is Fault.RATE_LIMITED:
        return CompleteResponse(429, (*_TEXT, (b"retry-after", b"%d" % retry_after)), b"Too Many Requests")
    if fault is Fault.SERVER_ERROR:
        return CompleteResponse(503, _HTML, b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>")
    if fault is Fault.UNAUTHORIZED:
        return CompleteResponse(
            401, (*_HTML, (b"www-authenticate", b'Basic realm="Sandbox"')), b"<html><body>401</body></html>"
        )
    if fault is Fault.LOGIN_PAGE:
        return CompleteResponse(200, _HTML, _LOGIN)
    return None


def _recorded(scope: Scope, body: bytes, status: int, fault: Trouble | None) -> RecordedRequest:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode(), status, headers, body, fault)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body of a request. None if the client disconnected before the end of the body."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(response: CompleteResponse, fault: Trouble | None, scope: Scope, receive: Receive, send: Send) -> None:
    headers = _with_length(response).headers
    body = b"" if scope["method"] == "HEAD" else response.body
    cut = fault is Fault.CUT_BEFORE or (fault is Fault.CUT_BODY and not body)
    if not cut:
        half = len(body) // 2 if fault is Fault.CUT_BODY else len(body)
        await send({"type": "http.response.start", "status": response.status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body[:half], "more_body": half < len(body)})
        cut = half < len(body)
    if cut:
        await _cut_connection(scope, receive)


def _with_date(response: CompleteResponse, now: float) -> CompleteResponse:
    return evolve(response, headers=(*response.headers, (b"date", formatdate(now, usegmt=True).encode())))


def _with_length(response: CompleteResponse) -> CompleteResponse:
    if (
        any(name.lower() == b"content-length" for name, _ in response.headers)
        or response.status == HTTPStatus.NO_CONTENT
    ):
        return response
    return evolve(response, headers=(*response.headers, (b"content-length", b"%d" % len(response.body))))


async def _cut_connection(scope: Scope, receive: Receive) -> None:
    transport: asyncio.Transport | None = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the fault plan cuts this connection")
    transport.close()
    await receive()
