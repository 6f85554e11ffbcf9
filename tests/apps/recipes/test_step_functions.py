"""A state machine of Step Functions starts a workflow at most once, and polls until it has ended."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.apps.recipes import step_functions
from workflow_async.monitor import WatchSpec
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox

STATES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("state_machine.json").read_text())["States"]
MAX_PAYLOAD = 256 * 1024
"""Bytes of a state's input or output."""


@define
class LambdaContext:
    """The part of a Lambda context that the function reads."""

    seconds: float = 30.0

    def get_remaining_time_in_millis(self) -> float:
        return self.seconds * 1000


@define
class StepFunctions:
    """Runs the state machine: its tasks with their retries, its choice, and its wait, which takes no time."""

    given: dict[str, Any]
    context: LambdaContext = field(factory=LambdaContext)
    waited_until: list[datetime] = field(factory=list)
    before_poll: Callable[[], None] = lambda: None

    def run(self) -> None:
        name, data = "Prepare", self.given
        while (state := STATES[name])["Type"] != "Succeed":
            if state["Type"] == "Task":
                data = self._with_retries(state, data)
            elif state["Type"] == "Wait":
                self.waited_until.append(datetime.fromisoformat(data[state["TimestampPath"].removeprefix("$.")]))
            if state["Type"] == "Choice":
                (choice,) = state["Choices"]
                chosen = data[choice["Variable"].removeprefix("$.")] is choice["BooleanEquals"]
                name = choice["Next"] if chosen else state["Default"]
            else:
                name = state["Next"]

    def _with_retries(self, state: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        retries = 0
        while True:
            values = {**{f"$.{key}": value for key, value in data.items()}, "$$.State.RetryCount": retries}
            given = {
                key.removesuffix(".$"): values[value] if key.endswith(".$") else value
                for key, value in state["Parameters"].items()
            }
            if given["task"] == "poll":
                self.before_poll()
            try:
                answer = json.dumps(step_functions.handler(given, self.context))
            except Exception as error:
                if retries >= _max_attempts(state, type(error).__name__):
                    raise
                retries += 1
            else:
                assert len(answer) <= MAX_PAYLOAD
                return dict(json.loads(answer))


def _max_attempts(state: dict[str, Any], error: str) -> int:
    """Return the attempts of the first retrier that names the error."""
    retriers = [retrier for retrier in state["Retry"] if {error, "States.ALL"} & set(retrier["ErrorEquals"])]
    return int(retriers[0]["MaxAttempts"])


@pytest.fixture
def execution(
    sandbox: Sandbox, clock: ManualClock, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> StepFunctions:
    """Return an execution for an event, with a function whose environment names the sandbox."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    given = {"event": sandbox.opencast.event(), "definition": "publish"}
    return StepFunctions(given, before_poll=lambda: clock.advance(15))


def starts(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" for request in sandbox.opencast.requests)


def test_an_execution_waits_until_the_next_poll_and_reports_each_change_once(
    sandbox: Sandbox, execution: StepFunctions, capsys: pytest.CaptureFixture[str]
) -> None:
    execution.run()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["now"] for event in events] == ["running", "succeeded"]
    assert len({event["key"] for event in events}) == 2
    assert starts(sandbox) == 1
    assert len(execution.waited_until) == 1
    assert -2 < (execution.waited_until[0] - datetime.now(UTC)).total_seconds() < 60


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.ERROR_AFTER])
def test_a_start_whose_answer_is_lost_is_found_and_not_sent_again(
    fault: Fault, sandbox: Sandbox, execution: StepFunctions
) -> None:
    sandbox.opencast.faults = Faults(methods="POST", script=[fault])
    execution.run()
    assert starts(sandbox) == 1
    assert len(sandbox.opencast.engine.runs) == 1


def test_an_execution_stops_if_nothing_shows_whether_the_start_was_sent(
    sandbox: Sandbox, execution: StepFunctions
) -> None:
    sandbox.opencast.faults = Faults(methods="POST", script=[Fault.SERVER_ERROR])
    execution.context.seconds = 10
    with pytest.raises(step_functions.StartUnknown):
        execution.run()
    assert len(sandbox.opencast.engine.runs) == 0


def test_a_start_that_is_refused_is_not_tried_again(sandbox: Sandbox, execution: StepFunctions) -> None:
    execution.given["definition"] = "missing"
    with pytest.raises(Exception, match=re.escape("missing")):
        execution.run()
    assert starts(sandbox) == 1


def test_the_watch_of_9000_workflows_fits_into_the_payload_of_a_state(clock: ManualClock) -> None:
    spec = WatchSpec.of("https://oc.example.org", range(10**6, 10**6 + 9000))
    assert len(step_functions.packed(spec)) < MAX_PAYLOAD
