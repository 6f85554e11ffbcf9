"""Process monitors of Preservica: the workflows of the engine as processes with messages."""

import json
from collections.abc import Iterator

from attrs import frozen

from workflow_async.sandbox.engine import FakeStep, FakeWorkflow, Status, StepResult
from workflow_async.sandbox.hashing import hash_uuid
from workflow_async.sandbox.preservica.contexts import Context
from workflow_async.sandbox.preservica.state import Archive
from workflow_async.sandbox.preservica.xml import timestamp

Tree = dict[str, object]

STATUS_WORDS = {
    Status.WAITING: "Pending",
    Status.RUNNING: "Running",
    Status.FAILING: "Running",
    Status.PARKED: "Suspended",
    Status.SUCCEEDED: "Succeeded",
    Status.PARTIAL: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Failed",
}
CATEGORIES = {
    "Ingest": "Ingest",
    "Access": "Export",
    "Transformation": "Automated",
    "DataManagement": "DataManagement",
}
FILES_PER_STEP = 4


@frozen
class MonitoredProcess:
    """A workflow of the engine as its process monitor shows it."""

    archive: Archive
    run: FakeWorkflow

    @property
    def context(self) -> Context:
        """The context of the workflow."""
        return self.archive.contexts[self.run.subject]

    @property
    def id(self) -> str:
        """The id of the monitor."""
        return self.archive.monitor_id(self.run)

    @property
    def name(self) -> str:
        """The folder of an OPEX ingest, for which users search, or the names of other workflows: context and id."""
        return self.run.parameters.get("OpexContainerDirectory") or f"{self.context.name} {self.run.id}"

    @property
    def category(self) -> str:
        """The category of the process."""
        return CATEGORIES[self.context.type]

    @property
    def subcategory(self) -> str:
        """The subcategory of the process."""
        return "OPEX" if ".opex" in self.run.definition else self.run.definition.rpartition(".")[2].capitalize()

    @property
    def status(self) -> str:
        """The status of the process. A failed OPEX ingest is recoverable."""
        recoverable = self.run.status is Status.FAILED and self.subcategory == "OPEX"
        return "Recoverable" if recoverable else STATUS_WORDS[self.run.status]

    def tree(self) -> Tree:
        """Return the JSON object, without keys that have no value."""
        facts: Tree = {
            "mappedId": self.id,
            "name": self.name,
            "status": self.status,
            "started": timestamp(self.run.started),
            "completed": timestamp(self.run.finished),
            "category": self.category,
            "subcategory": self.subcategory,
        }
        known = {key: value for key, value in facts.items() if value is not None} | self._progress()
        return self.archive.odd_rows.apply(self.id, known)

    def messages(self) -> Iterator[Tree]:
        """Yield the messages of the steps, in order."""
        for number, step in enumerate(self.run.steps):
            for turn, (status, text, at) in enumerate(_step_messages(step)):
                yield self._message(f"{number}.{turn}", status, text, at)

    def timeseries(self) -> list[Tree]:
        """Return the number of processed files over time."""
        ends = [step.finished for step in self.run.steps if step.finished is not None]
        return [{"date": timestamp(at), "filesProcessed": FILES_PER_STEP * n} for n, at in enumerate(ends, 1)]

    def _progress(self) -> Tree:
        steps, current = self.run.steps, self.run.current
        done = sum(step.status.final for step in steps)
        failed = sum(step.status is Status.FAILED for step in steps)
        return {
            "progressText": current.step.name if current and self.run.active else "",
            "percentComplete": str(100 * done // len(steps)) if steps else "",
            "filesPending": FILES_PER_STEP * (len(steps) - done),
            "size": 6083 * len(steps),
            "filesProcessed": FILES_PER_STEP * done,
            "warnings": int(self.run.partial),
            "errors": failed,
            "canRetry": self.run.status in {Status.FAILED, Status.PARKED},
        }

    def _message(self, place: str, status: str, text: str, at: float) -> Tree:
        return {
            "mappedId": hash_uuid(self.id, place).replace("-", ""),
            "mappedMonitorId": self.id,
            "monitorName": self.name,
            "workflowInstanceId": self.run.id,
            "workflowName": self.context.name,
            "path": "",
            "date": timestamp(at),
            "status": status,
            "message": f"monitor.{status.lower()}.step|{json.dumps({'text': text})}",
            "displayMessage": text,
        }


def _step_messages(step: FakeStep) -> Iterator[tuple[str, str, float]]:
    name = step.step.name
    if step.started is None:
        return
    yield "Debug", f"{name} was given to a worker", step.started
    yield "Info", f"{name} has begun", step.started
    if step.finished is not None:
        yield _end_status(step), f"{name} has ended", step.finished


def _end_status(step: FakeStep) -> str:
    if step.status is Status.FAILED or (step.failures and step.status is Status.WAITING):
        return "Error"
    return "Warning" if step.step.result is StepResult.PARTIAL else "Info"
