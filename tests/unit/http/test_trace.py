"""What httpcore's trace of one request reports, event by event."""

import math
from typing import Any

import anyio
import pytest
from attrs import define
from h11 import LocalProtocolError as H11Error
from httpcore import LocalProtocolError, Request

from workflow_async._http.trace import RequestTrace
from workflow_async.errors import NotSentInTime

POST = {"request": Request("POST", "https://oc.example.org/")}
CONNECT = {"request": Request("CONNECT", "https://oc.example.org/")}
SENDING = "http11.send_request_headers.started"


@define
class Socket:
    """A connection that can be closed."""

    closed: bool = False

    async def aclose(self) -> None:
        self.closed = True


async def reported(trace: RequestTrace, *events: tuple[str, dict[str, Any]]) -> RequestTrace:
    for event, info in events:
        await trace(event, info)
    return trace


@pytest.mark.parametrize("layer", ["http11", "http2"])
async def test_a_request_has_begun_once_its_headers_are_written(layer: str) -> None:
    trace = RequestTrace()
    await reported(
        trace, ("connection.connect_tcp.started", {}), ("connection.connect_tcp.complete", {"return_value": 1})
    )
    assert not trace.begun
    await reported(trace, (f"{layer}.send_request_headers.started", POST))
    assert trace.begun
    await reported(trace, (f"{layer}.receive_response_headers.failed", {"exception": OSError()}))
    assert trace.begun


async def test_a_request_that_may_no_longer_be_sent_has_not_begun_but_the_connect_of_a_proxy_may_be_sent() -> None:
    def too_late() -> None:
        raise NotSentInTime("too late")

    trace = RequestTrace(check_may_send=too_late)
    await reported(trace, (SENDING, CONNECT))
    with pytest.raises(NotSentInTime):
        await reported(trace, (SENDING, POST))
    assert not trace.begun


async def test_the_connect_of_a_proxy_does_not_count() -> None:
    assert not (await reported(RequestTrace(), (SENDING, CONNECT))).begun
    assert (await reported(RequestTrace(), (SENDING, CONNECT), (SENDING, POST))).begun


@pytest.mark.parametrize("error", [LocalProtocolError("odd header"), H11Error("odd header")])
async def test_headers_that_h11_refuses_were_not_written_but_those_of_an_earlier_attempt_were(error: Exception) -> None:
    refused = ("http11.send_request_headers.failed", {"exception": error})
    assert not (await reported(RequestTrace(), (SENDING, POST), refused)).begun
    assert (await reported(RequestTrace(), (SENDING, POST), (SENDING, POST), refused)).begun
    assert (await reported(RequestTrace(), (SENDING, POST), (SENDING, CONNECT), refused)).begun


@pytest.mark.parametrize(
    ("layer", "error"), [("http11", OSError("reset")), ("http2", LocalProtocolError("any frame may be on its way"))]
)
async def test_headers_that_fail_otherwise_may_have_been_written(layer: str, error: Exception) -> None:
    failed = (f"{layer}.send_request_headers.failed", {"exception": error})
    assert (await reported(RequestTrace(), (f"{layer}.send_request_headers.started", POST), failed)).begun


@pytest.mark.parametrize(
    "event", ["connection.start_tls.failed", "proxy.start_tls.failed", "socks.setup_socks5_connection.failed"]
)
async def test_a_socket_that_httpcore_leaks_is_closed(event: str) -> None:
    socket = Socket()
    await reported(RequestTrace(), ("connection.connect_tcp.complete", {"return_value": socket}))
    assert not socket.closed
    await reported(RequestTrace(), ("connection.connect_tcp.complete", {"return_value": socket}), (event, {}))
    assert socket.closed


@pytest.mark.parametrize("step", ["connect_tcp", "connect_unix_socket", "start_tls", "setup_socks5_connection"])
async def test_a_cancellation_is_raised_while_httpcore_still_closes_the_connection(step: str) -> None:
    socket = Socket()
    trace = await reported(RequestTrace(), ("connection.connect_tcp.complete", {"return_value": socket}))
    reached = False
    with anyio.CancelScope() as scope:
        scope.cancel()
        await trace(f"connection.{step}.complete", {"return_value": socket})
        reached = True
    assert (reached, socket.closed) == (False, True)


async def test_a_cancellation_waits_between_the_preface_of_http2_and_the_request() -> None:
    trace = RequestTrace()
    steps: list[str] = []
    with anyio.CancelScope() as outer, trace.scope:
        await reported(trace, ("http2.send_connection_init.complete", {}))
        outer.cancel()
        await anyio.lowlevel.checkpoint()
        steps.append("the preface")
        await reported(trace, ("http2.send_request_headers.started", POST))
        await anyio.lowlevel.checkpoint()
        steps.append("the request")
    assert steps == ["the preface"]


@pytest.mark.parametrize(
    ("waits", "goes_on"),
    [
        ((SENDING, CONNECT), ("proxy.start_tls.started", {})),
        (("socks.setup_socks5_connection.started", {}), ("socks.start_tls.started", {})),
        (("socks.setup_socks5_connection.started", {}), (SENDING, POST)),
    ],
)
async def test_a_proxy_that_does_not_respond_in_time_cancels_the_exchange(waits: Any, goes_on: Any) -> None:
    trace = RequestTrace(60.0)
    with trace.scope:
        await reported(trace, waits, goes_on)
        await anyio.lowlevel.checkpoint()
    assert (trace.scope.cancelled_caught, trace.scope.deadline) == (False, math.inf)
    late = RequestTrace(0.0)
    with late.scope:
        await reported(late, waits)
        await anyio.sleep_forever()
    assert late.scope.cancelled_caught
