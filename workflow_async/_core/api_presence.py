"""Finds out whether the API itself wrote a response, if necessary with a control request."""

from collections.abc import Awaitable, Callable

from attrs import define, field

from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.provenance import PAGE, Author, Control, absence, author, hint, is_absent, is_api_present
from workflow_async._core.single_flight import SharedTask
from workflow_async.errors import CallError, ForeignResponse, UnexpectedContent


@define(eq=False)
class ApiPresence:
    """The control requests of one client. One is sent at a time, for all calls that wait for it."""

    send: Callable[[Call[object]], Awaitable[int]]
    """Sends a control request. Returns its status, or 0 if there was no response."""
    _checking: SharedTask[int] | None = field(default=None, init=False, repr=False)

    async def is_own(self, control: Control | None, call: Call[object], reply: Reply, failure: CallError) -> bool:
        """Return True if the API itself wrote a response. If the response is not conclusive, send a control request."""
        found = author(call, reply, failure)
        if found is not Author.UNKNOWN or control is None:
            return found is not Author.OTHER
        return is_api_present(reply.status, await self._check(control))

    async def explain(self, control: Control | None, call: Call[object], failure: CallError, base: str) -> None:
        """Add to an error about a foreign response or a page whether the API is there at all.

        A refusal that another system wrote shows that without a control request.
        """
        if control is not None and (other := control.other_system(failure)):
            failure.absent = f"{absence(control.name, base)}, but a {other}"
        is_foreign = isinstance(failure, ForeignResponse | UnexpectedContent) and not failure.at_login
        if not is_foreign or control is None or call.replay is Replay.ONCE:
            return
        status = await self._check(control)
        if isinstance(failure, ForeignResponse) or (isinstance(failure, UnexpectedContent) and status == PAGE):
            failure.hint = hint(control.name, base, status)
        if is_absent(status):
            failure.absent = absence(control.name, base)

    async def _check(self, control: Control) -> int:
        """Send one control request for all calls that wait for it. Return its status, or 0 if there was no response."""
        if self._checking is None or self._checking.closed:
            self._checking = SharedTask.start(self._status(control))
        return await self._checking.wait()

    async def _status(self, control: Control) -> int:
        return await self.send(control.make_call())
