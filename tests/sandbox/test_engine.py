"""The engine: steps, results, pauses, resumes, stops and retries."""

import threading
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from workflow_async.sandbox import ManualClock, Step, StepResult
from workflow_async.sandbox.engine import REPAIR_STEP, Answer, Engine, FakeWorkflow, SecondResumeEffect, Status

TWO_STEPS = (Step("a", 2.0), Step("b", 3.0))
FAILING_STEPS = (Step("a", 1.0, StepResult.FAILED, handlers=(Step("tell", 1.0),)), Step("never"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Engine:
    return Engine(clock)


def status_history(engine: Engine, clock: ManualClock, run: FakeWorkflow, seconds: int = 30) -> list[Status]:
    seen = [run.status]
    for _ in range(seconds):
        clock.advance(1)
        engine.advance()
        seen += [run.status] if run.status is not seen[-1] else []
    return seen


def step_statuses(run: FakeWorkflow) -> list[tuple[str, Status]]:
    return [(step.step.name, step.status) for step in run.steps]


def test_a_workflow_waits_runs_and_succeeds(engine: Engine, clock: ManualClock) -> None:
    assert status_history(engine, clock, engine.start("d", "e", TWO_STEPS)) == [
        Status.WAITING,
        Status.RUNNING,
        Status.SUCCEEDED,
    ]


def test_steps_take_their_time_one_after_the_other(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    clock.advance(4.5)
    engine.advance()
    assert step_statuses(run) == [("a", Status.SUCCEEDED), ("b", Status.RUNNING)]
    assert [(s.started, s.finished) for s in run.steps] == [(run.created + 2, run.created + 4), (run.created + 4, None)]


def test_one_long_wait_equals_many_short_ones(clock: ManualClock) -> None:
    short, long = Engine(clock), Engine(clock)
    runs = [engine.start("d", "e", FAILING_STEPS) for engine in (short, long)]
    status_history(short, clock, runs[0])
    long.advance()
    assert [(s.id, s.status, s.started, s.finished) for s in runs[0].steps] == [
        (s.id, s.status, s.started, s.finished) for s in runs[1].steps
    ]


def test_a_workflow_without_steps_succeeds_after_the_queue(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", ())
    assert status_history(engine, clock, run) == [Status.WAITING, Status.SUCCEEDED]
    assert run.started == run.finished == run.created + 2


def test_a_stopped_workflow_without_steps_stays_stopped(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", ())
    engine.stop(run)
    assert status_history(engine, clock, run) == [Status.STOPPED]


def test_workflows_and_steps_are_numbered_from_one_sequence(engine: Engine, clock: ManualClock) -> None:
    first, second = engine.start("d", "e", TWO_STEPS), engine.start("d", "f", TWO_STEPS)
    clock.advance(60)
    engine.advance()
    assert (first.id, second.id) == (1000, 1001)
    assert sorted(s.id or 0 for run in (first, second) for s in run.steps) == [1002, 1003, 1004, 1005]


def test_a_workflow_started_in_the_past_has_advanced_to_the_present(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS, at=clock() - 100)
    assert engine.get(run.id) is run
    assert (run.status, run.finished) == (Status.SUCCEEDED, run.created + 7)


def test_a_skipped_step_takes_no_time_and_has_no_end(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("no", 50.0, StepResult.SKIPPED), Step("yes")])
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED
    assert (run.steps[0].status, run.steps[0].finished) == (Status.SKIPPED, None)


def test_a_partial_step_makes_the_end_partial(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("most", 1.0, StepResult.PARTIAL), Step("rest")])
    assert status_history(engine, clock, run)[-1] is Status.PARTIAL


def test_a_failed_step_ends_the_workflow_there(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("bad", 1.0, StepResult.FAILED), Step("never")])
    assert status_history(engine, clock, run) == [Status.WAITING, Status.RUNNING, Status.FAILED]
    assert step_statuses(run) == [("bad", Status.FAILED), ("never", Status.WAITING)]


def test_handlers_take_the_place_of_the_rest_while_the_workflow_is_failing(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", FAILING_STEPS)
    assert status_history(engine, clock, run) == [Status.WAITING, Status.RUNNING, Status.FAILING, Status.FAILED]
    assert step_statuses(run) == [("a", Status.FAILED), ("tell", Status.SUCCEEDED)]


def test_a_failed_handler_ends_the_workflow(engine: Engine, clock: ManualClock) -> None:
    handler = Step("tell", 1.0, StepResult.FAILED, handlers=(Step("again"),))
    run = engine.start("d", "e", [Step("a", 1.0, StepResult.FAILED, handlers=(handler,))])
    assert status_history(engine, clock, run)[-1] is Status.FAILED
    assert step_statuses(run) == [("a", Status.FAILED), ("tell", Status.FAILED)]


def test_a_held_step_parks_the_workflow_until_it_is_resumed(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("hold", 1.0, StepResult.HELD), Step("rest")])
    assert status_history(engine, clock, run)[-1] is Status.PARKED
    engine.resume(run)
    assert run.status is Status.RUNNING
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED


def test_a_resume_can_be_delayed(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("hold", 1.0, StepResult.HELD)])
    status_history(engine, clock, run)
    engine.resume(run, delay=2.0)
    assert status_history(engine, clock, run) == [Status.PARKED, Status.SUCCEEDED]


def test_a_pause_cancels_a_queued_resume(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("hold", 1.0, StepResult.HELD)])
    status_history(engine, clock, run)
    engine.resume(run, delay=2.0)
    engine.pause(run)
    assert status_history(engine, clock, run) == [Status.PARKED]


def test_a_stuck_step_parks_again_after_every_resume(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("a"), Step("bad", 1.0, StepResult.STUCK), Step("rest")])
    for _ in range(3):
        assert status_history(engine, clock, run)[-1] is Status.PARKED
        engine.resume(run, delay=1.0)
    assert [name for name, _ in step_statuses(run)] == ["a", REPAIR_STEP, "bad", "rest"]
    assert [run.steps[1].status, run.steps[2].status, run.steps[2].attempts] == [Status.PARKED, Status.WAITING, 1]


def stuck(engine: Engine, clock: ManualClock, **plan: Any) -> FakeWorkflow:
    run = engine.start("d", "e", [Step("bad", 1.0, StepResult.STUCK, **plan), Step("rest")])
    assert status_history(engine, clock, run)[-1] is Status.PARKED
    return run


def test_an_answered_stuck_step_runs_again_and_succeeds(engine: Engine, clock: ManualClock) -> None:
    run = stuck(engine, clock)
    engine.resume(run, delay=1.0, answer=Answer.RETRY)
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED
    assert run.executed == ["bad", REPAIR_STEP, "bad", "rest"]


def test_a_stuck_step_is_held_before_each_attempt_and_fails_in_its_last(engine: Engine, clock: ManualClock) -> None:
    run = stuck(engine, clock, failing_runs=3, max_attempts=3)
    engine.resume(run, answer=Answer.RETRY)
    assert status_history(engine, clock, run)[-1] is Status.PARKED
    engine.resume(run, answer=Answer.RETRY)
    assert status_history(engine, clock, run)[-1] is Status.FAILED
    assert [name for name, _ in step_statuses(run)] == [REPAIR_STEP, REPAIR_STEP, "bad", "rest"]
    assert (run.steps[2].failures, run.steps[3].status) == (3, Status.WAITING)


def test_a_stuck_step_that_is_given_up_fails_the_workflow(engine: Engine, clock: ManualClock) -> None:
    run = stuck(engine, clock)
    engine.resume(run, delay=1.0, answer=Answer.NONE)
    assert status_history(engine, clock, run)[-1] is Status.FAILED
    assert [status for _, status in step_statuses(run)] == [Status.FAILED, Status.FAILED, Status.WAITING]


def test_a_stuck_step_that_is_given_up_runs_its_handlers(engine: Engine, clock: ManualClock) -> None:
    run = stuck(engine, clock, handlers=(Step("tell"),))
    engine.resume(run, answer=Answer.NONE)
    assert status_history(engine, clock, run)[-2:] == [Status.FAILING, Status.FAILED]
    assert [name for name, _ in step_statuses(run)] == [REPAIR_STEP, "bad", "tell"]


def test_an_answer_to_another_held_step_lets_it_go_on(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("hold", 1.0, StepResult.HELD), Step("rest")])
    status_history(engine, clock, run)
    engine.resume(run, answer=Answer.NONE)
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED


def test_a_retried_step_that_fails_in_every_attempt_fails(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("shaky", 2.0, StepResult.RETRIED, failing_runs=2)])
    assert status_history(engine, clock, run)[-1] is Status.FAILED
    assert (run.steps[0].failures, run.executed) == (2, ["shaky", "shaky"])


def test_a_stuck_step_of_a_stopped_workflow_stays_stopped(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("bad", 5.0, StepResult.STUCK)])
    clock.advance(3)
    engine.advance()
    engine.stop(run)
    assert status_history(engine, clock, run) == [Status.STOPPED]


def test_a_paused_workflow_ends_its_running_step_and_starts_no_other(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    clock.advance(3)
    engine.advance()
    engine.pause(run)
    assert status_history(engine, clock, run) == [Status.PARKED]
    assert step_statuses(run) == [("a", Status.SUCCEEDED), ("b", Status.WAITING)]
    engine.resume(run)
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED


def test_a_workflow_resumed_while_its_step_runs_goes_on(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    clock.advance(3)
    engine.advance()
    engine.pause(run)
    engine.resume(run, delay=2.0)
    assert run.status is Status.RUNNING
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED
    assert run.executed == ["a", "b"]


def test_a_stop_during_the_last_step_is_overwritten_by_its_end(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("only", 5.0)])
    clock.advance(3)
    engine.advance()
    engine.stop(run)
    assert status_history(engine, clock, run) == [Status.STOPPED, Status.SUCCEEDED]


def test_a_stop_during_a_step_that_holds_stays(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("hold", 5.0, StepResult.HELD)])
    clock.advance(3)
    engine.advance()
    engine.stop(run)
    assert status_history(engine, clock, run) == [Status.STOPPED]


def test_a_workflow_paused_before_its_first_step_starts_on_resume(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    engine.pause(run)
    assert status_history(engine, clock, run) == [Status.PARKED]
    engine.resume(run)
    assert status_history(engine, clock, run)[-1] is Status.SUCCEEDED


def test_a_finished_workflow_that_is_paused_has_no_end_until_it_is_resumed(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    status_history(engine, clock, run)
    engine.pause(run)
    assert (run.status, run.finished) == (Status.PARKED, None)
    engine.resume(run)
    assert run.status is Status.SUCCEEDED


def test_a_retry_runs_the_failed_step_again_and_then_the_rest(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("bad", 1.0, StepResult.FAILED), Step("rest")])
    status_history(engine, clock, run)
    assert engine.retry(run)
    assert status_history(engine, clock, run) == [Status.RUNNING, Status.SUCCEEDED]
    assert run.steps[0].attempts == 2


@pytest.mark.parametrize("steps", [TWO_STEPS, [Step("no", 1.0, StepResult.SKIPPED)]])
def test_a_retry_of_what_has_not_failed_does_nothing(engine: Engine, clock: ManualClock, steps: list[Step]) -> None:
    run = engine.start("d", "e", steps)
    status_history(engine, clock, run)
    assert not engine.retry(run)


def test_a_step_that_is_retried_fails_once_and_then_succeeds(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("shaky", 2.0, StepResult.RETRIED), Step("rest")])
    assert status_history(engine, clock, run) == [Status.WAITING, Status.RUNNING, Status.SUCCEEDED]
    assert (run.steps[0].failures, run.executed) == (1, ["shaky", "shaky", "rest"])


def test_a_workflow_stopped_while_a_step_is_retried_stays_stopped(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("shaky", 5.0, StepResult.RETRIED), Step("rest")])
    clock.advance(3)
    engine.advance()
    engine.stop(run)
    assert status_history(engine, clock, run) == [Status.STOPPED]


@pytest.mark.parametrize(
    ("harm", "end", "executed"),
    [
        (SecondResumeEffect.TWICE, Status.PARKED, ["hold", "hold"]),
        (SecondResumeEffect.LOST, Status.PARKED, ["hold"]),
        (SecondResumeEffect.HANGS, Status.SUCCEEDED, ["hold"]),
    ],
)
def test_a_second_resume_of_the_last_step_affects_that_step(
    engine: Engine, clock: ManualClock, harm: SecondResumeEffect, end: Status, executed: list[str]
) -> None:
    run = engine.start("d", "e", [Step("hold", 1.0, StepResult.HELD)])
    status_history(engine, clock, run)
    engine.resume(run, 2.0)
    engine.resume(run, 2.0, harm)
    assert status_history(engine, clock, run)[-1] is end
    assert run.executed == executed


def test_a_workflow_without_steps_ends_with_the_given_status(clock: ManualClock) -> None:
    engine = Engine(clock, end_without_steps=Status.FAILED)
    assert status_history(engine, clock, engine.start("d", "e", ()))[-1] is Status.FAILED


def test_due_times_can_be_postponed(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", [Step("a", 5.0)])
    engine.postpone(100.0)
    assert status_history(engine, clock, run, 101) == [Status.WAITING]
    engine.postpone(-1.0)
    assert status_history(engine, clock, run, 1) == [Status.WAITING, Status.RUNNING]


def test_a_reused_id_does_not_inherit_due_times(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    clock.advance(1)
    engine.remove(run)
    again = engine.start("f", "g", TWO_STEPS, id=run.id)
    clock.advance(1.5)
    assert (engine.get(run.id), again.status) == (again, Status.WAITING)
    assert status_history(engine, clock, again)[-1] is Status.SUCCEEDED


def test_a_removed_workflow_and_its_due_times_are_gone(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS)
    engine.remove(run)
    clock.advance(60)
    assert (engine.get(run.id), list(engine.all())) == (None, [])


def test_on_change_is_called_for_start_changes_and_removal(clock: ManualClock) -> None:
    seen: list[tuple[int, Status]] = []
    engine = Engine(clock, on_change=lambda run: seen.append((run.id, run.status)))
    run = engine.start("d", "e", [Step("a")])
    status_history(engine, clock, run)
    engine.remove(run)
    assert [status for _, status in seen] == [Status.WAITING, Status.RUNNING, Status.SUCCEEDED, Status.SUCCEEDED]


def test_a_copy_does_not_change_with_the_workflow(engine: Engine, clock: ManualClock) -> None:
    run = engine.start("d", "e", TWO_STEPS, parameters={"a": "1"})
    before = run.copy()
    status_history(engine, clock, run)
    run.parameters["a"] = "2"
    assert (before.status, before.steps[0].status, before.parameters) == (Status.WAITING, Status.WAITING, {"a": "1"})


def test_threads_can_advance_the_engine_concurrently(engine: Engine, clock: ManualClock) -> None:
    for _ in range(200):
        engine.start("d", "e", TWO_STEPS)
    clock.advance(60)
    threads = [threading.Thread(target=engine.advance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run.status for run in engine.all()} == {Status.SUCCEEDED}


STEPS = st.lists(
    st.builds(
        Step, st.sampled_from("abc"), st.floats(0, 5), st.sampled_from(StepResult), st.sampled_from([(), TWO_STEPS])
    ),
    max_size=4,
)


class EngineMachine(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.engine = Engine(self.clock)

    @rule(target=runs, steps=STEPS)
    def start(self, steps: list[Step]) -> FakeWorkflow:
        return self.engine.start("d", "e", steps)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.engine.advance()

    @rule(run=runs)
    def pause(self, run: FakeWorkflow) -> None:
        self.engine.pause(run)

    @rule(
        run=runs,
        delay=st.sampled_from([0.0, 2.0]),
        harm=st.sampled_from([None, SecondResumeEffect.TWICE, SecondResumeEffect.LOST]),
    )
    def resume(self, run: FakeWorkflow, delay: float, harm: SecondResumeEffect | None) -> None:
        if run.status is Status.PARKED:
            self.engine.resume(run, delay, harm)

    @rule(run=runs)
    def stop(self, run: FakeWorkflow) -> None:
        self.engine.stop(run)

    @rule(run=runs)
    def retry(self, run: FakeWorkflow) -> None:
        self.engine.retry(run)

    @invariant()
    def a_running_workflow_has_something_due(self) -> None:
        due = {(id, turn) for _, id, turn in self.engine._due}
        for run in self.engine.runs.values():
            alive = run.status in {Status.WAITING, Status.RUNNING, Status.FAILING}
            assert not alive or (run.id, self.engine._generations[run.id]) in due

    @invariant()
    def an_end_has_an_instant_and_nothing_else_has(self) -> None:
        for run in self.engine.runs.values():
            assert (run.finished is not None) is run.status.final

    @invariant()
    def at_most_one_step_executes(self) -> None:
        for run in self.engine.runs.values():
            assert sum(step.status is Status.RUNNING for step in run.steps) <= 1

    @invariant()
    def what_is_due_is_in_the_future(self) -> None:
        self.engine.advance()
        assert all(at > self.clock() for at, *_ in self.engine._due)


EngineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_the_invariants_hold_for_any_order_of_events = EngineMachine.TestCase
