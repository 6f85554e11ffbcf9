"""The methods of both clients' `workflows` that wait for workflows."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from attrs import define

from workflow_async._core.call import parse_id, parse_ids
from workflow_async.monitor import waits
from workflow_async.monitor._engine.duration_text import durations_text, read_durations
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.events import Outcome
from workflow_async.monitor.waits import OnChange, OutcomeStream, Predicate, WaitOptions, WhenParked
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)


@define(eq=False)
class MonitoringMixin(Generic[W]):
    """Waiting for workflows. A client has one poll task, however many coroutines wait and watch.

    The poll task reads the list of active workflows if the server has one and that takes fewer requests. Otherwise it
    sends a GET for each workflow, spread over the interval. A workflow that leaves the list gets a GET before its end
    is reported.
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
        on_change: OnChange[W] | None = None,
        check: bool = False,
    ) -> W:
        """Wait until a workflow has ended, and return its record.

        Args:
            workflow_id: the workflow.
            timeout: seconds. None waits without a limit, because a lecture can take hours and a person days.
            poll: how often to check the workflow.
            parked: what to do when the workflow needs a person: go on waiting, return the record, or raise.
            until: a function of a record. Return before the end if it returns True.
            on_change: a function or coroutine function, called with each `Change` including the last, before the wait
                returns. In order and never concurrently. Its exception ends the wait. Changes that come during a call
                are merged. Every check then reads the operations.
            check: raise an error unless the workflow succeeded.

        Raises:
            WaitTimeout: the timeout passed. The error holds the last record.
            WorkflowFailed: with `check`, the workflow ended in another phase than `SUCCEEDED`.
            WorkflowParked: with `parked="raise"`, the workflow needs a person.
            NotFound: the server answered 404 at least three times in a row, over two minutes. Over four intervals if
                this client never saw the workflow and no start of it was answered with its id.
            WorkflowReplaced: the id belongs to another workflow now.
            ForeignResponse: the workflow was never seen, and over four intervals every response was one that the API
                did not write. Most likely the base URL is wrong.
            CallError: checks failed for longer than `poll.outage`, or were refused before the workflow was ever seen.
                Pauses that the server asks for (`Retry-After`) extend the outage by up to a day.
        """
        options = WaitOptions(timeout=timeout, poll=poll, parked=parked, until=until, on_change=on_change)
        return await waits.wait(self._poller, parse_id("workflow_id", workflow_id), options, check=check)

    async def wait_all(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenParked = "wait",
        until: Predicate[W] | None = None,
        on_change: OnChange[W] | None = None,
        check: bool = False,
    ) -> tuple[Outcome[W], ...]:
        """Wait for all of these workflows. Return one `Outcome` each, in the order of the ids.

        A workflow that fails or cannot be observed has an outcome too, and the others are not affected.

        Args:
            workflow_ids: the workflows.
            timeout: seconds for all of them together. Workflows that have no outcome by then are `TimedOut`.
            poll: how often to check the workflows.
            parked: what to do when a workflow needs a person: go on waiting, or end its wait with `Parked`.
            until: a function of a record. The wait for a workflow ends with `ConditionMet` if it returns True.
            on_change: called with each `Change` of each workflow, one at a time. See `wait`.
            check: raise an error, after all have an outcome, unless each of them succeeded, met `until`, or is parked
                with `parked="return"`.

        Raises:
            ExceptionGroup: with `check`. It has one error for each other workflow: what `wait` would raise.
        """
        options = WaitOptions[W](timeout=timeout, poll=poll, parked=parked, until=until, on_change=on_change)
        return await waits.wait_all(self._poller, parse_ids("workflow_ids", workflow_ids), options, check=check)

    def as_completed(
        self,
        workflow_ids: Iterable[int | str],
        *,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: WhenParked = "wait",
        until: Predicate[W] | None = None,
        on_change: OnChange[W] | None = None,
        check: bool = False,
    ) -> OutcomeStream[W]:
        """Wait for all of these workflows. Return each `Outcome` as it comes: `async for outcome in …`.

        A cancelled step loses nothing, so `asyncio.timeout` around `anext` works. To stop early, leave the loop.
        `aclose()` also waits until no request is in flight.

        Args:
            workflow_ids: the workflows.
            timeout: seconds for all of them together. Workflows that have no outcome by then are `TimedOut`.
            poll: how often to check the workflows.
            parked: what to do when a workflow needs a person: go on waiting, or end its wait with `Parked`.
            until: a function of a record. The wait for a workflow ends with `ConditionMet` if it returns True.
            on_change: called with each `Change` of each workflow, one at a time. See `wait`.
            check: raise an error in place of an outcome, unless the workflow succeeded, met `until`, or is parked with
                `parked="return"`. It is the error that `wait` would raise. `async for` ends with it. A further step of
                the same iterator continues with the other workflows.
        """
        options = WaitOptions[W](timeout=timeout, poll=poll, parked=parked, until=until, on_change=on_change)
        return OutcomeStream(self._poller, options, parse_ids("workflow_ids", workflow_ids), check=check)

    def export_durations(self) -> str:
        """Return the usual durations that this client has learned, as a JSON text.

        They are what `eta` and `stalled_after` compare with: up to 32 durations of each definition or context, and of
        each of its steps. The text holds no secret. `import_durations` of another process reads it.
        """
        system = self._poller.source.server_key.partition(":")[0]
        return durations_text(system, self._poller.durations.samples)

    def import_durations(self, text: str) -> None:
        """Learn the durations that `export_durations` has returned, in addition to those that are known.

        Raises:
            InvalidArgument: `export_durations` has not returned this text, or it is of the other system.
        """
        system = self._poller.source.server_key.partition(":")[0]
        self._poller.durations.add_earlier(read_durations(system, text))

    def wake(self, workflow_id: int | str | None = None) -> bool:
        """Check a watched workflow soon, at most once a second. Use it for hints from outside, such as a webhook.

        A hint never sets a state. Without an id, every workflow that this client watches is checked. A hint that comes
        before its workflow is watched is kept for 5 seconds. Call this in the thread of the client's event loop. From
        another thread, use `loop.call_soon_threadsafe(client.workflows.wake, workflow_id)`.

        Returns:
            True if this client watches the workflow. Without an id, True if it watches any workflow.

        Raises:
            InvalidArgument: the id is not a number.
            WrongEventLoop: called in another thread or event loop.
        """
        return self._poller.wake(None if workflow_id is None else parse_id("workflow_id", workflow_id))
