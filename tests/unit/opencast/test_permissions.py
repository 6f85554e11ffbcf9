"""Every refused call of an Opencast says which permission it needs."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.support.opencast_releases import on_all
from workflow_async import Clock, OpencastClient
from workflow_async.errors import DecodeError, Forbidden, StartForbidden
from workflow_async.opencast.permissions import ADMIN, READ, SUDO, WRITE, role_of
from workflow_async.sandbox import Sandbox
from workflow_async.sandbox.opencast.auth import API, Account, role_for

Connect = Callable[..., OpencastClient]
Make = Callable[[OpencastClient, Sandbox], Awaitable[object]]

CALLS: dict[str, tuple[str, Make]] = {
    "version": ("ROLE_API", lambda oc, _: oc.version()),
    "me": ("ROLE_API", lambda oc, _: oc.me()),
    "organization": ("ROLE_API", lambda oc, _: oc.organization()),
    "workflows.get": ("ROLE_API_WORKFLOW_INSTANCE_VIEW", lambda oc, _: oc.workflows.get(7)),
    "workflows.start": (
        "ROLE_API_WORKFLOW_INSTANCE_CREATE",
        lambda oc, sandbox: oc.workflows.start(sandbox.opencast.event(), "fast"),
    ),
    "workflows.replace_configuration": (
        "ROLE_API_WORKFLOW_INSTANCE_EDIT",
        lambda oc, _: oc.workflows.replace_configuration(7, {}),
    ),
    "workflows.delete": ("ROLE_API_WORKFLOW_INSTANCE_DELETE", lambda oc, _: oc.workflows.delete(7)),
    "workflows.count": (ADMIN, lambda oc, _: oc.workflows.count()),
    "definitions.list": ("ROLE_API_WORKFLOW_DEFINITION_VIEW", lambda oc, _: oc.definitions.list().first()),
    "definitions.get": ("ROLE_API_WORKFLOW_DEFINITION_VIEW", lambda oc, _: oc.definitions.get("fast")),
    "events.list": ("ROLE_API_EVENTS_VIEW", lambda oc, _: oc.events.list().first()),
}
"""The role that each call needs, and how to make the call."""


@pytest.fixture
def without_roles(sandbox: Sandbox) -> tuple[str, str]:
    """Add a user without any role."""
    sandbox.opencast.state.access.accounts["guest"] = Account("guest", "guest", frozenset())
    return "guest", "guest"


@on_all
@pytest.mark.parametrize("name", CALLS)
async def test_a_refused_call_says_which_role_it_needs(
    name: str, sandbox: Sandbox, connect: Connect, without_roles: tuple[str, str]
) -> None:
    role, make = CALLS[name]
    async with connect(auth=without_roles) as oc:
        with pytest.raises(Forbidden, match=f"this call needs {role}$") as caught:
            await make(oc, sandbox)
    assert (caught.value.role, caught.value.access) == (role, "")


async def test_for_event_needs_an_administrator(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("integration", "integration")) as oc:
        with pytest.raises(Forbidden, match=f"this call needs {ADMIN}$"):
            await oc.workflows.for_event(sandbox.opencast.event())


async def test_a_refused_start_is_also_a_start_that_did_not_happen(
    sandbox: Sandbox, connect: Connect, without_roles: tuple[str, str]
) -> None:
    async with connect(auth=without_roles) as oc:
        with pytest.raises(StartForbidden) as caught:
            await oc.workflows.start(sandbox.opencast.event(), "fast")
    assert caught.value.role == "ROLE_API_WORKFLOW_INSTANCE_CREATE"


async def test_the_roles_that_the_errors_name_are_those_that_the_user_lacks(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("viewer", "viewer")) as oc:
        me = await oc.me(with_roles=True)
        with pytest.raises(Forbidden) as caught:
            await oc.definitions.get("fast")
    assert me.roles == (API, "ROLE_API_WORKFLOW_INSTANCE_VIEW", "ROLE_USER")
    assert caught.value.role not in me.roles


@pytest.mark.parametrize(
    ("access", "make"),
    [
        (READ, lambda oc, workflow: oc.workflows.get(workflow)),
        (READ, lambda oc, workflow: oc.workflows.replace_configuration(workflow, {})),
        (WRITE, lambda oc, workflow: oc.workflows.delete(workflow)),
    ],
)
async def test_a_user_with_the_role_learns_that_the_access_list_of_the_event_refuses(
    access: str, make: Callable[[OpencastClient, int], Awaitable[Any]], sandbox: Sandbox, connect: Connect
) -> None:
    event = sandbox.opencast.event(readers=frozenset({"ROLE_LECTURER"}))
    id = sandbox.opencast.start(event, "fast")
    async with connect(auth=("integration", "integration")) as oc:
        with pytest.raises(Forbidden) as caught:
            await make(oc, id)
    assert (caught.value.role, caught.value.access) == ("", access)
    assert str(caught.value).endswith(f"403 Forbidden: this call needs {access}")


async def test_a_client_that_switches_the_user_learns_of_the_role_for_that_too(connect: Connect) -> None:
    async with connect(auth=("integration", "integration"), run_as_user="admin") as oc:
        with pytest.raises(Forbidden, match=f"this call needs ROLE_API and {SUDO}$"):
            await oc.me()


async def test_a_user_is_read_without_roles_in_one_request(sandbox: Sandbox, oc: OpencastClient) -> None:
    assert (await oc.me()).roles is None
    assert [request.path for request in sandbox.opencast.requests] == ["/api/info/me"]


@on_all
async def test_the_organization_is_the_one_of_the_host(oc: OpencastClient) -> None:
    organization = await oc.organization()
    assert (organization.id, organization.name) == ("mh_default_org", "Opencast Project")
    assert (organization.admin_role, organization.anonymous_role) == ("ROLE_ADMIN", "ROLE_ANONYMOUS")


@pytest.mark.parametrize(("body", "place"), [('["a", 7]', "$[1]"), ('{"a": 1}', "$"), ('"ROLE_A"', "$")])
async def test_roles_that_are_no_list_of_texts_are_a_decode_error(clock: Clock, body: str, place: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=body if request.url.path.endswith("/roles") else '{"username": "a"}')

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with OpencastClient("https://oc.example.org", auth=("a", "b"), http=http, clock=clock) as oc:
        with pytest.raises(DecodeError) as caught:
            await oc.me(with_roles=True)
    assert [fault.partition(" @ ")[2] for fault in caught.value.faults] == [place]


PATHS = (
    *("/api", "/api/version", "/api/version/default", "/api/info/me", "/api/info/me/roles", "/api/info/organization"),
    *("/api/info/organization/properties", "/api/workflows", "/api/workflows/7", "/api/workflows/7/x", "/api/events"),
    *("/api/workflow-definitions", "/api/workflow-definitions/fast", "/workflow/count", "/workflow/instances.json"),
)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_the_sandbox_asks_for_the_roles_of_the_table(method: str) -> None:
    assert {path: role_of(method, path) for path in PATHS} == {path: role_for(method, path) for path in PATHS}


def test_the_workflows_of_an_event_in_the_admin_interface_have_roles_of_their_own() -> None:
    operations = "/admin-ng/event/e-1/workflows/7/operations.json"
    assert role_of("GET", operations) == "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW"
    assert role_of("GET", "/admin-ng/event/e-1/workflows.json") == "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW"
    assert role_of("PUT", "/admin-ng/event/e-1/workflows/7/action/retry") == "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT"
    assert role_of("DELETE", "/admin-ng/event/e-1/workflows/7") == "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_DELETE"
    assert role_of("GET", "/admin-ng/event/e-1/metadata.json") == ADMIN
