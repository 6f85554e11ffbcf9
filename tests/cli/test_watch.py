import json
from typing import Any

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from workflow_async.sandbox import Fault, Faults, Sandbox, Step

OFTEN = ("--every", 0.1)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def outcomes(text: str) -> dict[int, str]:
    return {line["id"]: line["outcome"] for line in lines(text) if "outcome" in line}


def test_every_change_is_a_line_and_every_ending_one_with_the_record(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "fast")
    result = run("watch", id, "--json", *OFTEN, env=opencast_of(fakes))
    *changes, ending = lines(result.stdout)
    assert changes[-1]["now"] == "succeeded"
    assert changes[0]["was"] is None
    assert [change["was"] for change in changes[1:]] == [change["now"] for change in changes[:-1]]
    assert (ending["outcome"], ending["workflow"]["phase"], ending["error"]) == ("succeeded", "succeeded", None)
    assert result.exit_code == 0


def test_one_that_fails_is_1(run: Run, fakes: Sandbox) -> None:
    ids = [fakes.opencast.start(fakes.opencast.event(), definition) for definition in ("noop", "fails")]
    result = run("watch", *ids, "--json", *OFTEN, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {ids[0]: "succeeded", ids[1]: "failed"}
    assert result.exit_code == 1


def test_one_that_is_not_there_is_3_and_spoils_no_other(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "noop")
    result = run("watch", 99, id, "--json", *OFTEN, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {99: "unobserved", id: "succeeded"}
    assert result.exit_code == 3


def test_one_that_becomes_another_workflow_is_3_and_spoils_no_other(run: Run, fakes: Sandbox) -> None:
    fake = fakes.opencast
    fake.define("long", [Step(f"step-{n}", 5.0) for n in range(10)])
    ids = [fake.start(fake.event(), "long") for _ in range(2)]
    replaced, other = fake.engine.get(ids[0]), fake.event()
    assert replaced is not None

    def observe(_: object) -> None:
        if any(served.path.endswith(f"/{ids[0]}") for served in fake.requests):
            replaced.subject = other

    fake.engine.on_change = observe
    result = run("watch", *ids, "--json", *OFTEN, env=opencast_of(fakes))
    assert outcomes(result.stdout) == {ids[0]: "replaced", ids[1]: "succeeded"}
    assert "belongs to another workflow now" in result.stdout
    assert result.exit_code == 3


def test_what_is_no_id_is_2_before_anything_is_asked(run: Run, fakes: Sandbox) -> None:
    result = run("watch", "x7", env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])


def test_people_get_a_table_of_endings(run: Run, fakes: Sandbox) -> None:
    id = fakes.preservica.seed(1, contexts=["42"], age=1000)[0]
    result = run("watch", "-", *OFTEN, env=preservica_of(fakes), stdin=f"{id}\n99\n")
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["ID", "OUTCOME", "TOOK"]
    assert {tuple(row.split()[:2]) for row in rows} == {(str(id), "succeeded"), ("99", "unobserved")}


def test_people_are_told_in_which_operation_a_workflow_failed(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "fails")
    row = run("watch", id, *OFTEN, env=opencast_of(fakes)).stdout.splitlines()[-1]
    assert row.split()[:2] == [str(id), "failed"]
    assert row.endswith("in encode (attempt 1 of 1, host https://worker.example.org)")


def test_one_that_needs_a_person_can_be_left(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    returned = run("watch", id, "--parked", "return", "--json", *OFTEN, env=opencast_of(fakes))
    raised = run("watch", id, "--parked", "raise", "--json", *OFTEN, env=opencast_of(fakes))
    assert (returned.exit_code, raised.exit_code) == (1, 1)
    assert outcomes(returned.stdout) == outcomes(raised.stdout) == {id: "parked"}
    assert "waits for a person" in lines(raised.stdout)[-1]["error"]


def test_a_deadline_ends_the_watch(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "review")
    result = run("watch", id, "--timeout", 0.5, "--json", *OFTEN, env=opencast_of(fakes))
    assert (result.exit_code, outcomes(result.stdout)) == (1, {id: "timed out"})


def test_a_login_that_is_refused_is_3(run: Run, fakes: Sandbox) -> None:
    result = run("watch", 1000, "--json", env={**opencast_of(fakes), "OPENCAST_PASSWORD": "wrong"})
    assert result.exit_code == 3
    assert "401 Unauthorized" in lines(result.stdout)[0]["error"]


def test_a_server_that_stumbles_is_endured(run: Run, fakes: Sandbox) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "noop")
    fakes.opencast.faults = Faults(script=[Fault.SERVER_ERROR])
    assert run("watch", id, *OFTEN, env=opencast_of(fakes)).exit_code == 0


def test_a_filter_watches_whatever_passes_until_the_deadline(run: Run) -> None:
    with Sandbox("11", speed=10) as fakes:
        ids = [fakes.opencast.start(fakes.opencast.event(), "review") for _ in range(3)]
        other = fakes.opencast.start(fakes.opencast.event(), "publish")
        fakes.opencast.state.commit()
        where = ("--filter", "definition_id=review", "--parked", "return")
        result = run("watch", *where, "--timeout", 4, "--json", *OFTEN, env=opencast_of(fakes))
    assert outcomes(result.stdout) == dict.fromkeys(ids, "parked")
    assert other not in {line["id"] for line in lines(result.stdout)}


@pytest.mark.parametrize("words", [("7", "--filter", "state=running"), (), ("--filter", "state"), ("--filter", "x=y")])
def test_a_watch_is_of_ids_or_of_a_filter_that_there_is(run: Run, fakes: Sandbox, words: tuple[str, ...]) -> None:
    result = run("watch", *words, env=opencast_of(fakes))
    assert (result.exit_code, fakes.opencast.requests) == (2, [])
