"""Counts what a client does, detects outages, and hands events to the log and to `on_event`."""

import asyncio
import inspect
import logging
from datetime import UTC, datetime

from attrs import define, field

from workflow_async._core.call import Call, Reply
from workflow_async._core.outage import OutageDetector, is_unanswered
from workflow_async._core.retry import UNAVAILABLE
from workflow_async.errors import InvalidArgument, TransportError
from workflow_async.observe.events import ClientEvent, LoggedIn, OnEvent, Outage, RequestSent, Retrying
from workflow_async.observe.log import log, log_event
from workflow_async.settings import Clock


def check_on_event(on_event: OnEvent | None) -> None:
    """Raise `InvalidArgument` unless `on_event` is None or a plain function."""
    if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
        raise InvalidArgument("on_event", "must be a function of one event, and not a coroutine function")


@define(eq=False)
class Observer:
    """The counters of one client, and where its events go."""

    on_event: OnEvent | None = None
    clock: Clock = field(factory=Clock, repr=False)
    """The transport of the client sets the clock and the server."""
    server: str = ""
    """The host with the path below which the system is mounted."""
    requests: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)
    logins: int = field(default=0, init=False)
    last_error: str | None = field(default=None, init=False)
    last_error_at: float = field(default=0.0, init=False)
    last_reason: str | None = field(default=None, init=False)
    outage: OutageDetector = field(factory=OutageDetector, init=False)
    _logged: set[type[BaseException]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        check_on_event(self.on_event)  # a converter would make each count of a request twice as slow

    def wants(self, level: int) -> bool:
        """Return True if an event that is logged at this level goes anywhere."""
        return self.on_event is not None or log.isEnabledFor(level)

    def emit(self, event: ClientEvent) -> None:
        """Hand an event to the log and to `on_event`."""
        log_event(event, self.server)
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - an observer breaks no call
            self.log_once("on_event raised an exception", error)

    def log_once(self, message: str, error: BaseException) -> None:
        """Log an exception of the caller's code with its traceback, once for each class."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            log.error(message, exc_info=error, extra={"error": type(error).__name__, "server": self.server})

    def on_middleware_failure(self, error: BaseException) -> None:
        """Note an exception that a middleware raised by mistake."""
        self.log_once("a middleware raised an exception", error)

    def on_reply(self, call: Call[object], attempt: int, reply: Reply, started: float, queued: float) -> None:
        """Note a request with its response. `started` is when it was sent."""
        self.requests += 1
        if reply.status in UNAVAILABLE:
            self._on_failure(str(reply.status), f"{reply.status} from the server")
        elif self.outage.failures:
            self._on_answer()
        if self.on_event is not None or log.isEnabledFor(logging.DEBUG):  # as `wants`, without another call
            self._emit_request(call, attempt, started, queued, reply=reply)

    def on_error(self, call: Call[object], attempt: int, error: BaseException, started: float, queued: float) -> None:
        """Note a request that got no complete response."""
        self.requests += 1
        name = type(error).__name__
        if isinstance(error, TransportError) and is_unanswered(error):
            self._on_failure(name, error.reason)
        if self.wants(logging.DEBUG):
            self._emit_request(call, attempt, started, queued, error=name)

    def on_retry(self, call: str, attempt: int, wait: float, error: BaseException) -> None:
        """Note that an attempt failed and is repeated."""
        self.retries += 1
        if self.wants(logging.DEBUG):
            self.emit(Retrying(call=call, attempt=attempt, wait=wait, error=type(error).__name__))

    def on_login(self, started: float, *, renewed: bool) -> None:
        """Note a login that began at `started`."""
        self.logins += 1
        if self.wants(logging.INFO):
            self.emit(LoggedIn(seconds=self.clock.now() - started, renewed=renewed))

    def _emit_request(
        self,
        call: Call[object],
        attempt: int,
        started: float,
        queued: float,
        *,
        reply: Reply | None = None,
        error: str | None = None,
    ) -> None:
        event = RequestSent(
            call=call.name,
            method=call.method,
            route=call.route,
            attempt=attempt,
            status=None if reply is None else reply.status,
            error=error,
            seconds=self.clock.now() - started,
            queued=queued,
            bytes=0 if reply is None else len(reply.body),
        )
        self.emit(event)

    def _on_failure(self, error: str, reason: str) -> None:
        now, wall = self.clock.now(), self.clock.wall()
        self.last_error, self.last_error_at, self.last_reason = error, wall, reason
        if self.outage.failed(now, wall):
            self._emit_outage(over=False)

    def _on_answer(self) -> None:
        if self.outage.answered():
            self._emit_outage(over=True)

    def _emit_outage(self, *, over: bool) -> None:
        began, seconds = instant(self.outage.began_wall), self.clock.now() - self.outage.began
        self.emit(Outage(began=began, seconds=seconds, error=self.last_error or "", over=over))


def instant(wall: float) -> datetime:
    """Return seconds since 1970 as a datetime in UTC."""
    return datetime.fromtimestamp(wall, UTC)
