"""The client for an Opencast: credentials, definitions, versions, opening and closing."""

import logging
from collections.abc import Callable

import anyio
import httpx
import pytest
import respx

from tests.support.opencast_releases import on_11, on_all
from workflow_async import Basic, Bearer, Digest, OpencastClient
from workflow_async.errors import (
    BadRequest,
    ClientClosed,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    NotFound,
    ServerError,
    Unauthorized,
)
from workflow_async.sandbox import Sandbox

Connect = Callable[..., OpencastClient]

WORKFLOW = {"identifier": 7, "state": "running", "event_identifier": "e"}


# Credentials


@on_all
async def test_basic_credentials_go_with_the_first_request(sandbox: Sandbox, oc: OpencastClient) -> None:
    assert (await oc.me()).username == "admin"
    (only,) = sandbox.opencast.requests
    assert only.headers["authorization"].startswith("Basic ")
    assert only.headers["x-requested-auth"] == "Basic"


async def test_digest_credentials_reuse_the_challenge(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=Digest("opencast_system_account", "CHANGE_ME")) as oc:
        for _ in range(3):
            assert (await oc.version()).default
    assert [request.status for request in sandbox.opencast.requests] == [401, 200, 200, 200]


async def test_a_wrong_digest_password_is_refused_after_one_attempt(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=Digest("opencast_system_account", "wrong")) as oc:
        with pytest.raises(Unauthorized):
            await oc.version()
    assert [request.status for request in sandbox.opencast.requests] == [401, 401]


@pytest.mark.parametrize("challenge", ["Digest", 'Digest realm="x"', 'Digest realm="x", nonce="y", algorithm=ROT13'])
@respx.mock
async def test_an_invalid_challenge_is_unauthorized(challenge: str) -> None:
    headers = {"www-authenticate": challenge}
    respx.get("https://oc.example.org/api/version").mock(return_value=httpx.Response(401, headers=headers))
    async with OpencastClient("https://oc.example.org", auth=Digest("a", "b")) as oc:
        with pytest.raises(Unauthorized):
            await oc.version()


async def test_a_bearer_token_is_fixed_or_returned_by_a_function_each_time(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=Bearer.of(sandbox.opencast.jwt)) as oc:
        assert (await oc.version()).default
    tokens = iter(["stale", sandbox.opencast.jwt, sandbox.opencast.jwt, sandbox.opencast.jwt])
    async with connect(auth=Bearer.of(lambda: next(tokens))) as oc:
        assert (await oc.version()).default


async def test_a_wrong_password_is_unauthorized_after_one_request(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("admin", "wrong")) as oc:
        with pytest.raises(Unauthorized):
            await oc.me()
    assert len(sandbox.opencast.requests) == 1


@respx.mock
async def test_a_redirect_to_the_login_page_is_unauthorized_and_never_followed() -> None:
    respx.get("https://oc.example.org/api/info/me").mock(
        return_value=httpx.Response(302, headers={"location": "https://oc.example.org/login.html"})
    )
    login = respx.get("https://oc.example.org/login.html").mock(return_value=httpx.Response(200))
    async with OpencastClient("https://oc.example.org", auth=("a", "b")) as oc:
        with pytest.raises(Unauthorized):
            await oc.me()
    assert not login.called


async def test_a_missing_role_is_forbidden(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("viewer", "viewer")) as oc:
        with pytest.raises(Forbidden):
            await oc.workflows.start(sandbox.opencast.event(), "fast")


async def test_an_admin_acts_as_another_user_with_the_users_roles(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(run_as_user="integration", run_with_roles=("ROLE_A", "ROLE_B")) as oc:
        await oc.me()
    headers = sandbox.opencast.requests[0].headers
    assert (headers["x-run-as-user"], headers["x-run-with-roles"]) == ("integration", "ROLE_A,ROLE_B")


async def test_acting_as_an_unknown_user_is_forbidden(connect: Connect) -> None:
    async with connect(run_as_user="nobody-at-all") as oc:
        with pytest.raises(Forbidden):
            await oc.me()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "oc.example.org"}, "url: must begin with https:// or http://"),
        ({"url": "http://oc.example.org"}, "url: must be https://"),
        ({"url": "https://u:p@oc.example.org"}, "url: must not carry credentials"),
        ({"auth": "admin"}, "auth: must be"),
        ({"auth": ("a", "b", "c")}, "auth: must be"),
        ({"auth": ("a:b", "c")}, "username: must be printable"),
        ({"run_as_user": "a\r\nx: y"}, "run_as_user: must be visible ASCII"),
        ({"run_with_roles": ("A,B",)}, "run_with_roles: must be role names without commas"),
        ({"run_with_roles": ("A B",)}, "run_with_roles: must be visible ASCII"),
        ({"http": "carrier pigeon"}, 'http: must be "httpx"'),
    ],
)
def test_invalid_settings_are_refused_when_the_client_is_created(settings: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{why}"):
        OpencastClient(**{"url": "https://oc.example.org", "auth": ("a", "b"), **settings})  # type: ignore[arg-type]  # wrong on purpose


def test_an_invalid_token_is_refused_and_not_repeated_in_the_message() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Bearer.of("s3cret\n")
    assert "s3cret" not in str(caught.value)


def test_no_credential_shows_its_secret() -> None:
    for credential in (Basic("a", "s3cret"), Digest("a", "s3cret"), Bearer.of("s3cret")):
        assert "s3cret" not in repr(credential)
    assert "s3cret" not in repr(OpencastClient("https://oc.example.org", auth=("a", "s3cret")))


# Definitions, version, me


@on_all
async def test_definitions_are_listed_by_tag_and_sorted(oc: OpencastClient) -> None:
    everything = [definition async for definition in oc.definitions.list()]
    titles = [definition.title.lower() for definition in everything]
    assert titles == sorted(titles)
    both = [
        definition.id async for definition in oc.definitions.list(tag=["upload", "schedule"], sort="identifier:desc")
    ]
    assert both == ["schedule-and-upload", "fast"]
    assert len([definition async for definition in oc.definitions.list(limit=2)]) == 2


async def test_a_definition_has_operations_and_panels_on_request(oc: OpencastClient) -> None:
    plain = await oc.definitions.get("fast")
    assert (plain.operations, plain.configuration_panel, plain.configuration_panel_json) == (None, None, None)
    full = await oc.definitions.get(
        "fast", with_operations=True, with_configuration_panel=True, with_configuration_panel_json=True
    )
    assert full.operations
    assert full.operations[0].operation == "defaults"
    assert full.configuration_panel
    assert full.configuration_panel.startswith("<fieldset>")
    assert full.configuration_panel_json
    assert full.configuration_panel_json.startswith("[")


@on_11
async def test_a_server_before_14_has_no_panel_in_json(oc: OpencastClient) -> None:
    assert (await oc.definitions.get("fast", with_configuration_panel_json=True)).configuration_panel_json is None


async def test_an_unknown_definition_is_not_found(oc: OpencastClient) -> None:
    with pytest.raises(NotFound):
        await oc.definitions.get("slow")


@pytest.mark.parametrize(("sandbox", "lists"), [("11", True), ("16", False), ("19", False)], indirect=["sandbox"])
async def test_the_version_is_the_servers(oc: OpencastClient, lists: bool) -> None:  # noqa: FBT001 - a table's column
    version = await oc.version()
    assert version.default in version.versions
    assert version.lists_workflows is lists


# Statuses of the tables in the contract, with any Content-Type


@pytest.mark.parametrize(
    ("status", "body", "content_type", "error", "message"),
    [
        (400, "Invalid workflow state", "application/v1.7.0+json", BadRequest, "Invalid workflow state"),
        (403, "", "", Forbidden, ""),
        (403, "<html>no</html>", "text/html", Forbidden, ""),
        (404, "Cannot find", "text/plain", NotFound, "Cannot find"),
        (404, "", "", ForeignResponse, ""),
        (404, "<html>proxy</html>", "text/html", ForeignResponse, ""),
        (500, "Could not retrieve, reason: 'null'", "text/plain", ServerError, "Could not retrieve, reason: 'null'"),
        (503, "<html>proxy</html>", "text/html", ServerError, ""),
    ],
)
@respx.mock
async def test_every_status_is_a_typed_error_with_the_servers_message(
    status: int, body: str, content_type: str, error: type[BadRequest], message: str
) -> None:
    answer = httpx.Response(status, text=body, headers={"content-type": content_type})
    respx.post("https://oc.example.org/api/workflows").mock(return_value=answer)
    respx.get("https://oc.example.org/api/workflows/7").mock(return_value=httpx.Response(200, json=WORKFLOW))
    respx.put("https://oc.example.org/api/workflows/7").mock(return_value=answer)
    version = {"default": "v1.10.0", "versions": ["v1.10.0"]}
    respx.get("https://oc.example.org/api/version").mock(return_value=httpx.Response(200, json=version))
    async with OpencastClient("https://oc.example.org", auth=("a", "b")) as oc:
        with pytest.raises(error) as caught:
            await oc.workflows.stop(7)
    assert (caught.value.status, caught.value.message, caught.value.attempts) == (status, message, 1)


# Opening and closing


async def test_a_client_keeps_its_session_cookie(sandbox: Sandbox, oc: OpencastClient) -> None:
    for _ in range(5):
        await oc.me()
    assert len(sandbox.opencast.sessions) == 1


async def test_a_client_works_only_while_it_is_open(connect: Connect) -> None:
    oc = connect()
    with pytest.raises(ClientClosed, match="async with"):
        await oc.me()
    async with oc:
        await oc.me()
    await oc.aclose()
    with pytest.raises(ClientClosed):
        await oc.me()


@pytest.mark.sweep
async def test_a_thousand_concurrent_calls_on_a_new_client_all_succeed(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = sandbox.opencast.seed(1000)
    found: list[int] = []

    async def get(id: int) -> None:
        found.append((await oc.workflows.get(id)).id)

    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(get, id)
    assert sorted(found) == sorted(ids)


async def test_a_borrowed_client_sends_the_requests_and_stays_open(sandbox: Sandbox, connect: Connect) -> None:
    transport = httpx.ASGITransport(sandbox.opencast.app)
    async with httpx.AsyncClient(transport=transport, headers={"x-mine": "1"}) as mine:
        async with connect(http=mine) as oc:
            assert (await oc.me()).username == "admin"
        assert not mine.is_closed


async def test_no_secret_is_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with connect(auth=("admin", "s3cret-canary")) as oc:
        with pytest.raises(Unauthorized) as caught:
            await oc.me()
    assert "s3cret-canary" not in caplog.text + repr(caught.value) + str(caught.value)
    assert "workflow_async" in caplog.text
