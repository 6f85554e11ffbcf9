"""Rows 36 to 38: malformed and hostile bodies."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.conftest import FakeTime, See
from tests.support.stub_clients import NO_RETRIES, SYSTEMS, MockServer, mock_server, workflow
from tests.unit.decode.test_xml import HOSTILE
from workflow_async._core.call import Reply
from workflow_async._decode import json as json_parser
from workflow_async.errors import DecodeError, ResponseMismatch, ServerError
from workflow_async.opencast import calls as opencast
from workflow_async.preservica import calls as preservica

MALFORMED = {
    "opencast": {
        "empty": b"",
        "null": b"null",
        "cut short": workflow("opencast", 7)[:-5],
        "a byte order mark": b"\xef\xbb\xbf" + workflow("opencast", 7),
        "UTF-16": workflow("opencast", 7).decode().encode("utf-16"),
        "no UTF-8": b"\xff\xfe\x80\x81",
        "two values": workflow("opencast", 7) * 2,
        "single quotes": workflow("opencast", 7).replace(b'"', b"'"),
    },
    "preservica": {
        "empty": b"",
        "null": b"null",
        "cut short": workflow("preservica", 7)[:-5],
        "a byte order mark and no more": b"\xef\xbb\xbf",
        "UTF-16 cut short": workflow("preservica", 7).decode().encode("utf-16")[:-5],
        "no UTF-8": workflow("preservica", 7).replace(b"ACTIVE", b"\xff\xfe"),
        "two roots": workflow("preservica", 7) * 2,
        "JSON": workflow("opencast", 7),
    },
}
ALL_MALFORMED = [(system, name) for system, bodies in MALFORMED.items() for name in bodies]
READ: dict[str, Any] = {"opencast": opencast.get_workflow(7).read, "preservica": preservica.get_workflow(7).read}


@pytest.mark.row(36)
@pytest.mark.parametrize(("system", "name"), ALL_MALFORMED)
async def test_a_malformed_body_is_retried_and_the_next_complete_one_is_read(
    system: str, name: str, fake_time: FakeTime
) -> None:
    server = mock_server(system, MALFORMED[system][name], workflow(system, 7))
    async with server.client(fake_time.clock) as client:
        assert (await client.workflows.get(7)).id == 7
    assert (len(server.requests), len(fake_time.naps)) == (2, 1)


@pytest.mark.row(36)
@pytest.mark.parametrize(("system", "name"), ALL_MALFORMED)
async def test_a_body_that_stays_malformed_is_a_decode_error_with_its_path(
    system: str, name: str, fake_time: FakeTime, see: See
) -> None:
    server = mock_server(system, MALFORMED[system][name])
    async with server.client(fake_time.clock) as client:
        with pytest.raises(DecodeError, match=" @ [$/]") as result:
            await client.workflows.get(7)
    parsed = (system, name) == ("opencast", "null")
    assert result.value.attempts == len(server.requests) == (2 if parsed else 4)
    assert result.value.body == MALFORMED[system][name].decode("utf-8", "replace")
    see("DecodeError with its place after 4 attempts, 2 if it parses; a repaired body is read")


@pytest.mark.row(36)
@pytest.mark.parametrize("system", SYSTEMS)
@given(body=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_in_a_body_are_this_workflow_or_a_decode_error(system: str, body: bytes) -> None:
    complete = workflow(system, 7)
    for mixed in (body, complete[: len(body)] + body, body + complete, complete[:-3] + body + complete[-3:]):
        with contextlib.suppress(DecodeError, ResponseMismatch):
            assert READ[system](Reply(200, {}, mixed)).id == 7


# Row 37: hostile JSON


def with_extra(value: str) -> bytes:
    return workflow("opencast", 7)[:-1] + b', "beyond": ' + value.encode() + b"}"


HOSTILE_JSON = {
    "100 000 lists deep": with_extra("[" * 100_000 + "]" * 100_000),
    "100 000 objects deep, cut": with_extra('{"a":' * 100_000),
    "a number of ten million digits": with_extra("9" * 10_000_000),
    "NaN": with_extra("NaN"),
    "infinity": with_extra("-Infinity"),
    "a float beyond bounds": with_extra("1e400"),
    "the same key twice": with_extra('{"a": 1, "a": 2}'),
    "the same identifier twice": workflow("opencast", 8)[:-1] + b', "identifier": 7}',
}


@pytest.fixture(params=["with the extra `fast`", "by the standard library"])
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param.startswith("by"):
        monkeypatch.setattr(json_parser, "_orjson", lambda: None)


@pytest.mark.row(37)
@pytest.mark.usefixtures("either_parser")
@pytest.mark.parametrize("name", HOSTILE_JSON)
async def test_hostile_json_is_a_decode_error(name: str, fake_time: FakeTime, see: See) -> None:
    async with mock_server("opencast", HOSTILE_JSON[name]).client(fake_time.clock, retry=NO_RETRIES) as client:
        with pytest.raises(DecodeError, match=" @ ") as result:
            await client.workflows.get(7)
    assert len(str(result.value)) < 300
    see(f"{len(HOSTILE_JSON)} documents, both parsers: DecodeError of < 300 characters")


@pytest.mark.row(37)
@pytest.mark.usefixtures("either_parser")
@pytest.mark.parametrize("depth", [100, 400, 900, 990, 1000, 1030, 1500])
async def test_json_of_any_depth_is_read_or_a_decode_error(depth: int, fake_time: FakeTime) -> None:
    body = with_extra("[" * depth + "]" * depth)
    async with mock_server("opencast", body).client(fake_time.clock, retry=NO_RETRIES) as client:
        with contextlib.suppress(DecodeError):
            assert (await client.workflows.get(7)).id == 7


@pytest.mark.row(37)
@pytest.mark.parametrize("system", SYSTEMS)
async def test_hostile_json_in_an_error_response_raises_the_error_of_its_status(
    system: str, fake_time: FakeTime
) -> None:
    for body in HOSTILE_JSON.values():
        server = MockServer(system, lambda _, body=body: httpx.Response(500, content=body))  # type: ignore[misc]
        async with server.client(fake_time.clock, retry=NO_RETRIES) as client:
            with pytest.raises(ServerError):
                await client.workflows.get(7)


# Row 38: hostile XML

SCRIPT = """
import asyncio, json, pathlib, resource, sys, time
import httpx
from workflow_async import Retry
from workflow_async.errors import CallError
from workflow_async.preservica import PreservicaClient

GRANT = {"success": True, "token": "tok", "validFor": 15}
document = b""

def answer(request):
    if request.url.path.endswith("login"):
        return httpx.Response(200, json=GRANT)
    return httpx.Response(200, content=document)

async def main():
    global document
    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    account = {"username": "u", "password": "p", "tenant": "t"}
    async with PreservicaClient("pv.example.org", **account, http=http_client, retry=Retry(attempts=1)) as pv:
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            document = path.read_bytes()
            began = time.perf_counter()
            for ask in (lambda: pv.workflows.get(7), lambda: pv.workflows.list().first()):
                try:
                    await ask()
                except CallError as error:
                    said = [type(error).__name__, len(str(error)) < 400]
                    print(json.dumps([path.name, said, (time.perf_counter() - began) * 1000]), flush=True)
                began = time.perf_counter()

resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
asyncio.run(main())
"""


@pytest.mark.row(38)
@pytest.mark.figure("T-XML")
def test_hostile_xml_is_a_decode_error_and_crashes_nothing(tmp_path: Path, see: See) -> None:
    for name, document in HOSTILE.items():
        (tmp_path / name.replace(" ", "-")).write_bytes(document)
    completed = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, timeout=100, check=False)
    output = [json.loads(line) for line in completed.stdout.splitlines()]
    assert (completed.returncode, completed.stderr) == (0, b""), f"after {output[-1:]}"
    assert [outcome for _, outcome, _ in output] == [["DecodeError", True]] * 2 * len(HOSTILE)
    times = sorted(milliseconds for *_, milliseconds in output)
    see(
        f"{len(HOSTILE)} documents as a workflow and as a list in 512 MiB: DecodeError, no crash, "
        f"{times[len(times) // 2]:.1f} ms in the median, {times[-1]:.0f} ms at most"
    )
