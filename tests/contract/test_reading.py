"""The library reads the recorded responses of real Opencast code."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.conftest import FakeTime
from tests.contract.recorded import RecordedExchange, recorded_exchanges
from workflow_async import OpencastClient
from workflow_async._core.call import Call, Page
from workflow_async._decode.json import json_tree
from workflow_async.errors import (
    BadRequest,
    CallError,
    Conflict,
    Forbidden,
    ForeignResponse,
    ListingNotSupported,
    NotAcceptable,
    NotFound,
    ServerError,
    StartInvalid,
    StartNotFound,
    StartRejected,
    Unauthorized,
)
from workflow_async.opencast import (
    Definition,
    Event,
    Me,
    Operation,
    OperationDefinition,
    Version,
    Workflow,
    calls,
    definition_calls,
    event_calls,
    server_calls,
)

ASKED = (("withoperations", "true"), ("withconfiguration", "true"))
SHOWN = (("withconfigurationpanel", "true"), ("withconfigurationpaneljson", "true"))
CONTAINER = "java.lang.IllegalArgumentException: Value of field 'creator' must not be null"
CAST = "class org.json.simple.JSONArray cannot be cast to class org.json.simple.JSONObject"
NOT_PAUSED = "Can not resume a workflow where the current state is not in paused"

ERRORS: Mapping[str, tuple[type[CallError], str]] = {
    "11.11 GET workflows?filter=state:bogus": (BadRequest, "Invalid workflow state 'bogus'"),
    "11.11 GET workflows?filter=foo:bar": (BadRequest, "Unknown filter criterion in request: foo"),
    "11.11 GET workflows?filter=state:running,%20state:paused": (
        BadRequest,
        "Unknown filter criterion in request:  state",
    ),
    "11.11 GET workflows?filter=event_created:2025": (
        BadRequest,
        "Filter 'event_created' could not be parsed: The date range string is malformed",
    ),
    "11.11 GET workflows?sort=event_created": (BadRequest, ""),
    "11.11 GET workflows?sort=foo:ASC": (BadRequest, "Unknown search criterion in request: foo"),
    "11.11 GET workflows?sort=event_identifier:ASC": (
        ServerError,
        "can not sort on undefined field: mediapackageid_sort'",
    ),
    "11.11 GET workflows?limit=abc": (ListingNotSupported, ""),
    "11.11 /workflow instances paused": (NotFound, ""),
    "11.11 GET workflows/99999999999999999999": (ForeignResponse, ""),
    "16.6 GET workflows?limit=2": (ListingNotSupported, ""),
    "16.6 GET definitions?sort=foo:ASC": (BadRequest, "Unknown search criterion in request: foo"),
    "16.6 GET definitions?sort=title": (BadRequest, ""),
    "16.6 GET /api/workflow-definitions/nope": (NotFound, "Cannot find workflow definition with id 'nope'."),
    "16.6 version Accept application/v1.99.0+json": (NotAcceptable, ""),
    "16.6 404 Accept application/json": (NotFound, "Cannot find workflow instance with id '987654321'."),
    "16.6 POST no event": (StartInvalid, "Required parameter 'event_identifier' is missing or invalid"),
    "16.6 POST unknown event": (StartNotFound, "Cannot find an event with id 'nope'."),
    "16.6 POST unknown def": (StartNotFound, "Cannot find a workflow definition with id 'nope'."),
    "16.6 POST configuration {bad": (StartInvalid, "Passed parameter 'configuration' is invalid JSON."),
    "16.6 POST configuration []": (ServerError, f"Could not create workflow instances, reason: '{CAST}"),
    '16.6 POST configuration {"a":1}': (ServerError, "class java.lang.Long cannot be cast to class java.lang.String"),
    '16.6 POST configuration {"a":null}': (ServerError, "Could not create workflow instances, reason: 'null'"),
    "16.6 POST json body": (StartRejected, ""),
    "16.6 PUT instantiated -> running": (ServerError, f"Could not retrieve workflow instance, reason: '{NOT_PAUSED}'"),
    "16.6 PUT succeeded -> running": (Conflict, "Cannot resume from workflow state 'succeeded'"),
    "16.6 PUT running -> succeeded": (Conflict, "Cannot transition state from 'running' to 'succeeded'"),
    "16.6 PUT running bogus": (BadRequest, "Invalid workflow state 'bogus'"),
    '16.6 PUT paused configuration {"x":"y"}': (ServerError, "Could not retrieve workflow instance, reason: 'null'"),
    "16.6 PUT paused configuration {bad": (BadRequest, "Passed parameter 'configuration' is invalid JSON."),
    "16.6 DELETE running": (Conflict, "Cannot delete workflow instance in this workflow state"),
    "16.6 DELETE succeeded again": (NotFound, "Cannot find workflow instance with id '18'."),
    "16.6 GET workflows/abc": (ForeignResponse, ""),
    "16.6 viewer GET foreign": (Forbidden, ""),
    "16.6 GET events?filter=nope:x&limit=1": (BadRequest, "Unknown filter criterion in request: nope"),
    "11.11 500 of the container: a null creator": (ServerError, CONTAINER),
    "16.6 500 of the container: a null creator": (ServerError, CONTAINER),
    "11.11 401 of the container (stand-in security, Jetty's page)": (Unauthorized, "Unauthorized"),
    "16.6 401 of the container (stand-in security, Jetty's page)": (Unauthorized, "Unauthorized"),
    "11.11 404 of the container outside the API": (ForeignResponse, "Not Found"),
    "16.6 404 of the container outside the API": (ForeignResponse, "Not Found"),
}
"""The error and the message that a caller gets for each refusal."""
NOT_REQUESTED = {"16.6 OPTIONS workflows/1", "11.11 /workflow instance paused", "16.6 /workflow current succeeded"}
"""Requests that the library never sends."""


def call_for(exchange: RecordedExchange) -> Call[Any]:
    """Return the call that the recorded response belongs to."""
    path, _, query = exchange.path.partition("?")
    include = (*(ASKED if "withoperations" in query else ASKED[1:] if "withconfiguration=" in query else ()),)
    if path.startswith(calls.WORKFLOWS):
        return workflow_call(exchange, path, include)
    if path.startswith(definition_calls.DEFINITIONS):
        return definition_call(exchange, path, ASKED[:1] + SHOWN if query.startswith("with") else ())
    others: Mapping[str, Call[Any]] = {
        event_calls.EVENTS: event_calls.list_events(filter="", size=1),
        "/api/version": server_calls.get_version(),
        "/api/info/me": server_calls.get_me(),
        "/api": Call("GET", "/api", lambda reply: json_tree(reply.body)),
        "/nothere": server_calls.get_version(),
    }
    return others.get(path) or internal_call(exchange, path)


def workflow_call(exchange: RecordedExchange, path: str, include: tuple[tuple[str, str], ...]) -> Call[Any]:
    if path == calls.WORKFLOWS and exchange.method == "GET":
        return calls.list_workflows(filter="", sort="", include=include, size=100)
    if path == calls.WORKFLOWS:
        return calls.start_workflow(event_of(exchange), "noop", None, include)
    last = path.rpartition("/")[2]
    id = int(last) if last.isdigit() else 7
    made: Mapping[str, Callable[[], Call[Any]]] = {
        "GET": lambda: calls.get_workflow(id, include),
        "PUT": lambda: calls.change_state(id, "running", include),
        "DELETE": lambda: calls.delete_workflow(id),
    }
    return made[exchange.method]()


def event_of(exchange: RecordedExchange) -> str:
    event: str = exchange.response.json["event_identifier"] if exchange.response.status == 201 else "e"
    return event


def definition_call(exchange: RecordedExchange, path: str, include: tuple[tuple[str, str], ...]) -> Call[Any]:
    if path == definition_calls.DEFINITIONS:
        return definition_calls.list_definitions(filter="", sort="", include=include, limit=None)
    return definition_calls.get_definition(path.rpartition("/")[2], include)


def internal_call(exchange: RecordedExchange, path: str) -> Call[Any]:
    event = path.split("/")[3]
    return event_calls.workflows_of_event(event)


async def outcome(exchange: RecordedExchange, time: FakeTime) -> Any:
    """Return the result of a client that gets the recorded response.

    The version request gets its own recorded response.
    """
    version = next(e for e in recorded_exchanges() if e.key == f"{exchange.release} GET /api/version")

    def answer(request: httpx.Request) -> httpx.Response:
        answering = exchange if sent == [] or request.url.path == call.path else version
        sent.append(request)
        response = answering.response
        headers = {name: value for name, value in response.headers.items() if name != "transfer-encoding"}
        return httpx.Response(response.status, headers=headers, content=response.body.encode())

    sent: list[httpx.Request] = []
    call = call_for(exchange)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        client = OpencastClient("http://127.0.0.1", auth=("admin", "opencast"), http=http, clock=time.clock)
        async with client:
            try:
                return await client._transport.send(call)
            except CallError as error:
                return error


READ = [e for e in recorded_exchanges() if e.key not in ERRORS and e.key not in NOT_REQUESTED]
REFUSED = [e for e in recorded_exchanges() if e.key in ERRORS]


def test_every_recorded_answer_is_read_or_refused_here() -> None:
    assert len(recorded_exchanges()) == len({e.key for e in recorded_exchanges()}) == 87
    assert len(READ) + len(REFUSED) + len(NOT_REQUESTED) == 87
    assert {e.key for e in REFUSED} == ERRORS.keys()
    assert all(e.response.status < 300 for e in READ)


@pytest.mark.parametrize("exchange", REFUSED, ids=lambda e: e.key)
async def test_a_refusal_is_the_right_error_in_the_server_s_words(
    exchange: RecordedExchange, fake_time: FakeTime
) -> None:
    kind, words = ERRORS[exchange.key]
    error = await outcome(exchange, fake_time)
    found = getattr(error, "cause", None) or error
    assert type(found) is kind
    assert words in str(getattr(found, "message", ""))


@pytest.mark.parametrize("exchange", READ, ids=lambda e: e.key)
async def test_a_success_is_read_field_by_field(exchange: RecordedExchange, fake_time: FakeTime) -> None:
    found = await outcome(exchange, fake_time)
    assert not isinstance(found, CallError), found
    if exchange.response.status == 204:
        assert found is None
    else:
        assert to_json(found) == wire(exchange)


def wire(exchange: RecordedExchange) -> Any:
    """Return the recorded JSON without the fields that a record spells differently."""
    tree = exchange.response.json
    if exchange.path.startswith("/workflow"):
        rows = tree["workflows"] and tree["workflows"]["workflow"]
        return [internal(row) for row in ([rows] if isinstance(rows, dict) else rows)]
    return [plain(row) for row in tree] if isinstance(tree, list) else plain(tree)


def plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    operations = {"operations": list(map(plain, tree["operations"]))} if "operations" in tree else {}
    return {key: value for key, value in {**tree, **operations}.items() if value not in ("", None)}


def internal(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `/workflow` with the keys of the External API. Numbers and booleans become texts again."""
    names = {"title": "title", "description": "description", "creator-id": "creator"}
    texts = {name: loose_word(row[key]) for key, name in names.items() if key in row}
    return texts | {
        "identifier": row["id"],
        "state": row["state"].lower(),
        "workflow_definition_identifier": loose_word(row["template"]),
        "event_identifier": loose_word(row["mediaPackageId"]),
        "operations": [internal_operation(one) for one in elements(row["operations"], "operation")],
        **pairs(row["configurations"]),
    }


def internal_operation(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "fail-on-error": "fail_workflow_on_error",
        "retry-strategy": "retry_strategy",
        "max-attempts": "max_attempts",
        "failed-attempts": "failed_attempts",
        "time-in-queue": "time_in_queue",
        "id": "identifier",
        "template": "operation",
    }
    times = {
        name: iso_from_milliseconds(row[key])
        for key, name in (("started", "start"), ("completed", "completion"))
        if key in row
    }
    known = {name: row[key] for key, name in names.items() if key in row}
    return {**known, **times, "state": row["state"].lower(), **pairs(row["configurations"])}


def pairs(configurations: Any) -> dict[str, Any]:
    found = {loose_word(pair["key"]): pair["$"] for pair in elements(configurations, "configuration")}
    return {"configuration": found} if found else {}


def elements(value: Any, name: str) -> list[Any]:
    """Return the elements that Jettison writes. One is an object, several are a list, none is ""."""
    found = value and value[name]
    return found if isinstance(found, list) else [found] if found else []


def iso_from_milliseconds(milliseconds: int) -> str | None:
    return moment(datetime.fromtimestamp(milliseconds / 1000, UTC))


def loose_word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_json(found: Any) -> Any:
    """Return records as the JSON from which they were read. Empty values are left out."""
    if isinstance(found, Page):
        return [to_json(item) for item in found.items]
    if isinstance(found, tuple):
        return [to_json(item) for item in found]
    if isinstance(found, dict):
        return found
    return {key: value for key, value in RECORDS[type(found)](found).items() if value not in ("", None)}


def moment(at: datetime | None) -> str | None:
    if at is None:
        return None
    text = at.replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def workflow(record: Workflow) -> dict[str, Any]:
    return {
        "identifier": record.id,
        "state": record.state_text,
        "title": record.title,
        "description": record.description,
        "workflow_definition_identifier": record.definition_id,
        "event_identifier": record.event_id,
        "creator": record.creator,
        "operations": None if record.operations is None else [to_json(o) for o in record.operations],
        "configuration": record.configuration or None,
    }


def operation(record: Operation | OperationDefinition) -> dict[str, Any]:
    common = {
        "operation": record.operation,
        "description": record.description,
        "if": record.if_,
        "unless": record.unless,
        "fail_workflow_on_error": record.fail_workflow_on_error,
        "error_handler_workflow": record.error_handler_workflow,
        "retry_strategy": record.retry_strategy,
        "max_attempts": record.max_attempts,
        "configuration": record.configuration or None,
    }
    if isinstance(record, OperationDefinition):
        return common
    return common | {
        "identifier": record.id,
        "state": record.state_text,
        "start": moment(record.start),
        "completion": moment(record.completion),
        "time_in_queue": record.time_in_queue,
        "host": record.host,
        "failed_attempts": record.failed_attempts,
    }


def definition(record: Definition) -> dict[str, Any]:
    return {
        "identifier": record.id,
        "title": record.title,
        "description": record.description,
        "tags": list(record.tags),
        "configuration_panel": record.configuration_panel,
        "configuration_panel_json": record.configuration_panel_json,
        "operations": None if record.operations is None else [to_json(o) for o in record.operations],
    }


def event(record: Event) -> dict[str, Any]:
    state = record.processing_state
    return dict(record.extra) | {
        "identifier": record.id,
        "title": record.title,
        "status": record.status,
        "processing_state": None if state is None else state.value.upper(),
        "created": moment(record.created),
        "is_part_of": record.series,
        "series": record.series_title,
        "start": moment(record.start),
        "duration": None if record.duration is None else round(record.duration * 1000),
        "location": record.location,
        "presenter": list(record.presenters),
    }


def version(record: Version) -> dict[str, Any]:
    return {"default": record.default, "versions": list(record.versions)}


def me(record: Me) -> dict[str, Any]:
    names = ("username", "name", "email", "provider", "userrole")
    return {name: getattr(record, name) for name in names}


RECORDS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Workflow: workflow,
    Operation: operation,
    OperationDefinition: operation,
    Definition: definition,
    Event: event,
    Version: version,
    Me: me,
}
