"""The durations by operation on the page of `report --html`."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.cli.test_batching import FAST_POLL, write_csv, write_starts
from tests.support.batch_history import NOON, ticket
from workflow_async.batch import OperationDuration, StartStatus, StatusKind
from workflow_async.cli.html.stacks import MAX_COLOURS, stacked_durations, stacks_of
from workflow_async.sandbox import Sandbox


def status(
    took: float | None,
    *operations: tuple[str, float],
    word: str = "succeeded",
    definition: str = "fast",
    known: bool = True,
) -> StartStatus:
    return StartStatus(
        key="a",
        kind=StatusKind.ENDED,
        word=word,
        ticket=ticket("e", definition, "a"),
        server_start=NOON,
        server_end=None if took is None else NOON + timedelta(seconds=took),
        operations=tuple(OperationDuration(*each) for each in operations) if known else None,
    )


def layers(statuses: Sequence[StartStatus]) -> list[tuple[str, float]]:
    (stack,) = stacks_of(statuses)
    return [(layer.name, round(layer.seconds, 3)) for layer in stack.layers]


def test_a_stack_is_the_mean_of_each_operation_in_the_order_of_execution() -> None:
    statuses = [status(10, ("inspect", 1), ("encode", 6)), status(20, ("inspect", 3), ("encode", 10), ("publish", 2))]
    assert layers(statuses) == [("inspect", 2), ("encode", 8), ("publish", 1), ("between operations", 4)]


def test_the_parts_add_up_to_the_mean_duration() -> None:
    (stack,) = stacks_of([status(10, ("a", 1.5), ("b", 2)), status(7, ("a", 7))])
    assert sum(layer.seconds for layer in stack.layers) == pytest.approx(stack.seconds) == pytest.approx(8.5)


def test_operations_with_one_name_are_one_part() -> None:
    assert layers([status(6, ("tag", 1), ("encode", 2), ("tag", 3))]) == [("tag", 4), ("encode", 2)]


def test_only_workflows_that_succeeded_with_a_known_duration_count() -> None:
    statuses = [status(4, ("a", 4)), status(1, ("a", 1), word="failed"), status(None, ("a", 9))]
    (stack,) = stacks_of(statuses)
    assert (stack.workflows, stack.seconds) == (1, 4)
    assert stacks_of(statuses[1:]) == []
    assert stacked_durations(statuses[1:]) == ""


def test_the_longest_definition_is_first_and_an_operation_has_one_colour() -> None:
    statuses = [status(2, ("a", 1), ("b", 1)), status(9, ("b", 9), definition="slow")]
    slow, fast = stacks_of(statuses)
    assert (slow.definition, fast.definition) == ("slow", "fast")
    assert [(layer.name, layer.colour) for layer in (*slow.layers, *fast.layers)] == [
        ("b", "1"),
        ("a", "2"),
        ("b", "1"),
    ]


def test_operations_without_a_colour_are_one_part() -> None:
    names = [(f"o{n}", 10.0 - n) for n in range(MAX_COLOURS + 2)]
    assert layers([status(sum(seconds for _, seconds in names), *names)])[-1] == ("2 other operations", 3)
    assert layers([status(52, *names[:-1])])[-1] == (f"o{MAX_COLOURS}", 2)


def test_a_workflow_without_known_operations_is_one_part() -> None:
    statuses = [status(4, known=False), status(6, known=False)]
    assert layers(statuses) == [("whole workflow", 5)]
    assert "The server does not say how long each step took." in stacked_durations(statuses)
    assert layers([status(4)]) == [("between operations", 4)]


def test_a_workflow_that_took_no_time_has_no_parts() -> None:
    assert layers([status(0, ("a", 0))]) == []
    assert "0.0 s, 1 workflow" in stacked_durations([status(0, ("a", 0))])


def test_the_report_of_an_opencast_names_its_operations(run: Run, fakes: Sandbox) -> None:
    run("run", write_starts(fakes, "fast"), "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    run("report", "b.sqlite", "--html", "batch.html")
    page = Path("batch.html").read_text(encoding="utf-8")
    assert 'aria-label="fast: ' in page
    assert "prepare-av <b>3.0 s</b>" in page


def test_the_report_of_a_preservica_says_that_steps_are_unknown(run: Run, fakes: Sandbox) -> None:
    file = write_csv(("context",), ("Ingest Packages",))
    run("run", file, "--journal", "b.sqlite", *FAST_POLL, env=preservica_of(fakes))
    run("report", "b.sqlite", "--html", "batch.html")
    page = Path("batch.html").read_text(encoding="utf-8")
    assert "The server does not say how long each step took." in page
    assert "whole workflow <b>" in page
