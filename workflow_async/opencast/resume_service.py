"""The part of an Opencast's workflow service that resumes a pause at most once and waits for the effect."""

from collections.abc import Callable
from functools import partial

import anyio
from attrs import define, field, frozen

from workflow_async._core.call import Call, Params, Replay
from workflow_async._core.retry import may_have_happened, retryable
from workflow_async.errors import CallError
from workflow_async.monitor._engine.pauses import Pause, pause_of
from workflow_async.opencast import calls
from workflow_async.opencast.counting import Counting
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.resuming import ResumeLog, check_delay


@frozen
class ResumeRequest:
    """A resume that is to be sent for one pause."""

    pause: Pause
    call: Call[Workflow | None]
    answer: str = ""
    """The answer to a hold. "" for a resume without an answer."""


@define(eq=False)
class ResumeService(Counting):
    """The steps of a resume. Its public methods are in the subclasses."""

    _resumes: ResumeLog = field(factory=ResumeLog, init=False)

    async def _resume_pause(
        self, request: ResumeRequest, workflow: Workflow, settle: float, include: Params
    ) -> Workflow:
        """Return the record after a resume of a pause. Send it unless an earlier resume may still take effect."""
        workflow = await self._resume_once(request, workflow, settle, include)
        self._poller.wake(workflow.id)
        return workflow

    async def _resume_once(
        self, request: ResumeRequest, workflow: Workflow, settle: float, include: Params
    ) -> Workflow:
        clock, pause = self._transport.clock, request.pause
        while (earlier := self._resumes.find(workflow.id, pause, clock.now())) is not None:
            deadline = clock.now() + settle
            workflow = await self._wait_until_left(
                workflow, pause, include, partial(earlier.is_pending, clock.now, deadline)
            )
            if earlier.accepted or pause_of(workflow) != pause:
                return workflow
        workflow = await self._send_resume(request, workflow.id) or workflow
        deadline = clock.now() + settle
        try:
            return await self._wait_until_left(workflow, pause, include, lambda: clock.now() < deadline, timeout=settle)
        except CallError:
            return workflow  # an error would look as if the resume had failed

    async def _send_resume(self, request: ResumeRequest, id: int) -> Workflow | None:
        """Send a resume, and note its outcome. Return the record in the response. None if the response has none."""
        clock = self._transport.clock
        resume = self._resumes.add(id, request.pause, clock.now(), request.answer)
        self._poller.note_resume(id, request.pause)
        try:
            workflow = await self._transport.send(request.call)
            resume.accepted = True
        except CallError as error:
            resume.refused = not may_have_happened(error)
            raise
        finally:
            resume.responded_at = clock.now()
            if not resume.accepted:
                self._poller.withdraw_resume(id)
        return workflow

    async def _wait_until_left(
        self,
        workflow: Workflow,
        pause: Pause,
        include: Params,
        keep_waiting: Callable[[], bool],
        timeout: float | None = None,
    ) -> Workflow:
        """Return the first record that no longer shows the pause, or the last record. Ignore retryable errors."""
        checks = 0
        with anyio.move_on_after(timeout):  # a GET may outlast the timeout
            while pause_of(workflow) == pause and keep_waiting():
                await self._transport.clock.sleep(check_delay(checks))
                checks += 1
                try:
                    workflow = await self._transport.send(calls.get_workflow(workflow.id, include))
                except CallError as error:
                    if not retryable(error, Replay.SAFE):
                        raise
        return workflow
