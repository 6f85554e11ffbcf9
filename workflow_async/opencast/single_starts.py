"""The part of an Opencast's workflow service that starts single workflows."""

from collections.abc import Mapping
from typing import Literal, overload

from attrs import define, evolve

from workflow_async import monitor
from workflow_async._core.call import ParameterValue, Params
from workflow_async.batch import OnConflict, Ticket
from workflow_async.batch.conflicts import Conflicts, SingleStart, check_on_conflict
from workflow_async.batch.outage import Outage
from workflow_async.monitor.waits import WaitOptions, wait
from workflow_async.opencast import calls
from workflow_async.opencast.control import including
from workflow_async.opencast.failures import Failures
from workflow_async.opencast.records import Workflow
from workflow_async.settings import Poll, check_poll, check_timeout


@define(eq=False)
class SingleStarts(Failures):
    """The methods that start one workflow."""

    @overload
    async def start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        poll: Poll = Poll(),
        timeout: float | None = None,
    ) -> Workflow: ...
    @overload
    async def start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: OnConflict,
        poll: Poll = Poll(),
        timeout: float | None = None,
    ) -> Workflow | None: ...
    @overload
    async def start(
        self,
        ticket: Ticket,
        /,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        poll: Poll = Poll(),
        timeout: float | None = None,
    ) -> Workflow: ...
    @overload
    async def start(
        self,
        ticket: Ticket,
        /,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: OnConflict,
        poll: Poll = Poll(),
        timeout: float | None = None,
    ) -> Workflow | None: ...
    async def start(
        self,
        event_id: str | Ticket,
        definition_id: str = "",
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        check_options: bool = False,
        on_conflict: OnConflict = "raise",
        poll: Poll = Poll(),
        timeout: float | None = None,
    ) -> Workflow | None:
        """Start a workflow on an event, or send a ticket. The request is sent once and never retried.

        It uses a new connection. A ticket of `prepare_start` can be stored before it is sent. A ticket that is sent
        twice starts two workflows.

        Returns the new workflow, because Opencast always responds with its record. Its `location` is the Location of
        the response. Preservica's `start` returns `Started`, because that server may not return an id.

        Values of `configuration` are sent as texts (True as "true"). The server stores them with the event, even if it
        refuses the start. Later workflows on the event get them too.

        Up to Opencast 11 the server checks for an active workflow in an index that lags up to 10 s. Within that time it
        accepts a second start on the same event, and both workflows run. Do not rely on `StartConflict` there.

        Args:
            event_id: the event, or a ticket. With a ticket, give neither definition nor configuration.
            definition_id: the definition.
            configuration: the configuration of this workflow.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.
            check_options: read the definition first, and send the start only if the configuration fits the options of
                its panel. See `Definition.check`. Without a configuration nothing is read. The read is a call of its
                own, to which `timeout` does not apply. Needs ROLE_API_WORKFLOW_DEFINITION_VIEW.
            on_conflict: what to do if another workflow is active on the event. "raise" raises `StartConflict`. "skip"
                returns None. "attach" returns the current record of the other workflow if it has the same definition
                and can be found: among the event's workflows (the list up to Opencast 11, ROLE_ADMIN later), or because
                this client has started it. Its `location` is None. Otherwise `tried` of the `StartConflict` says why
                not. "wait" waits until the event is free and sends the start then, with the current time as
                `prepared_at` of the ticket.
            poll: how often "wait" checks whether the event is free. Every `ceiling` seconds if this user cannot see the
                other workflow. With "attach" and "wait", reads are repeated for `poll.outage` seconds in an outage.
            timeout: seconds for the whole call, including the wait for a connection and a login. `Timeouts.call` if
                None. `Timeouts.exchange` does not limit a start. "wait" waits for the event for the same number of
                seconds before its last call, without a limit if None.

        Raises:
            StartConflict: another workflow is active on the event. `message` is the server's.
            StartRejected: the server refused the start, so nothing was started. `status` tells why. A 404 is also a
                `NotFound`, a 403 also a `Forbidden`, and so on.
            NotSent: the request did not reach the server. The same holds for any error with `at_login`.
            StartOutcomeUnknown: the workflow may have been started. `reconcile(error.ticket)` searches for it.
            InvalidArgument: an argument cannot be sent, the ticket is for another system or server, `timeout` is not
                above 0, or the configuration does not fit with `check_options`. Nothing was started.
            CallError: with `check_options`, the definition cannot be read. With "attach" and "wait", the other workflow
                cannot be read. Nothing was started.

        Source: POST /api/workflows. Needs ROLE_API_WORKFLOW_INSTANCE_CREATE. See tests/contract/opencast.md, section
        2.1.
        """
        check_timeout("timeout", timeout)
        check_on_conflict(on_conflict)
        check_poll(poll)
        ticket = self._starts.from_arguments(event_id, definition_id, configuration)
        if check_options:
            await self._starts.check_options(ticket)
        include = including(operations=with_operations, configuration=with_configuration)
        return await self._start(ticket, include, on_conflict, poll, timeout, patience=timeout)

    @overload
    async def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        on_conflict: Literal["raise", "attach", "wait"] = "raise",
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow: ...
    @overload
    async def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        on_conflict: OnConflict,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow | None: ...
    async def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        on_conflict: OnConflict = "raise",
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow | None:
        """Start a workflow and wait for its end. Raises what `start` and `wait` raise.

        The record holds `operations`, because every end is read with them. It holds no `configuration`.

        Args:
            event_id: the event.
            definition_id: the definition.
            configuration: the configuration of this workflow. See `start`.
            on_conflict: what to do if another workflow is active on the event. See `start`. With "attach", wait for the
                end of the other workflow. With "skip", return None at once.
            timeout: seconds from the response to the start. None waits without a limit. With `on_conflict="wait"`, the
                wait for the event may take the same number of seconds before.
            poll: how often to check the workflow.
            parked: what to do when the workflow needs a person: go on waiting, return the record, or raise.
            until: a function of a record. Return before the end if it returns True.
            on_change: called with each `Change`. See `wait`.
            check: raise an error unless the workflow succeeded.
        """
        options = WaitOptions[Workflow](timeout=timeout, poll=poll, parked=parked, until=until, on_change=on_change)
        check_on_conflict(on_conflict)
        ticket = self.prepare_start(event_id, definition_id, configuration=configuration)
        workflow = await self._start(ticket, (), on_conflict, poll, None, patience=timeout)
        return None if workflow is None else await wait(self._poller, workflow.id, options, check=check)

    async def _start(
        self,
        ticket: Ticket,
        include: Params,
        on_conflict: OnConflict,
        poll: Poll,
        timeout: float | None,
        *,
        patience: float | None,
    ) -> Workflow | None:
        """Send a ticket. Return the workflow that was started or is active, or None if the start was skipped."""

        async def send(ticket: Ticket) -> Workflow:
            return await self._starts.send(ticket, include, timeout=timeout)

        async def read(workflow_id: int) -> Workflow:
            return await self._transport.send(calls.get_workflow(workflow_id, include))

        clock = self._transport.clock
        shorter = poll if patience is None else evolve(poll, outage=min(poll.outage, patience))
        conflicts = Conflicts(self._starts, self._poller, clock, Outage(clock, shorter), shorter)
        workflow = await SingleStart(conflicts, on_conflict, patience, send, read).start(ticket)
        if workflow is not None:
            self._poller.note_existing(workflow.id, workflow)
        return workflow
