"""Workflows of a Preservica: list, get, start, terminate, retry, wait."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from workflow_async import monitor
from workflow_async._call import number
from workflow_async._listing import Listing
from workflow_async._retry import may_have_happened
from workflow_async._transport import Transport
from workflow_async.errors import CallError, PartlyRefused, StartOutcomeUnknown
from workflow_async.preservica import calls, filters
from workflow_async.preservica.calls import Value
from workflow_async.preservica.records import Context, Started, Tally, Workflow
from workflow_async.settings import Poll, whole_number


@frozen
class Workflows:
    """`client.workflows`; see `PreservicaClient`."""

    _transport: Transport

    def list(
        self,
        *,
        state: filters.States | None = None,
        type: filters.WorkflowType | None = None,
        context: Context | int | str | None = None,
        creator: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        newest_first: bool = True,
        limit: int | None = None,
        page_size: int = 100,
    ) -> Listing[Workflow]:
        """List workflows, page by page as they are asked for.

        Pages are counted by rows. Without `state` no row leaves the list while it is paged, so none is missed; rows
        that new ones push to the next page come twice and are given once. With `state`, a workflow that leaves that
        state moves the later rows up, and one of them can be missed: for a complete walk leave `state` out.

        Args:
            state: in this state, or in one of these; None is any.
            type: of contexts of this type.
            context: of this context, or the context of this id.
            creator: started by this user.
            since: started then or later; aware.
            until: started then or earlier; aware.
            newest_first: the latest started first.
            limit: rows at most; None is all of them.
            page_size: rows a request asks for; the server may give fewer.

        Raises:
            UnsafeValue: at once, for a word the server does not know, a comma, or a naive datetime.

        Source: GET /sdb/rest/workflow/instances; contract: preservica.md 1.2, 5.
        """
        whole_number("limit", limit, least=1)
        whole_number("page_size", page_size, least=1)
        first, last = filters.period(since, until)
        asked = filters.some(
            type=None if type is None else filters.one_of("type", filters.TYPES, type),
            state=filters.states(state),
            contextId=None if context is None else filters.context_id(context),
            creator=None if creator is None else filters.single("creator", creator),
            **{"from": first},
            to=last,
            latestFirst="true" if newest_first else "false",
        )
        page = calls.list_workflows(asked, size=page_size, limit=limit)
        return Listing(self._transport.send, page, lambda workflow: workflow.id)

    async def get(self, workflow_id: int | str) -> Workflow:
        """Get one workflow as it stands, with what the server says of its errors in `extra`.

        Raises:
            NotFound: no such workflow; servers may say it in another way.
            ResponseMismatch: the answer is about another workflow.

        Source: GET /sdb/rest/workflow/instances/{id}; contract: preservica.md 1.3.
        """
        return await self._transport.send(calls.get_workflow(number("workflow_id", workflow_id)))

    async def start(
        self,
        context: Context | int | str,
        parameters: Mapping[str, Value] | None = None,
        *,
        correlation_id: str | None = None,
    ) -> Started:
        """Start a workflow; sent once, on a connection of its own, and never again.

        Args:
            context: what to start: a `Context`, its id (a number), or its name.
            parameters: for this workflow, sent as texts (True as "true").
            correlation_id: a mark of yours by which the workflow can be recognized; a random one if None.

        Raises:
            BadRequest, Forbidden, NotFound, Unauthorized: it was not started.
            ConnectFailed: it was not even sent.
            StartOutcomeUnknown: it may have been started; look before you start again.

        Source: POST /sdb/rest/workflow/instances; contract: preservica.md 1.4, 1.8.
        """
        id, name = _reference(context)
        mark = str(uuid.uuid4()) if correlation_id is None else correlation_id
        call = calls.start_workflow(id, name, parameters, mark)
        try:
            return await self._transport.send(call)
        except CallError as error:
            if not may_have_happened(error):
                raise
            place = f"context {id}" if name is None else f"context {name!r}"
            unknown = StartOutcomeUnknown(
                error, look_for=f"the correlation id {mark!r} among the workflows of {place}", correlation_id=mark
            )
        raise unknown

    async def terminate(self, *workflow_ids: int | str) -> None:
        """Ask for workflows to end; sent once. They are `ABORTED` a little later: `wait` for it.

        Raises:
            PartlyRefused: the server says that it will not end all of them.
            TransportError, ServerFault: it may have been accepted; look at the workflows.

        Source: POST /sdb/rest/workflow/instances/terminate; contract: preservica.md 1.5.
        """
        tally = await self._transport.send(calls.terminate_workflows(workflow_ids))
        _whole("terminate", tally)

    async def retry(self, *workflow_ids: int | str) -> int:
        """Let failed or suspended workflows try again; sent once. Returns how many do.

        Raises:
            PartlyRefused: some of them cannot be tried again; the others are.
            TransportError, ServerFault: it may have been accepted; look at the workflows.

        Source: POST /sdb/rest/workflow/instances/retry; contract: preservica.md 1.6.
        """
        tally = await self._transport.send(calls.retry_workflows(workflow_ids))
        _whole("retry", tally)
        return tally.successful

    async def wait(
        self,
        workflow_id: int | str,
        *,
        deadline: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.Parked = "wait",
        check: bool = False,
    ) -> Workflow:
        """Wait until a workflow has ended, and return its record.

        A `PENDING` workflow is waited for, although some contexts leave it so until a person clicks Continue.

        Args:
            workflow_id: the workflow.
            deadline: seconds; None waits without end, as ingests may take days.
            poll: how often to look.
            parked: what to do when it is suspended and needs a person: wait on, return the record, or raise.
            check: raise unless it completed; a mixed outcome is not that.

        Raises:
            WaitTimeout: the deadline passed; holds the last record.
            WorkflowFailed: with `check`, it failed, was aborted, or ended with a mixed outcome.
            WorkflowParked: with `parked="raise"`.
            CallError: looking failed for good, or for longer than `poll.outage`.
        """
        id = number("workflow_id", workflow_id)
        return await monitor.wait(
            lambda: self.get(id),
            id,
            deadline=deadline,
            poll=poll,
            parked=parked,
            check=check,
            clock=self._transport.clock,
        )


def _reference(context: Context | int | str) -> tuple[str | None, str | None]:
    """Id and name of a context, as far as they are known."""
    if isinstance(context, Context):
        return context.id, context.name or None
    if isinstance(context, str) and not filters.digits(context):
        return None, context
    return str(number("context", context)), None


def _whole(asked: str, tally: Tally) -> None:
    """Raise `PartlyRefused` where the server took only some of what was asked."""
    if tally.failed:
        raise PartlyRefused(asked, tally.successful, tally.failed)
