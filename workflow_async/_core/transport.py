"""Sends a call and returns its result: timeout, credentials, request slot, request, and retries."""

import asyncio
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

import anyio
from attrs import define, evolve, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.api_presence import ApiPresence
from workflow_async._core.auth import Credential, Headers, SecretHeaders
from workflow_async._core.backend import Backend, Request, RequestHeaders, call_headers
from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.call_state import CallState
from workflow_async._core.deadlines import Deadlines
from workflow_async._core.lockout import LockoutGuard
from workflow_async._core.loop_binding import LoopBinding
from workflow_async._core.middleware import MiddlewareRun, checked_middlewares, visible_request
from workflow_async._core.network_guard import is_network_blocked
from workflow_async._core.observer import Observer
from workflow_async._core.origin import Origin
from workflow_async._core.pacing import Pacer
from workflow_async._core.permission import Permissions, no_permission, with_permission
from workflow_async._core.provenance import PAGE, Control, is_final
from workflow_async._core.status import error_for, foreign_response, may_be_expired
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    DecodeError,
    ResponseMismatch,
    StatusError,
    UnexpectedContent,
)
from workflow_async.observe.messages import Middleware
from workflow_async.settings import Clock, Limits, Pace, Retry, Timeouts

T = TypeVar("T")

LARGE_BODY = 16 * 2**10
"""Responses of at least this many bytes take so long to read that queued calls should send first."""


@define(kw_only=True)
class Transport:
    """Sends the calls of one client."""

    origin: Origin
    backend: Backend
    credential: Credential
    extra_headers: Headers = ()
    retry: Retry
    timeouts: Timeouts
    limits: Limits
    clock: Clock
    control: Control | None = None
    """How to find out whether the API is there. None: every response counts as the API's own."""
    observer: Observer = field(factory=Observer)
    middleware: Sequence[Middleware] = ()
    pace: Pace | None = None
    """Awaited before each request is sent."""
    permissions: Permissions = no_permission
    """Which permission a call needs that was refused with 403."""
    binding: LoopBinding = field(factory=LoopBinding, init=False)
    _queue: anyio.Semaphore = field(init=False)
    _pacer: Pacer = field(init=False)
    _budget: retry_rules.Budget = field(init=False)
    _lockout: LockoutGuard = field(factory=LockoutGuard, init=False)
    _calls: Deadlines = field(init=False, repr=False)
    _attempts: Deadlines = field(init=False, repr=False)
    _presence: ApiPresence = field(init=False, repr=False)
    _headers: RequestHeaders = field(init=False, repr=False)
    _blocked: bool = field(default=False, init=False)
    """True if `WORKFLOW_ASYNC_NO_NETWORK` forbids requests to this origin."""

    def __attrs_post_init__(self) -> None:
        self.middleware = checked_middlewares(self.middleware)
        self._queue = anyio.Semaphore(self.limits.connections, fast_acquire=True)
        self._pacer = Pacer(self.limits.rate, self.clock, self.pace, self.observer)
        self._budget = retry_rules.Budget(self.retry.budget)
        self._calls, self._attempts = Deadlines(self.timeouts.call), Deadlines(self.timeouts.exchange)
        self.observer.clock, self.observer.server = self.clock, self.origin.base.partition("://")[2]
        self._presence = ApiPresence(self._control_status)
        self._headers = RequestHeaders(self.extra_headers)

    @property
    def in_flight(self) -> int:
        """Number of requests that are being sent or answered."""
        return self.limits.connections - self._queue.value

    @property
    def queued(self) -> int:
        """Number of requests that wait for a request slot."""
        return self._queue.statistics().tasks_waiting

    def open(self) -> None:
        """Bind to the running event loop."""
        self.binding.open()
        self._blocked = is_network_blocked(self.origin)

    async def aclose(self) -> None:
        """Refuse further calls and close every connection."""
        self.binding.close()
        await self.close_connections()

    async def close_connections(self) -> None:
        """Close every idle connection. Stop the timers that no call needs."""
        self._calls.stop_idle_timer()
        self._attempts.stop_idle_timer()
        await self.backend.aclose()

    async def send(self, call: Call[T], *, timeout: float | None = None) -> T:
        """Send a call and return its result. Retry if that is safe and could help.

        Args:
            call: the call.
            timeout: seconds for the whole call instead of `Timeouts.call`. Each attempt may take all of it.

        Raises:
            CallError: the call failed. The error holds its attempts.
            ClientClosed, WrongEventLoop: the client cannot be used here.
        """
        self.binding.check()
        seconds = self.timeouts.call if timeout is None else timeout
        state = self._new_state(call)
        state.limits_attempts = timeout is None
        with self._calls.limit() if seconds == self.timeouts.call else anyio.move_on_after(seconds):
            return await self._with_retries(call, state)
        error = state.auth_error or state.deadline_error(seconds)
        if state.in_flight:
            state.record_attempt(error, self.clock.now(), None)
        raise state.finalize(error, self.clock.now())

    async def send_once(self, call: Call[T], headers: Headers = ()) -> T:
        """Send a call that has its own credentials, such as a login, without retries. Return its result."""
        self.binding.check()
        headers = SecretHeaders(headers)
        state = self._new_state(call)
        try:
            return self._read(call, await self._send_request(call, state, headers))
        except CallError as error:
            state.record_attempt(error, self.clock.now(), None)
            raise state.finalize(error, self.clock.now()) from None

    def _new_state(self, call: Call[object]) -> CallState:
        return CallState(call, self.origin.url(call.path, call.params), self.clock.now())

    async def _with_retries(self, call: Call[T], state: CallState) -> T:
        while True:
            credentials = await self._credentials(call, state)
            refusable = self.credential.refusable(credentials)
            self._lockout.check(refusable)
            try:
                result = await self._answer(call, state, credentials)
            except CallError as error:
                failure = error
            else:
                self._budget.give_back(1.0)
                if state.renewed:
                    refusable = self.credential.refusable(state.credentials)
                self._lockout.record_success(refusable)
                return result
            if state.is_already_deleted(failure):
                return call.read(Reply(204, {}, b""))
            delay = await self._next_delay(call, state, failure)
            if delay is None:
                await self._presence.explain(self.control, call, failure, self.origin.base)
                raise state.finalize(failure, self.clock.now())
            self.observer.on_retry(call.name, len(state.history), delay, failure)
            await self.clock.sleep(delay)

    async def _next_delay(self, call: Call[object], state: CallState, failure: CallError) -> float | None:
        """Record the failed attempt. Return the seconds until the next one, or None to give up."""
        attempt = len(state.history) + 1
        jitter, wrong_shapes = self.clock.jitter(), state.wrong_shapes
        elapsed = self.clock.now() - state.started if call.retries_unavailable else math.inf
        delay = retry_rules.retry_delay(
            self.retry, failure, call.replay, attempt=attempt, jitter=jitter, wrong_shapes=wrong_shapes, elapsed=elapsed
        )
        if failure.retry_after and not call.obeys_retry_after:
            delay = None
        # an immediate retry on a new connection costs nothing
        if delay and not self._budget.take(retry_rules.budget_cost(failure)):
            delay = None
        state.record_attempt(failure, self.clock.now(), delay)
        if isinstance(failure, ResponseMismatch):
            await self.backend.reset()
        return delay

    async def _answer(self, call: Call[T], state: CallState, credentials: Headers) -> T:
        """Send the call once and read its response. Raise a final error only if the API itself wrote the response."""
        reply = await self._with_renewal(call, state, credentials)
        try:
            return self._read(call, reply)
        except CallError as error:
            failure = error
        self._lockout.record_failure(failure, self.credential.refusable(state.credentials))
        if is_final(failure) and not await self._presence.is_own(self.control, call, reply, failure):
            retry_after = failure.retry_after
            failure = foreign_response(reply)
            failure.retry_after = retry_after
        raise failure

    async def _control_status(self, call: Call[object]) -> int:
        """Send a control request. Return its status, or 0 if there was no response."""
        state = self._new_state(call)
        try:
            credentials = await self._credentials(call, state)
            reply = await self._with_renewal(call, state, credentials)
            self._read(call, reply)
        except StatusError as error:
            return error.status
        except UnexpectedContent:
            return PAGE
        except DecodeError:
            return HTTPStatus.NOT_FOUND  # another document: the API is not there
        except CallError:
            return 0
        return reply.status

    async def _with_renewal(self, call: Call[object], state: CallState, credentials: Headers) -> Reply:
        """Return the reply, after one renewal of the credentials if the server refused them."""
        reply = await self._send_request(call, state, credentials)
        if state.renewed or not may_be_expired(call, reply, on_redirect=self.credential.renews_on_redirect):
            return reply
        state.renewed, state.auth_error = True, error_for(call, reply)
        if not await self.credential.renew(credentials, reply, call.method, state.url):
            return reply
        return await self._send_request(call, state, await self._credentials(call, state))

    async def _credentials(self, call: Call[object], state: CallState) -> SecretHeaders:
        headers = await self.credential.headers(call.method, state.url)
        return headers if type(headers) is SecretHeaders else SecretHeaders(headers)

    async def _send_request(self, call: Call[object], state: CallState, credentials: Headers) -> Reply:
        headers = self._headers.of(call, credentials)
        once, connects = call.replay is Replay.ONCE, not self._blocked
        request = Request(
            *(call.method, state.url, headers, call.body),
            new_connection=once,
            connects=connects,
            may_send=call.may_send,
        )
        send, queued = self._with_middleware if self.middleware else self._exchange, self.clock.now()
        async with self._queue:
            await self._pacer.wait()  # with a slot, since requests that wait for slots after their turns form a burst
            self.binding.check_open()
            started = self.clock.now()
            state.credentials = credentials
            state.requests += 1
            try:
                reply = await send(request, state)
            except BaseException as error:
                state.in_flight = state.in_flight and not isinstance(error, CallError)
                self.observer.on_error(call, state.requests, error, started, started - queued)
                raise
            state.in_flight = False
        self.observer.on_reply(call, state.requests, reply, started, started - queued)
        if self.binding.closed:
            with anyio.CancelScope(shield=True):  # a complete response is never dropped
                await self.backend.aclose()
        if len(reply.body) >= LARGE_BODY and call.replay is Replay.SAFE:
            await self._yield_to_queue()
        return reply

    async def _with_middleware(self, request: Request, state: CallState) -> Reply:
        """Send the request through the middlewares."""

        async def exchange(added: Headers) -> Reply:
            self.binding.check_open()
            return await self._exchange(evolve(request, headers=SecretHeaders((*request.headers, *added))), state)

        shown = visible_request(state.call, state.url, state.requests, call_headers(state.call, self.extra_headers))
        return await MiddlewareRun(shown, exchange, self.observer.on_middleware_failure).run(self.middleware)

    async def _exchange(self, request: Request, state: CallState) -> Reply:
        """Return the reply. Raise `DeadlineExceeded` after `Timeouts.exchange` if that limits the attempts."""
        request.check_may_send()
        state.in_flight, state.auth_error = True, None
        if not state.limits_attempts:
            return await self.backend(request)
        with self._attempts.limit():
            return await self.backend(request)
        raise DeadlineExceeded(f"no complete response within {self.timeouts.exchange:g} s of sending")

    async def _yield_to_queue(self) -> None:
        """Let queued calls send before a large response is parsed, so that connections do not sit idle.

        One turn of the event loop wakes the queued calls. Other responses that arrived in the same turn free their
        request slots too.
        """
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _read(self, call: Call[T], reply: Reply) -> T:
        error = error_for(call, reply)
        if error is not None:
            raise with_permission(error, call, reply, self.permissions)
        return call.read_reply(reply)
