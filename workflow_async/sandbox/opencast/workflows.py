"""The routes of workflow instances in the External API."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.engine import FakeWorkflow, SecondResumeEffect, Status
from workflow_async.sandbox.opencast.class_cast import cast_error
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import BadCriterionError, BrokenSortError, Document
from workflow_async.sandbox.opencast.json import STATES, WORKFLOW_STATES, workflow_tree
from workflow_async.sandbox.opencast.responses import (
    account,
    bool_param,
    empty_error,
    json_response,
    mislabelled_error,
    page_slice,
    read_form,
    text_error,
    text_param,
    workflow_id,
)
from workflow_async.sandbox.opencast.state import BusyError, OpencastState
from workflow_async.sandbox.page_responses import PageResponses

LOCATION = "http://localhost:8080/api/workflows/"
"""The beginning of the Location of a started workflow, whatever the address of the server is."""
DEFAULT_LIMIT = 20
NOT_PAUSED = "Can not resume a workflow where the current state is not in paused"
DISPATCH_SECONDS = 2.0
"""Seconds between a resume and the continuation of a held operation."""


@define(eq=False)
class WorkflowRoutes:
    """`/api/workflows`."""

    state: OpencastState
    pages: PageResponses

    def routes(self) -> list[Route]:
        """Return the routes of the release."""
        listed = [Route("/api/workflows", self.page, methods=["GET"])] if self.state.rules.listing else []
        one = "/api/workflows/{id}"
        return [
            *listed,
            Route("/api/workflows", self.create, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
        ]

    async def page(self, request: Request) -> Response:
        """Return one page of the index, which is late."""
        part = page_slice(request, DEFAULT_LIMIT)
        shown = islice(self._search(request), part.start, part.stop)
        rows = [self._tree(request, d.run) for d in shown]
        return self.pages.respond(request, rows, lambda page: json_response(request, self.state.rules, page))

    async def create(self, request: Request) -> Response:
        """Start a workflow."""
        fields = await read_form(request)
        for name in ("event_identifier", "workflow_definition_identifier"):
            if not fields.get(name, "").strip():
                raise mislabelled_error(request, 400, f"Required parameter '{name}' is missing or invalid")
        event = self.state.events.get(fields["event_identifier"])
        if event is None or not account(request).has_access(event.readers):
            raise text_error(404, f"Cannot find an event with id '{fields['event_identifier']}'.")
        definition = self.state.definitions.get(fields["workflow_definition_identifier"])
        if definition is None:
            raise text_error(
                404, f"Cannot find a workflow definition with id '{fields['workflow_definition_identifier']}'."
            )
        settings = self._parse_configuration(request, fields.get("configuration", ""), "create workflow instances")
        if not account(request).loadable:
            raise _server_error(
                "create workflow instances", f"Current user '{account(request).name}' can not be loaded"
            )
        if not definition.steps and self.state.supports_listing:
            raise _server_error("create workflow instances", "null")
        try:
            run = self.state.start_if_idle(event, definition, settings, account(request).name)
        except BusyError:
            return json_response(request, self.state.rules, {"message": _busy_message(event, definition)}, 409)
        return json_response(request, self.state.rules, self._tree(request, run), 201, location=f"{LOCATION}{run.id}")

    async def get(self, request: Request) -> Response:
        """Return the present state of a workflow."""
        return json_response(request, self.state.rules, self._tree(request, self._readable_workflow(request)))

    async def update(self, request: Request) -> Response:
        """Replace the configuration, then change the state."""
        fields = await read_form(request)
        run = self._readable_workflow(request)
        before = run.status
        if fields.get("configuration", "").strip():
            self._replace_configuration(request, run, fields["configuration"])
        if fields.get("state", "").strip():
            self._change_state(request, run, before, fields["state"])
        return json_response(request, self.state.rules, self._tree(request, self._workflow(request)))

    async def delete(self, request: Request) -> Response:
        """Remove a finished workflow."""
        run = self._workflow(request)
        if not account(request).has_access(self.state.events[run.subject].writers, run.creator):
            raise empty_error(403)
        if not self._indexed_status(request, run).final:
            raise mislabelled_error(request, 409, "Cannot delete workflow instance in this workflow state")
        self.state.engine.remove(run)
        return Response(status_code=204)

    def _search(self, request: Request) -> Iterator[Document]:
        self.state.workflow_index.refresh(self.state.engine)
        try:
            found = self.state.workflow_index.search(text_param(request, "filter"), text_param(request, "sort"))
        except BadCriterionError as error:
            raise mislabelled_error(request, 400, str(error)) if str(error) else empty_error(400) from None
        except BrokenSortError as error:
            raise text_error(500, f"Could not retrieve workflow instances, reason: '{error}'") from None
        viewer = account(request)
        return (d for d in found if viewer.has_access(d.event.readers, d.run.creator))

    def _workflow(self, request: Request) -> FakeWorkflow:
        run = self.state.engine.get(workflow_id(request))
        if run is None:
            raise _not_found(request)
        return run

    def _indexed_status(self, request: Request, run: FakeWorkflow) -> Status:
        """Return the status that decides about a removal. It comes from the index on a release that has one."""
        if not self.state.supports_listing:
            return run.status
        self.state.workflow_index.refresh(self.state.engine)
        status = self.state.workflow_index.status_of(run.id)
        if status is None:
            raise _not_found(request)
        return status

    def _readable_workflow(self, request: Request) -> FakeWorkflow:
        run = self._workflow(request)
        if not account(request).has_access(self.state.events[run.subject].readers, run.creator):
            raise empty_error(403)
        return run

    def _tree(self, request: Request, run: FakeWorkflow) -> dict[str, Any]:
        operations, configuration = bool_param(request, "withoperations"), bool_param(request, "withconfiguration")
        definition = self.state.definitions.get(run.definition)
        tree = workflow_tree(run, definition, self.state.rules, operations=operations, configuration=configuration)
        return self.state.odd_rows.apply(run.id, tree)

    def _parse_configuration(self, request: Request, text: str, action: str) -> dict[str, str]:
        if not text.strip():
            return {}
        try:
            tree = json.loads(text)
        except ValueError:
            raise mislabelled_error(request, 400, "Passed parameter 'configuration' is invalid JSON.") from None
        reason = cast_error(tree)
        if reason is not None:
            raise _server_error(action, reason)
        return cast("dict[str, str]", tree)

    def _replace_configuration(self, request: Request, run: FakeWorkflow, text: str) -> None:
        settings = self._parse_configuration(request, text, "retrieve workflow instance")
        if not self.state.supports_listing and len(run.parameters) > 1:
            raise _server_error("retrieve workflow instance", "null")
        run.parameters = settings

    def _change_state(self, request: Request, run: FakeWorkflow, before: Status, text: str) -> None:
        state = text.lower()
        if state not in WORKFLOW_STATES:
            raise mislabelled_error(request, 400, f"Invalid workflow state '{text}'")
        if state == STATES[before]:
            return
        if state == "paused":
            self.state.engine.pause(run)
        elif state == "stopped":
            self.state.stop(run)
        elif state == "running":
            self._resume(request, run, before)
        else:
            raise mislabelled_error(request, 409, f"Cannot transition state from '{STATES[before]}' to '{state}'")

    def _resume(self, request: Request, run: FakeWorkflow, before: Status) -> None:
        harm = self.state.second_resume.harm
        if before is Status.WAITING or (run.resuming and harm == "refused"):
            raise _server_error("retrieve workflow instance", NOT_PAUSED)
        if before is not Status.PARKED:
            raise mislabelled_error(request, 409, f"Cannot resume from workflow state '{STATES[before]}'")
        self.state.engine.resume(run, DISPATCH_SECONDS, None if harm == "refused" else SecondResumeEffect(harm))


def _not_found(request: Request) -> Exception:
    return text_error(404, f"Cannot find workflow instance with id '{workflow_id(request)}'.")


def _busy_message(event: Event, definition: Definition) -> str:
    subject = f"workflow '{definition.title}' for media package '{event.identifier}'"
    return f"Can't start {subject} because another workflow is currently active."


def _server_error(action: str, reason: str) -> Exception:
    return text_error(500, f"Could not {action}, reason: '{reason}'")
