"""The scene in which the exchanges with real Opencast code were recorded, set up in a sandbox."""

import re
from collections.abc import Callable, Iterable, Mapping

from tests.contract.recorded import Recorded
from workflow_async.sandbox import ManualClock, OddRow, Sandbox, Step, StepResult
from workflow_async.sandbox.opencast.definitions import OPERATIONS, Definition, Operation
from workflow_async.sandbox.systems import FakeOpencast

QUICK = Step("op-quick", 0.05)
TWO = {"a": "1", "b": "2"}
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
"""What the recorded definition says of its first operation."""
LARGEST = 2**63 - 1

Setting = Callable[[FakeOpencast, ManualClock, str], None]
"""Sets up what the exchange finds, on the event that it names or on another."""


def runs(
    id: int,
    definition: str,
    configuration: Mapping[str, str] | None = None,
    *,
    seconds: float = 60.0,
    then: Iterable[str] = (),
    creator: str | None = None,
) -> Setting:
    """Start a workflow under that id. Then pass the time, and do to it what `then` says, passing the time again."""

    def set_up(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
        there = fake.state.events[event]
        there.properties |= dict(configuration or {})
        run = fake.state._start_workflow(there, fake.state.definitions[definition], creator, id=id)
        for deed in ("", *then):
            if deed:
                getattr(fake.engine, deed)(run)
            clock.advance(seconds)
            fake.engine.advance()
        if fake.state.supports_listing:
            fake.state.commit()

    return set_up


def several(*settings: Setting) -> Setting:
    def set_up(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
        for setting in settings:
            setting(fake, clock, event)

    return set_up


def broken(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    runs(637210, "noop")(fake, clock, event)
    fake.faults = OddRow(637210)


def foreign(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    fake.state.events[event].readers = frozenset()
    runs(179583625307, "publish")(fake, clock, event)


def loved(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    fake.state.events[event].title = "What is love!"
    runs(29, "fast")(fake, clock, event)


def bare(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    there = fake.state.events[event]
    there.created, there.creator, there.series, there.series_title = None, "", "", ""


def numbered(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    bare(fake, clock, event)
    fake.state.events[event].title = "1984"
    runs(637217, "number", {"a": "5"}, creator="20481234")(fake, clock, event)


def two(fake: FakeOpencast, clock: ManualClock, event: str) -> None:
    bare(fake, clock, event)
    there = fake.state.events[event]
    for id, ago in ((637218, 0.0), (637219, 60.0)):
        fake.state._start_workflow(there, fake.state.definitions["padded"], None, clock() - ago, id)


PAUSED = runs(12, "review", TWO)
FAILED = runs(21, "fails", TWO)
FINISHED = runs(18, "fast")
WAITING = runs(179583625301, "publish", TWO, seconds=0.0)
RUNNING = runs(179583625303, "publish", TWO, seconds=3.0)

SETTINGS: Mapping[str, Setting] = {
    "GET workflows?limit=2": several(runs(1, "noop"), runs(4, "noop")),
    "GET workflows?withoperations=true&withconfiguration=true&limit=1&filter=state:succeeded": runs(1, "noop"),
    "GET paused all": PAUSED,
    "GET failed all": FAILED,
    "GET succeeded all": runs(14, "fast", TWO),
    "GET stopped all": runs(25, "publish", TWO, seconds=3.0, then=["stop"]),
    "GET failing all": runs(179583625305, "handled", TWO, seconds=5.0),
    "GET instantiated": WAITING,
    "GET instantiated all": WAITING,
    "GET running all": RUNNING,
    'PUT paused configuration {"x":"y"}': PAUSED,
    "PUT paused configuration {bad": PAUSED,
    "PUT paused -> running": PAUSED,
    "PUT instantiated -> running": WAITING,
    "PUT instantiated -> paused": WAITING,
    "PUT succeeded -> running": runs(14, "fast"),
    "PUT succeeded -> stopped": FINISHED,
    "PUT running -> succeeded": RUNNING,
    "PUT running bogus": RUNNING,
    "PUT running -> same": RUNNING,
    "DELETE running": RUNNING,
    "DELETE succeeded after stop": runs(18, "fast", then=["stop"]),
    "/workflow instance paused": runs(12, "review", {"k": "v"}),
    "/workflow instances paused": PAUSED,
    "/workflow current succeeded": runs(14, "fast"),
    "viewer GET foreign": foreign,
    "GET events?filter=status:EVENTS.EVENTS.STATUS.PROCESSING&limit=2": RUNNING,
    "500 of the container: a null creator": broken,
    "odd characters, largest id, no configuration of the operation": runs(
        637211, "d", {"dotted.key": 'a "b" & <c>', "empty": ""}
    ),
    "largest id": runs(LARGEST, ""),
    "/workflow: numbers and booleans instead of texts": numbered,
    "/workflow: two workflows of an event": two,
    "filter with wildcards": loved,
}
"""What is there before an exchange, by its name. Nothing but an event and the definitions if it is not named here."""


def scene(exchange: Recorded) -> FakeOpencast:
    """Return a sandbox as it was when the exchange was recorded."""
    clock = ManualClock()
    fake = Sandbox("11" if exchange.release.startswith("11") else "16", clock).opencast
    fake.state.definitions.clear()
    fake.state.definitions.update({d.identifier: d for d in DEFINITIONS})
    OPERATIONS.update(CONFIGURED)
    event = fake.event(
        identifier=event_named(exchange),
        title="Event 23",
        creator="Ada",
        subject="",
        contributor="",
        duration=None,
        created=1_748_772_000.0,
        series="s1",
        series_title="Series",
    )
    if exchange.name in SETTINGS:
        SETTINGS[exchange.name](fake, clock, event)
    return fake


def event_named(exchange: Recorded) -> str:
    """Return the event that a request names, if it is one that was there."""
    named = re.search(r"event_identifier=([^&]+)|mediaPackage/([^/]+)/", f"{exchange.path} {exchange.body or ''}")
    found = (named[1] or named[2]) if named else "nope"
    return found if found != "nope" else "other"
