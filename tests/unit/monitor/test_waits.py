"""What ends a wait, and how often it checks its workflow."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Detailed, Operation, Record, Server, new_poller, running
from workflow_async import Phase, Poll
from workflow_async.errors import (
    CallError,
    ClientClosed,
    ConnectFailed,
    DecodeError,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    NotFound,
    PollTaskFailed,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedRedirect,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
)
from workflow_async.monitor import Change, ConditionMet, Finished, Parked, Vanished
from workflow_async.monitor.waits import WaitOptions, wait, wait_all

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
STEADY = Poll(jitter=0, interval=1, backoff=2, ceiling=8)
RUNNING, PARKED, DONE = Record(7), Record(7, Phase.PARKED), Record(7, Phase.SUCCEEDED)


class Scripted(Server):
    """A server that returns these results one after the other, and the last one from then on."""

    def __init__(self, *results: Any) -> None:
        super().__init__()
        self.results = list(results)

    async def get(self, id: int, *, operations: bool) -> Any:
        """Return or raise the next result."""
        self.workflows[id] = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        return await super().get(id, operations=operations)

    @property
    def pauses(self) -> list[float]:
        """The seconds between checks."""
        ats = [at for at, _, _ in self.gets]
        return [round(later - earlier, 1) for earlier, later in pairwise(ats)]


def waited(*results: Any, check: bool = False, **options: Any) -> tuple[Any, Scripted, float]:
    """Return the record that a wait ends with, the server, and the instant of the end."""

    async def main() -> tuple[Any, Scripted, float]:
        server = Scripted(*results)
        found = await wait(new_poller(server), 7, WaitOptions(**{"poll": STEADY, **options}), check=check)
        return found, server, asyncio.get_running_loop().time()

    return virtual.run(main())


@pytest.mark.parametrize("phase", list(Phase))
def test_a_wait_ends_with_the_workflow_for_every_final_phase(phase: Phase) -> None:
    shown = Record(7, phase)
    assert waited(RUNNING, shown, DONE)[0] == (shown if phase.final else DONE)


def test_a_change_of_state_or_step_makes_the_checks_frequent_again() -> None:
    encode, publish = Record(7, step="encode"), Record(7, step="publish")
    failing = Record(7, step="publish", text="failing")
    _, server, _ = waited(encode, encode, encode, encode, publish, publish, failing, DONE)
    assert server.pauses == [1, 2, 4, 8, 1, 2, 1]


def test_the_first_check_comes_after_the_initial_delay() -> None:
    assert waited(DONE, poll=Poll(initial=5))[2] == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_an_invalid_timeout_is_rejected(deadline: float) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        waited(DONE, timeout=deadline)


def test_a_timeout_ends_the_wait_with_the_last_record() -> None:
    with pytest.raises(WaitTimeout) as caught:
        waited(RUNNING, timeout=10)
    assert (caught.value.workflow_id, caught.value.timeout, caught.value.workflow) == (7, 10, RUNNING)


def test_a_last_check_is_made_at_the_deadline() -> None:
    found, server, _ = waited(RUNNING, RUNNING, RUNNING, DONE, timeout=4)
    assert (found, server.pauses) == (DONE, [1, 2, 1])


def test_a_parked_workflow_is_waited_for_returned_or_raised() -> None:
    assert waited(PARKED, DONE, parked="wait")[0] == DONE
    assert waited(RUNNING, PARKED, parked="return", check=True)[0] == PARKED
    with pytest.raises(WorkflowParked) as caught:
        waited(RUNNING, PARKED, parked="raise")
    assert caught.value.workflow == PARKED


def test_a_wait_ignores_the_changes_that_end_nothing_and_hears_of_all_others() -> None:
    def ignored(**options: Any) -> list[Phase]:
        chosen = WaitOptions[Any](**options)
        changes = (Change(workflow=Record(7, now), was=None, now=now, seen_at=NOON) for now in Phase)
        return [change.now for change in changes if chosen.ignores(change)]

    going = [Phase.WAITING, Phase.RUNNING, Phase.UNKNOWN]
    assert ignored() == [Phase.WAITING, Phase.RUNNING, Phase.PARKED, Phase.UNKNOWN]
    assert ignored(parked="return") == ignored(parked="raise") == going
    assert ignored(until=lambda _: False) == ignored(on_change=lambda _: None) == []
    lost = Vanished[Any](id=7, error=NotFound(404))
    assert not WaitOptions[Any]().ignores(lost)


def test_an_unknown_value_of_parked_is_rejected() -> None:
    with pytest.raises(InvalidArgument, match="parked"):
        waited(DONE, parked="ignore")


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.STOPPED, Phase.PARTIAL])
def test_with_check_every_phase_but_success_raises(phase: Phase) -> None:
    assert waited(Record(7, phase))[0] == Record(7, phase)
    with pytest.raises(WorkflowFailed) as caught:
        waited(Record(7, phase), check=True)
    assert caught.value.workflow == Record(7, phase)
    assert waited(DONE, check=True)[0] == DONE


def test_a_wait_until_something_ends_with_the_first_record_that_shows_it() -> None:
    assert waited(RUNNING, Record(7, step="editor"), DONE, until=lambda w: w.step == "editor")[0].step == "editor"
    assert waited(RUNNING, DONE, until=lambda w: w.step == "editor")[0] == DONE


def test_until_is_called_only_with_records_that_hold_their_operations() -> None:
    async def main() -> None:
        server = Server(workflows={7: Detailed(7, operations=(Operation("encode", "running"),))})
        poller = new_poller(server)
        plain = asyncio.create_task(wait(poller, 7, WaitOptions(poll=STEADY), check=False))
        await asyncio.sleep(5)
        runs = WaitOptions[Any](poll=STEADY, until=lambda w: w.operations[0].state_text == "running")
        assert (await wait(poller, 7, runs, check=False)).operations
        plain.cancel()

    virtual.run(main())


def test_an_until_that_fails_ends_the_wait_with_its_error_and_leaves_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        waited(RUNNING, DONE, until=lambda _: bool(1 / 0))


def test_many_are_parked_in_three_ways() -> None:
    async def main() -> None:
        server = Server(workflows=running(1) | {2: Record(2, Phase.PARKED)})
        poller = new_poller(server)
        asyncio.get_running_loop().call_later(10, lambda: server.set_phase(Phase.SUCCEEDED, 1, 2))
        returned, waits = await asyncio.gather(
            wait_all(poller, [1, 2], WaitOptions(poll=STEADY, parked="return")),
            wait_all(poller, [1, 2], WaitOptions(poll=STEADY)),
        )
        assert [type(outcome) for outcome in returned] == [Finished, Parked]
        assert [type(outcome) for outcome in waits] == [Finished, Finished]

    virtual.run(main())


def test_an_id_given_twice_has_its_outcome_twice_and_no_id_has_none() -> None:
    async def main() -> None:
        poller = new_poller(Server(workflows={7: DONE, 8: Record(8, Phase.FAILED)}))
        outcomes = await wait_all(poller, [8, 7, 8], WaitOptions[Any]())
        assert [outcome.id for outcome in outcomes] == [8, 7, 8]
        assert await wait_all(poller, [], WaitOptions[Any]()) == ()

    virtual.run(main())


def test_a_checked_wait_for_all_raises_one_error_for_each_that_did_not_succeed() -> None:
    async def main() -> None:
        server = Server(
            workflows={
                1: Record(1, Phase.SUCCEEDED),
                2: Record(2, Phase.FAILED),
                3: Record(3, Phase.PARKED),
                4: Record(4, step="editor"),
                **running(5),
            }
        )
        until = WaitOptions[Any](poll=STEADY, timeout=20, parked="return", until=lambda w: w.step == "editor")
        with pytest.raises(ExceptionGroup, match="2 of 5 workflows did not succeed") as caught:
            await wait_all(new_poller(server), [5, 4, 3, 2, 1, 2], until, check=True)
        late, failed = caught.value.exceptions
        assert isinstance(late, WaitTimeout)
        assert isinstance(failed, WorkflowFailed)
        assert (late.workflow_id, failed.workflow.id) == (5, 2)
        good = await wait_all(new_poller(server), [4, 3, 1], until, check=True)
        assert [type(outcome) for outcome in good] == [ConditionMet, Parked, Finished]
        parked = WaitOptions[Any](poll=STEADY, parked="raise")
        with pytest.raises(ExceptionGroup) as caught:
            await wait_all(new_poller(server), [3], parked, check=True)
        assert [type(error) for error in caught.value.exceptions] == [WorkflowParked]
        assert [type(outcome) for outcome in await wait_all(new_poller(server), [3], parked)] == [Parked]

    virtual.run(main())


def test_a_checked_wait_for_no_workflow_raises_nothing() -> None:
    async def main() -> None:
        assert await wait_all(new_poller(Server()), [], WaitOptions[Any](), check=True) == ()

    virtual.run(main())


# Checks that fail


@pytest.mark.parametrize("error", [ServerError(503), ConnectFailed("refused"), DecodeError("null @ $")])
def test_transient_failures_do_not_end_a_wait(error: CallError) -> None:
    assert waited(error, error, RUNNING, error, DONE)[0] == DONE


def test_a_single_404_does_not_end_a_wait_before_the_workflow_was_seen_nor_after() -> None:
    assert waited(RUNNING, NotFound(404), NotFound(404), DONE)[0] == DONE
    assert waited(NotFound(404), NotFound(404), DONE)[0] == DONE


def test_a_404_that_stays_ends_the_wait_with_the_error() -> None:
    with pytest.raises(NotFound):
        waited(RUNNING, NotFound(404))


@pytest.mark.parametrize("error", [Forbidden(403), ClientClosed("closed")])
def test_a_permanent_error_ends_the_wait_immediately(error: Exception) -> None:
    with pytest.raises(type(error)):
        waited(error, DONE)


def test_closing_the_client_ends_the_wait_for_a_workflow_that_was_seen() -> None:
    with pytest.raises(ClientClosed):
        waited(RUNNING, ClientClosed("closed"), DONE)


@pytest.mark.parametrize("error", [Forbidden(403), Unauthorized(401), UnexpectedRedirect(302), ForeignResponse(404)])
def test_a_refusal_does_not_end_the_wait_once_the_workflow_was_seen(error: CallError) -> None:
    assert waited(RUNNING, *[error] * 10, DONE)[0] == DONE


def test_an_id_that_becomes_another_workflow_ends_the_wait_with_both_records() -> None:
    first, second = Record(7, identity="A"), Record(7, Phase.SUCCEEDED, identity="B")
    with pytest.raises(WorkflowReplaced, match="the id 7 belongs to another workflow now") as caught:
        waited(first, second, check=True)
    assert (caught.value.workflow_id, caught.value.workflow, caught.value.found) == (7, first, second)


def test_an_error_that_is_a_bug_is_not_hidden() -> None:
    with pytest.raises(PollTaskFailed, match="unexpected ValueError: see") as caught:
        waited(RUNNING, ValueError("a bug"), DONE)
    assert isinstance(caught.value.__cause__, ValueError)
    assert str(caught.value.__cause__) == "a bug"
    assert caught.value.__cause__.__traceback__ is not None


@pytest.mark.parametrize("error", [ServerError(503), ConnectFailed("refused")])
def test_an_outage_may_last_as_long_as_poll_outage(error: CallError) -> None:
    async def main() -> None:
        with pytest.raises(type(error)):
            await wait(
                new_poller(Scripted(RUNNING, error)), 7, WaitOptions(poll=Poll(outage=60, jitter=0)), check=False
            )
        assert 60 <= asyncio.get_running_loop().time() < 130

    virtual.run(main())


def test_each_outage_counts_from_its_own_start() -> None:
    broken = [ConnectFailed("refused")] * 5
    found, _, ended = waited(*broken, RUNNING, *broken, RUNNING, *broken, DONE, poll=Poll(outage=60, jitter=0))
    assert found == DONE
    assert ended > 60


def test_a_server_that_asks_for_a_pause_gets_one() -> None:
    busy, endless = RateLimited(429), RateLimited(429)
    busy.retry_after, endless.retry_after = 100.0, float("inf")
    assert waited(RUNNING, busy, DONE)[1].pauses == [1, 100]
    assert waited(RUNNING, endless, DONE, poll=Poll(interval=1, jitter=0, outage=250))[1].pauses == [1, 250]


def test_a_cancelled_wait_is_cancelled() -> None:
    async def main() -> None:
        waiting = asyncio.create_task(wait(new_poller(Scripted(RUNNING)), 7, WaitOptions(poll=STEADY), check=False))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    virtual.run(main())
