"""Changes and deletes single workflows of an Opencast."""

from collections.abc import Mapping

from attrs import define, evolve

from workflow_async._core.call import ParameterValue, Params, parse_id, stringify
from workflow_async.errors import AlreadyFinished, CallError, Conflict, DecodeError, InvalidArgument, NotFound
from workflow_async.monitor._engine.pauses import pause_of
from workflow_async.opencast import calls, params
from workflow_async.opencast.records import State, Workflow
from workflow_async.opencast.resume_service import ResumeRequest, ResumeService
from workflow_async.settings import check_not_negative

SETTLE_TIMEOUT = 30.0
"""Default seconds that a resume waits for its effect."""
DELETE_TIMEOUT = 12.0
"""Seconds during which a refused delete of an ended workflow is retried. The index of Opencast 6 to 11 may lag 10."""
DELETE_RETRY_INTERVAL = 2.0
"""Seconds between two attempts to delete an ended workflow."""


@define(eq=False)
class Control(ResumeService):
    """Calls that change or delete one workflow."""

    async def update(
        self,
        workflow_id: int | str,
        *,
        state: State | str | None = None,
        configuration: Mapping[str, ParameterValue] | None = None,
        merge: bool = False,
        force: bool = False,
        settle: float = SETTLE_TIMEOUT,
        with_operations: bool = False,
        with_configuration: bool = False,
    ) -> Workflow:
        """Replace the configuration, then change the state. The server needs two requests for that.

        With neither, only get the workflow.

        Args:
            workflow_id: the workflow.
            state: paused, running or stopped, in any case. See `pause`, `resume` and `stop`.
            configuration: the new configuration. See `replace_configuration`.
            merge: add `configuration` to the current one. The workflow is read first, and nothing is replaced if its
                configuration holds all of this already. A change by another client in between is lost.
            force: also pause or stop an ended workflow, which overwrites its result with `paused` or `stopped`. The
                documentation of the API allows that.
            settle: seconds to wait for a resume to take effect. See `resume`.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.

        Raises:
            InvalidArgument: the state is not paused, running or stopped, or there is nothing to merge.
            ConfigurationNotReplaced: see `replace_configuration`.
            Conflict: the workflow's state does not allow the change. The configuration has been replaced by then.
            AlreadyFinished: see `pause` and `stop`. Not raised with `force`.

        Source: PUT /api/workflows/{id}. Needs ROLE_API_WORKFLOW_INSTANCE_EDIT. See tests/contract/opencast.md, section
        2.3.
        """
        id = parse_id("workflow_id", workflow_id)
        check_not_negative("settle", settle)
        include = including(operations=with_operations, configuration=with_configuration)
        target = None if state is None else _target_state(state)
        workflow: Workflow | None = None
        if merge:
            configuration = await self._merged(id, configuration)
        if configuration is not None:
            workflow = await self.replace_configuration(
                id, configuration, with_operations=with_operations, with_configuration=with_configuration
            )
        if target == "running":
            return await self._resume(id, settle, operations=with_operations, configuration=with_configuration)
        if target is not None:
            workflow = await self._change_state(id, target, include, force=force)
        return workflow if workflow is not None else await self._transport.send(calls.get_workflow(id, include))

    async def replace_configuration(
        self,
        workflow_id: int | str,
        configuration: Mapping[str, ParameterValue],
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
    ) -> Workflow:
        """Replace the whole configuration of a workflow. The request is sent once.

        Args:
            workflow_id: the workflow.
            configuration: the new configuration. Keys that it does not hold are removed.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.

        Raises:
            ConfigurationNotReplaced: Opencast 12 and later fail if the workflow has a configuration of several keys.

        Source: PUT /api/workflows/{id}. Needs ROLE_API_WORKFLOW_INSTANCE_EDIT. See tests/contract/opencast.md, section
        2.3.
        """
        id = parse_id("workflow_id", workflow_id)
        include = including(operations=with_operations, configuration=with_configuration)
        return await self._transport.send(calls.replace_configuration(id, configuration, include))

    async def pause(self, workflow_id: int | str, *, force: bool = False) -> Workflow:
        """Pause a workflow. The operation that is running continues to its end.

        Args:
            workflow_id: the workflow.
            force: do not read the workflow before. An ended workflow is paused too, which overwrites its result.

        Raises:
            AlreadyFinished: the workflow has ended, and the server would overwrite the result with `paused`. Not
                raised with `force`.

        Source: GET, then PUT /api/workflows/{id}. See tests/contract/opencast.md, section 2.3.
        """
        return await self.update(workflow_id, state=State.PAUSED, force=force)

    async def resume(self, workflow_id: int | str, *, settle: float = SETTLE_TIMEOUT) -> Workflow:
        """Resume a paused workflow and return its record once the resume has taken effect.

        The server only queues a job for the resume. The job takes up to 2 s, and longer on a busy cluster. This method
        returns when the record has left `paused` or is paused in another operation. After `settle` seconds it returns
        the current record, which may still be `paused`. A pause that has been resumed is not reported again by `wait`
        and `watch` of this client.

        A second resume of the same pause does harm: the operation runs twice, is lost, or hangs. This client sends no
        second resume within 30 s of the first. A call in that time only waits for the effect of the first. That
        includes a call after the first was cancelled.

        A workflow on hold after an error (operation `error-resolution`) pauses again, because the External API has no
        field for the answer. Use `answer`.

        Args:
            workflow_id: the workflow.
            settle: seconds to wait for the effect. With 0, return the server's response without a wait.

        Raises:
            Conflict: the workflow is not paused.
            ServerError: the workflow has not started yet.

        Source: GET, PUT, then GET /api/workflows/{id}. See tests/contract/opencast.md, section 2.3.
        """
        return await self.update(workflow_id, state=State.RUNNING, settle=settle)

    async def stop(self, workflow_id: int | str, *, force: bool = False) -> Workflow:
        """Stop a workflow that has not ended. The workflow is read first.

        The workflow may still end between the two requests, and the operation that is running continues to its end.
        Check that the returned record is `stopped`.

        Args:
            workflow_id: the workflow.
            force: do not read the workflow before. An ended workflow is stopped too, which overwrites its result.

        Raises:
            AlreadyFinished: the workflow has ended, and the server would overwrite the result with `stopped`. Not
                raised with `force`.

        Source: GET, then PUT /api/workflows/{id}. See tests/contract/opencast.md, section 2.3.
        """
        return await self.update(workflow_id, state=State.STOPPED, force=force)

    async def delete(self, workflow_id: int | str) -> None:
        """Delete a finished workflow with its jobs.

        Opencast 6 to 11 refuse the request with 404 or 409 for up to 10 s after the end. If a GET then shows that the
        workflow has ended, the request is retried for 12 s.

        Raises:
            Conflict: the workflow has not ended.
            NotFound: there is no such workflow, and no earlier attempt of this call can have deleted it.

        Source: DELETE /api/workflows/{id}. Needs ROLE_API_WORKFLOW_INSTANCE_DELETE. See tests/contract/opencast.md,
        section 2.4.
        """
        id = parse_id("workflow_id", workflow_id)
        error = await self._try_delete(id)
        if error is not None and await self._has_ended(id):
            error = await self._delete_late(id, error)
        if error is not None:
            raise error

    # Deleting

    async def _try_delete(self, id: int) -> NotFound | Conflict | None:
        """Send DELETE. Return the error that a lagging index may cause, or None if the workflow was deleted."""
        try:
            await self._transport.send(calls.delete_workflow(id))
        except (NotFound, Conflict) as error:
            return error
        return None

    async def _has_ended(self, id: int) -> bool:
        """Return True if a GET shows the workflow and it has ended."""
        try:
            return (await self._transport.send(calls.get_workflow(id))).phase.final
        except CallError:
            return False  # raise the error of the DELETE

    async def _delete_late(self, id: int, error: NotFound | Conflict | None) -> NotFound | Conflict | None:
        """Send DELETE until it succeeds or `DELETE_TIMEOUT` seconds have passed. Return the last error."""
        clock = self._transport.clock
        deadline = clock.now() + DELETE_TIMEOUT
        while error is not None and clock.now() < deadline:
            await clock.sleep(DELETE_RETRY_INTERVAL)
            error = await self._try_delete(id)
        return error

    async def _merged(
        self, id: int, configuration: Mapping[str, ParameterValue] | None
    ) -> Mapping[str, ParameterValue] | None:
        """Return the current configuration with these values. None if it holds them already."""
        if configuration is None:
            raise InvalidArgument("merge", "must be False without a configuration to merge")
        added, include = stringify("configuration", configuration), including(operations=False, configuration=True)
        current = (await self._transport.send(calls.get_workflow(id, include))).configuration
        if current is None:
            raise DecodeError("the configuration cannot be read, so nothing can be added to it @ $.configuration")
        merged = {**current, **added}
        return merged if merged != current else None

    # Pausing and stopping

    async def _change_state(self, id: int, target: str, include: Params, *, force: bool) -> Workflow:
        """Pause or stop a workflow. Read it before, as the server would overwrite a result (Opencast issue 5961)."""
        if not force:
            workflow = await self._transport.send(calls.get_workflow(id))
            if workflow.phase.final:
                raise AlreadyFinished(workflow)
        return await self._transport.send(calls.change_state(id, target, include))

    # Resuming

    async def _resume(self, id: int, settle: float, *, operations: bool, configuration: bool) -> Workflow:
        """Resume a workflow unless this client has done so for the same pause, and wait for the effect."""
        include = including(operations=True, configuration=configuration)
        workflow = await self._transport.send(calls.get_workflow(id, include))
        pause = pause_of(workflow)
        if pause is None:
            workflow = await self._transport.send(calls.change_state(id, "running", include))
        else:
            call = calls.change_state(id, "running", include)
            workflow = await self._resume_pause(ResumeRequest(pause, call), workflow, settle, include)
        return workflow if operations else evolve(workflow, operations=None)


def including(*, operations: bool, configuration: bool) -> Params:
    """Return the parameters that request operations and configuration."""
    return params.including(withoperations=operations, withconfiguration=configuration)


def _target_state(state: State | str) -> str:
    target = str(state.value if isinstance(state, State) else state).lower()
    if target not in {"paused", "running", "stopped"}:
        raise InvalidArgument("state", "must be 'paused', 'running' or 'stopped'")
    return target
