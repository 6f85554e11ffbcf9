"""A start as a value."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from tests.unit.batch.conftest import posts
from workflow_async import Clock, OpencastClient
from workflow_async.batch import Ticket
from workflow_async.batch.start_records import OpencastStart, PreservicaStart
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import Start
from workflow_async.preservica import Context, PreservicaClient
from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

TICKET = Ticket(
    server="https://oc.example.org",
    arguments=OpencastStart(event_id="e", definition_id="fast", configuration={"publishLive": True}),
    correlation_id="mark",
    prepared_at=datetime(2026, 3, 1, 12, 30, 0, 250, UTC),
    key="row 1",
    baseline=7,
)


def changed(**members: Any) -> str:
    return json.dumps({**json.loads(TICKET.to_json()), **members})


def without(member: str) -> str:
    tree = json.loads(TICKET.to_json())
    del tree[member]
    return json.dumps(tree)


def test_a_ticket_keeps_the_lag_of_its_baseline() -> None:
    late = evolve(TICKET, baseline_lag=12.0)
    assert Ticket.from_json(late.to_json()) == late
    assert Ticket.from_json(without("baseline_lag")) == TICKET
    assert Ticket.from_json(without("baseline")) == evolve(TICKET, baseline=None)


async def test_preparing_sends_nothing_and_keeps_everything_that_will_be_sent(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    ticket = oc.workflows.prepare_start("e", "fast", configuration={"publishLive": True, "n": 3})
    assert fake.requests == []
    assert (ticket.system, ticket.server, ticket.baseline) == ("opencast", fake.url, None)
    configuration = {"publishLive": "true", "n": "3"}
    assert ticket.arguments == OpencastStart(event_id="e", definition_id="fast", configuration=configuration)
    assert ticket.prepared_at == datetime.fromtimestamp(time(), UTC)
    assert ticket.subject == "e fast"


async def test_a_preservica_ticket_keeps_its_correlation_id(pv: PreservicaClient, archive: FakePreservica) -> None:
    ticket = pv.workflows.prepare_start(Context(id="42", name="Ingest"), {"n": 1}, correlation_id="my mark")
    assert archive.requests == []
    assert ticket.arguments == PreservicaStart(context_id="42", context_name="Ingest", parameters={"n": "1"})
    assert ticket.correlation_id == "my mark"


async def test_values_that_cannot_be_sent_make_no_ticket(oc: OpencastClient, pv: PreservicaClient) -> None:
    unfit: Any = {"n": None}
    with pytest.raises(InvalidArgument, match="event_id"):
        oc.workflows.prepare_start("", "fast")
    with pytest.raises(InvalidArgument, match="configuration"):
        oc.workflows.prepare_start("e", "fast", configuration=unfit)
    with pytest.raises(InvalidArgument, match="parameters"):
        pv.workflows.prepare_start(42, unfit)
    with pytest.raises(InvalidArgument, match="key"):
        oc.workflows.prepare_start("e", "fast", key=" ")


async def test_the_key_is_the_same_for_the_same_start_and_differs_for_another(oc: OpencastClient) -> None:
    prepare = oc.workflows.prepare_start
    same = {prepare("e", "fast", configuration={"a": "1", "b": True}).key for _ in range(3)}
    same.add(prepare("e", "fast", configuration={"b": "true", "a": 1}).key)
    others = {prepare("f", "fast").key, prepare("e", "slow").key, prepare("e", "fast").key}
    assert (len(same), len(others), len(same | others)) == (1, 3, 4)
    assert prepare("e", "fast", key="row 7").key == "row 7"


async def test_every_ticket_has_its_own_correlation_id(oc: OpencastClient) -> None:
    assert len({oc.workflows.prepare_start("e", "fast").correlation_id for _ in range(3)}) == 3


def test_a_ticket_is_equal_after_its_way_through_json() -> None:
    assert Ticket.from_json(TICKET.to_json()) == TICKET
    bare = evolve(
        TICKET, baseline=None, arguments=PreservicaStart(context_id=None, context_name="Ingest", parameters=None)
    )
    assert Ticket.from_json(bare.to_json()) == bare


def test_a_ticket_is_read_without_importing_either_system() -> None:
    archive = evolve(TICKET, arguments=PreservicaStart(context_id="42", context_name=None, parameters={"n": "1"}))
    script = """
import sys
from workflow_async.batch import Ticket
print([Ticket.from_json(text).subject for text in sys.argv[1:]])
print([name for name in sys.modules if name.startswith(("workflow_async.opencast", "workflow_async.preservica"))])
"""
    texts = [TICKET.to_json(), archive.to_json()]
    done = subprocess.run([sys.executable, "-c", script, *texts], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['e fast', '42']", "[]"]


def test_a_ticket_is_frozen_and_shows_no_argument_in_its_repr() -> None:
    with pytest.raises(FrozenInstanceError):
        TICKET.key = "other"  # type: ignore[misc]  # that it cannot is what is shown
    assert "publishLive" not in repr(TICKET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "<html>",
        changed(version=2),
        changed(version=None),
        changed(prepared_at="yesterday"),
        changed(prepared_at="2026-03-01T12:30:00"),
        changed(prepared_at=0),
        changed(arguments=[]),
        changed(arguments={}),
        changed(arguments={"event_id": "e", "definition_id": "fast"}),
        changed(arguments={"event_id": "e", "definition_id": "fast", "configuration": None, "surprise": 1}),
        changed(arguments={"event_id": " ", "definition_id": "fast", "configuration": None}),
        changed(arguments={"event_id": "e", "definition_id": 7, "configuration": None}),
        changed(arguments={"event_id": "e", "definition_id": "fast", "configuration": {"n": None}}),
        changed(system="preservica"),
        changed(system="kitodo"),
        without("system"),
        changed(key=None),
        changed(key=""),
        changed(baseline="7"),
        changed(baseline=True),
        changed(baseline_lag="12"),
        changed(baseline_lag=True),
        changed(baseline_lag=None),
        without("key"),
        changed(surprise=1),
        TICKET.to_json()[:-1],
    ],
)
def test_a_text_that_is_not_a_ticket_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="ticket|key"):
        Ticket.from_json(text)


async def test_a_ticket_that_was_read_from_json_is_sent_unchanged(
    oc: OpencastClient, pv: PreservicaClient, fake: FakeOpencast, archive: FakePreservica
) -> None:
    event = fake.event()
    ticket = oc.workflows.prepare_start(event, "quick", configuration={"n": 1})
    workflow = await oc.workflows.start(Ticket.from_json(ticket.to_json()))
    assert (workflow.event_id, workflow.definition_id) == (event, "quick")
    mark = pv.workflows.prepare_start(42, {"n": 1}, correlation_id="my mark")
    started = await pv.workflows.start(Ticket.from_json(mark.to_json()))
    assert archive.starts == [started.correlation_id] == ["my mark"]


async def test_a_ticket_of_another_server_or_system_is_refused_before_anything_is_sent(
    oc: OpencastClient, pv: PreservicaClient, fake: FakeOpencast, clock: Clock
) -> None:
    nothing: Any = Start("e", "fast")
    for ticket in (TICKET, pv.workflows.prepare_start(42), nothing):
        with pytest.raises(InvalidArgument, match="ticket|event_id"):
            await oc.workflows.start(ticket)
        with pytest.raises(InvalidArgument, match="ticket"):
            await oc.workflows.reconcile(ticket)
    for ticket in (TICKET, nothing):
        with pytest.raises(InvalidArgument, match="ticket|context"):
            await pv.workflows.start(ticket)
    with pytest.raises(InvalidArgument, match="ticket"):
        await oc.workflows.start(oc.workflows.prepare_start("e", "fast"), configuration={})  # type: ignore[call-overload]
    with pytest.raises(InvalidArgument, match="ticket"):
        await pv.workflows.start(pv.workflows.prepare_start(42), {})
    assert posts(fake) == 0
