"""The documentation of the Workflow API, sentence by sentence: its examples are copied to tests/samples/opencast."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import respx
from hypothesis import given, strategies as st

from tests.support.opencast_releases import on_11, on_all
from workflow_async import OpencastClient
from workflow_async._core.call import Page, Reply
from workflow_async.errors import AlreadyFinished, DecodeError, InvalidArgument
from workflow_async.opencast import Definition, DefinitionSort, OperationState, State, Workflow, calls, definition_calls
from workflow_async.opencast.converter import with_documented_keys
from workflow_async.opencast.definition_order import DefinitionOrder
from workflow_async.sandbox import ManualClock, Sandbox

SAMPLES = Path(__file__).parents[2] / "samples" / "opencast"
URL = "https://oc.example.org"
SAMPLE_REQUEST = "sort=title:DESC&limit=5&offset=1&filter=tag:archive"
"""The query of the sample request for workflow definitions."""
EVENT = "f41e4417-b841-4d20-a466-f98ddfbe4c2a"
CONFIGURATION = {
    "publishLive": "false",
    "uploadedSearchPreview": "false",
    "publishToOaiPmh": "true",
    "comment": "false",
    "publishToMediaModule": "true",
}
"""The configuration of the examples of a start and of an update."""


def example(name: str) -> str:
    """Return an example, without the line `...` that stands for further operations."""
    text = (SAMPLES / f"document-{name}.txt").read_text(encoding="utf-8")
    shortened, count = re.subn(r"^ *\.\.\.\n", "", text, flags=re.MULTILINE)
    assert count == 1
    return shortened


def client() -> OpencastClient:
    return OpencastClient(URL, auth=("a", "b"))


# Workflows


def check_example(workflow: Workflow, state: State) -> None:
    """Check every value of the example's workflow."""
    raw = json.loads(example("workflow"))
    assert (workflow.id, workflow.state, workflow.definition_id) == (1603, state, "fast")
    assert (workflow.title, workflow.creator) == ("Fast Testing Workflow", "Opencast Project Administrator")
    assert (workflow.event_id, workflow.description) == (EVENT, raw["description"])
    assert workflow.configuration == raw["configuration"]
    assert workflow.operations is not None
    first, second = workflow.operations
    assert (first.id, first.operation, first.state) == (1604, "defaults", OperationState.SUCCEEDED)
    assert (first.start, first.completion) == (
        datetime(2018, 8, 8, 8, 46, 57, 201_000, UTC),
        datetime(2018, 8, 8, 8, 46, 57, 300_000, UTC),
    )
    assert (first.configuration, first.host) == (CONFIGURATION, "http://localhost:8080")
    assert (second.operation, second.state, second.completion) == ("series", OperationState.SKIPPED, None)
    assert (second.fail_workflow_on_error, second.error_handler_workflow) == (True, "partial-error")
    assert not workflow.extra
    assert not first.extra
    assert not second.extra


@respx.mock
async def test_the_example_of_a_list_of_workflows_is_read_as_it_is_written() -> None:
    respx.get(f"{URL}/api/workflows").mock(return_value=httpx.Response(200, text=example("workflows")))
    async with client() as oc:
        (workflow,) = [w async for w in oc.workflows.list(with_operations=True, with_configuration=True)]
    check_example(workflow, State.SUCCEEDED)


@respx.mock
async def test_the_example_of_a_workflow_is_read_as_it_is_written() -> None:
    respx.get(f"{URL}/api/workflows/1603").mock(return_value=httpx.Response(200, text=example("workflow")))
    async with client() as oc:
        workflow = await oc.workflows.get(1603, with_operations=True, with_configuration=True)
    check_example(workflow, State.RUNNING)


@respx.mock
async def test_tags_and_the_panel_that_only_the_document_gives_to_workflows_stay_in_extra() -> None:
    documented = {"tags": ["schedule", "upload"], "configuration_panel": "<div></div>"}
    body = {**json.loads(example("workflow")), **documented}
    respx.get(f"{URL}/api/workflows/1603").mock(return_value=httpx.Response(200, json=body))
    async with client() as oc:
        assert (await oc.workflows.get(1603)).extra == documented


@respx.mock
async def test_a_start_as_in_the_example_has_the_location_of_the_example() -> None:
    location = "http://api.opencast.org/api/workflows/3170"
    body = json.loads(example("workflow")) | {"identifier": 3170, "state": "instantiated"}
    route = respx.post(f"{URL}/api/workflows").mock(
        return_value=httpx.Response(201, json=body, headers={"Location": location})
    )
    async with client() as oc:
        started = await oc.workflows.start(EVENT, "fast", configuration=CONFIGURATION)
    assert (started.id, started.location) == (3170, location)
    form = httpx.QueryParams(route.calls.last.request.content.decode())
    assert (form["event_identifier"], form["workflow_definition_identifier"]) == (EVENT, "fast")
    assert json.loads(form["configuration"]) == CONFIGURATION


@on_all
async def test_only_the_record_of_a_start_has_a_location(sandbox: Sandbox, oc: OpencastClient) -> None:
    started = await oc.workflows.start(sandbox.opencast.event(), "fast")
    read = await oc.workflows.get(started.id)
    assert started.location == f"http://localhost:8080/api/workflows/{started.id}"
    assert read.location is None


def test_a_location_does_not_count_when_records_are_compared() -> None:
    body = b'{"identifier": 7, "state": "instantiated", "event_identifier": "e"}'
    started = calls.start_workflow("e", "fast", None).read(Reply(201, {"location": "/api/workflows/7"}, body))
    read = calls.get_workflow(7).read(Reply(200, {}, body))
    assert (started.location, started) == ("/api/workflows/7", read)
    assert hash(started) == hash(read)
    assert calls.start_workflow("e", "fast", None).read(Reply(201, {}, body)).location is None


@on_all
@pytest.mark.parametrize("state", ["PAUSED", "Paused", "paused", State.PAUSED])
async def test_an_update_as_in_the_example_takes_a_state_in_any_case(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, state: Any
) -> None:
    started = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    changed = await oc.workflows.update(started.id, state=state, configuration=CONFIGURATION, with_configuration=True)
    assert (changed.state, changed.configuration) == (State.PAUSED, CONFIGURATION)


@on_all
@pytest.mark.parametrize("call", ["stop", "pause"])
@pytest.mark.parametrize(("definition", "ended"), [("fast", "succeeded"), ("fails", "failed")])
async def test_a_transition_of_an_ended_workflow_is_refused_with_the_reason_and_done_by_force(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, call: str, definition: str, ended: str
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=[definition])
    time.advance(60)
    change = getattr(oc.workflows, call)
    why = f"workflow {id} is {ended} already: stopping or pausing it would rewrite its result, which only force=True"
    with pytest.raises(AlreadyFinished, match=why):
        await change(id)
    assert [request.method for request in sandbox.opencast.requests] == ["GET"]
    changed = await change(id, force=True)
    kept = sandbox.opencast.state.release == "19" and call == "stop"
    assert changed.state_text == (ended if kept else {"stop": "stopped", "pause": "paused"}[call])
    assert [request.method for request in sandbox.opencast.requests] == ["GET", "PUT"]


@on_all
async def test_a_stopped_workflow_is_paused_by_force_only(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    started = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    await oc.workflows.stop(started.id)
    with pytest.raises(AlreadyFinished, match="is stopped already"):
        await oc.workflows.pause(started.id)
    assert (await oc.workflows.pause(started.id, force=True)).state is State.PAUSED


PERIOD = "2018-03-01T00:00:00Z/2018-03-31T23:59:59Z"


@on_11
@pytest.mark.parametrize(
    "created", [PERIOD, (datetime(2018, 3, 1, tzinfo=UTC), datetime(2018, 3, 31, 23, 59, 59, tzinfo=UTC))]
)
async def test_event_created_takes_two_datetimes_with_a_slash_or_a_pair(
    sandbox: Sandbox, oc: OpencastClient, created: Any
) -> None:
    event = sandbox.opencast.event(created=datetime(2018, 3, 8, tzinfo=UTC).timestamp())
    id = sandbox.opencast.start(event, "noop")
    sandbox.opencast.start(sandbox.opencast.event(), "noop")
    sandbox.opencast.state.commit()
    assert [workflow.id async for workflow in oc.workflows.list(event_created=created)] == [id]
    assert sandbox.opencast.requests[0].parameters["filter"] == [f"event_created:{PERIOD}"]


@pytest.mark.parametrize(
    "created",
    ["", "a/b", "2018-03-01T00:00:00Z", f"{PERIOD}/", ("a", "b"), None, 5, [], (datetime(2018, 3, 1),) * 2],  # noqa: DTZ001
)
def test_any_other_value_of_event_created_is_an_invalid_argument(created: Any) -> None:
    with pytest.raises(InvalidArgument, match="^event_created: must be two"):
        client().workflows.list(event_created=created)


@pytest.mark.parametrize("sort", ["event_title:asc,event_created:desc", ["event_title:asc"], ("event_title:asc",)])
def test_several_sort_keys_of_workflows_are_refused_with_the_reason(sort: Any) -> None:
    why = "^sort: must be one key, because of several the server uses an arbitrary one: sort the rows in your code"
    with pytest.raises(InvalidArgument, match=why):
        client().workflows.list(sort=sort)


# Definitions


def check_definition(definition: Definition, raw: dict[str, Any]) -> None:
    """Check every value of the example's definition."""
    assert (definition.id, definition.title) == ("fast", "Fast Testing Workflow")
    assert (definition.tags, definition.description) == (("schedule", "upload"), raw["description"])
    assert definition.configuration_panel == raw["configuration_panel"]
    assert definition.operations is not None
    first, second = definition.operations
    assert (first.operation, first.configuration) == ("defaults", CONFIGURATION)
    assert (second.operation, second.configuration) == ("series", {"apply-acl": "true"})
    assert second.error_handler_workflow == "partial_error"
    for operation in definition.operations:
        assert (operation.fail_workflow_on_error, operation.max_attempts) == (True, 1)
        assert not operation.extra
    assert not definition.extra


@respx.mock
async def test_the_example_of_a_list_of_definitions_is_read_as_it_is_written() -> None:
    respx.get(f"{URL}/api/workflow-definitions").mock(return_value=httpx.Response(200, text=example("definitions")))
    async with client() as oc:
        (definition,) = [d async for d in oc.definitions.list(with_operations=True, with_configuration_panel=True)]
    check_definition(definition, json.loads(example("definitions"))[0])


@respx.mock
async def test_the_example_of_a_definition_is_read_as_it_is_written() -> None:
    respx.get(f"{URL}/api/workflow-definitions/fast").mock(return_value=httpx.Response(200, text=example("definition")))
    async with client() as oc:
        definition = await oc.definitions.get("fast", with_operations=True, with_configuration_panel=True)
    check_definition(definition, json.loads(example("definition")))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"id": 7}, r"required field missing @ \$\.identifier"),
        ({"identifier": None, "id": "fast"}, r"expected a text, got null @ \$\.identifier"),
        ({"title": "x"}, r"required field missing @ \$\.identifier"),
        ([], "expected an object, got a list"),
    ],
)
def test_an_id_stands_only_for_an_identifier_that_is_absent(row: Any, fault: str) -> None:
    with pytest.raises(DecodeError, match=fault):
        definition_calls.get_definition("fast").read(Reply(200, {}, json.dumps(row).encode()))


def test_an_id_beside_the_keys_of_servers_stays_in_extra() -> None:
    row = {"identifier": "fast", "id": "other", "operations": [{"operation": "series", "id": "x"}]}
    definition = definition_calls.get_definition("fast").read(Reply(200, {}, json.dumps(row).encode()))
    assert (definition.id, definition.extra) == ("fast", {"id": "other"})
    assert definition.operations is not None
    assert (definition.operations[0].operation, definition.operations[0].extra) == ("series", {"id": "x"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "identifier", "operation", "operations", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(json_values)
def test_keys_of_any_response_are_renamed_without_a_change_of_its_values(tree: Any) -> None:
    before = json.dumps(tree)
    renamed = with_documented_keys(tree)
    assert json.dumps(tree) == before
    assert with_documented_keys(renamed) == renamed
    if not isinstance(tree, dict) or "identifier" in tree or not isinstance(tree.get("id"), str):
        assert isinstance(renamed, type(tree))
    else:
        assert (renamed["identifier"], "id" in renamed) == (tree["id"], False)


# The list of definitions


@on_all
async def test_the_sample_request_for_definitions_is_sent_as_it_is_written(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    everything = [d.id async for d in oc.definitions.list(tag="archive", sort="title:desc")]
    shown = [d.id async for d in oc.definitions.list(tag="archive", sort="title:desc", limit=5, offset=1)]
    assert shown == everything[1:]
    assert len(shown) > 0
    sent = sandbox.opencast.requests[-1]
    assert sent.parameters == {"sort": ["title:DESC"], "limit": ["5"], "offset": ["1"], "filter": ["tag:archive"]}
    assert {f"{name}={value[0]}" for name, value in sent.parameters.items()} == {*SAMPLE_REQUEST.split("&")}


@pytest.mark.parametrize("offset", [-1, "1", None, True])
def test_an_offset_of_definitions_is_a_number_from_0(offset: Any) -> None:
    with pytest.raises(InvalidArgument, match="^offset: "):
        client().definitions.list(offset=offset)


def rows(*pairs: tuple[str, str]) -> bytes:
    return json.dumps([{"identifier": id, "title": title} for id, title in pairs]).encode()


@respx.mock
@pytest.mark.parametrize(
    ("sort", "sent", "found"),
    [
        (["title:asc", "identifier:desc"], "identifier:DESC", ["a", "c", "d", "b"]),
        (("title:desc", "identifier:desc"), "identifier:DESC", ["d", "b", "c", "a"]),
        (["title:desc", "title:asc", "displayorder:asc"], "displayorder:ASC", ["d", "b", "c", "a"]),
        (["title:asc"], "title:ASC", ["d", "c", "b", "a"]),
    ],
)
async def test_definitions_are_sorted_here_by_all_keys_but_the_last(sort: Any, sent: str, found: list[str]) -> None:
    body = rows(("d", "cut"), ("c", "archive"), ("b", "cut"), ("a", "Archive"))
    route = respx.get(f"{URL}/api/workflow-definitions").mock(return_value=httpx.Response(200, content=body))
    async with client() as oc:
        assert [d.id async for d in oc.definitions.list(sort=sort)] == found
    assert dict(route.calls.last.request.url.params) == {"sort": sent}


@on_all
@pytest.mark.parametrize("keys", [["title:desc", "displayorder:asc"], ["identifier:asc", "title:asc"]])
async def test_limit_and_offset_count_after_the_sorting(sandbox: Sandbox, oc: OpencastClient, keys: Any) -> None:
    everything = [d async for d in oc.definitions.list(sort=keys)]
    name: Callable[[Definition], str] = (lambda d: d.id) if "identifier:asc" in keys else (lambda d: d.title)
    assert everything == sorted(everything, key=name, reverse="title:desc" in keys)
    assert len(everything) > 6
    listing = oc.definitions.list(sort=keys, limit=3, offset=2)
    assert [d async for d in listing] == everything[2:5]
    assert listing.report.requests == 1
    assert not {"limit", "offset"} & sandbox.opencast.requests[-1].parameters.keys()


@respx.mock
async def test_unreadable_rows_come_after_the_sorted_ones() -> None:
    body = b'[{"title": "no id"}, {"identifier": "b", "title": "x"}, {"identifier": "a", "title": "x"}]'
    respx.get(f"{URL}/api/workflow-definitions").mock(return_value=httpx.Response(200, content=body))
    async with client() as oc:
        listing = oc.definitions.list(sort=["title:asc", "identifier:desc"], unreadable="skip", offset=1)
        assert [d.id async for d in listing] == ["a"]
    assert [row.row for row in listing.report.unreadable] == [{"title": "no id"}]


@pytest.mark.parametrize(
    ("sort", "why"),
    [
        ([], "must name at least one key"),
        (["displayorder:asc", "title:asc"], "must name displayorder last"),
        (["title:asc", "event_title:asc"], "must be by one of displayorder, identifier, title"),
        (["title:asc", 5], "must be a text such as title:asc"),
        (["title", "identifier:asc"], "must name a direction"),
        ("title:asc,identifier:asc", "must be one key: give several keys as a list"),
        (5, "must be a list or another iterable"),
    ],
)
def test_a_sort_of_definitions_that_cannot_be_done_is_an_invalid_argument(sort: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^sort: {why}"):
        client().definitions.list(sort=sort)


local_keys = st.sampled_from([key for key in get_args(DefinitionSort) if not key.startswith("displayorder")])


@given(
    st.lists(local_keys, min_size=1, max_size=4),
    st.sampled_from(get_args(DefinitionSort)),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["A", "a", "b", "\ufb01", "\U0001d54f", "\ud800"])),
        max_size=9,
    ),
    st.integers(0, 10),
)
def test_the_order_is_that_of_a_comparison_key_by_key(keys: Any, last: Any, pairs: Any, skip: int) -> None:
    definitions = tuple(Definition(id=id, title=title, extra={"at": at}) for at, (id, title) in enumerate(pairs))
    order = DefinitionOrder.of([*keys, last])
    page = order.read_page(lambda _: Page(definitions), 0, Reply(200, {}, b""))
    assert sorted(d.extra["at"] for d in page.items) == [*range(len(pairs))]
    for first, second in zip(page.items, page.items[1:], strict=False):
        assert compared(keys, first, second) <= 0
    assert order.read_page(lambda _: Page(definitions), skip, Reply(200, {}, b"")).items == page.items[skip:]


def compared(keys: list[str], first: Definition, second: Definition) -> int:
    """Compare two definitions by the first key in which they differ, then by their place in the response."""
    for key in keys:
        name, _, direction = key.partition(":")
        a, b = (units(d.id if name == "identifier" else d.title) for d in (first, second))
        if a != b:
            return (-1 if a < b else 1) * (1 if direction == "asc" else -1)
    return -1 if first.extra["at"] < second.extra["at"] else 1


def units(text: str) -> list[int]:
    """Return the UTF-16 code units of a text, by which Java compares texts."""
    return [
        unit
        for point in map(ord, text)
        for unit in ([point] if point < 0x10000 else [0xD800 + (point - 0x10000 >> 10), 0xDC00 + (point & 0x3FF)])
    ]
