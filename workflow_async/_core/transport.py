"""A call and its answer: deadline, credentials, a place in the queue, the exchange, and another try where it is due."""

import asyncio
import copy
import logging
import math
import os
from http import HTTPStatus
from typing import TypeVar

import anyio
import anyio.lowlevel
from attrs import define, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.auth import Credential, Headers, SecretHeaders
from workflow_async._core.backend import Backend, Request
from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.origin import Origin
from workflow_async._core.provenance import Author, Control, author, hint, is_answered, is_final
from workflow_async._core.single_flight import SharedTask
from workflow_async._core.status import REDIRECTS, error_for, foreign_response, is_unauthorized
from workflow_async.errors import (
    Attempt,
    CallError,
    ClientClosed,
    DeadlineExceeded,
    DecodeError,
    ForeignResponse,
    NotFound,
    NotSentInTime,
    ResponseMismatch,
    StatusError,
    Unauthorized,
    WrongEventLoop,
)
from workflow_async.settings import Clock, Limits, Retry, Timeouts

T = TypeVar("T")

USER_AGENT = "workflow-async"
LARGE_BODY = 16 * 2**10
"""Bytes of an answer whose reading takes so long that others should send first."""

REFUSED_AGAIN = "these credentials are not tried again: open a new client with others"

log = logging.getLogger("workflow_async")


@define
class CallState:
    """What one call has been through so far."""

    call: Call[object]
    url: str
    began: float
    backend: float
    """Seconds for one attempt with the whole of its answer."""
    history: list[Attempt] = field(factory=list)
    renewed: bool = False
    sent: bool = False
    """Whether the server may have acted on any attempt that is over."""
    refusal: CallError | None = None
    """What the server answered, while the credentials that it refused are renewed."""
    misfits: int = 0
    """Attempts that are over whose answer parsed and did not fit."""
    in_flight: bool = False
    """Whether an attempt is on the wire."""

    def record_attempt(self, error: CallError, now: float, wait: float | None) -> None:
        """Note how an attempt ended."""
        self.sent = self.sent or retry_rules.may_have_happened(error)
        self.misfits += retry_rules.does_not_fit(error)
        self.history.append(Attempt(now - self.began, type(error).__name__, wait))

    def finalize(self, error: CallError, now: float) -> CallError:
        """The error, with where it happened and what was tried; that of a login knows already."""
        if error.at_login:
            return error
        error.method, error.url = self.call.method, self.url
        error.elapsed, error.history = now - self.began, tuple(self.history)
        error.__cause__ = error.__context__ = None  # frames of what led to it hold what was sent and what came
        return error.with_traceback(None)  # so do its own


@define
class LoopBinding:
    """The event loop and the process that a client belongs to, and how often it was opened there."""

    _pid: int = field(default=0, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _entries: int = field(default=0, init=False)

    def open(self) -> None:
        """Count one opening, and belong to the running loop. Raise `WrongEventLoop` if the client is open elsewhere."""
        running = _running_loop()
        if running is None:
            raise WrongEventLoop("no asyncio event loop is running: use asyncio.run() or uvloop, not trio")
        if self._abandoned:
            self._pid, self._loop, self._entries = os.getpid(), running, 0
        self.check()
        self._entries += 1

    def leave(self) -> bool:
        """Undo one opening. Return True if none is left, which closes the client. Raise `WrongEventLoop` elsewhere."""
        if self._abandoned:
            self.close()
        else:
            self.check()
            self._entries -= 1
        if not self._entries:
            self.close()
        return self.closed

    def close(self) -> None:
        """Belong to no loop."""
        self._loop, self._entries = None, 0

    @property
    def closed(self) -> bool:
        """True if the client belongs to no loop."""
        return self._loop is None

    @property
    def _abandoned(self) -> bool:
        """True if no loop can use the client: it is closed, its loop is closed, or this is a forked process."""
        return self._loop is None or self._loop.is_closed() or self._pid != os.getpid()

    def check(self) -> None:
        """Raise `ClientClosed` or `WrongEventLoop` where a call cannot work."""
        self.check_open()
        if self._pid != os.getpid() or self._loop is not _running_loop():
            raise WrongEventLoop("the client was opened in another event loop or process: open one for each")

    def check_open(self) -> None:
        """Raise `ClientClosed` if a call that has begun cannot go on."""
        if self.closed:
            raise ClientClosed("open the client with `async with` and use it inside")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
    _accepted: bool = field(default=False, init=False)
    """True once the server has answered a call with success."""
    _refused: CallError | None = field(default=None, init=False)
    """The refusal of credentials that were never accepted."""
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
        late = journey.refusal or _deadline_error(journey, seconds)
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
            self._check_credential()
            credentials = SecretHeaders(await self.credential.headers(call.method, journey.url))
            try:
                answer = await self._answer(call, journey, credentials)
            except CallError as error:
                failure = error
            else:
                self._budget.give_back(1.0)
                self._accepted = True
                return answer
            if _already_deleted(call, journey, failure):
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

    def _check_credential(self) -> None:
        """Raise the server's refusal of a password or token that never worked, so that no account gets locked."""
        if self._refused is not None and not self._accepted:
            raise copy.copy(self._refused)

    def _note_refusal(self, failure: CallError) -> None:
        """Remember a 401 to credentials that never worked. A redirect to a login page may pass."""
        if not isinstance(failure, Unauthorized) or failure.status != HTTPStatus.UNAUTHORIZED:
            return
        if self.credential.fixed and not self._accepted:
            failure.message = f"{failure.message}; {REFUSED_AGAIN}".lstrip("; ")
            self._refused = copy.copy(failure)
            self._refused.at_login = True

    async def _answer(self, call: Call[T], journey: CallState, credentials: Headers) -> T:
        """Send the call once and read its response. Raise a final error only if the API itself wrote the response."""
        reply = await self._with_renewal(call, journey, credentials)
        try:
            return self._read(call, reply)
        except CallError as error:
            failure = error
        self._note_refusal(failure)
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


def _deadline_error(journey: CallState, seconds: float) -> DeadlineExceeded:
    reason = f"no answer within {seconds:g} s"
    return DeadlineExceeded(reason) if journey.sent or journey.in_flight else NotSentInTime(reason)


def _already_deleted(call: Call[object], journey: CallState, failure: CallError) -> bool:
    return call.replay is Replay.DELETE and isinstance(failure, NotFound) and journey.sent
