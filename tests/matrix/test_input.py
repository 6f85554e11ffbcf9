"""Rows 71 and 72: ids, filters and secrets that are made to hurt."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conftest import FakeTime, See
from tests.matrix.told import SYSTEMS, Told, client_of, workflow
from workflow_async import Basic, Bearer, Clock, Digest
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import calls

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
    },
    "preservica": {
        "terminate": lambda pv, one: pv.workflows.terminate(one),
        "retry": lambda pv, one: pv.workflows.retry(1, one),
    },
}
BOTH: dict[str, Callable[[Any, Any], Any]] = {
    "get": lambda client, one: client.workflows.get(one),
    "wait": lambda client, one: client.workflows.wait(one),
    "wait_all": lambda client, one: client.workflows.wait_all([1, one]),
    "watch": lambda client, one: client.workflows.watch([1, one]).__aenter__(),
    "wake": lambda client, one: client.workflows.wake(one),
}


def flip(ask: Callable[[Any, Any], Any], one: Any, client: Any) -> Any:
    return ask(client, one)


def listed(asked: dict[str, Any], client: Any) -> Any:
    return client.workflows.list(**asked)


async def asked_for(ask: Callable[[Any], Any], client: Any) -> None:
    found = ask(client)
    if isinstance(found, Awaitable):
        await found


async def refused(system: str, ask: Callable[[Any], Any]) -> None:
    """Ask for what must be refused before anything is sent."""

    async def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(nobody)) as carrier,
        client_of(system, "http://127.0.0.1", http=carrier) as client,
    ):
        with pytest.raises(InvalidArgument):
            await asked_for(ask, client)


@pytest.mark.row(71)
@pytest.mark.parametrize(("system", "name"), [(of, name) for of in SYSTEMS for name in (*BOTH, *IDS[of])])
async def test_an_id_that_is_none_is_refused_before_anything_is_sent(system: str, name: str, see: See) -> None:
    ask = BOTH.get(name) or IDS[system][name]
    for id in HOSTILE:
        await refused(system, partial(flip, ask, id))
    see(f"{len(HOSTILE)} hostile ids: InvalidArgument from every call, nothing sent")


@pytest.mark.row(71)
@settings(max_examples=50, deadline=None)
@given(id=st.text() | st.integers() | st.floats())
def test_any_id_is_a_whole_number_or_refused(id: Any) -> None:
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
        path = calls.get_definition(id).path
    except InvalidArgument:
        return
    assert path.startswith("/api/workflow-definitions/")
    assert [unquote(part) for part in urlsplit(f"http://h{path}").path.split("/")[3:]] == [id]
    assert httpx.URL(f"http://h{path}").path.split("/")[3:] == [id]


FILTERS: dict[str, list[dict[str, Any]]] = {
    "opencast": [
        {"event_title": "a,state:failed"}, {"event_title": ""}, {"event_title": " "}, {"event_title": "a\r\nb"},
        {"event_title": "a\0"}, {"text_filter": "a,b"}, {"series_title": ","}, {"state": "running,failed"},
        {"state": []}, {"state": ""}, {"current_operation": ["a", "b,c"]}, {"event_identifier": ""}, {"nothing": "x"},
        {"sort": "event_created:asc,event_title:asc"}, {"sort": "event_identifier:asc"}, {"limit": 0}, {"offset": -1},
    ],
    "preservica": [
        {"state": "Active,Failed"}, {"state": []}, {"state": ""}, {"type": "Ingest,Access"}, {"type": ""},
        {"creator": "a,b"}, {"creator": ""}, {"context": ".."}, {"context": "1,2"}, {"context": ""}, {"limit": 0},
    ],
}  # fmt: skip


@pytest.mark.row(71)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_filter_that_means_another_is_refused_before_anything_is_sent(system: str, see: See) -> None:
    for asked in FILTERS[system]:
        await refused(system, partial(listed, asked))
    see(f"{system}: {len(FILTERS[system])} filters refused")


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


def proof(secret: str) -> str:
    return "Basic " + base64.b64encode(f"user:{secret}".encode()).decode()


async def tried(kind: str, secret: str, clock: Clock) -> httpx.Request | InvalidArgument:
    """What is sent with such a secret, or how it is refused."""
    server = Told("opencast", lambda _: httpx.Response(200, content=workflow("opencast", 7)))
    try:
        async with server.client(clock, auth=MADE[kind](secret)) as client:
            await client.workflows.get(7)
    except InvalidArgument as error:
        return error
    return server.asked[0]


@pytest.mark.row(72)
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("name", SECRETS)
async def test_a_strange_secret_is_refused_unrepeated_or_sent_as_it_is(
    kind: str, name: str, fake_time: FakeTime, see: See
) -> None:
    found = await tried(kind, SECRETS[name], fake_time.clock)
    if isinstance(found, InvalidArgument):
        assert "s3cr" not in str(found) + repr(found)
        see(f"{kind} with {name}: refused")
        return
    sent = {"basic": proof(SECRETS[name]), "bearer": f"Bearer {SECRETS[name]}", "digest": None}
    assert found.headers.get("authorization") == sent[kind]
    assert "x-evil" not in found.headers
    see(f"{kind} with {name}: sent as it is")


@pytest.mark.row(72)
def test_a_bearer_that_no_header_can_carry_is_refused() -> None:
    for name in ("a line end", "a newline", "no ASCII"):
        with pytest.raises(InvalidArgument):
            Bearer(SECRETS[name])


@pytest.mark.row(72)
@settings(deadline=None, max_examples=60)
@given(secret=st.text(max_size=20))
def test_any_token_is_visible_ascii_or_refused(secret: str) -> None:
    made = f"s3cret{secret}"
    if made.isascii() and made.isprintable() and " " not in made:
        Bearer(made)
        return
    with pytest.raises(InvalidArgument) as got:
        Bearer(made)
    assert "s3cret" not in str(got.value)
