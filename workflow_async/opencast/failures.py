"""The part of an Opencast's workflow service that says why a workflow failed, and answers a hold."""

from functools import partial

from attrs import define

from workflow_async._core.call import parse_id
from workflow_async.errors import NotHeld
from workflow_async.monitor._engine.pauses import Pause, pause_of
from workflow_async.opencast import calls, incident_calls
from workflow_async.opencast.control import SETTLE_TIMEOUT, Control, including
from workflow_async.opencast.incident_calls import HoldAnswer
from workflow_async.opencast.incidents import Incident
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.resume_service import ResumeRequest
from workflow_async.settings import check_not_negative

WITH_OPERATIONS = including(operations=True, configuration=False)


@define(eq=False)
class Failures(Control):
    """The methods that use the private API of Opencast's admin interface."""

    async def errors(
        self, workflow_id: int | str, *, event_id: str | None = None, with_details: bool = False
    ) -> tuple[Incident, ...]:
        """Get what Opencast has recorded about the failures of a workflow, in the order of its operations.

        It uses the private API of Opencast's admin interface, which needs **ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW**,
        because the External API has no error texts. The server keeps the errors of the last attempt of each operation,
        and of the jobs that the attempt has started. A warning or a note can be among them.

        Args:
            workflow_id: the workflow.
            event_id: the event of the workflow. Read from the workflow if None, which costs one request.
            with_details: fill `job_id`, `host`, `service_type` and `details`, such as the stack trace. Costs one
                request for each error.

        Raises:
            Forbidden: this user lacks the role. `role` names it.
            NotFound: there is no such workflow, or the event is deleted, or this user may not read the event.
            InvalidArgument: immediately, if the event's id does not fit into a path.

        Source: GET /admin-ng/event/{event}/workflows/{id}/errors.json and /errors/{error}.json. See
        tests/contract/opencast.md, section 2.6.
        """
        id = parse_id("workflow_id", workflow_id)
        if event_id is None:
            event_id = (await self._transport.send(calls.get_workflow(id))).event_id
        incidents = await self._transport.send(incident_calls.list_incidents(event_id, id))
        if not with_details:
            return incidents
        details = [incident_calls.get_incident(event_id, id, incident.id) for incident in incidents]
        return tuple([await self._transport.send(call) for call in details])

    async def answer(self, workflow_id: int | str, answer: HoldAnswer, *, settle: float = SETTLE_TIMEOUT) -> Workflow:
        """Answer a workflow that is on hold after an error, and return its record once the answer has taken effect.

        An operation whose retry strategy is `hold` holds the workflow when it fails. `Workflow.held_operation` is that
        operation. There are two answers:

        - "retry": run the operation again. If it fails in its last attempt, the answer is the same as "fail".
        - "fail": let the operation stay failed. What follows is up to the definition: the workflow fails, its error
          handler runs, or, for an operation with `fail_workflow_on_error=False`, the workflow continues.

        It uses the private API of Opencast's admin interface, which needs **ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT**.
        The workflow is read first. The answer is sent once. After a `TransportError` or a `ServerError` it may have
        been carried out, and this client does not send another answer to the same hold within 30 s.

        The server only queues a job for the answer. This method returns when the record has left the hold, or is on
        hold again. After `settle` seconds it returns the current record, which may still show the hold. The record
        holds `operations`.

        Args:
            workflow_id: the workflow.
            answer: see above. To end the workflow in any case, use `stop`.
            settle: seconds to wait for the effect. With 0, return the record as it was before the answer.

        Raises:
            NotHeld: no operation of the workflow waits for an answer. Nothing was sent. Use `resume` for a workflow
                that is paused for another reason.
            Forbidden: this user lacks the role. `role` names it.
            BadRequest: the workflow has left the hold since it was read.
            NotFound: there is no such workflow, or the event is deleted, or this user may not read the event.

        Source: GET /api/workflows/{id}, then PUT /admin-ng/event/{event}/workflows/{id}/action/{action}. See
        tests/contract/opencast.md, section 2.6.
        """
        id = parse_id("workflow_id", workflow_id)
        incident_calls.checked_answer(answer)
        check_not_negative("settle", settle)
        workflow, pause = await self._read_hold(id, answer)
        request = ResumeRequest(pause, incident_calls.answer_hold(workflow.event_id, id, answer), answer)
        return await self._resume_pause(request, workflow, settle, WITH_OPERATIONS)

    async def _read_hold(self, id: int, answer: HoldAnswer) -> tuple[Workflow, Pause]:
        """Return a workflow on hold. Before that, wait for the effect of a resume or of another answer to the hold."""
        clock = self._transport.clock
        while True:
            workflow = await self._transport.send(calls.get_workflow(id, WITH_OPERATIONS))
            pause = pause_of(workflow)
            if pause is None or workflow.held_operation is None:
                raise NotHeld(workflow)
            earlier = self._resumes.find(id, pause, clock.now())
            if earlier is None or earlier.answer == answer:
                return workflow, pause
            await self._wait_until_left(workflow, pause, WITH_OPERATIONS, partial(earlier.may_take_effect, clock.now))
