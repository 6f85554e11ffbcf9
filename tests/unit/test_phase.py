"""The phases that both systems share."""

from workflow_async import Phase


def test_a_workflow_has_ended_in_four_phases_and_in_no_other() -> None:
    assert {phase for phase in Phase if phase.final} == {Phase.SUCCEEDED, Phase.PARTIAL, Phase.FAILED, Phase.STOPPED}
