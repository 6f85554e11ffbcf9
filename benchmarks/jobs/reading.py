"""Decoding of pages without the network: by this library, and by hand-written code for the same records."""

import importlib.util
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks import wire
from benchmarks.meter import Meter
from workflow_async import opencast as oc
from workflow_async._core.call import Call, Reply
from workflow_async.opencast import calls as opencast, params
from workflow_async.opencast.active_list import ActiveList
from workflow_async.preservica import calls as preservica, records as pv

STATES = {state.value: state for state in oc.State}
OPERATION_STATES = {state.value: state for state in oc.OperationState}
NAMESPACE = "{http://workflow.preservica.com}"


def json_page(meter: Meter, rows: int, operations: int, times: int, *, orjson: bool = True) -> None:
    """Decode a page of Opencast. `orjson=False` measures without orjson."""
    if not orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]  # Makes the import of orjson fail.
    call, reply = _page(rows, operations)
    with meter.measuring(times):
        for _ in range(times):
            call.read(reply)


def _page(rows: int, operations: int) -> tuple[Call[Any], Reply]:
    """Return the call and the response of a page of Opencast's list."""
    include = params.including(withoperations=operations > 0)
    call = opencast.list_workflows(filter="", sort="", include=include, size=rows)
    return call, Reply(200, {}, wire.opencast_page(range(rows), operations))


def known_page(meter: Meter, rows: int, operations: int, changed: int, times: int) -> None:
    """Read a page of Opencast again and again as the monitor does. This number of rows differs from the last time."""
    known = ActiveList(operations=operations > 0)
    call = known.page(0, rows)
    bodies = [wire.opencast_page(range(rows), operations, changed=range(count)) for count in (0, changed)]
    replies = [Reply(200, {}, body) for body in bodies]
    with meter.measuring(times):
        for number in range(times):
            known.memory.begin()
            call.read(replies[number % 2])
            known.memory.end()


def json_peak(meter: Meter, rows: int, operations: int) -> None:
    """Measure the peak memory of decoding a page, by this library and by orjson's tree of the page."""
    loads = importlib.import_module("orjson").loads
    call, reply = _page(rows, operations)
    call.read(reply)
    meter.note(client=_peak(lambda: call.read(reply)), tree=_peak(lambda: loads(reply.body)))


def _peak(call: Callable[[], object]) -> int:
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def xml_parsed(meter: Meter, rows: int, times: int) -> None:
    """Parse a page with ElementTree and discard the tree."""
    page = wire.preservica_page(range(rows), rows)
    with meter.measuring(times):
        for _ in range(times):
            ET.fromstring(page)


def xml_page(meter: Meter, rows: int, times: int) -> None:
    """Decode a page of Preservica."""
    call = preservica.list_workflows((), size=rows)
    reply = Reply(200, {}, wire.preservica_page(range(rows), rows))
    with meter.measuring(times):
        for _ in range(times):
            call.read(reply)


def json_by_hand(meter: Meter, rows: int, operations: int, times: int) -> None:
    """Create the same records by their constructors, without checks. The parser is the one of this library."""
    loads = importlib.import_module("orjson" if importlib.util.find_spec("orjson") else "json").loads
    page = wire.opencast_page(range(rows), operations)
    with meter.measuring(times):
        for _ in range(times):
            tuple(_workflow(row) for row in loads(page))


def _workflow(row: dict[str, Any]) -> oc.Workflow:
    operations = row.get("operations")
    return oc.Workflow(
        id=row["identifier"],
        state=STATES[row["state"]],
        state_text=row["state"],
        title=row["title"],
        description=row["description"],
        definition_id=row["workflow_definition_identifier"],
        event_id=row["event_identifier"],
        creator=row["creator"] or None,
        operations=None if operations is None else tuple(map(_operation, operations)),
    )


def _operation(row: dict[str, Any]) -> oc.Operation:
    return oc.Operation(
        operation=row["operation"],
        state=OPERATION_STATES[row["state"]],
        state_text=row["state"],
        id=row["identifier"],
        description=row["description"],
        start=_instant(row["start"]),
        completion=_instant(row["completion"]),
        time_in_queue=row["time_in_queue"],
        host=row["host"],
        if_=row["if"],
        unless=row["unless"],
        fail_workflow_on_error=row["fail_workflow_on_error"],
        error_handler_workflow=row["error_handler_workflow"],
        retry_strategy=row["retry_strategy"],
        max_attempts=row["max_attempts"],
        failed_attempts=row["failed_attempts"],
        configuration=row["configuration"],
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def xml_by_hand(meter: Meter, rows: int, times: int) -> None:
    """Create the same records from ElementTree by their constructors, without checks."""
    page = wire.preservica_page(range(rows), rows)
    with meter.measuring(times):
        for _ in range(times):
            tuple(_instance(row) for row in ET.fromstring(page).iterfind(f"{NAMESPACE}WorkflowInstance"))


def _instance(row: ET.Element) -> pv.Workflow:
    found = {child.tag.removeprefix(NAMESPACE): child.text for child in row}
    state = found["State"] or ""
    return pv.Workflow(
        id=int(found["Id"] or ""),
        state=pv.State.__members__[state],
        state_text=state,
        display_state=found.get("DisplayState"),
        correlation_id=found.get("CorrelationToken"),
        started=_instant(found.get("Started")),
        finished=_instant(found.get("Finished")),
        current_step=found.get("CurrentStepName"),
        context_id=found.get("WorkflowContextId"),
        context_name=found.get("WorkflowContextName"),
        definition_id=found.get("WorkflowDefinitionTextId"),
        definition_name=found.get("WorkflowDefinitionName"),
        creator=found.get("Creator"),
        archival_process_id=found.get("ArchivalProcessId"),
        group_id=found.get("WorkflowGroupId"),
        monitor_id=found.get("ProcessMonitorApiId"),
    )
