"""A call and its answer: deadline, credentials, a place in the queue, the exchange, and another try where it is due."""

import logging
import math
from http import HTTPStatus
from typing import TypeVar

import anyio
import anyio.lowlevel
from attrs import define, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.auth import Credential, Headers, SecretHeaders
from workflow_async._core.backend import Backend, Request
from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.call_state import CallState
from workflow_async._core.lockout import LockoutGuard
from workflow_async._core.loop_binding import LoopBinding
from workflow_async._core.origin import Origin
from workflow_async._core.provenance import Author, Control, author, hint, is_answered, is_final
from workflow_async._core.single_flight import SharedTask
from workflow_async._core.status import REDIRECTS, error_for, foreign_response, is_unauthorized
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    DecodeError,
    ForeignResponse,
    ResponseMismatch,
    StatusError,
)
from workflow_async.settings import Clock, Limits, Retry, Timeouts

T = TypeVar("T")

USER_AGENT = "workflow-async"
LARGE_BODY = 16 * 2**10
"""Bytes of an answer whose reading takes so long that others should send first."""

log = logging.getLogger("workflow_async")


@define(kw_only=True)
class Transport:
    """Turns calls into answers, for one client."""

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
    binding: LoopBinding = field(factory=LoopBinding, init=False)
    _queue: anyio.Semaphore = field(init=False)
    _budget: retry_rules.Budget = field(init=False)
    _lockout: LockoutGuard = field(factory=LockoutGuard, init=False)
    _checking: SharedTask[int] | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._queue = anyio.Semaphore(self.limits.connections, fast_acquire=True)
        self._budget = retry_rules.Budget(self.retry.budget)

    def open(self) -> None:
        """Belong to the running event loop from here on."""
        self.binding.open()

    async def aclose(self) -> None:
        """Take no more calls and close every connection."""
        self.binding.close()
        await self.backend.aclose()

    async def send(self, call: Call[T], *, timeout: float | None = None) -> T:
        """The answer to a call, tried again where that helps and cannot harm.

        Args:
            call: the call.
            timeout: seconds for the whole call instead of `Timeouts.call`, without a limit for each exchange.

        Raises:
            CallError: every way a call can fail, with its attempts.
            ClientClosed, WrongEventLoop: the client cannot be used here.
        """
        self.binding.check()
        seconds = self.timeouts.call if timeout is None else timeout
        journey = self._journey(call, self.timeouts.exchange if timeout is None else seconds)
        with anyio.move_on_after(seconds):
            return await self._with_retries(call, journey)
        late = journey.refusal or journey.deadline_error(seconds)
        if journey.in_flight:
            journey.record_attempt(late, self.clock.now(), None)
        raise journey.finalize(late, self.clock.now())

    async def send_once(self, call: Call[T], headers: Headers = ()) -> T:
        """The answer to a call that brings its own credentials and is not tried again: a login."""
        self.binding.check()
        headers = SecretHeaders(headers)
        journey = self._journey(call, self.timeouts.exchange)
        try:
            return self._read(call, await self._send_request(call, journey, headers))
        except CallError as error:
            journey.record_attempt(error, self.clock.now(), None)
            raise journey.finalize(error, self.clock.now()) from None

    def _journey(self, call: Call[object], exchange: float) -> CallState:
        return CallState(call, self.origin.url(call.path, call.params), self.clock.now(), exchange)

    async def _with_retries(self, call: Call[T], journey: CallState) -> T:
        while True:
            self._lockout.check()
            credentials = SecretHeaders(await self.credential.headers(call.method, journey.url))
            try:
                answer = await self._answer(call, journey, credentials)
            except CallError as error:
                failure = error
            else:
                self._budget.give_back(1.0)
                self._lockout.accept()
                return answer
            if journey.is_already_deleted(failure):
                return call.read(Reply(204, {}, b""))
            wait = await self._next(call, journey, failure)
            if wait is None:
                await self._explain(call, failure)
                raise journey.finalize(failure, self.clock.now())
            await self.clock.sleep(wait)

    async def _next(self, call: Call[object], journey: CallState, failure: CallError) -> float | None:
        """Seconds until the next attempt, or None; the attempt that failed is noted."""
        attempt = len(journey.history) + 1
        jitter, misfits = self.clock.jitter(), journey.misfits
        elapsed = self.clock.now() - journey.began if call.retries_unavailable else math.inf
        wait = retry_rules.retry_delay(
            self.retry, failure, call.replay, attempt=attempt, jitter=jitter, misfits=misfits, elapsed=elapsed
        )
        if failure.retry_after and not call.obeys_retry_after:
            wait = None
        if wait and not self._budget.take(
            retry_rules.budget_cost(failure)
        ):  # another try at once, on a fresh connection, is free
            wait = None
        journey.record_attempt(failure, self.clock.now(), wait)
        if isinstance(failure, ResponseMismatch):
            await self.backend.reset()
        return wait

    async def _answer(self, call: Call[T], journey: CallState, credentials: Headers) -> T:
        """Send the call once and read its response. Raise a final error only if the API itself wrote the response."""
        reply = await self._with_renewal(call, journey, credentials)
        try:
            return self._read(call, reply)
        except CallError as error:
            failure = error
        self._lockout.note(failure, fixed=self.credential.fixed)
        if is_final(failure) and not await self._is_own(call, reply, failure):
            retry_after = failure.retry_after
            failure = foreign_response(reply)
            failure.retry_after = retry_after
        raise failure

    async def _is_own(self, call: Call[object], reply: Reply, failure: CallError) -> bool:
        """Return True if the API itself wrote a response. Ask it for its version if the response does not tell."""
        found = author(call, reply, failure)
        if found is not Author.UNKNOWN or self.control is None:
            return found is not Author.OTHER
        return is_answered(reply.status, await self._check(self.control))

    async def _explain(self, call: Call[object], failure: CallError) -> None:
        """Add to an error about a foreign response whether the API is there at all."""
        if isinstance(failure, ForeignResponse) and self.control is not None and call.replay is not Replay.ONCE:
            failure.hint = hint(self.control.name, self.origin.base, await self._check(self.control))

    async def _check(self, control: Control) -> int:
        """Send the control request, once for all calls that wait for it. Return its status, 0 if there was none."""
        if self._checking is None or self._checking.closed:
            self._checking = SharedTask.start(self._control_status(control))
        return await self._checking.wait()

    async def _control_status(self, control: Control) -> int:
        journey = self._journey(control.call, self.timeouts.exchange)
        try:
            credentials = SecretHeaders(await self.credential.headers(control.call.method, journey.url))
            reply = await self._with_renewal(control.call, journey, credentials)
            self._read(control.call, reply)
        except StatusError as error:
            return error.status
        except DecodeError:
            return HTTPStatus.NOT_FOUND  # a page or another document: the API is not there
        except CallError:
            return 0
        return reply.status

    async def _with_renewal(self, call: Call[object], journey: CallState, credentials: Headers) -> Reply:
        """The reply, after one renewal of the credentials if the server wants others."""
        reply = await self._send_request(call, journey, credentials)
        if journey.renewed or not self._may_be_expired(call, reply):
            return reply
        journey.renewed, journey.refusal = True, error_for(call, reply)
        if not await self.credential.renew(credentials, reply, call.method, journey.url):
            return reply
        credentials = SecretHeaders(await self.credential.headers(call.method, journey.url))
        return await self._send_request(call, journey, credentials)

    def _may_be_expired(self, call: Call[object], reply: Reply) -> bool:
        """Return True if a response may mean that the credentials have expired."""
        if is_unauthorized(call, reply) or _is_login_page(call, reply):
            return True
        redirected = reply.status in REDIRECTS and call.replay is Replay.SAFE
        return redirected and self.credential.renews_on_redirect

    async def _send_request(self, call: Call[object], journey: CallState, credentials: Headers) -> Reply:
        request = Request(
            call.method,
            journey.url,
            (*self._headers(call), *credentials),
            call.body,
            new_connection=call.replay is Replay.ONCE,
        )
        async with self._queue:
            self.binding.check_open()
            began = self.clock.now()
            journey.in_flight, journey.refusal = True, None
            try:
                reply = await self._with_deadline(request, journey.backend)
            except CallError:
                journey.in_flight = False
                raise
            journey.in_flight = False
        if self.binding.closed:
            with anyio.CancelScope(shield=True):  # the response is here: neither deadline nor cancellation drops it
                await self.backend.aclose()
        if len(reply.body) >= LARGE_BODY and call.replay is Replay.SAFE:
            await self._yield_to_queue()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s: %s in %.3f s", call.method, call.path, reply.status, self.clock.now() - began)
        return reply

    async def _with_deadline(self, request: Request, seconds: float) -> Reply:
        """Return the reply. Raise `DeadlineExceeded` after `seconds`."""
        with anyio.move_on_after(seconds):
            return await self.backend(request)
        raise DeadlineExceeded(f"no whole answer within {seconds:g} s of sending")

    async def _yield_to_queue(self) -> None:
        """Let who waits for a place take it and send, before a long answer is read: the wire would be idle meanwhile.

        One turn of the event loop wakes them, and all other answers that came with this one give their places back.
        """
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()

    def _headers(self, call: Call[object]) -> Headers:
        plain = (("accept", call.accept), ("accept-encoding", "gzip"), ("user-agent", USER_AGENT), *self.extra_headers)
        return (*plain, ("content-type", call.content_type)) if call.content_type else plain

    def _read(self, call: Call[T], reply: Reply) -> T:
        error = error_for(call, reply)
        if error is not None:
            raise error
        return call.read_reply(reply)


def _is_login_page(call: Call[object], reply: Reply) -> bool:
    """A page where a success is due; a refusal may well be a page, and says nothing of the credentials."""
    return reply.is_page and reply.status in call.success and call.replay is not Replay.ONCE
