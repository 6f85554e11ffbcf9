"""A start that checks its configuration against the options of its definition, over a socket against the sandbox."""

from collections.abc import Callable

import pytest
from attrs import evolve

from tests.support.opencast_releases import on_11_and_16, on_all
from workflow_async import OpencastClient
from workflow_async.errors import Forbidden, InvalidArgument, NotFound
from workflow_async.opencast import Option, OptionType
from workflow_async.sandbox import Sandbox

Connect = Callable[..., OpencastClient]

DEFINITION = "/api/workflow-definitions/fast"


def sent(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in sandbox.opencast.requests]


@on_all
async def test_the_options_of_a_definition_are_typed_on_every_release(sandbox: Sandbox, oc: OpencastClient) -> None:
    definition = await oc.definitions.get("fast", with_configuration_panel=True, with_configuration_panel_json=True)
    assert definition.options == (
        Option(name="publishLive", type=OptionType.BOOLEAN, default=True, label="Publish the live stream"),
    )
    assert [d.options async for d in oc.definitions.list(with_configuration_panel=True) if d.id == "fast"] == [
        definition.options
    ]


@on_11_and_16
async def test_a_configuration_that_fits_is_sent_after_one_read(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event()
    workflow = await oc.workflows.start(event, "fast", configuration={"publishLive": False}, check_options=True)
    assert sent(sandbox) == [("GET", DEFINITION), ("POST", "/api/workflows")]
    assert sandbox.opencast.engine.runs[workflow.id].parameters == {"publishLive": "false"}


@on_11_and_16
@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [("publisLive", False, "did you mean 'publishLive'"), ("publishLive", 2, "True or False")],
)
async def test_a_configuration_that_does_not_fit_sends_nothing(
    sandbox: Sandbox, oc: OpencastClient, key: str, value: int, fault: str
) -> None:
    event = sandbox.opencast.event()
    with pytest.raises(InvalidArgument, match=fault):
        await oc.workflows.start(event, "fast", configuration={key: value}, check_options=True)
    assert sent(sandbox) == [("GET", DEFINITION)]
    assert not sandbox.opencast.engine.runs


async def test_the_configuration_of_a_ticket_is_checked_too(sandbox: Sandbox, oc: OpencastClient) -> None:
    ticket = oc.workflows.prepare_start(sandbox.opencast.event(), "fast", configuration={"publisLive": True})
    with pytest.raises(InvalidArgument, match="did you mean"):
        await oc.workflows.start(ticket, check_options=True)
    assert sent(sandbox) == [("GET", DEFINITION)]


@pytest.mark.parametrize("configuration", [None, {}])
async def test_a_start_without_a_configuration_reads_no_definition(
    sandbox: Sandbox, oc: OpencastClient, configuration: dict[str, str] | None
) -> None:
    await oc.workflows.start(sandbox.opencast.event(), "fast", configuration=configuration, check_options=True)
    assert sent(sandbox) == [("POST", "/api/workflows")]


async def test_a_start_with_an_unreadable_panel_sends_nothing(sandbox: Sandbox, oc: OpencastClient) -> None:
    definitions = sandbox.opencast.state.definitions
    definitions["fast"] = evolve(definitions["fast"], panel_json="[{")
    with pytest.raises(InvalidArgument, match="the JSON panel of the definition is malformed"):
        await oc.workflows.start(
            sandbox.opencast.event(), "fast", configuration={"publishLive": True}, check_options=True
        )
    assert sent(sandbox) == [("GET", DEFINITION)]


async def test_a_start_by_a_user_who_may_not_read_definitions_sends_nothing(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("viewer", "viewer")) as oc:
        with pytest.raises(Forbidden):
            await oc.workflows.start(
                sandbox.opencast.event(), "fast", configuration={"publishLive": True}, check_options=True
            )
    assert all(method == "GET" for method, _ in sent(sandbox))


async def test_a_start_of_an_unknown_definition_sends_nothing(sandbox: Sandbox, oc: OpencastClient) -> None:
    with pytest.raises(NotFound):
        await oc.workflows.start(sandbox.opencast.event(), "gone", configuration={"a": 1}, check_options=True)
    assert sent(sandbox) == [("GET", "/api/workflow-definitions/gone")]
