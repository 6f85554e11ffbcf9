"""The tables of the documentation of the Workflow API, row by row, over a socket."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.support.opencast_releases import on_11, on_all
from workflow_async import OpencastClient
from workflow_async.errors import NotFound, ServerError
from workflow_async.opencast import OperationState, State, Workflow
from workflow_async.sandbox import ManualClock, Sandbox, Step

YEAR_2018 = datetime(2018, 3, 8, tzinfo=UTC).timestamp()
WANTED = {
    "title": "Roman law",
    "creator": "Ada Byron",
    "contributor": "Emmy Noether",
    "language": "eng",
    "license": "CC-BY",
    "subject": "History",
    "series": "series-b",
    "series_title": "Law in winter",
    "created": YEAR_2018,
}
OTHER = {
    "title": "Optics",
    "creator": "Max",
    "contributor": "Lise",
    "language": "deu",
    "license": "CC0",
    "subject": "Physics",
    "series": "series-c",
    "series_title": "Light in summer",
    "created": YEAR_2018 + 365 * 86_400,
}
FILTERS: dict[str, tuple[str, Any]] = {
    "state": ("state", "running"),
    "state (several)": ("state", ["running", State.PAUSED]),
    "state_not": ("state_not", "succeeded"),
    "state_not (several)": ("state_not", ["succeeded", "failed"]),
    "current_operation": ("current_operation", "encode"),
    "current_operation (several)": ("current_operation", ["encode", "inspect"]),
    "current_operation_not": ("current_operation_not", "none"),
    "current_operation_not (several)": ("current_operation_not", ["none", "inspect"]),
    "workflow_definition_identifier": ("definition_id", "wanted"),
    "event_identifier": ("event_id", "the wanted event"),
    "event_title": ("event_title", "Roman law"),
    "event_created": ("event_created", "2018-03-01T00:00:00Z/2018-03-31T23:59:59Z"),
    "event_creator": ("event_creator", "Ada Byron"),
    "event_contributor": ("event_contributor", "Emmy Noether"),
    "event_language": ("event_language", "eng"),
    "event_license": ("event_license", "CC-BY"),
    "event_subject": ("event_subject", "History"),
    "series_identifier": ("series_id", "series-b"),
    "series_title": ("series_title", "Law in winter"),
    "textFilter": ("text_filter", "Roman"),
}
"""The client's argument and a value that selects the wanted workflow, by the filter of the document."""


@on_11
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_selects_the_workflow_and_has_the_documented_name(
    name: str, sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    sandbox.opencast.define("wanted", [Step("encode", 1000.0)])
    event = sandbox.opencast.event(**WANTED)
    wanted = sandbox.opencast.start(event, "wanted")
    sandbox.opencast.start(sandbox.opencast.event(**OTHER), "noop")
    time.advance(60)
    argument, value = FILTERS[name]
    given: dict[str, Any] = {argument: event if argument == "event_id" else value}
    listing = oc.workflows.list(**given)
    assert [workflow.id async for workflow in listing] == [wanted]
    (sent,) = sandbox.opencast.requests[0].parameters["filter"]
    values = value if isinstance(value, list) else [value]
    assert [term.partition(":")[0] for term in sent.split(",")] == [name.partition(" ")[0]] * len(values)


def sort_keys(name: str) -> tuple[Any, Any]:
    """Return the values of `sort` for both directions."""
    return f"{name}:asc", f"{name}:desc"


SORTS = {
    "event_title": "event_title",
    "event_created": "event_created",
    "event_creator": "event_creator",
    "event_contributor": "event_contributor",
    "event_language": "event_language",
    "event_license": "event_license",
    "event_subject": "event_subject",
    "series_identifier": "series_id",
    "series_title": "series_title",
    "workflow_definition_identifier": "definition_id",
}
"""The client's sort key by the criterion of the document."""


@on_11
@pytest.mark.parametrize("name", SORTS)
async def test_a_sort_orders_the_workflows_in_both_directions(
    name: str, sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    early, late = WANTED, OTHER
    of_event = {"series_identifier": "series"}.get(name, name.removeprefix("event_"))
    first, last = sorted((early, late), key=lambda event: str(event.get(of_event, "")))
    ids = [
        sandbox.opencast.start(sandbox.opencast.event(**event), definition)
        for event, definition in ((first, "fast"), (last, "noop"))
    ]
    time.advance(60)
    upwards, downwards = sort_keys(SORTS[name])
    assert [workflow.id async for workflow in oc.workflows.list(sort=upwards)] == ids
    assert [workflow.id async for workflow in oc.workflows.list(sort=downwards)] == ids[::-1]
    assert sandbox.opencast.requests[0].parameters["sort"] == [f"{name}:ASC"]


@on_11
async def test_limit_and_offset_choose_the_rows(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(10)
    every = [workflow.id async for workflow in oc.workflows.list()]
    assert [workflow.id async for workflow in oc.workflows.list(limit=3, offset=2)] == every[2:5]
    sent = sandbox.opencast.requests[-1].parameters
    assert (sent["limit"], sent["offset"]) == (["3"], ["2"])


async def _listed(oc: OpencastClient, sandbox: Sandbox, **flags: Any) -> Workflow:
    sandbox.opencast.seed(1, definitions=["fast"])
    (workflow,) = [workflow async for workflow in oc.workflows.list(**flags)]
    return workflow


async def _got(oc: OpencastClient, sandbox: Sandbox, **flags: Any) -> Workflow:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    return await oc.workflows.get(id, **flags)


async def _started(oc: OpencastClient, sandbox: Sandbox, **flags: Any) -> Workflow:
    workflow: Workflow = await oc.workflows.start(sandbox.opencast.event(), "fast", **flags)
    return workflow


async def _updated(oc: OpencastClient, sandbox: Sandbox, **flags: Any) -> Workflow:
    id = sandbox.opencast.start(sandbox.opencast.event(), "fast")
    return await oc.workflows.update(id, state="paused", **flags)


REQUESTS: dict[str, Callable[..., Awaitable[Workflow]]] = {
    "list": _listed,
    "get": _got,
    "start": _started,
    "update": _updated,
}


@on_11
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_operations_and_configuration_are_in_the_response_on_request(
    request_name: str, sandbox: Sandbox, oc: OpencastClient
) -> None:
    workflow = await REQUESTS[request_name](oc, sandbox, with_operations=True, with_configuration=True)
    assert workflow.operations
    assert workflow.configuration is not None
    sent = sandbox.opencast.requests[-1]
    assert (sent.parameters["withoperations"], sent.parameters["withconfiguration"]) == (["true"], ["true"])


@on_11
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_without_a_request_there_are_neither(request_name: str, sandbox: Sandbox, oc: OpencastClient) -> None:
    workflow = await REQUESTS[request_name](oc, sandbox)
    assert (workflow.operations, workflow.configuration) == (None, None)


TRANSITIONS = {
    "instantiated": ("paused", "stopped"),
    "running": ("paused", "stopped"),
    "failing": ("paused", "stopped"),
    "paused": ("paused", "stopped", "running"),
    "succeeded": ("paused", "stopped"),
    "stopped": ("paused", "stopped"),
    "failed": ("paused", "stopped"),
}
"""The allowed new states by the current state. The document also allows `instantiated` to `running`."""


async def workflow_in(state: str, sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> int:
    """Return a workflow in this state."""
    definition, seconds = {
        "instantiated": ("publish", 0.0),
        "failing": ("fails-with-handler", 11.0),
        "succeeded": ("noop", 60.0),
        "failed": ("fails", 60.0),
    }.get(state, ("publish", 10.0))
    id = sandbox.opencast.start(sandbox.opencast.event(), definition)
    time.advance(seconds)
    if state in {"paused", "stopped"}:
        await oc.workflows.update(id, state=state)
    assert (await oc.workflows.get(id)).state_text == state
    return id


@on_all
@pytest.mark.parametrize("current", TRANSITIONS)
async def test_an_allowed_transition_is_made(
    current: str, sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    for new in TRANSITIONS[current]:
        id = await workflow_in(current, sandbox, oc, time)
        changed = await oc.workflows.update(id, state=new, force=True)
        keeps_results = sandbox.opencast.state.release == "19" and new == "stopped"
        ended = current in {"succeeded", "stopped", "failed"}
        assert changed.state_text == (current if keeps_results and ended else new)


@on_all
async def test_a_workflow_that_has_not_started_cannot_be_set_to_running(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await workflow_in("instantiated", sandbox, oc, time)
    with pytest.raises(ServerError, match="Can not resume a workflow"):
        await oc.workflows.update(id, state="running")


@on_all
@pytest.mark.parametrize(
    "make",
    [
        lambda oc: oc.workflows.get(999),
        lambda oc: oc.workflows.update(999, state="paused"),
        lambda oc: oc.workflows.delete(999),
        lambda oc: oc.definitions.get("no-such"),
        lambda oc: oc.workflows.start("no-such", "fast"),
    ],
    ids=["get", "update", "delete", "definition", "start"],
)
async def test_what_does_not_exist_is_not_found(
    make: Callable[[OpencastClient], Awaitable[object]], oc: OpencastClient
) -> None:
    with pytest.raises(NotFound) as caught:
        await make(oc)
    assert caught.value.status == 404


@on_all
@pytest.mark.parametrize("key", ["identifier", "title", "displayorder"])
async def test_definitions_are_ordered_by_each_key(key: str, sandbox: Sandbox, oc: OpencastClient) -> None:
    upwards, downwards = sort_keys(key)
    forwards = [definition.id async for definition in oc.definitions.list(sort=upwards)]
    backwards = [definition.id async for definition in oc.definitions.list(sort=downwards)]
    assert [request.parameters["sort"] for request in sandbox.opencast.requests] == [[f"{key}:ASC"], [f"{key}:DESC"]]
    known = sandbox.opencast.state.definitions
    values = {
        "identifier": lambda d: d.identifier,
        "title": lambda d: d.title,
        "displayorder": lambda d: d.display_order,
    }
    found = [values[key](known[id]) for id in forwards]
    assert found == sorted(found)
    assert [values[key](known[id]) for id in backwards] == found[::-1]


# Whole responses


@on_11
async def test_a_list_may_be_empty(oc: OpencastClient) -> None:
    assert [workflow async for workflow in oc.workflows.list()] == []


@on_11
async def test_the_sample_request_for_workflows_is_sent_to_the_right_path(sandbox: Sandbox, oc: OpencastClient) -> None:
    sample = oc.workflows.list(sort="event_created:desc", limit=5, offset=1, definition_id="fast")
    assert [workflow async for workflow in sample] == []
    (request,) = sandbox.opencast.requests
    assert request.path == "/api/workflows"
    assert {name: value for name, (value,) in request.parameters.items()} == {
        "sort": "event_created:DESC",
        "limit": "5",
        "offset": "1",
        "filter": "workflow_definition_identifier:fast",
    }


@on_all
@pytest.mark.parametrize("request_name", ["start", "update"])
async def test_the_response_to_a_change_is_the_whole_workflow(
    request_name: str, sandbox: Sandbox, oc: OpencastClient
) -> None:
    flags = {"with_operations": True, "with_configuration": True}
    changed = await REQUESTS[request_name](oc, sandbox, **flags)
    assert (changed.title, changed.definition_id) == ("Fast Testing Workflow", "fast")
    assert changed == await oc.workflows.get(changed.id, **flags)


INSTANT = datetime(2018, 8, 8, 8, 46, 57, 201_000, tzinfo=UTC)
OPERATION_FIELDS: dict[str, tuple[str, object, object]] = {
    "identifier": ("id", 1604, 1604),
    "completion": ("completion", "2018-08-08T08:46:57.201Z", INSTANT),
    "configuration": ("configuration", {"apply-acl": "true"}, {"apply-acl": "true"}),
    "time_in_queue": ("time_in_queue", 5, 5),
    "failed_attempts": ("failed_attempts", 2, 2),
    "start": ("start", "2018-08-08T08:46:57.201Z", INSTANT),
    "description": ("description", "Applying values", "Applying values"),
    "fail_workflow_on_error": ("fail_workflow_on_error", False, False),
    "unless": ("unless", "${a}", "${a}"),
    "max_attempts": ("max_attempts", 3, 3),
    "host": ("host", "http://localhost:8080", "http://localhost:8080"),
    "state": ("state", "skipped", OperationState.SKIPPED),
    "operation": ("operation", "series", "series"),
    "if": ("if_", "${b}", "${b}"),
    "retry_strategy": ("retry_strategy", "hold", "hold"),
    "error_handler_workflow": ("error_handler_workflow", "partial-error", "partial-error"),
}
"""The attribute, a value of the response and what is read, by the key of an operation of a workflow."""
WORKFLOW = {"identifier": 7, "state": "running", "event_identifier": "e"}
OPERATION = {"operation": "encode", "state": "running"}


@pytest.mark.parametrize("key", OPERATION_FIELDS)
async def test_a_key_of_an_operation_is_read(key: str) -> None:
    attribute, written, expected = OPERATION_FIELDS[key]
    body = {**WORKFLOW, "operations": [{**OPERATION, key: written}]}
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=body)))
    async with OpencastClient("https://oc.example.org", auth=("a", "b"), http=http) as oc:
        workflow = await oc.workflows.get(7, with_operations=True)
    (operation,) = workflow.operations or ()
    assert getattr(operation, attribute) == expected
    assert operation.extra == {}
