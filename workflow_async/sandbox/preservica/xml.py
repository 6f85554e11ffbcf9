"""The XML of Preservica's responses."""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

from workflow_async.sandbox.engine import FakeStep, FakeWorkflow, Status
from workflow_async.sandbox.preservica.contexts import Context
from workflow_async.sandbox.preservica.query import STATE_WORDS, milliseconds
from workflow_async.sandbox.preservica.state import Archive

NAMESPACE = "http://workflow.preservica.com"
ENTITY_NAMESPACE = "http://preservica.com/EntityAPI/v7.7"


def timestamp(seconds: float | None) -> str | None:
    """Return an instant as responses write it: UTC, three digits, Z."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds(seconds) / 1000, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def serialize(root: Element, namespace: str = NAMESPACE) -> bytes:
    """Return the bytes of a document whose elements all have the same namespace."""
    # Set by hand, because `default_namespace` of ElementTree checks every tag and takes a third of the time.
    root.set("xmlns", namespace)
    written: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return written


def element(tag: str, facts: Iterable[tuple[str, str | None]]) -> Element:
    """Return an element with one child for each field that has a value."""
    node = Element(tag)
    for name, text in facts:
        if text is not None:
            SubElement(node, name).text = text
    return node


def version() -> bytes:
    """Return the version document of the entity service."""
    return serialize(element("VersionResponse", [("CurrentVersion", "7.7.0")]), ENTITY_NAMESPACE)


def refusal(message: str) -> bytes:
    """Return the body of an error of the workflow service."""
    return serialize(element("ErrorResponse", [("Message", message)]))


def retry_result(successful: int, failed: int) -> bytes:
    """Return the result of a retry."""
    facts = [("SuccessfulNumber", str(successful)), ("FailedNumber", str(failed))]
    return serialize(element("RetryWorkflowsResponse", facts))


def contexts(rows: Iterable[Context]) -> bytes:
    """Return a list of contexts."""
    root = Element("WorkflowContexts")
    root.extend(element("WorkflowContext", [("Id", c.id), ("Name", c.name)]) for c in rows)
    return serialize(root)


@frozen
class Renderer:
    """The XML of instances. If `sparse`, an instance with an odd id has its id and state only."""

    archive: Archive
    sparse: bool = False

    def instance(self, run: FakeWorkflow, blocks: Collection[str] = ()) -> bytes:
        """Return a document of one instance."""
        return serialize(self._instance(run, blocks))

    def page(self, rows: Collection[FakeWorkflow], total: int, blocks: Collection[str]) -> bytes:
        """Return a document of a page of instances."""
        root = element("WorkflowInstances", [("TotalCount", str(total)), ("Count", str(len(rows)))])
        root.extend(self._instance(run, blocks) for run in rows)
        return serialize(root)

    def _instance(self, run: FakeWorkflow, blocks: Collection[str]) -> Element:
        if self.sparse and run.id % 2:
            return element("WorkflowInstance", [("Id", str(run.id)), ("State", STATE_WORDS[run.status].upper())])
        facts = self.archive.odd_rows.apply(run.id, dict(self._fields(run)))
        node = element("WorkflowInstance", facts.items())
        node.extend(block for name in blocks if (block := OPTIONAL_BLOCKS[name](run)) is not None)
        return node

    def _fields(self, run: FakeWorkflow) -> Iterator[tuple[str, str | None]]:
        context, word = self.archive.contexts[run.subject], STATE_WORDS[run.status]
        yield "Id", str(run.id)
        yield "CorrelationToken", run.correlation
        yield "Started", timestamp(run.started)
        yield "Finished", timestamp(run.finished)
        yield "State", word.upper()
        yield "DisplayState", word.replace("_", " ")
        yield "CurrentStepName", _current_step_name(run)
        yield "ArchivalProcessId", str(run.id - 1224)
        yield "WorkflowGroupId", self.archive.group_id(run)
        yield "ProcessMonitorApiId", self.archive.monitor_id(run)
        yield "WorkflowContextId", context.id
        yield "WorkflowContextName", context.name
        yield "WorkflowDefinitionTextId", run.definition
        yield "WorkflowDefinitionName", context.name
        yield "Creator", run.creator
        yield "TopLevelDURecord", self.archive.record_id(run) if run.status is Status.SUCCEEDED else None


def _current_step_name(run: FakeWorkflow) -> str | None:
    started = run.status in {Status.RUNNING, Status.FAILING, Status.PARKED} and run.current
    return started.step.name if started else None


def _active_steps(run: FakeWorkflow) -> Element | None:
    started = [s for s in run.steps if run.active and s.status in {Status.RUNNING, Status.PARKED}]
    return _block(
        "ActiveSteps", "ActiveStep", ([("Name", s.step.name), ("Started", timestamp(s.started))] for s in started)
    )


def _step_inputs(run: FakeWorkflow) -> Element | None:
    started = [s for s in run.steps if s.started is not None]
    return _block("StepInputs", "StepInput", ([("StepName", s.step.name), ("Key", "content")] for s in started))


def _start_inputs(run: FakeWorkflow) -> Element | None:
    return _block("StartInputs", "Parameter", ([("Key", k), ("Value", v)] for k, v in run.parameters.items()))


def _outputs(run: FakeWorkflow) -> Element | None:
    done = [s for s in run.steps if s.status is Status.SUCCEEDED]
    return _block("Outputs", "Output", ([("Key", s.step.name), ("Value", timestamp(s.finished))] for s in done))


def _errors(run: FakeWorkflow) -> Element | None:
    failed = [s for s in run.steps if s.status is Status.FAILED]
    return _block("Errors", "Error", (facts for s in failed for facts in _step_errors(s)))


def _step_errors(failed: FakeStep) -> Iterator[list[tuple[str, str | None]]]:
    # The real block is not documented. It is only known that its children nest and repeat.
    for message in (f"Step {failed.step.name} failed", "The content could not be read"):
        yield [("StepName", failed.step.name), ("Message", message), ("Date", timestamp(failed.finished))]


def _block(tag: str, row: str, rows: Iterable[Iterable[tuple[str, str | None]]]) -> Element | None:
    node = Element(tag)
    node.extend(element(row, facts) for facts in rows)
    return node if len(node) else None


OPTIONAL_BLOCKS: dict[str, Callable[[FakeWorkflow], Element | None]] = {
    "includeActiveSteps": _active_steps,
    "includeStepInputs": _step_inputs,
    "includeStartInputs": _start_inputs,
    "includeOutputs": _outputs,
    "includeErrors": _errors,
}
"""The optional blocks of an instance, by the flag of the query that asks for them."""
