"""What the workflows of either system can do over time: be waited for, one by one or by the thousand."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from attrs import define

from workflow_async._core.call import parse_id, parse_ids
from workflow_async.monitor import watch
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.events import Outcome
from workflow_async.monitor.watch import OutcomeStream, Predicate, WaitOptions, WhenParked
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)


@define(eq=False)
class MonitoringMixin(Generic[W]):
    """Waiting and watching; however many coroutines do so, a client has one poll loop.

    The loop looks at what is watched by the list of active workflows where there is one and that is cheaper, else by
    single gets, spread over the interval. A workflow that leaves the list is got before anyone is told of its end.
    """

    _poller: Poller[W]

    async def wait(
        self,
        workflow_id: int | str,
        *,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenParked = "wait",
        until: Predicate[W] | None = None,
        check: bool = False,
    ) -> W:
        """Wait until a workflow has ended, and return its record.

        Args:
            workflow_id: the workflow.
            timeout: seconds; None waits without end, as lectures may take hours and a person days.
            poll: how often to look.
            parked: what to do when it needs a person: wait on, return the record, or raise.
            until: return before the end, once this is true of a record.
            check: raise unless it succeeded.

        Raises:
            WaitTimeout: the deadline passed; holds the last record.
            WorkflowFailed: with `check`, it ended otherwise than well.
            WorkflowParked: with `parked="raise"`.
            NotFound: the server itself answered 404 three times in a row and more, over two minutes. Over four
                intervals if this client never saw the workflow and no start of it was answered with its id.
            WorkflowReplaced: the id belongs to another workflow now.
            ForeignResponse: nothing but responses that the API did not write, over four intervals, for a workflow that
                was never seen. Most likely the base URL is wrong.
            CallError: checks failed for longer than `poll.outage`, or were refused before the workflow was ever seen.
                Pauses that the server asked for (`Retry-After`) extend the outage by up to a day.
        """
        terms = WaitOptions(timeout=timeout, poll=poll, parked=parked, until=until)
        return await watch.wait(self._poller, parse_id("workflow_id", workflow_id), terms, check=check)

    async def wait_all(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenParked = "wait",
    ) -> tuple[Outcome[W], ...]:
        """Wait for all of them: one `Outcome` each, in their order; a bad one never spoils the rest.

        Args: as for `wait`.
        """
        terms = WaitOptions[W](timeout=timeout, poll=poll, parked=parked)
        return await watch.wait_all(self._poller, parse_ids("workflow_ids", workflow_ids), terms)

    def as_completed(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenParked = "wait",
    ) -> OutcomeStream[W]:
        """Wait for all of them, and return each `Outcome` as it comes: `async for outcome in …`.

        A step that is cancelled loses nothing: `asyncio.timeout` around `anext` works. To stop early, leave the loop.
        `aclose()` waits until no request is left, too.

        Args: as for `wait`.
        """
        terms = WaitOptions[W](timeout=timeout, poll=poll, parked=parked)
        return OutcomeStream(self._poller, terms, parse_ids("workflow_ids", workflow_ids))

    def wake(self, workflow_id: int | str | None = None) -> bool:
        """Check a watched workflow soon, at most once a second: a hint from outside, which can never set a state.

        Without an id, everything that this client watches is checked. A hint that comes before its workflow is watched
        is kept for 5 seconds. Call it in the thread of the client's event loop, from another thread by
        `loop.call_soon_threadsafe(client.workflows.wake, workflow_id)`.

        Returns:
            True if the workflow, or anything, is watched by this client.

        Raises:
            InvalidArgument: the id is not a number.
            WrongEventLoop: called in another thread or event loop.
        """
        return self._poller.wake(None if workflow_id is None else parse_id("workflow_id", workflow_id))
