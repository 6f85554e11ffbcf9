"""Rows 30 and 34: refused credentials and renewed tokens."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import FakeTime, See
from tests.support.byte_server import ByteServer, RawResponse, ReceivedRequest, http, serve
from tests.support.call_endings import get, outcome, outcomes
from tests.support.stub_clients import client_of, workflow
from workflow_async.errors import Unauthorized
from workflow_async.preservica.login_calls import LOGIN, REFRESH

# Refused


Respond = Callable[[ReceivedRequest], bytes]


async def refused(answer: Respond, time: FakeTime, call: Callable[[Any], Any]) -> tuple[Any, ByteServer]:
    """Return how a call of Preservica ends if every response, even to a login, is this one."""
    async with serve(answer) as server, client_of("preservica", server.url, clock=time.clock) as pv:
        return await outcome(call(pv)), server


def accepts_token_of(logins_needed: int) -> Respond:
    """Return a server that accepts only the token of this login."""
    token = 0

    def answer(request: ReceivedRequest) -> bytes:
        nonlocal token
        if request.target == LOGIN:
            token += 1
            return http(200, {"success": True, "token": f"tok-{token}", "validFor": 15})
        if request.headers["preservica-access-token"] != f"tok-{logins_needed}":
            return http(401)
        return http(200 if request.method == "GET" else 201, workflow("preservica", 1603))

    return answer


@pytest.mark.row(30)
@pytest.mark.parametrize("call", [get, lambda pv: pv.workflows.start("Ingest")], ids=["get", "start"])
async def test_a_token_refused_once_is_renewed_and_the_call_sent_again(
    call: Any, fake_time: FakeTime, see: See
) -> None:
    found, server = await refused(accepts_token_of(2), fake_time, call)
    assert found.id == 1603
    assert [request.target == LOGIN for request in server.requests] == [True, False, True, False]
    bodies = {request.body for request in server.requests if request.target != LOGIN}
    assert len(bodies) == 1  # a start keeps its correlation id
    see("401 once: 1 login, 1 more sent, right; of a start with the same body")


@pytest.mark.row(30)
@pytest.mark.parametrize("call", [get, lambda pv: pv.workflows.start("Ingest")], ids=["get", "start"])
async def test_a_token_that_is_always_refused_is_unauthorized_after_two_requests(
    call: Any, fake_time: FakeTime, see: See
) -> None:
    found, server = await refused(accepts_token_of(10**6), fake_time, call)
    assert isinstance(found, Unauthorized)
    assert [request.target == LOGIN for request in server.requests] == [True, False, True, False]
    assert fake_time.naps == []
    see("always: 2 sent, Unauthorized")


@pytest.mark.row(30)
async def test_a_refused_password_is_unauthorized_after_one_request(fake_time: FakeTime, see: See) -> None:
    found = await outcomes("opencast", lambda _: http(401), fake_time, always=True)
    assert str(found) == "get: 1 sent, Unauthorized; start: 0 sent, Unauthorized"
    assert "not tried again: open a new client with others" in str(found.start_result)
    see("Basic: 1 sent, Unauthorized; nothing after it")


# Renewed


LIFETIME = 15 * 60.0


def refreshing(refresh: RawResponse | bytes, *, down_at: int = 0) -> Callable[[ReceivedRequest], RawResponse | bytes]:
    """Return a server that answers every refresh with this, and whose login number `n` fails with 503."""
    requests = token = 0

    def answer(request: ReceivedRequest) -> RawResponse | bytes:
        nonlocal requests, token
        if request.target == REFRESH:
            return refresh
        if request.target == LOGIN:
            requests += 1
            if requests == down_at:
                return http(503)
            token += 1
            return http(200, {"token": f"tok-{token}", "refresh-token": f"once-{token}", "validFor": 15})
        assert request.headers["preservica-access-token"] == f"tok-{token}"
        return http(200, workflow("preservica", 1603))

    return answer


@pytest.mark.row(34)
@pytest.mark.parametrize(
    "refresh",
    [
        http(401),
        http(400),
        http(403),
        http(500),
        RawResponse(b"", "fin"),
        RawResponse(http(200, {"token": "tok-2"})[:-3], "rst"),
        http(200, b"{}"),
    ],
    ids=["401", "400", "403", "500", "no answer", "half an answer", "no token"],
)
async def test_a_failed_refresh_is_followed_by_one_login(
    refresh: RawResponse | bytes, fake_time: FakeTime, see: See
) -> None:
    async with (
        serve(refreshing(refresh)) as server,
        client_of("preservica", server.url, clock=fake_time.clock) as pv,
    ):
        for _ in range(3):
            found = await asyncio.gather(*(pv.workflows.get(1603) for _ in range(20)))
            assert [workflow.id for workflow in found] == [1603] * 20
            fake_time.now += LIFETIME * 0.85
    requests = [request.target for request in server.requests if request.target in {LOGIN, REFRESH}]
    assert requests == [LOGIN, REFRESH, LOGIN, REFRESH, LOGIN]
    sent = [request.body for request in server.requests if request.target == REFRESH]
    assert len(set(sent)) == 2  # no refresh token is sent twice
    see("1 refresh, then 1 login; no refresh token is sent twice")


@pytest.mark.row(34)
async def test_a_refresh_token_is_not_sent_again_even_if_the_next_login_failed(fake_time: FakeTime) -> None:
    async with (
        serve(refreshing(RawResponse(b"", "fin"), down_at=2)) as server,
        client_of("preservica", server.url, clock=fake_time.clock) as pv,
    ):
        for seconds in (LIFETIME * 0.85, 20.0, 0.0):
            assert (await pv.workflows.get(1603)).id == 1603  # the old token is valid a little longer
            fake_time.now += seconds
    assert [request.target for request in server.requests if request.method == "POST"] == [LOGIN, REFRESH, LOGIN, LOGIN]
