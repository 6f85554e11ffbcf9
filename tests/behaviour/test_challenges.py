"""Rows 73 and 74: hostile challenges and cookies."""

import asyncio
import base64

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from tests.conftest import FakeTime, See
from tests.support.byte_server import ReceivedRequest, http, serve
from tests.support.stub_clients import MockServer, client_of, workflow
from workflow_async import Clock, Digest
from workflow_async.errors import Unauthorized

# Row 73: Digest

CHALLENGES = {
    "none": "",
    "of Basic": 'Basic realm="x"',
    "empty": "Digest",
    "without a nonce": 'Digest realm="x"',
    "without a realm": 'Digest nonce="y"',
    "an unknown algorithm": 'Digest realm="x", nonce="y", algorithm=ROT13',
    "an unknown qop": 'Digest realm="x", nonce="y", qop="auth-int"',
    "an open quote": 'Digest realm="',
    "no ASCII": "Digest ä",
    "commas": "Digest ,,,",
    "an empty value": "Digest realm=",
}


@pytest.mark.row(73)
@pytest.mark.parametrize("name", CHALLENGES)
async def test_an_invalid_challenge_is_unauthorized(name: str, fake_time: FakeTime, see: See) -> None:
    async with serve(http(401, www_authenticate=CHALLENGES[name])) as byte_server:
        async with client_of(
            "opencast", byte_server.url, auth=Digest("user", "s3cret"), clock=fake_time.clock
        ) as client:
            for _ in range(2):
                with pytest.raises(Unauthorized):
                    await client.workflows.get(7)
        assert 2 <= len(byte_server.requests) <= 4
    see(f"{len(CHALLENGES)} challenges: Unauthorized after 2 sends at most, and so is the next call")


@pytest.mark.row(73)
async def test_a_digest_password_that_never_worked_is_not_used_again(fake_time: FakeTime) -> None:
    async with (
        serve(http(401, www_authenticate='Digest realm="x", nonce="n", qop="auth"')) as byte_server,
        client_of("opencast", byte_server.url, auth=Digest("user", "s3cret"), clock=fake_time.clock) as client,
    ):
        for _ in range(3):
            with pytest.raises(Unauthorized, match="not tried again"):
                await client.workflows.get(7)
    assert [("authorization" in request.headers) for request in byte_server.requests] == [False, True]


@pytest.mark.row(73)
@settings(deadline=None, max_examples=60)
@given(challenge=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_any_challenge_is_answered_or_unauthorized(challenge: str) -> None:
    async def main() -> None:
        server = MockServer(
            "opencast", lambda _: httpx.Response(401, headers={"www-authenticate": f"Digest {challenge}"})
        )
        async with server.client(Clock(), auth=Digest("user", "s3cret")) as client:
            for _ in range(2):
                with pytest.raises(Unauthorized):
                    await client.workflows.get(7)

    asyncio.run(main())


@pytest.mark.row(73)
async def test_a_stale_nonce_is_renewed_for_gets_and_starts(fake_time: FakeTime, see: See) -> None:
    used = dict[str, int]()

    def answer(request: ReceivedRequest) -> bytes:
        given = request.headers.get("authorization", "")
        nonce = f"n{len(used)}"
        if f'nonce="{nonce}"' in given and used[nonce] < 3:
            used[nonce] += 1
            return http(201 if request.method == "POST" else 200, workflow("opencast", 7))
        used[f"n{len(used) + 1}"] = 0
        return http(401, www_authenticate=f'Digest realm="x", nonce="n{len(used)}", qop="auth", stale=true')

    async with serve(answer) as byte_server:
        async with client_of(
            "opencast", byte_server.url, auth=Digest("user", "s3cret"), clock=fake_time.clock
        ) as client:
            for _ in range(10):
                assert (await client.workflows.get(7)).id == 7
                assert (await client.workflows.start("event-7", "fast")).id == 7
        assert len(byte_server.requests) == 20 + len(used)
    see(f"20 calls, {len(used)} nonces: each stale one renewed at once")


# Row 74: cookies


@pytest.mark.row(74)
@pytest.mark.parametrize("domain", ["evil.example", "com", "localhost", ".example.org"])
async def test_a_cookie_for_another_domain_is_not_stored(domain: str, fake_time: FakeTime, see: See) -> None:
    async with serve(http(200, workflow("opencast", 7), set_cookie=f"a=b; Domain={domain}")) as byte_server:
        async with client_of("opencast", byte_server.url, clock=fake_time.clock) as client:
            for _ in range(2):
                await client.workflows.get(7)
        assert not any("cookie" in request.headers for request in byte_server.requests)
    see("of another domain: not taken")


@pytest.mark.row(74)
async def test_a_session_of_one_user_never_reaches_another(fake_time: FakeTime, see: See) -> None:
    def answer(request: ReceivedRequest) -> bytes:
        user = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().partition(":")[0]
        assert request.headers.get("cookie", f"JSESSIONID={user}") == f"JSESSIONID={user}"
        return http(200, workflow("opencast", 7), set_cookie=f"JSESSIONID={user}; Path=/")

    async with serve(answer) as byte_server, httpx.AsyncClient() as http_client:
        for more in ({}, {"http": http_client}):
            settings = {"clock": fake_time.clock, **more}
            async with (
                client_of("opencast", byte_server.url, auth=("eve", "p"), **settings) as second_user,
                client_of("opencast", byte_server.url, auth=("ann", "p"), **settings) as first_user,
            ):
                for client in (second_user, first_user, second_user, first_user):
                    await client.workflows.get(7)
        cookies = [request.headers.get("cookie") for request in byte_server.requests]
        assert cookies == [None, None, "JSESSIONID=eve", "JSESSIONID=ann"] * 2
    see("two users, also over one ready client: a jar each")


@pytest.mark.row(74)
async def test_a_thousand_cookies_are_not_all_kept(fake_time: FakeTime, see: See) -> None:
    def answer(_: ReceivedRequest) -> bytes:
        first = 100 * len(byte_server.requests)
        cookies = "".join(f"set-cookie: c{n}={'x' * 20}; Path=/\r\n" for n in range(first, first + 100))
        return http(200, workflow("opencast", 7)).replace(b"content-length", cookies.encode() + b"content-length")

    async with serve(answer) as byte_server, client_of("opencast", byte_server.url, clock=fake_time.clock) as client:
        for _ in range(11):
            await client.workflows.get(7)
        most = max(len(request.headers.get("cookie", "")) for request in byte_server.requests)
    assert 0 < most <= 8192
    see(f"1000 cookies: {most} bytes sent at most")
