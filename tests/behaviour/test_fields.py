"""Rows 39, 40 and 42: states, fields and dates that differ from the contract."""

import json
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.stub_clients import SYSTEMS, MockServer, document, row, running_clock
from workflow_async import Phase, Poll
from workflow_async._core.call import Reply
from workflow_async._decode.values import parse_any_datetime, parse_datetime
from workflow_async.errors import DecodeError
from workflow_async.monitor import Change
from workflow_async.opencast import calls as opencast
from workflow_async.preservica import calls as preservica

SAMPLES = Path(__file__).parent.parent / "samples"
WORKFLOW: dict[str, Any] = json.loads((SAMPLES / "opencast/workflow-16.json").read_bytes())
OPERATION: dict[str, Any] = WORKFLOW["operations"][0]
FAST_POLL = Poll(interval=2, backoff=1, ceiling=2, jitter=0)


def read(system: str, tree: Mapping[str, Any]) -> Any:
    """Read a tree as the body of a response about workflow 1603."""
    call: Any = opencast.get_workflow(1603) if system == "opencast" else preservica.get_workflow(1603)
    return call.read(Reply(200, {}, document(system, tree)))


def faults(system: str, tree: Mapping[str, Any]) -> str:
    """Return the faults of the decode error for such a tree. Return "" if it is read."""
    try:
        assert read(system, tree).id == 1603
    except DecodeError as error:
        return "; ".join(fault if " @ $" in fault else f"{fault}: NO PATH" for fault in error.faults)
    return ""


# Row 39: states


def watch_states(system: str, states: list[Any], **options: Any) -> list[Change[Any]]:
    """Return the changes of a workflow that is in each of these states for ten seconds."""

    async def main() -> list[Change[Any]]:
        clock = running_clock()

        def answer(_: httpx.Request) -> httpx.Response:
            state = states[min(int(clock.now() // 10), len(states) - 1)]
            operations = [{"operation": "encode", "state": f"{state} too"}]
            extra = {"operations": operations} if system == "opencast" else {}
            return httpx.Response(200, content=document(system, row(system, 7, state, **extra)))

        async with (
            MockServer(system, answer).client(clock) as client,
            client.workflows.watch([7], poll=FAST_POLL, **options) as changes,
        ):
            return [change async for change in changes]

    return virtual.run(main())


@pytest.mark.row(39)
@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unknown_state_is_reported_with_its_text_and_ends_no_watch(system: str, see: See) -> None:
    events = watch_states(system, ["running", "Quantum", "running", "SUPERPOSED", "succeeded"])
    assert [change.now for change in events] == [
        Phase.RUNNING, Phase.UNKNOWN, Phase.RUNNING, Phase.UNKNOWN, Phase.SUCCEEDED
    ]  # fmt: skip
    assert [events[n].workflow.state_text for n in (1, 3)] == ["Quantum", "SUPERPOSED"]
    see("UNKNOWN with its text reported, watched to the end")


@pytest.mark.row(39)
def test_an_unknown_state_of_an_operation_is_reported_with_its_text() -> None:
    events = watch_states("opencast", ["running", "warped", "succeeded"], operations=True)
    assert [change.now for event in events for change in event.operations] == [
        "running too",
        "warped too",
        "succeeded too",
    ]


@pytest.mark.row(39)
@pytest.mark.parametrize(
    ("system", "word", "phase"),
    [
        ("opencast", "SUCCEEDED", Phase.SUCCEEDED),
        ("opencast", "Paused", Phase.PARKED),
        ("preservica", "Finished mixed outcome", Phase.PARTIAL),
        ("preservica", "completed", Phase.SUCCEEDED),
    ],
)
def test_the_case_of_a_state_does_not_matter(system: str, word: str, phase: Phase) -> None:
    assert read(system, row(system, 1603, word)).phase is phase


@pytest.mark.row(39)
def test_no_state_at_all_is_unknown_in_json_and_a_decode_error_in_xml(see: See) -> None:
    assert read("opencast", row("opencast", 1603) | {"state": None}).phase is Phase.UNKNOWN
    assert "@ $.State" in faults("preservica", row("preservica", 1603) | {"State": ""})
    see("null: UNKNOWN (Opencast); blank: DecodeError @ $.State (Preservica)")


@pytest.mark.row(39)
@pytest.mark.parametrize("system", SYSTEMS)
@given(word=st.text("abcdefghijklmnopqrstuvwxyzäöüİ_- ", min_size=1).filter(str.strip))
def test_any_text_is_a_state_and_only_known_states_are_final(system: str, word: str) -> None:
    found = read(system, row(system, 1603) | {"state" if system == "opencast" else "State": word})
    assert found.state_text.strip() == word.strip()
    assert found.phase is Phase.UNKNOWN or found.state is not None
    assert not found.phase.final or "_".join(word.split()).upper() in type(found.state).__members__


# Row 40: fields

REQUIRED = {"identifier", "state", "event_identifier"}


@pytest.mark.row(40)
def test_a_missing_field_is_named_or_has_its_empty_value(see: See) -> None:
    for key in WORKFLOW:
        faults_text = faults("opencast", {name: value for name, value in WORKFLOW.items() if name != key})
        assert ("required field missing @ $." in faults_text) == (key in REQUIRED), key
    for key in OPERATION:
        broken = {name: value for name, value in OPERATION.items() if name != key}
        found = read("opencast", WORKFLOW | {"operations": [OPERATION, broken]})
        assert (found.operations is None) == (key in {"operation", "state"}), key
        assert ("operations" in found.extra) == (key in {"operation", "state"}), key
    for key in ("Id", "State"):
        assert "required field missing @ $." in faults("preservica", {"Id": 1603, "State": "ACTIVE"} | {key: {"a": 1}})
    see(f"{len(WORKFLOW) + len(OPERATION)} fields left out one by one: named with the path, or empty")


NAMES = st.text("abcdef", min_size=1, max_size=5).map(lambda name: f"New{name}")


@pytest.mark.row(40)
@pytest.mark.parametrize("system", SYSTEMS)
@given(more=st.dictionaries(NAMES, st.text("xyz", max_size=3), max_size=4))
def test_unknown_fields_are_kept(system: str, more: dict[str, str]) -> None:
    assert dict(read(system, row(system, 1603, **more)).extra) == more


# Row 42: dates

DATES = {
    "": None,
    "2018-08-08T08:46:57Z": "2018-08-08T08:46:57+00:00",
    "2018-08-08T08:46:57.2Z": "2018-08-08T08:46:57.200000+00:00",
    "2018-08-08T08:46:57.123456789Z": "2018-08-08T08:46:57.123456+00:00",
    "2018-08-08T10:46:57.5+02:00": "2018-08-08T08:46:57.500000+00:00",
    "2018-08-08T08:46:57+0000": "2018-08-08T08:46:57+00:00",
    "9999-12-31T23:59:59Z": "9999-12-31T23:59:59+00:00",
    "1970-01-01T00:00:00.000Z": "1970-01-01T00:00:00+00:00",
}
INVALID_DATES = [
    "today",
    "2018-08-08",
    "2018-08-08T08:46:57",
    "2018-02-30T00:00:00Z",
    "9999-12-31T23:59:59-10:00",
    "1533717",
]


def with_date(system: str, text: str) -> dict[str, Any]:
    if system == "preservica":
        return row(system, 1603, Started=text)
    return row(system, 1603, operations=[{"operation": "a", "state": "running", "start": text}])


@pytest.mark.row(42)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_date_is_read_in_utc_or_is_none_and_kept_unchanged(system: str, see: See) -> None:
    for text, expected in {**DATES, **dict.fromkeys(INVALID_DATES)}.items():
        found = read(system, with_date(system, text))
        dates = found if system == "preservica" else found.operations[0]
        at = found.started if system == "preservica" else found.operations[0].start
        assert (at and at.isoformat()) == expected
        assert at is None or at.tzinfo is UTC
        assert list(dates.extra.values()) == [text] * (text in INVALID_DATES)
    see(f"{len(DATES)} forms as aware UTC or None; {len(INVALID_DATES)} invalid ones: None, and the text in extra")


@pytest.mark.row(42)
@given(st.datetimes(), st.text("0123456789", max_size=9), st.sampled_from(["Z", "+00:00", "-1130", "+14:00"]))
def test_any_date_with_a_zone_is_aware_utc_or_out_of_range(at: Any, digits: str, zone: str) -> None:
    text = at.replace(microsecond=0).isoformat() + (f".{digits}" if digits else "") + zone
    try:
        found = {parse_datetime(text).utcoffset(), parse_any_datetime(text).utcoffset()}
    except ValueError:
        found = {UTC.utcoffset(None)} if at.year in {1, 9999} else set()
    assert found == {UTC.utcoffset(None)}
