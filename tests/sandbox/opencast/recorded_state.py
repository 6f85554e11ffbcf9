"""Sets up a sandbox as the real Opencast was when the exchanges were recorded."""

import re
from collections.abc import Callable, Iterable, Mapping

from tests.contract.recorded import RecordedExchange
from workflow_async.sandbox import ManualClock, OddRow, Sandbox, Step, StepResult
from workflow_async.sandbox.opencast.definitions import OPERATIONS, Definition, Operation
from workflow_async.sandbox.systems import FakeOpencast

QUICK = Step("op-quick", 0.05)
TWO_VALUES = {"a": "1", "b": "2"}
DEFINITIONS = (
    Definition(
        "fast",
        (Step("op-configured", 0.05), QUICK),
        "Fast Testing Workflow",
        "\n      A minimal workflow for tests.\n    ",
        ("archive", "schedule", "upload"),
        "<fieldset/>",
        "[]",
    ),
    Definition("publish", (Step("op-slow", 4.0), QUICK), "Publish", tags=("archive", "editor")),
    Definition("review", (Step("op-pause", 0.05, StepResult.HELD), QUICK), "Cut by hand", tags=("editor",)),
    Definition("fails", (Step("op-fail", 0.05, StepResult.FAILED), QUICK), "always fails"),
    Definition("handled", (Step("op-quick", 0.05, StepResult.FAILED, (Step("op-slow", 60.0),)),), "T"),
    Definition("noop", (QUICK,), "No operation"),
    Definition(
        "d", (Step("o", 0.05, StepResult.HELD),), 'quote " & <tag> / \\ ünï 漢 😀', "\n  line one\n  line two\t"
    ),
    Definition("", (Step("op-quick", 0.05, StepResult.FAILED, (Step("op-slow", 600.0),)),)),
    Definition("number", (), "1984", "true"),
    Definition("padded", (), "  padded  "),
)
CONFIGURED = {"op-configured": Operation("x", {"a": "b"})}
"""The first operation of the recorded definition."""
LARGEST = 2**63 - 1

Setup = Callable[[FakeOpencast, ManualClock, str], None]
"""A function that prepares the sandbox for an exchange. Its last parameter is the id of the event."""


def start(
    id: int,
    definition: str,
    configuration: Mapping[str, str] | None = None,
    *,
    seconds: float = 60.0,
    then: Iterable[str] = (),
    creator: str | None = None,
) -> Setup:
    """Start a workflow with this id and advance the clock, also after each method of the engine in `then`."""

    def set_up(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
        target = fake.state.events[event]
        target.properties |= dict(configuration or {})
        run = fake.state._start_workflow(target, fake.state.definitions[definition], creator, id=id)
        for action in ("", *then):
            if action:
                getattr(fake.engine, action)(run)
            clock.advance(seconds)
            fake.engine.advance()
        if fake.state.supports_listing:
            fake.state.commit()

    return set_up


def combined(*setups: Setup) -> Setup:
    def set_up(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
        for setup in setups:
            setup(fake, clock, event)

    return set_up


def unwritable(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    start(637210, "noop")(fake, clock, event)
    fake.faults = OddRow(637210)


def without_read_access(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    fake.state.events[event].readers = frozenset()
    start(179583625307, "publish")(fake, clock, event)


def titled(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    fake.state.events[event].title = "What is love!"
    start(29, "fast")(fake, clock, event)


def without_metadata(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    target = fake.state.events[event]
    target.created, target.creator, target.series, target.series_title = None, "", "", ""


def with_numbers(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    without_metadata(fake, clock, event)
    fake.state.events[event].title = "1984"
    start(637217, "number", {"a": "5"}, creator="20481234")(fake, clock, event)


def two_workflows(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    without_metadata(fake, clock, event)
    target = fake.state.events[event]
    for id, ago in ((637218, 0.0), (637219, 60.0)):
        fake.state._start_workflow(target, fake.state.definitions["padded"], None, clock() - ago, id)


PAUSED = start(12, "review", TWO_VALUES)
FAILED = start(21, "fails", TWO_VALUES)
FINISHED = start(18, "fast")
WAITING = start(179583625301, "publish", TWO_VALUES, seconds=0.0)
RUNNING = start(179583625303, "publish", TWO_VALUES, seconds=3.0)

SETUPS: Mapping[str, Setup] = {
    "GET workflows?limit=2": combined(start(1, "noop"), start(4, "noop")),
    "GET workflows?withoperations=true&withconfiguration=true&limit=1&filter=state:succeeded": start(1, "noop"),
    "GET paused all": PAUSED,
    "GET failed all": FAILED,
    "GET succeeded all": start(14, "fast", TWO_VALUES),
    "GET stopped all": start(25, "publish", TWO_VALUES, seconds=3.0, then=["stop"]),
    "GET failing all": start(179583625305, "handled", TWO_VALUES, seconds=5.0),
    "GET instantiated": WAITING,
    "GET instantiated all": WAITING,
    "GET running all": RUNNING,
    'PUT paused configuration {"x":"y"}': PAUSED,
    "PUT paused configuration {bad": PAUSED,
    "PUT paused -> running": PAUSED,
    "PUT instantiated -> running": WAITING,
    "PUT instantiated -> paused": WAITING,
    "PUT succeeded -> running": start(14, "fast"),
    "PUT succeeded -> stopped": FINISHED,
    "PUT running -> succeeded": RUNNING,
    "PUT running bogus": RUNNING,
    "PUT running -> same": RUNNING,
    "DELETE running": RUNNING,
    "DELETE succeeded after stop": start(18, "fast", then=["stop"]),
    "/workflow instance paused": start(12, "review", {"k": "v"}),
    "/workflow instances paused": PAUSED,
    "/workflow current succeeded": start(14, "fast"),
    "viewer GET foreign": without_read_access,
    "GET events?filter=status:EVENTS.EVENTS.STATUS.PROCESSING&limit=2": RUNNING,
    "500 of the container: a null creator": unwritable,
    "odd characters, largest id, no configuration of the operation": start(
        637211, "d", {"dotted.key": 'a "b" & <c>', "empty": ""}
    ),
    "largest id": start(LARGEST, ""),
    "/workflow: numbers and booleans instead of texts": with_numbers,
    "/workflow: two workflows of an event": two_workflows,
    "filter with wildcards": titled,
}
"""The setup of each exchange, by its name. All others need only an event and the definitions."""


def sandbox_for(exchange: RecordedExchange) -> FakeOpencast:
    """Return an Opencast in the state in which the exchange was recorded."""
    clock = ManualClock()
    fake = Sandbox("11" if exchange.release.startswith("11") else "16", clock).opencast
    fake.state.definitions.clear()
    fake.state.definitions.update({d.identifier: d for d in DEFINITIONS})
    OPERATIONS.update(CONFIGURED)
    event = fake.event(
        identifier=event_of(exchange),
        title="Event 23",
        creator="Ada",
        subject="",
        contributor="",
        duration=None,
        created=1_748_772_000.0,
        series="s1",
        series_title="Series",
    )
    if exchange.name in SETUPS:
        SETUPS[exchange.name](fake, clock, event)
    return fake


def event_of(exchange: RecordedExchange) -> str:
    """Return the id of the event that existed: the one in the request, or "other" if the request names none."""
    named = re.search(r"event_identifier=([^&]+)|mediaPackage/([^/]+)/", f"{exchange.path} {exchange.body or ''}")
    found = (named[1] or named[2]) if named else "nope"
    return found if found != "nope" else "other"
