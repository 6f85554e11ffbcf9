"""Rows 71 and 72: hostile ids, filters and secrets."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import assume, given, settings, strategies as st

from tests.conftest import FakeTime, See
from tests.support.stub_clients import SYSTEMS, MockServer, client_of, workflow
from workflow_async import Basic, Bearer, Clock, Digest, OpencastClient, PreservicaClient, opencast, preservica
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import definition_calls

# Row 71: ids and filters

HOSTILE = [
    "..", ".", "", " ", "1 ", "1/../2", "..%2f", "%2e%2e", "1\r\nX-Evil: 1", "1\0", "1;jsessionid=1", "1?a=b", "1#a",
    "\\", "-1", "+1", "1.0", "1e3", "\uff11", "\u0663", "\u0967", "9" * 20, "9" * 300, "a" * 300, "ä", "\ud800", None,
    1.0, True, b"1", -1, 2**63,
]  # fmt: skip
IDS: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "opencast": {
        "delete": lambda oc, one: oc.workflows.delete(one),
        "pause": lambda oc, one: oc.workflows.pause(one),
        "update": lambda oc, one: oc.workflows.update(one, configuration={}),
        "replace_configuration": lambda oc, one: oc.workflows.replace_configuration(one, {}),
    },
    "preservica": {
        "terminate": lambda pv, one: pv.workflows.terminate(one),
        "retry": lambda pv, one: pv.workflows.retry(1, one),
    },
}
SHARED_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "get": lambda client, one: client.workflows.get(one),
    "wait": lambda client, one: client.workflows.wait(one),
    "wait_all": lambda client, one: client.workflows.wait_all([1, one]),
    "watch": lambda client, one: client.workflows.watch([1, one]).__aenter__(),
    "wake": lambda client, one: client.workflows.wake(one),
}


def flip(call: Callable[[Any, Any], Any], one: Any, client: Any) -> Any:
    return call(client, one)


def listed(called: dict[str, Any], client: Any) -> Any:
    return client.workflows.list(**called)


async def asked_for(call: Callable[[Any], Any], client: Any) -> None:
    found = call(client)
    if isinstance(found, Awaitable):
        await found


async def refused(system: str, call: Callable[[Any], Any]) -> None:
    """Prove that a call raises before anything is sent."""

    async def refuse_requests(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(refuse_requests)) as http_client,
        client_of(system, "http://127.0.0.1", http=http_client) as client,
    ):
        with pytest.raises(InvalidArgument):
            await asked_for(call, client)


@pytest.mark.row(71)
@pytest.mark.parametrize(("system", "name"), [(of, name) for of in SYSTEMS for name in (*SHARED_CALLS, *IDS[of])])
async def test_an_invalid_id_is_refused_before_anything_is_sent(system: str, name: str, see: See) -> None:
    call = SHARED_CALLS.get(name) or IDS[system][name]
    for id in HOSTILE:
        if id is None and name == "wake":
            continue  # None wakes every watcher
        await refused(system, partial(flip, call, id))
    see(f"{len(HOSTILE)} hostile ids: InvalidArgument from every call, nothing sent")


@pytest.mark.row(71)
@settings(max_examples=50, deadline=None)
@given(id=st.text() | st.integers() | st.floats())
def test_any_id_is_an_int_or_refused(id: Any) -> None:
    try:
        digits = str(int(id)) if isinstance(id, int) or (id.isascii() and id.isdigit()) else None
    except AttributeError:
        digits = None
    assume(digits is None or not 0 <= int(digits) < 2**63 or len(digits) > 19)
    asyncio.run(refused("opencast", lambda oc: oc.workflows.get(id)))


@pytest.mark.row(71)
@given(id=st.text(max_size=300) | st.sampled_from([id for id in HOSTILE if isinstance(id, str)]))
def test_any_name_in_a_path_is_one_segment_or_refused(id: str) -> None:
    try:
        path = definition_calls.get_definition(id).path
    except InvalidArgument:
        return
    assert path.startswith("/api/workflow-definitions/")
    assert [unquote(part) for part in urlsplit(f"http://h{path}").path.split("/")[3:]] == [id]
    assert httpx.URL(f"http://h{path}").path.split("/")[3:] == [id]


FILTERS: dict[str, list[dict[str, Any]]] = {
    "opencast": [
        {"event_title": "a,state:failed"}, {"event_title": ""}, {"event_title": " "}, {"event_title": "a\r\nb"},
        {"event_title": "a\0"}, {"text_filter": "a,b"}, {"series_title": ","}, {"state": "running,failed"},
        {"state": []}, {"state": ""}, {"current_operation": ["a", "b,c"]}, {"event_id": ""}, {"nothing": "x"},
        {"sort": "event_created:asc,event_title:asc"}, {"sort": "event_id:asc"}, {"limit": 0}, {"offset": -1},
    ],
    "preservica": [
        {"state": "Active,Failed"}, {"state": []}, {"state": ""}, {"type": "Ingest,Access"}, {"type": ""},
        {"creator": "a,b"}, {"creator": ""}, {"context": ".."}, {"context": "1,2"}, {"context": ""}, {"limit": 0},
    ],
}  # fmt: skip


@pytest.mark.row(71)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_ambiguous_filter_is_refused_before_anything_is_sent(system: str, see: See) -> None:
    for called in FILTERS[system]:
        await refused(system, partial(listed, called))
    see(f"{system}: {len(FILTERS[system])} filters refused")


LONE = "\ud800"
UNSENDABLE: list[Any] = [LONE, f"a{LONE}", b"a", None, 7, 1.5, [], {}, object(), True, "", " "]
"""Values that are not texts, or texts that cannot be sent."""
TEXTS: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "opencast": {
        "event of a start": lambda oc, one: oc.workflows.start(one, "fast"),
        "definition of a start": lambda oc, one: oc.workflows.start("e", one),
        "event of a ticket": lambda oc, one: oc.workflows.prepare_start(one, "fast"),
        "definition of a ticket": lambda oc, one: oc.workflows.prepare_start("e", one),
        "event": lambda oc, one: oc.workflows.for_event(one) if one != " " else oc.workflows.for_event(""),
        "definition": lambda oc, one: oc.definitions.get(one) if one != " " else oc.definitions.get(""),
    },
    "preservica": {
        "correlation id": lambda pv, one: pv.workflows.start(42, correlation_id=one if one is not None else 7),
        "monitor": lambda pv, one: pv.monitors.timeseries(one if one != " " else ""),
        "process": lambda pv, one: pv.processes.activate(one if one != " " else ""),
        "monitor of messages": lambda pv, one: pv.monitors.messages(one).first(),
        "name of a monitor": lambda pv, one: pv.monitors.list(name=one if one is not None else 7).first(),
        "creator": lambda pv, one: pv.workflows.list(creator=one if one is not None else 7).first(),
        "definition of contexts": lambda pv, one: pv.contexts.list(definition_id=one if one is not None else 7).first(),
    },
}
VALUES: list[Any] = [
    {"k": LONE}, {LONE: "v"}, {"k": float("nan")}, {"k": float("-inf")}, {"k": 10**5000}, {"k": b"v"}, {"k": None},
    {None: "v"}, {7: "v"}, {b"k": "v"}, {"k": ["v"]}, [("k", "v")], "k=v", 7,
]  # fmt: skip
SETTINGS: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "opencast": {
        "start": lambda oc, one: oc.workflows.start("e", "fast", configuration=one),
        "ticket": lambda oc, one: oc.workflows.prepare_start("e", "fast", configuration=one),
        "update": lambda oc, one: oc.workflows.update(1, configuration=one),
        "replace_configuration": lambda oc, one: oc.workflows.replace_configuration(1, one),
        "batch": lambda oc, one: oc.workflows._starts.ticket(opencast.Start("e", "fast", one)),
    },
    "preservica": {
        "start": lambda pv, one: pv.workflows.start(42, one),
        "ticket": lambda pv, one: pv.workflows.prepare_start(42, one),
        "batch": lambda pv, one: pv.workflows._starts.ticket(preservica.Start(42, one)),
    },
}


@pytest.mark.row(71)
@pytest.mark.parametrize(("system", "name"), [(of, name) for of in SYSTEMS for name in TEXTS[of]])
async def test_an_unencodable_text_is_refused_before_anything_is_sent(system: str, name: str) -> None:
    for one in UNSENDABLE:
        await refused(system, partial(flip, TEXTS[system][name], one))


@pytest.mark.row(71)
@pytest.mark.parametrize(("system", "name"), [(of, name) for of in SYSTEMS for name in SETTINGS[of]])
async def test_an_invalid_configuration_is_refused_before_anything_is_sent(system: str, name: str, see: See) -> None:
    for one in VALUES:
        await refused(system, partial(flip, SETTINGS[system][name], one))
    see(f"{len(UNSENDABLE)} texts and {len(VALUES)} configurations: InvalidArgument, nothing sent")


@pytest.mark.row(71)
@pytest.mark.parametrize("filter", ["event_title", "text_filter", "state", "current_operation", "event_id"])
async def test_a_lone_surrogate_in_a_filter_is_refused(filter: str) -> None:
    for one in (LONE, f"a{LONE}b"):
        await refused("opencast", partial(listed, {filter: one}))


@pytest.mark.row(71)
@pytest.mark.parametrize("make", [Basic, Digest])
@pytest.mark.parametrize("name", [LONE, f"u{LONE}", b"u", None, 7, ["u"], {}, "", "u\n", "u\0"], ids=ascii)
def test_an_invalid_user_name_is_refused(make: Callable[..., Any], name: Any) -> None:
    with pytest.raises(InvalidArgument, match="^username: must be"):
        make(name, "s3cret")


def kind(value: object) -> str:
    """Return the name of a value for a test id: the same in every process."""
    return type(value).__name__


ACCOUNT: dict[str, Any] = {"username": "u", "password": "p"}


@pytest.mark.row(71)
@pytest.mark.parametrize(
    ("argument", "make"),
    [
        ("url", lambda one: OpencastClient(one, auth=("u", "p"))),
        ("run_with_roles", lambda one: OpencastClient("https://h", auth=("u", "p"), run_with_roles=one)),
        ("server", lambda one: PreservicaClient(one, **ACCOUNT)),
        ("two_factor", lambda one: PreservicaClient("h", **ACCOUNT, two_factor=one)),
        ("username", lambda one: PreservicaClient("h", username=one, password="p")),
        ("tenant", lambda one: PreservicaClient("h", **ACCOUNT, tenant=one)),
    ],
)
@pytest.mark.parametrize("one", [LONE, b"a", 7, 1.5, [LONE], [7], {LONE: 1}, object(), True], ids=kind)
def test_a_client_with_an_invalid_argument_is_refused(argument: str, make: Callable[[Any], Any], one: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: must"):
        make(one)


@pytest.mark.row(71)
def test_a_user_name_can_be_in_any_language() -> None:
    assert (Basic("größe \U0001f5a4", "p").username, Digest("a:b", "p").username) == ("größe \U0001f5a4", "a:b")


# Row 72: secrets

SECRETS = {
    "a line end": "s3cret\r\nX-Evil: 1",
    "a newline": "s3cret\n",
    "no ASCII": "s3crët",
    "10 KiB": "s3cret" * 1707,
}
MADE: dict[str, Callable[[str], Any]] = {
    "basic": lambda secret: Basic("user", secret),
    "bearer": Bearer,
    "digest": lambda secret: Digest("user", secret),
}


def sent_credentials(secret: str) -> str:
    return "Basic " + base64.b64encode(f"user:{secret}".encode()).decode()


async def tried(kind: str, secret: str, clock: Clock) -> httpx.Request | InvalidArgument:
    """Return the request that is sent with such a secret, or the error that refuses it."""
    server = MockServer("opencast", lambda _: httpx.Response(200, content=workflow("opencast", 7)))
    try:
        async with server.client(clock, auth=MADE[kind](secret)) as client:
            await client.workflows.get(7)
    except InvalidArgument as error:
        return error
    return server.requests[0]


@pytest.mark.row(72)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("name", SECRETS)
async def test_a_strange_secret_is_refused_without_repeating_it_or_sent_unchanged(
    kind: str, name: str, fake_time: FakeTime, see: See
) -> None:
    found = await tried(kind, SECRETS[name], fake_time.clock)
    if isinstance(found, InvalidArgument):
        assert "s3cr" not in str(found) + repr(found)
        see(f"{kind} with {name}: refused")
        return
    sent = {"basic": sent_credentials(SECRETS[name]), "bearer": f"Bearer {SECRETS[name]}", "digest": None}
    assert found.headers.get("authorization") == sent[kind]
    assert "x-evil" not in found.headers
    see(f"{kind} with {name}: sent as it is")


@pytest.mark.row(72)
def test_an_invalid_bearer_token_is_refused() -> None:
    for name in ("a line end", "a newline", "no ASCII"):
        with pytest.raises(InvalidArgument):
            Bearer(SECRETS[name])


@pytest.mark.row(72)
@settings(deadline=None, max_examples=60)
@given(secret=st.text(max_size=20))
def test_any_token_is_visible_ascii_or_refused(secret: str) -> None:
    token = f"s3cret{secret}"
    if token.isascii() and token.isprintable() and " " not in token:
        Bearer(token)
        return
    with pytest.raises(InvalidArgument) as result:
        Bearer(token)
    assert "s3cret" not in str(result.value)
