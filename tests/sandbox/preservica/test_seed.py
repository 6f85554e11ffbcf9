"""Seeded workflows of Preservica."""

from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.engine import Status, Step, StepResult
from workflow_async.sandbox.preservica.app import PreservicaState


def test_seeded_workflows_have_every_state(server: PreservicaState) -> None:
    ids = server.seed(600)
    runs = list(server.engine.all())
    assert [run.id for run in runs] == ids
    assert {run.status for run in runs} == set(Status) - {Status.FAILING, Status.SKIPPED}
    assert 200 < sum(run.active for run in runs) < 400


def test_seeded_workflows_belong_to_the_contexts_named(server: PreservicaState) -> None:
    ids = server.seed(10, contexts=["42", "60"])
    assert sorted(server.engine.runs[id].subject for id in ids) == ["42"] * 5 + ["60"] * 5
    assert server.starts == []


def test_seeded_workflows_started_in_the_order_of_their_ids_at_different_instants(server: PreservicaState) -> None:
    ids = server.seed(10) + server.seed(10, age=0.0)
    for half in (ids[:10], ids[10:]):
        began = [server.engine.runs[id].created for id in half]
        assert began == sorted(set(began))
    assert server.seed(0) == []


def test_old_seeded_workflows_have_ended_or_are_parked(server: PreservicaState, clock: ManualClock) -> None:
    server.seed(60, age=3600)
    runs = list(server.engine.all())
    assert max(run.created for run in runs) <= clock() - 3600
    assert {run.status for run in runs if run.active} == {Status.PARKED}


def test_a_held_step_waits_until_it_is_resumed(server: PreservicaState, clock: ManualClock) -> None:
    context = server.context("Held", "org.example.held", "Access", [Step("Wait", 1.0, StepResult.HELD)])
    (id,) = server.seed(1, contexts=[context])
    clock.advance(1000)
    run = server.engine.get(id)
    assert run is not None
    assert run.status is Status.PARKED
