"""Rows 15 to 20: responses of the wrong size, in the wrong number, or with the wrong encoding."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import FakeTime, See
from tests.support.byte_server import RawResponse, ReceivedRequest, http, serve, until
from tests.support.call_endings import ID, faulty_server, get, outcome, outcomes, start
from tests.support.misbehaving_server import raw_server, repeat_forever
from tests.support.stub_clients import SYSTEMS, client_of, page, row, with_login, workflow
from workflow_async import Limits
from workflow_async.errors import ConnectionBroken, ContentEncodingError, ResponseTooLarge, StartOutcomeUnknown

REPEATED = "get: 2 sent, right; start: 1 sent, StartOutcomeUnknown"
CREATED_BY_EITHER = b"HTTP/1.1 201 Created\r\n"
MIB = 2**20
kind = pytest.mark.parametrize("system", SYSTEMS)


def split_response(response: bytes) -> tuple[bytes, bytes]:
    """Return the status line of a response, and its body."""
    head, _, body = response.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0] + b"\r\n", body


# Too much


@pytest.mark.row(15)
async def test_an_endless_body_ends_at_the_limit_and_is_not_retried(fake_time: FakeTime, see: See) -> None:
    async with raw_server(repeat_forever(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536)) as raw:
        async with client_of("opencast", raw.url, clock=fake_time.clock, limits=Limits(wire=MIB)) as oc:
            get_result, connections = await outcome(get(oc)), raw.connections
            start_result = await outcome(start(oc))
        await until(lambda: not raw.open)
    assert isinstance(get_result, ResponseTooLarge)
    assert (get_result.attempts, connections, raw.connections) == (1, 1, 2)
    assert isinstance(start_result, StartOutcomeUnknown)
    see("get: 1 attempt, ResponseTooLarge; start: 1, StartOutcomeUnknown; connection dropped")


@pytest.mark.row(15)
@kind
async def test_an_endless_chunked_body_ends_at_the_limit_and_is_not_retried(system: str, fake_time: FakeTime) -> None:
    def flaw(response: bytes) -> bytes:
        return split_response(response)[0] + b"transfer-encoding: chunked\r\n\r\n" + b"400\r\n" + b" " * 1024 + b"\r\n"

    def endless(response: bytes) -> RawResponse:
        return RawResponse(flaw(response) + b"".join([b"400\r\n" + b" " * 1024 + b"\r\n"] * 64), "stall")

    found = await outcomes(system, endless, fake_time, limits=Limits(wire=32 * 1024))
    assert str(found) == "get: 1 sent, ResponseTooLarge; start: 1 sent, StartOutcomeUnknown"


# The wrong length


def lengths(*claims: Callable[[int], int]) -> Callable[[bytes], RawResponse]:
    """Return the response with a Content-Length for each claim about its size."""

    def flaw(response: bytes) -> RawResponse:
        status, body = split_response(response)
        heads = b"".join(b"content-length: %d\r\n" % claim(len(body)) for claim in claims)
        return RawResponse(status + heads + b"\r\n" + body, "fin" if claims[0](9) >= 9 else "keep")

    return flaw


@pytest.mark.row(16)
@pytest.mark.parametrize(
    "flaw",
    [
        lengths(lambda size: size - 1),
        lengths(lambda size: size // 2),
        lengths(lambda size: size + 1),
        lengths(lambda size: size * 2),
        lengths(lambda size: size, lambda size: size + 1),
        lengths(lambda size: size, lambda size: size - 1),
    ],
    ids=["short by one", "half", "long by one", "double", "two, one long", "two, one short"],
)
@kind
async def test_a_wrong_length_is_an_error_and_its_connection_is_not_reused(
    system: str, flaw: Any, fake_time: FakeTime, see: See
) -> None:
    async with faulty_server(system, flaw, fake_time) as (server, client, byte_server):
        found = await server.outcomes(client)
        assert (await get(client)).id == ID
    assert str(found) == REPEATED
    about = [request for request in byte_server.requests if str(ID) in request.target]
    assert about[1].connection != about[0].connection
    see(REPEATED)


@pytest.mark.row(16)
@kind
async def test_the_chunks_count_if_there_is_a_length_too(system: str, fake_time: FakeTime, see: See) -> None:
    def flaw(response: bytes) -> bytes:
        status, body = split_response(response)
        heads = b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
        return status + heads + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    async with faulty_server(system, flaw, fake_time, always=True) as (server, client, _):
        for _ in range(3):
            assert str(await server.outcomes(client)) == "get: 1 sent, right; start: 1 sent, right"
    see("CL+TE: the chunks are read, right")


# Extra responses


@pytest.mark.row(17)
@kind
async def test_a_response_about_another_workflow_is_never_returned(system: str, fake_time: FakeTime, see: See) -> None:
    def answer(request: ReceivedRequest) -> bytes:
        attempts = int(request.target.partition("?")[0].rpartition("/")[2])
        own = http(200, workflow(system, attempts))
        return own + http(200, workflow(system, 9)) if attempts % 2 else own

    async with (
        serve(with_login(answer)) as byte_server,
        client_of(system, byte_server.url, clock=fake_time.clock) as client,
    ):
        found = [(await client.workflows.get(id)).id for id in range(1, 41)]
    assert found == list(range(1, 41))
    see("20 answers too many: every get right")


@pytest.mark.row(17)
@kind
async def test_a_response_that_is_always_about_another_workflow_is_a_mismatch_for_a_start_too(
    system: str, fake_time: FakeTime, see: See
) -> None:
    other = http(200, workflow(system, 9))
    created = CREATED_BY_EITHER + other.partition(b"\r\n")[2]
    found = await outcomes(system, lambda response: created if b" 201 " in response else other, fake_time, always=True)
    assert type(found.get_result).__name__ == "ResponseMismatch"
    assert (found.get_result.attempts, found.sent["POST"]) == (4, 1)
    see(str(found))


@pytest.mark.row(16)
@pytest.mark.row(17)
@kind
async def test_a_connection_with_trailing_data_is_not_reused_even_without_an_id_to_compare(
    system: str, fake_time: FakeTime, see: See
) -> None:
    def answer(request: ReceivedRequest) -> bytes:
        if "offset=0" in request.target or "start=0" in request.target:
            surplus = http(200, page(system, [row(system, 99)], total=2))
            return http(200, page(system, [row(system, 1)], total=2)) + surplus
        return http(200, page(system, [row(system, 2)], total=2) if "=1&" in request.target + "&" else page(system, []))

    async with (
        serve(with_login(answer)) as byte_server,
        client_of(system, byte_server.url, clock=fake_time.clock) as client,
    ):
        found = [one.id async for one in client.workflows.list(limit=2, page_size=1)]
    assert found == [1, 2]
    see("a surplus page is not taken for the next")


# Encodings


@pytest.mark.row(18)
@kind
async def test_a_gzip_stream_cut_at_any_byte_is_retried(system: str, fake_time: FakeTime, see: See) -> None:
    length, size = 1, 2

    def flaw(response: bytes) -> bytes:
        nonlocal size
        status, body = split_response(response)
        complete = gzip.compress(body, mtime=0)
        size = max(size, len(complete))
        return status + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % length + complete[:length]

    async with faulty_server(system, flaw, fake_time) as (server, client, _):
        while length < size:
            assert (length, str(await server.outcomes(client))) == (length, REPEATED)
            length += 1
    assert length > 60
    see(f"{REPEATED}; cut at each byte")


def bomb(megabytes: int) -> bytes:
    """Return a gzip stream of this many MiB of spaces, in blocks of about a kilobyte."""
    one = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = one.compress(b" " * MIB) + one.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + block * megabytes


@pytest.mark.row(19)
async def test_a_gzip_bomb_costs_less_than_32_mib_above_the_limit(fake_time: FakeTime, see: See) -> None:
    data = http(200, bomb(1024), content_encoding="gzip")
    async with serve(data) as byte_server:
        async with client_of("opencast", byte_server.url, clock=fake_time.clock, limits=Limits(body=8 * MIB)) as oc:
            tracemalloc.start()
            try:
                get_result = await outcome(get(oc))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert len(byte_server.requests) == 1
    assert isinstance(get_result, ResponseTooLarge)
    assert peak < (8 + 32) * MIB
    see("1 GiB in 1 MiB: ResponseTooLarge, 1 attempt, < 32 MiB above the bound")


@pytest.mark.row(19)
@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "x" * 9000])
async def test_an_unsupported_content_encoding_is_refused(coding: str, fake_time: FakeTime, see: See) -> None:
    def flaw(response: bytes) -> bytes:
        status, body = split_response(response)
        twice = gzip.compress(gzip.compress(body))
        return status + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (coding.encode(), len(twice)) + twice

    assert str(await outcomes("opencast", flaw, fake_time)) == REPEATED
    found = await outcomes("opencast", flaw, fake_time, always=True)
    assert isinstance(found.get_result, ContentEncodingError)
    assert len(str(found.get_result)) < 300
    see("br, zstd, deflate, nested gzip: ContentEncodingError")


# Headers


@pytest.mark.row(20)
@pytest.mark.parametrize(
    "heads",
    [b"x-bomb: " + b"a" * 200 * 1024 + b"\r\n", b"".join(b"x-bomb-%d: boom\r\n" % n for n in range(20_000))],
    ids=["200 KiB", "20 000"],
)
async def test_a_bomb_of_headers_is_a_broken_connection(heads: bytes, fake_time: FakeTime, see: See) -> None:
    def flaw(response: bytes) -> bytes:
        status, body = split_response(response)
        return status + heads + b"content-length: %d\r\n\r\n" % len(body) + body

    assert str(await outcomes("opencast", flaw, fake_time)) == REPEATED
    found = await outcomes("opencast", flaw, fake_time, always=True)
    assert isinstance(found.get_result, ConnectionBroken)
    assert (found.get_result.attempts, len(json.dumps(str(found.get_result))) < 1000) == (4, True)
    see(f"ConnectionBroken; {REPEATED}")
