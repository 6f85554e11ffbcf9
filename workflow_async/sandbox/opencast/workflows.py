"""The routes of workflow instances in the External API."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.engine import FakeWorkflow, Harm, Status
from workflow_async.sandbox.opencast.casts import uncastable
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import BadCriterionError, BrokenSortError, Document
from workflow_async.sandbox.opencast.json import STATES, WORKFLOW_STATES, instance
from workflow_async.sandbox.opencast.responses import (
    account,
    answer,
    empty_error,
    first,
    flag,
    form,
    identifier,
    mislabelled_error,
    text_error,
    window,
)
from workflow_async.sandbox.opencast.state import BusyError, OpencastState
from workflow_async.sandbox.page_responses import PageResponses

LOCATION = "http://localhost:8080/api/workflows/"
"""What a start calls the address of the workflow, wherever the server is."""
DEFAULT_LIMIT = 20
NOT_PAUSED = "Can not resume a workflow where the current state is not in paused"
DISPATCH = 2.0
"""Seconds until a held operation goes on after it was resumed."""


@define(eq=False)
class WorkflowRoutes:
    """`/api/workflows`."""

    world: OpencastState
    pages: PageResponses

    def routes(self) -> list[Route]:
        """The routes of the release."""
        listed = [Route("/api/workflows", self.page, methods=["GET"])] if self.world.dialect.listing else []
        one = "/api/workflows/{id}"
        return [
            *listed,
            Route("/api/workflows", self.create, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
        ]

    async def page(self, request: Request) -> Response:
        """One page, as late as the index is."""
        part = window(request, DEFAULT_LIMIT)
        shown = islice(self._search(request), part.start, part.stop)
        rows = [self._tree(request, d.run) for d in shown]
        return self.pages.respond(request, rows, lambda page: answer(request, self.world.dialect, page))

    async def create(self, request: Request) -> Response:
        """Start a workflow."""
        fields = await form(request)
        for name in ("event_identifier", "workflow_definition_identifier"):
            if not fields.get(name, "").strip():
                raise mislabelled_error(request, 400, f"Required parameter '{name}' is missing or invalid")
        event = self.world.events.get(fields["event_identifier"])
        if event is None or not account(request).may(event.readers):
            raise text_error(404, f"Cannot find an event with id '{fields['event_identifier']}'.")
        definition = self.world.definitions.get(fields["workflow_definition_identifier"])
        if definition is None:
            raise text_error(
                404, f"Cannot find a workflow definition with id '{fields['workflow_definition_identifier']}'."
            )
        settings = self._settings(request, fields.get("configuration", ""), "create workflow instances")
        if not account(request).known:
            raise _broken("create workflow instances", f"Current user '{account(request).name}' can not be loaded")
        if not definition.steps and self.world.lists:
            raise _broken("create workflow instances", "null")
        try:
            run = self.world.begin(event, definition, settings, account(request).name)
        except BusyError:
            return answer(request, self.world.dialect, {"message": _busy(event, definition)}, 409)
        return answer(request, self.world.dialect, self._tree(request, run), 201, location=f"{LOCATION}{run.id}")

    async def get(self, request: Request) -> Response:
        """The workflow as it stands now."""
        return answer(request, self.world.dialect, self._tree(request, self._readable(request)))

    async def update(self, request: Request) -> Response:
        """Replace the configuration first; then, and only then, look at the state."""
        fields = await form(request)
        run = self._readable(request)
        before = run.status
        if fields.get("configuration", "").strip():
            self._configure(request, run, fields["configuration"])
        if fields.get("state", "").strip():
            self._change(request, run, before, fields["state"])
        return answer(request, self.world.dialect, self._tree(request, self._found(request)))

    async def delete(self, request: Request) -> Response:
        """Forget a finished workflow."""
        run = self._found(request)
        if not account(request).may(self.world.events[run.subject].writers, run.creator):
            raise empty_error(403)
        if not self._indexed_status(request, run).final:
            raise mislabelled_error(request, 409, "Cannot delete workflow instance in this workflow state")
        self.world.engine.remove(run)
        return Response(status_code=204)

    def _search(self, request: Request) -> Iterator[Document]:
        self.world.index.refresh(self.world.engine)
        try:
            found = self.world.index.search(first(request, "filter"), first(request, "sort"))
        except BadCriterionError as error:
            raise mislabelled_error(request, 400, str(error)) if str(error) else empty_error(400) from None
        except BrokenSortError as error:
            raise text_error(500, f"Could not retrieve workflow instances, reason: '{error}'") from None
        viewer = account(request)
        return (d for d in found if viewer.may(d.event.readers, d.run.creator))

    def _found(self, request: Request) -> FakeWorkflow:
        run = self.world.engine.get(identifier(request))
        if run is None:
            raise _missing(request)
        return run

    def _indexed_status(self, request: Request, run: FakeWorkflow) -> Status:
        """The status that decides about a removal: the index's, where there is one. What is not indexed is missing."""
        if not self.world.lists:
            return run.status
        self.world.index.refresh(self.world.engine)
        status = self.world.index.state(run.id)
        if status is None:
            raise _missing(request)
        return status

    def _readable(self, request: Request) -> FakeWorkflow:
        run = self._found(request)
        if not account(request).may(self.world.events[run.subject].readers, run.creator):
            raise empty_error(403)
        return run

    def _tree(self, request: Request, run: FakeWorkflow) -> dict[str, Any]:
        operations, configuration = flag(request, "withoperations"), flag(request, "withconfiguration")
        definition = self.world.definitions.get(run.definition)
        tree = instance(run, definition, self.world.dialect, operations=operations, configuration=configuration)
        return self.world.odd.written(run.id, tree)

    def _settings(self, request: Request, text: str, deed: str) -> dict[str, str]:
        if not text.strip():
            return {}
        try:
            tree = json.loads(text)
        except ValueError:
            raise mislabelled_error(request, 400, "Passed parameter 'configuration' is invalid JSON.") from None
        odd = uncastable(tree)
        if odd is not None:
            raise _broken(deed, odd)
        return cast("dict[str, str]", tree)

    def _configure(self, request: Request, run: FakeWorkflow, text: str) -> None:
        settings = self._settings(request, text, "retrieve workflow instance")
        if not self.world.lists and len(run.parameters) > 1:
            raise _broken("retrieve workflow instance", "null")
        run.parameters = settings

    def _change(self, request: Request, run: FakeWorkflow, before: Status, text: str) -> None:
        state = text.lower()
        if state not in WORKFLOW_STATES:
            raise mislabelled_error(request, 400, f"Invalid workflow state '{text}'")
        if state == STATES[before]:
            return
        if state == "paused":
            self.world.engine.pause(run)
        elif state == "stopped":
            self._stop(run)
        elif state == "running":
            self._resume(request, run, before)
        else:
            raise mislabelled_error(request, 409, f"Cannot transition state from '{STATES[before]}' to '{state}'")

    def _resume(self, request: Request, run: FakeWorkflow, before: Status) -> None:
        harm = self.world.second_resume.harm
        if before is Status.WAITING or (run.resuming and harm == "refused"):
            raise _broken("retrieve workflow instance", NOT_PAUSED)
        if before is not Status.PARKED:
            raise mislabelled_error(request, 409, f"Cannot resume from workflow state '{STATES[before]}'")
        self.world.engine.resume(run, DISPATCH, None if harm == "refused" else Harm(harm))

    def _stop(self, run: FakeWorkflow) -> None:
        if not (self.world.dialect.keeps_finished and run.status.final):
            self.world.engine.stop(run)


def _missing(request: Request) -> Exception:
    return text_error(404, f"Cannot find workflow instance with id '{identifier(request)}'.")


def _busy(event: Event, definition: Definition) -> str:
    subject = f"workflow '{definition.title}' for media package '{event.identifier}'"
    return f"Can't start {subject} because another workflow is currently active."


def _broken(deed: str, reason: str) -> Exception:
    return text_error(500, f"Could not {deed}, reason: '{reason}'")
