"""The routes under `/admin-ng`, the private API of the admin interface, about the errors of a workflow."""

from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.engine import REPAIR_STEP, Answer, FakeStep, FakeWorkflow, SecondResumeEffect, Status
from workflow_async.sandbox.opencast import workflows
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.json import HOST, instant
from workflow_async.sandbox.opencast.responses import account, empty_error, mislabelled_error, text_error, workflow_id
from workflow_async.sandbox.opencast.state import OpencastState

JOB_TYPE = "org.opencastproject.workflow"
STOP = "STOP"
_JSON = {"content-type": "application/json"}
_OFFSET = 1_000_000
"""The difference between the id of an operation's job and the id of the incident about it."""


@define(eq=False)
class AdminRoutes:
    """The routes of the admin interface that a client can use."""

    state: OpencastState

    def routes(self) -> list[Route]:
        """Return the routes, which are the same in all releases."""
        one = "/admin-ng/event/{event}/workflows/{id}"
        return [
            Route(f"{one}/errors.json", self.errors),
            Route(f"{one}/errors/{{error}}.json", self.error),
            Route(f"{one}/action/{{action}}", self.act, methods=["PUT"]),
        ]

    async def errors(self, request: Request) -> Response:
        """Return the incidents of a workflow. The event only has to be one that the user may read."""
        self._event(request)
        run = self.state.engine.get(workflow_id(request))
        if run is None:
            raise text_error(404, f"Cannot find the incident for the workflow {workflow_id(request)}")
        return self._json([_incident(step) for step in run.steps if _has_incident(step)])

    async def error(self, request: Request) -> Response:
        """Return the details of one incident."""
        self._event(request)
        text = request.path_params["error"]
        job = int(text) - _OFFSET if text.isdigit() else 0
        steps = (step for run in self.state.engine.all() for step in run.steps if step.id == job)
        step = next((step for step in steps if _has_incident(step)), None)
        if step is None:
            raise text_error(404, f"Cannot find the incident {text}") if text.isdigit() else empty_error(400)
        return self._json({**_incident(step), **_details(step, gson=self.state.rules.gson)})

    async def act(self, request: Request) -> Response:
        """Resume a paused workflow with an answer, or stop it. Only an answer in capital letters is understood."""
        event, action = self._event(request), request.path_params["action"]
        run = self.state.engine.get(workflow_id(request))
        if run is None:
            raise text_error(404, f"Workflow not found: '{workflow_id(request)}'.")
        if run.subject != event.identifier:
            raise mislabelled_error(request, 400, f"Workflow {run.id} is not associated to event {event.identifier}")
        if action.upper() == STOP:
            self.state.stop(run)
        elif action.upper() in Answer.__members__:
            self._answer(request, run, event, action)
        else:
            raise mislabelled_error(request, 400, f"Action not supported: {action}")
        return Response()

    def _answer(self, request: Request, run: FakeWorkflow, event: Event, action: str) -> None:
        harm = self.state.second_resume.harm
        if run.status is not Status.PARKED or (run.resuming and harm == "refused"):
            text = f"Action {action} not allowed for current workflow state. EventId: {event.identifier}"
            raise mislabelled_error(request, 400, text)
        effect = None if harm == "refused" else SecondResumeEffect(harm)
        self.state.engine.resume(run, workflows.DISPATCH_SECONDS, effect, Answer.__members__.get(action))

    def _event(self, request: Request) -> Event:
        id = request.path_params["event"]
        event = self.state.events.get(id)
        if event is None or not account(request).has_access(event.readers):
            raise text_error(404, f"Cannot find an event with id '{id}'.")
        return event

    def _json(self, tree: Any) -> Response:
        return Response(self.state.rules.write(tree), headers=_JSON)


def _has_incident(step: FakeStep) -> bool:
    """Return True if the last run of a step has failed. An earlier run had another job, which is not looked at."""
    failed = step.status is Status.FAILED or (step.status is Status.WAITING and step.attempts > 0)
    return failed and step.step.name != REPAIR_STEP


def _exception(step: FakeStep) -> str:
    return f"WorkflowOperationException: {step.step.error or f'{step.step.name} failed'}"


def _incident(step: FakeStep) -> dict[str, Any]:
    assert step.id is not None
    return {
        "id": step.id + _OFFSET,
        "severity": "FAILURE",
        "timestamp": instant(step.finished),
        "title": "Unhandled exception",
        "description": f"Exception message {_exception(step)}",
    }


def _details(step: FakeStep, *, gson: bool) -> dict[str, Any]:
    message = _exception(step)
    trace = f"org.opencastproject.workflow.api.{message}\n\tat {step.step.name}"
    details = {"job-type": JOB_TYPE, "job-operation": "START_OPERATION", "stack-trace": trace}
    return {
        "job_id": step.id,
        "processing_host": HOST,
        "service_type": JOB_TYPE,
        "technical_details": {"exception": message} if gson else f"{{exception={message}}}",
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }
