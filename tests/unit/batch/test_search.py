"""Searches for a start of unknown outcome: their duration, their result, and sending the start again."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FakeTime
from tests.support.gateway import BUSY, Gateway, opencast, preservica
from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import Clock, OpencastClient, Poll, Retry
from workflow_async.batch import (
    Ambiguous,
    Conflicted,
    NoStartFound,
    OutcomeUnknown,
    StartFound,
    StatusKind,
    read_journal,
)
from workflow_async.batch.reconcile import CHECK_INTERVAL, ReconcileResult, search
from workflow_async.errors import CallError, DecodeError, Forbidden, RateLimited, ServerError
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Fault, Faults, ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

STARTS = ("POST",)
DOWN = ServerError(503)

# Duration


def script(*answers: Any) -> Callable[[], Any]:
    """Return a check with these results. The last result is repeated."""
    left = list(answers)

    async def check() -> Any:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


async def searched(
    time: FakeTime, *answers: Any, seconds: float = 10.0, outage: float | None = None
) -> ReconcileResult[Any] | CallError:
    """Run a search and return its result or its error."""
    try:
        return await search(script(*answers), time.clock, lambda: seconds, outage)
    except CallError as error:
        return error


async def test_a_search_takes_its_given_time_if_every_check_succeeds(fake_time: FakeTime) -> None:
    assert await searched(fake_time, None) == NoStartFound(10.0, 6)
    assert fake_time.now == 1010.0


@pytest.mark.parametrize("failures", [1, 7, 100])
async def test_failed_checks_do_not_use_up_the_time(fake_time: FakeTime, failures: int) -> None:
    expected = await searched(fake_time, None, None, *[DOWN] * failures, None, outage=300.0)
    assert isinstance(expected, NoStartFound)
    assert expected.checks == 6
    assert fake_time.now == 1010.0 + failures * CHECK_INTERVAL


async def test_a_search_that_begins_in_an_outage_is_timed_from_the_end_of_the_outage(fake_time: FakeTime) -> None:
    assert await searched(fake_time, *[DOWN] * 50, None, outage=300.0) == NoStartFound(10.0, 6)
    assert fake_time.now == 1110.0


async def test_a_search_ends_even_if_every_other_check_fails(fake_time: FakeTime) -> None:
    expected = await searched(fake_time, *[None, DOWN] * 99, outage=300.0)
    assert isinstance(expected, NoStartFound)
    assert expected.checks == 6


async def test_a_slow_check_counts_with_its_full_duration(fake_time: FakeTime) -> None:
    async def check() -> None:
        await fake_time.sleep(7.0)

    assert await search(check, fake_time.clock, lambda: 10.0) == NoStartFound(17.0, 3)


@pytest.mark.parametrize(("outage", "lasted"), [(None, 10.0), (300.0, 300.0), (0.0, 0.0)])
async def test_a_search_raises_after_checks_failed_for_the_outage_limit(
    fake_time: FakeTime, outage: float | None, lasted: float
) -> None:
    assert await searched(fake_time, None, None, DOWN, outage=outage) is DOWN
    assert fake_time.now == 1000.0 + 2 * CHECK_INTERVAL + lasted


async def test_outages_are_not_added_up(fake_time: FakeTime) -> None:
    expected = await searched(fake_time, *[*[DOWN] * 20, None] * 9, outage=50.0)
    assert isinstance(expected, NoStartFound)


async def test_what_was_found_before_an_outage_is_returned_after_it(fake_time: FakeTime) -> None:
    found = Ambiguous[Any]((), "two may belong to it")
    assert await searched(fake_time, None, found, DOWN, outage=60.0) is found
    assert await searched(fake_time, found, None, DOWN, outage=60.0) is DOWN


async def test_a_start_that_is_found_ends_the_search(fake_time: FakeTime) -> None:
    found = StartFound[Any](object(), "it has the correlation id")
    assert await searched(fake_time, None, DOWN, found, None, outage=60.0) is found
    assert fake_time.now == 1004.0


@pytest.mark.parametrize("wait", [0.0, 5.0])
async def test_a_search_makes_at_least_one_check(fake_time: FakeTime, wait: float) -> None:
    assert isinstance(await searched(fake_time, None, seconds=wait), NoStartFound)
    assert await searched(fake_time, DOWN, seconds=0.0) is DOWN


@pytest.mark.parametrize("final", [Forbidden(403), DecodeError("odd @ $")], ids=repr)
async def test_an_error_that_is_not_temporary_ends_a_search_immediately(fake_time: FakeTime, final: CallError) -> None:
    ended = await searched(fake_time, None, final, outage=60.0)
    assert ended is final
    assert (fake_time.now == 1002.0) == isinstance(final, Forbidden)


async def test_retry_after_delays_a_check_and_ends_the_search_if_it_exceeds_the_outage(
    fake_time: FakeTime,
) -> None:
    later, never = RateLimited(429), RateLimited(429)
    later.retry_after, never.retry_after = 40.0, 999999999.0
    assert isinstance(await searched(fake_time, later, None, outage=60.0), NoStartFound)
    assert fake_time.now == 1050.0
    assert await searched(fake_time, None, never, outage=60.0) is never
    assert fake_time.now == 1052.0


async def test_a_batch_continues_its_search_until_the_server_responds(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    """The response to the start is lost. Then the server is down for 60 s, twice as long as `settle`."""
    gateway = Gateway(fake)

    class Losing(Gateway):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            if request.method == "POST":
                end = time() + 60
                self.treat = lambda _: BUSY if time() < end else None
                return BUSY
            return response

    gateway = Losing(fake)
    async with opencast(gateway, clock) as oc:
        run = oc.workflows.run_all([Start(fake.event(), "quick")], poll=Poll(interval=1.0, outage=300.0))
        (reported,) = await results(run)
    assert reported.succeeded
    assert len(runs(fake)) == 1


async def test_a_batch_ends_a_search_that_the_server_delays_beyond_the_outage(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    gateway, began = Gateway(fake), time()
    never = httpx.Response(429, headers={"retry-after": "999999999"})

    def treat(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            return BUSY
        return never if gateway.posts else None

    gateway.treat = treat
    async with opencast(gateway, clock) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=OFTEN))
    assert isinstance(reported, OutcomeUnknown)
    assert isinstance(reported.error, RateLimited)
    assert time() - began < 5


async def test_reconcile_tolerates_failed_checks_for_its_wait_time(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    began = time()
    async with opencast(Gateway(fake, lambda _: BUSY), clock, retry=Retry(attempts=1)) as oc:
        with pytest.raises(ServerError):
            await oc.workflows.reconcile(oc.workflows.prepare_start("e", "quick", baseline=0), wait=40.0)
    assert time() - began == 40.0


# The date of creation


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (0, StartFound), (5, StartFound), (-1, Ambiguous), (-299, Ambiguous), (-301, NoStartFound),
        ("odd", Ambiguous), (None, Ambiguous), (10**30, Ambiguous),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["Z", "+01:00", "-05:30", "milliseconds"])
async def test_a_date_of_creation_shows_whether_a_workflow_is_newer_than_the_ticket(
    fake: FakeOpencast, clock: Clock, time: ManualClock, created: Any, expected: type, zone: str
) -> None:
    time.advance(0.123456)
    event = fake.event()
    row = {"id": 7, "state": "RUNNING", "template": "quick", "title": "t", "mediaPackageId": event}
    date = dated(created, time(), zone)
    tree = {"workflows": {"workflow": {**row, "dateCreated": date} if date is not None else row}}

    def treat(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json=tree) if request.url.path.endswith("instances.json") else None

    async with opencast(Gateway(fake, treat), clock) as oc:
        found = await oc.workflows.reconcile(oc.workflows.prepare_start(event, "quick"), wait=0)
    assert type(found) is expected


def dated(created: Any, now: float, zone: str) -> Any:
    """Return a date of creation in a server's format."""
    if created in {None, "odd", 10**30}:
        return created
    moment = datetime.fromtimestamp(now + created, UTC)
    if zone == "milliseconds":
        return int(moment.timestamp() * 1000)
    if zone == "Z":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    sign = -1 if zone.startswith("-") else 1
    offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    return moment.astimezone(timezone(offset)).isoformat(timespec="milliseconds")


# Sending again


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.sqlite"


async def run(client: OpencastClient, starts: Sequence[Start], **settings: Any) -> dict[str, Any]:
    """Run a batch and return its results by key."""
    batch = client.workflows.run_all(starts, **{"poll": OFTEN, "settle": 4.0, **settings})
    return {each.key: each for each in await results(batch)}


async def test_unknown_starts_of_an_earlier_run_are_sent_again_if_the_caller_says_so(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(2)]
    first = await run(oc, starts, journal=path, max_running=1)
    kept = await run(oc, starts, journal=path)
    again = await run(oc, starts, journal=path, start_unknown_again=True)
    assert [type(each["0"]).__name__ for each in (first, kept, again)] == [
        "OutcomeUnknown",
        "OutcomeUnknown",
        "Completed",
    ]
    assert [type(each["1"]).__name__ for each in (first, kept, again)] == ["Completed", "AlreadyDone", "AlreadyDone"]
    assert again["0"].succeeded
    assert (posts(fake), len(runs(fake))) == (3, 2)


async def test_a_start_that_is_found_is_not_sent_again(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    event = fake.event()
    fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
    await run(oc, [Start(event, "quick", key="0")], journal=path)
    fake.start(event, "quick")  # the request arrives late
    reported = await run(oc, [Start(event, "quick", key="0")], journal=path, start_unknown_again=True)
    assert reported["0"].succeeded
    assert posts(fake) == 1


async def test_within_a_run_an_unknown_start_is_sent_again_once(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR, Fault.SERVER_ERROR, None, Fault.SERVER_ERROR], methods=STARTS)
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(2)]
    reported = await run(oc, starts, max_running=1, start_unknown_again=True)
    assert [type(reported[key]).__name__ for key in "01"] == ["OutcomeUnknown", "Completed"]
    assert posts(fake) == 3


async def test_a_second_start_that_is_refused_leaves_the_first_unknown(
    fake: FakeOpencast, clock: Clock, path: Path
) -> None:
    """The outcome of the first request is still unknown, so the result is not `NotStarted`."""
    answers = iter([BUSY, httpx.Response(404, text="Cannot find an event with id 'e'.")])
    gateway = Gateway(fake, lambda request: next(answers) if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        reported = await run(oc, [Start("e", "quick", key="0")], journal=path, start_unknown_again=True)
        assert isinstance(reported["0"], OutcomeUnknown)
        assert isinstance(reported["0"].search_result, NoStartFound)
        assert "404" in reported["0"].why
        assert (await read_journal(path)).items["0"].kind is StatusKind.UNKNOWN
        assert isinstance((await run(oc, [], journal=path))["0"], OutcomeUnknown)
    assert gateway.posts == [503, 404]


@pytest.mark.parametrize("on_conflict", ["raise", "skip"])
async def test_a_second_start_that_conflicts_leaves_the_first_unknown(
    fake: FakeOpencast, clock: Clock, on_conflict: str
) -> None:
    """The conflict is probably with the first start, which this user may not read."""
    gateway = Gateway(fake, lambda request: BUSY if request.method == "POST" and not gateway.posts else None)
    event = fake.event()
    fake.define("slow", [Step("one", 1e6)])
    async with opencast(gateway, clock, auth=("integration", "integration")) as oc:
        fake.start(event, "slow")
        reported = await run(oc, [Start(event, "quick", key="0")], on_conflict=on_conflict, start_unknown_again=True)
    assert isinstance(reported["0"], OutcomeUnknown)
    assert not isinstance(reported["0"], Conflicted)
    assert "409" in reported["0"].why


async def test_a_second_start_that_is_held_stays_unknown_in_the_journal(
    fake: FakeOpencast, clock: Clock, path: Path
) -> None:
    gateway = Gateway(fake, lambda request: BUSY if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        starts = [Start(fake.event(), "quick", key="0")]
        await run(oc, starts, journal=path)
        searches = 0

        def treat(request: httpx.Request) -> httpx.Response | None:
            nonlocal searches
            searches += request.url.path.endswith("instances.json")
            return BUSY if searches > 3 else None

        gateway.treat = treat
        held = await run(oc, starts, journal=path, start_unknown_again=True)
        assert isinstance(held["0"], OutcomeUnknown)
        assert (await read_journal(path)).items["0"].kind is StatusKind.UNKNOWN
        gateway.treat = lambda _: None
        assert (await run(oc, starts, journal=path, start_unknown_again=True))["0"].succeeded
    assert gateway.posts == [503, 201]


async def test_unknown_starts_on_a_preservica_are_sent_again(archive: FakePreservica, clock: Clock, path: Path) -> None:
    lose = iter([True])

    def treat(request: httpx.Request) -> httpx.Response | None:
        starts = request.method == "POST" and request.url.path.endswith("/instances")
        return BUSY if starts and next(lose, False) else None

    async def reported(client: PreservicaClient, **settings: Any) -> Any:
        batch = client.workflows.run_all([ContextStart(42)], poll=OFTEN, settle=4.0, journal=path, **settings)
        return (await results(batch))[0]

    async with preservica(Gateway(archive, treat), clock) as pv:
        assert isinstance(await reported(pv), OutcomeUnknown)
        assert type(await reported(pv, start_unknown_again=True)).__name__ == "Completed"
    assert len(archive.starts) == 1
