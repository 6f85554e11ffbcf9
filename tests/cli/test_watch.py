import json
from typing import Any

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.sandbox import Fault, Faults, Sandbox, Step

FAST_POLL = ("--every", 0.1)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def outcomes(text: str) -> dict[int, str]:
    return {line["id"]: line["outcome"] for line in lines(text) if "outcome" in line}


def test_every_change_is_a_line_and_every_result_a_line_with_the_record(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "fast")
    result = run("watch", id, "--json", *FAST_POLL, env=opencast_of(fakes))
    *changes, last = lines(result.stdout)
    assert changes[-1]["now"] == "succeeded"
    assert changes[0]["was"] is None
    assert [change["was"] for change in changes[1:]] == [change["now"] for change in changes[:-1]]
    assert (last["outcome"], last["workflow"]["phase"], last["error"]) == (
        "succeeded",
        "succeeded",
        None,
    )
    assert result.exit_code == 0


def test_a_failed_workflow_exits_with_1(run: Run, fakes: Sandbox) -> None:
    ids = [fakes.opencast.start(fakes.opencast.event(), definition) for definition in ("noop", "fails")]
    result = run("watch", *ids, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {ids[0]: "succeeded", ids[1]: "failed"}
    assert result.exit_code == 1


def test_an_unknown_id_exits_with_5_and_the_others_are_watched(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "noop")
    result = run("watch", 99, id, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {99: "unobserved", id: "succeeded"}
    assert result.exit_code == 5


def test_a_replaced_workflow_exits_with_3_and_the_others_are_watched(run: Run, fakes: Sandbox) -> None:
    fake = fakes.opencast
    fake.define("long", [Step(f"step-{n}", 5.0) for n in range(10)])
    ids = [fake.start(fake.event(), "long") for _ in range(2)]
    replaced, other = fake.engine.get(ids[0]), fake.event()
    assert replaced is not None

    def observe(_: object) -> None:
        if any(served.path.endswith(f"/{ids[0]}") for served in fake.requests):
            replaced.subject = other

    fake.engine.on_change = observe
    result = run("watch", *ids, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {ids[0]: "replaced", ids[1]: "succeeded"}
    assert "belongs to another workflow now" in result.stdout
    assert result.exit_code == 3


def test_an_invalid_id_exits_with_2_before_any_request(run: Run, fakes: Sandbox) -> None:
    result = run("watch", "x7", env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])


def test_results_are_a_table(run: Run, fakes: Sandbox) -> None:
    id = fakes.preservica.seed(1, contexts=["42"], age=1000)[0]
    result = run("watch", "-", *FAST_POLL, env=preservica_of(fakes), stdin=f"{id}\n99\n")
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["ID", "OUTCOME", "TOOK"]
    assert {tuple(row.split()[:2]) for row in rows} == {(str(id), "succeeded"), ("99", "unobserved")}


def test_the_table_names_the_failed_operation(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "fails")
    row = run("watch", id, *FAST_POLL, env=opencast_of(fakes)).stdout.splitlines()[-1]
    assert row.split()[:2] == [str(id), "failed"]
    assert row.endswith("in encode (attempt 1 of 1, host https://worker.example.org)")


def test_a_parked_workflow_can_end_the_watch(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    returned = run("watch", id, "--parked", "return", "--json", *FAST_POLL, env=opencast_of(fakes))
    raised = run("watch", id, "--parked", "raise", "--json", *FAST_POLL, env=opencast_of(fakes))
    assert (returned.exit_code, raised.exit_code) == (1, 1)
    assert outcomes(returned.stdout) == outcomes(raised.stdout) == {id: "parked"}
    assert "waits for a person" in lines(raised.stdout)[-1]["error"]


def test_a_timeout_ends_the_watch(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    result = run("watch", id, "--timeout", 0.5, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert (result.exit_code, outcomes(result.stdout)) == (3, {id: "timed out"})


def test_a_rejected_login_exits_with_4_and_names_the_user(run: Run, fakes: Sandbox) -> None:
    result = run("watch", 1000, "--json", env={**opencast_of(fakes), "OPENCAST_PASSWORD": "wrong"})
    assert result.exit_code == 4
    assert lines(result.stdout)[0]["error"].startswith("user name or password refused for admin")


def test_a_passing_server_error_does_not_end_the_watch(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "noop")
    fakes.opencast.faults = Faults(script=[Fault.SERVER_ERROR])
    assert run("watch", id, *FAST_POLL, env=opencast_of(fakes)).exit_code == 0


def test_a_filter_watches_matching_workflows_until_the_timeout(run: Run) -> None:
    with Sandbox("11", speed=10) as fakes:
        ids = [fakes.opencast.start(fakes.opencast.event(), "review") for _ in range(3)]
        other = fakes.opencast.start(fakes.opencast.event(), "publish")
        fakes.opencast.state.commit()
        where = ("--filter", "definition_id=review", "--parked", "return")
        result = run("watch", *where, "--timeout", 4, "--json", *FAST_POLL, env=opencast_of(fakes))
    assert outcomes(result.stdout) == dict.fromkeys(ids, "parked")
    assert other not in {line["id"] for line in lines(result.stdout)}


def test_a_filter_keeps_those_on_hold_in_the_table(run: Run) -> None:
    with Sandbox("11", speed=10) as fakes:
        ids = [fakes.opencast.start(fakes.opencast.event(), "review") for _ in range(9)]
        fakes.opencast.state.commit()
        result = run("watch", "--filter", "definition_id=review", "--timeout", 4, *FAST_POLL, env=opencast_of(fakes))
    rows = [row.split(maxsplit=3) for row in result.stdout.splitlines()[1:]]
    assert [row[:3] for row in rows] == [[str(id), "timed", "out"] for id in ids]
    assert all("still paused at the timeout" in row[3] for row in rows)
    assert result.exit_code == 3


def test_a_filter_watches_workflows_on_preservica(run: Run) -> None:
    with Sandbox(speed=2) as fakes:
        (id,) = fakes.preservica.seed(1, contexts=["42"])
        result = run("watch", "--filter", "context=42", "--timeout", 5, "--json", *FAST_POLL, env=preservica_of(fakes))
    assert outcomes(result.stdout) == {id: "succeeded"}
    assert result.exit_code == 0


@pytest.mark.parametrize("words", [("7", "--filter", "state=running"), (), ("--filter", "state"), ("--filter", "x=y")])
def test_a_watch_needs_either_ids_or_a_known_filter(run: Run, fakes: Sandbox, words: tuple[str, ...]) -> None:
    result = run("watch", *words, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
