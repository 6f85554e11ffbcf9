"""Learned durations leave a process as a text and come into another one."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later
from workflow_async import OpencastClient, Phase, PreservicaClient
from workflow_async.errors import InvalidArgument
from workflow_async.monitor._engine.duration_text import durations_text, read_durations
from workflow_async.monitor._engine.durations import MAX_KINDS, MAX_SAMPLES, DurationStats
from workflow_async.monitor.service import MonitoringMixin
from workflow_async.monitor.waits import WaitOptions, wait_all
from workflow_async.monitor.watch import watching

LEARNED = {"fast": [10.0, 11.5, 12.25], "fast/encode": [3.0]}
TEXT = durations_text("opencast", LEARNED)
whole_milliseconds = st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
learned = st.dictionaries(st.text(), st.lists(whole_milliseconds, min_size=1, max_size=MAX_SAMPLES), max_size=20)


def stats(samples: dict[str, list[float]]) -> DurationStats:
    found = DurationStats()
    found.add_earlier(samples)
    return found


@given(learned)
def test_what_was_written_is_read_again(samples: dict[str, list[float]]) -> None:
    assert read_durations("opencast", durations_text("opencast", samples)) == samples
    assert stats(samples).samples == samples


def test_usual_durations_are_known_from_three_samples_on() -> None:
    assert stats(LEARNED).usual("fast") == 11.5
    assert stats(LEARNED).usual("fast/encode") is None


def test_earlier_durations_are_forgotten_before_those_of_this_process() -> None:
    found = DurationStats()
    found.learn(("fast", 100.0) for _ in range(20))
    found.add_earlier({"fast": [1.0] * MAX_SAMPLES, "new": [2.0]})
    assert found.samples == {"fast": [1.0] * 12 + [100.0] * 20, "new": [2.0]}
    assert found.usual("fast") == 100.0


def test_kinds_of_this_process_stay_if_there_are_too_many() -> None:
    found = DurationStats()
    found.learn([("mine", 1.0)])
    found.add_earlier({str(number): [2.0] * 3 for number in range(MAX_KINDS)})
    assert len(found.samples) == MAX_KINDS
    assert "mine" in found.samples
    assert (found.usual("0"), found.usual("1")) == (None, 2.0)


def changed(**members: Any) -> str:
    return json.dumps({**json.loads(TEXT), **members})


def with_durations(durations: object) -> str:
    return changed(durations=durations)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "{}", "\ud800", '{"version":1}', '{"version":true}', changed(more=1)),
        *(7, None, b"{}"),
        *map(with_durations, [None, [], {"a": None}, {"a": []}, {"a": 3}]),
        *(with_durations({"a": [each]}) for each in (-1, -0.5, True, None, "3", 10**400)),
        changed(durations={"a": [1.0] * (MAX_SAMPLES + 1)}),
        changed(durations={str(number): [1.0] for number in range(MAX_KINDS + 1)}),
    ],
)
def test_a_text_that_is_no_export_is_refused(text: Any) -> None:
    with pytest.raises(InvalidArgument, match="^text: must be a text that `export_durations` has returned$"):
        read_durations("opencast", text)


def test_a_text_of_another_version_or_system_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="^text: must have version 1: another version of the library"):
        read_durations("opencast", changed(version=2))
    with pytest.raises(InvalidArgument, match="^text: must be of preservica, not of 'opencast'$"):
        read_durations("preservica", TEXT)


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_but_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read_durations("opencast", text)


def test_a_new_client_knows_the_end_from_the_durations_of_another() -> None:
    async def main() -> None:
        server = Server(workflows=running(*range(4)))
        first = new_poller(server)
        for id in range(3):
            later(60.0, partial(server.set_phase, Phase.SUCCEEDED, id))
        await wait_all(first, range(3), WaitOptions[Any](poll=STEADY))
        second = new_poller(server)
        MonitoringMixin(second).import_durations(MonitoringMixin(first).export_durations())
        assert second.durations.samples == first.durations.samples
        watch = watching(second, [3], None, poll=STEADY, operations=False, stalled_after=None)
        async with watch as changes:
            await anext(changes)
            assert changes.eta(3) is not None

    virtual.run(main())


def test_the_clients_of_both_systems_export_and_import() -> None:
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    oc.workflows.import_durations(TEXT)
    assert oc.workflows.export_durations() == TEXT
    assert json.loads(pv.workflows.export_durations()) == {"version": 1, "system": "preservica", "durations": {}}
    with pytest.raises(InvalidArgument, match="^text: must be of preservica"):
        pv.workflows.import_durations(TEXT)
