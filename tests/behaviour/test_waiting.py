"""Rows 21 to 24: servers that ask for a pause."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings, strategies as st

from tests.conftest import FakeTime, See
from tests.support import virtual_time as virtual
from tests.support.byte_server import http
from tests.support.call_endings import get, outcome, outcomes
from tests.support.monitored_system import new_system
from tests.support.stub_clients import SYSTEMS, MockServer, workflow
from workflow_async import Poll, Retry
from workflow_async.errors import CallError, RateLimited, ServerError
from workflow_async.sandbox import Fault, Faults

either = pytest.mark.parametrize("system", SYSTEMS)
REFUSED = "get: 2 sent, right; start: 1 sent, StartLimited"


def busy(**headers: str) -> Callable[[bytes], bytes]:
    return lambda _: http(429, b"", **headers)


def down(**headers: str) -> Callable[[bytes], bytes]:
    return lambda _: http(503, b"", **headers)


# How long


@pytest.mark.row(21)
@pytest.mark.parametrize("seconds", [0, 1, 7, 60])
@either
async def test_seconds_are_waited_for_with_their_jitter_and_a_start_has_not_happened(
    system: str, seconds: int, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes(system, busy(retry_after=str(seconds)), fake_time)
    assert str(found) == REFUSED
    assert fake_time.naps == [max(0.25, seconds) + 0.5]
    assert found.start_result.retry_after == seconds
    see(str(found))


@pytest.mark.row(21)
@either
async def test_more_than_a_minute_is_the_callers_to_wait(system: str, fake_time: FakeTime, see: See) -> None:
    found = await outcomes(system, busy(retry_after="61"), fake_time)
    assert str(found) == "get: 1 sent, RateLimited; start: 1 sent, StartLimited"
    assert (found.get_result.retry_after, fake_time.naps) == (61, [])
    see("61 s: RateLimited at once")


def watched(refusals: Faults) -> int:
    """Return the number of checks of five workflows within three minutes. A sixth one is refused as planned."""

    async def main() -> int:
        place = new_system("16")
        ids = place.starts(6, 10_000.0)
        place.system.faults = Faults(rates=refusals.rates, paths=(f"/api/workflows/{ids[0]}",), retry_after=1)
        viewer = ("viewer", "viewer")  # who may not see the events, so every look is a get
        async with place.client(viewer, retry=Retry(attempts=1)) as oc:
            waits = [oc.workflows.wait_all(ids, timeout=180.0, poll=Poll(interval=2, ceiling=2, outage=10_000))]
            await asyncio.gather(*waits)
        return sum(not seen.path.endswith(f"/{ids[0]}") for seen in place.asked())

    return virtual.run(main())


@pytest.mark.row(21)
def test_the_client_slows_down_for_all_workflows_when_one_is_refused(see: See) -> None:
    calm, strained = watched(Faults()), watched(Faults(rates={Fault.RATE_LIMITED: 1.0}))
    assert strained < calm / 2
    see(f"looks at 5 others while one is refused: {strained} instead of {calm}")


# Until when


def dated(seconds: float, *, off: float) -> dict[str, str]:
    """Return a Retry-After with a date, of a server whose clock is off."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=off)
    return {
        "date": format_datetime(now, usegmt=True),
        "retry_after": format_datetime(now + timedelta(seconds=seconds), usegmt=True),
    }


@pytest.mark.row(22)
@pytest.mark.parametrize("off", [-3600, 0, 3600])
@either
async def test_a_date_is_measured_by_the_clock_of_the_server(
    system: str, off: int, fake_time: FakeTime, see: See
) -> None:
    assert str(await outcomes(system, busy(**dated(7, off=off)), fake_time)) == REFUSED
    assert fake_time.naps == [7.5]
    see("server's clock 1 h off: waits 7 s + jitter")


@pytest.mark.row(22)
@pytest.mark.parametrize("off", [-3600, 3600])
async def test_a_date_in_the_past_is_no_pause_and_a_far_one_is_reported(off: int, fake_time: FakeTime) -> None:
    await outcomes("opencast", busy(**dated(-5, off=off)), fake_time)
    assert fake_time.naps == [0.75]
    found = await outcomes("opencast", busy(**dated(90, off=off)), fake_time)
    assert (type(found.get_result), found.get_result.retry_after) == (RateLimited, 90)


@pytest.mark.row(22)
async def test_a_date_without_a_clock_beside_it_says_nothing(fake_time: FakeTime) -> None:
    later = dated(7, off=3600)["retry_after"]
    await outcomes("opencast", busy(retry_after=later), fake_time)
    assert fake_time.naps == [0.25]


# In whatever shape

NOW = "Thu, 01 Jan 2026 00:00:00 GMT"
NOTHING, AT_ONCE = 0.25, None


@pytest.mark.row(23)
@pytest.mark.parametrize(
    ("text", "nap"),
    [
        ("-1", NOTHING),
        ("0", 0.75),
        ("1e9", NOTHING),
        ("1000000000", AT_ONCE),
        ("9" * 5000, AT_ONCE),
        ("inf", NOTHING),
        ("nan", NOTHING),
        ("", NOTHING),
        ("5, 10", NOTHING),
        ("1.5", NOTHING),
        ("\u0667", NOTHING),
        ("Thu, 01 Jan 100000 00:00:00 GMT", NOTHING),
        ("Thu, 01 Jan 9999 00:00:00 GMT", AT_ONCE),
        ("Thu, 01 Jan 2026 00:00:07", NOTHING),
        ("Thu, 32 Jan 2026 00:00:07 GMT", NOTHING),
        ("Thu, 01 Jan 2026 00:00:07 GMT", 7.5),
        ("Thu, 01 Jan 2026 00:00:07 +9999", NOTHING),
    ],
)
async def test_a_retry_after_of_any_form_is_a_pause_or_a_typed_error(
    text: str, nap: float | None, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes("opencast", busy(retry_after=text, date=NOW), fake_time)
    assert fake_time.naps == ([] if nap is None else [nap])
    assert str(found) == (REFUSED if nap is not None else "get: 1 sent, RateLimited; start: 1 sent, StartLimited")
    see("17 shapes: a wait, the usual back-off, or RateLimited")


HEADER = st.text(st.characters(codec="latin-1", min_codepoint=0x20), max_size=40)


@pytest.mark.row(23)
@settings(deadline=None, max_examples=50)
@given(retry_after=HEADER | st.integers().map(str) | st.floats().map(str), date=HEADER | st.just(NOW))
def test_no_text_at_all_is_anything_else(retry_after: str, date: str) -> None:
    time = FakeTime()
    headers = [(b"retry-after", retry_after.encode("latin-1")), (b"date", date.encode("latin-1"))]
    answers = [httpx.Response(429, headers=headers), httpx.Response(200, content=workflow("opencast", 1603))]

    async def main() -> None:
        async with MockServer("opencast", lambda _: answers.pop(0)).client(time.clock) as oc:
            found = await outcome(get(oc))
        assert not isinstance(found, CallError) or (isinstance(found, RateLimited) and (found.retry_after or 0) > 60)

    asyncio.run(main())
    assert all(0 <= nap <= 61 for nap in time.naps)


# Out of service


@pytest.mark.row(24)
@pytest.mark.parametrize(("headers", "nap"), [({}, 0.25), ({"retry_after": "7"}, 7.5), ({"retry_after": "x"}, 0.25)])
@either
async def test_a_server_out_of_service_is_asked_again_when_its_retry_after_ends(
    system: str, headers: dict[str, Any], nap: float, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes(system, down(**headers), fake_time)
    assert str(found) == "get: 2 sent, right; start: 1 sent, StartOutcomeUnknown"
    assert fake_time.naps == [nap]
    see(str(found))


@pytest.mark.row(24)
@either
async def test_a_server_that_stays_out_of_service_is_a_server_error(system: str, fake_time: FakeTime) -> None:
    found = await outcomes(system, down(), fake_time, always=True)
    assert isinstance(found.get_result, ServerError)
    assert (found.get_result.attempts, found.get_result.status, found.sent["POST"]) == (
        12,
        503,
        1,
    )  # a minute of attempts
