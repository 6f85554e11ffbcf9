"""Conditions given as text on the command line."""

import contextlib

import pytest
from hypothesis import given, strategies as st

from workflow_async.sandbox import (
    Boot,
    CannedResponse,
    Fault,
    Faults,
    IndexFault,
    OddRow,
    SecondResume,
    ServerClock,
    Trouble,
)
from workflow_async.sandbox.conditions import Condition
from workflow_async.sandbox.fault_text import read_condition


def read_faults(text: str) -> Faults:
    found = read_condition(text)
    assert isinstance(found, Faults)
    return found


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("rate-limited", Fault.RATE_LIMITED),
        ("cut-before", Fault.CUT_BEFORE),
        ("404", CannedResponse.empty(404)),
        ("404,body=jetty-json", CannedResponse.jetty_json(404)),
        ("503, body=jetty-html", CannedResponse.jetty_html(503)),
        ("404,text=404 page not found", CannedResponse.text(404, "404 page not found")),
        ("403,text={},type=application/json", CannedResponse.text(403, "{}", "application/json")),
        ("504,executed=yes", CannedResponse(504, executed=True)),
        ("redirect", CannedResponse.redirect("/login.html")),
        (
            "redirect,to=https://elsewhere.example.org/x,status=307",
            CannedResponse.redirect("https://elsewhere.example.org/x", 307),
        ),
    ],
)
def test_a_fault_is_named_by_its_kind_and_a_response_by_its_status(text: str, trouble: Trouble) -> None:
    assert read_faults(text) == Faults(rates={trouble: 1.0})


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_name(fault: Fault) -> None:
    assert read_faults(fault.value.replace(" ", "-")).rates == {fault: 1.0}


def test_options_set_the_rate_the_time_and_the_requests() -> None:
    found = read_faults("rate-limited,rate=0.25,from=10,until=160,method=get,retry-after=60,seed=7")
    rates = {Fault.RATE_LIMITED: 0.25}
    assert found == Faults(7, rates=rates, during=(10, 160), methods="GET", retry_after=60)
    assert read_faults("latency,seconds=2.5,method=POST") == Faults(latency=(2.5, 2.5), methods="POST")


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("/api/workflows", ["/api/workflows"]),
        ("/api/workflows*", ["/api/workflows", "/api/workflows/7"]),
        ("/api/workflows/*", ["/api/workflows/7"]),
        ("*", ["/api/workflows", "/api/workflows/7", "/api/events"]),
    ],
)
def test_a_path_is_one_path_unless_it_has_an_asterisk(path: str, covered: list[str]) -> None:
    found = read_faults(f"500,path={path}")
    paths = ["/api/workflows", "/api/workflows/7", "/api/events"]
    assert [path for path in paths if found.covers("GET", path)] == covered


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("boot", Boot(60)),
        ("boot,seconds=180", Boot(180)),
        ("index-down", IndexFault("down")),
        ("index-slow,delay=2", IndexFault("slow", delay=2)),
        ("index-empty,from=5,until=30", IndexFault("empty", (5, 30))),
        ("index-stale", IndexFault("stale")),
        ("odd-row,id=1000", OddRow(1000)),
        ("odd-row,id=e-1", OddRow("e-1")),
        ("second-resume,harm=refused", SecondResume("refused")),
        ("server-clock,ahead=-90,utc-offset=1", ServerClock(-90, 1)),
    ],
)
def test_a_condition_is_named_by_its_kind(text: str, condition: Condition) -> None:
    assert read_condition(text) == condition


def test_a_boot_can_be_of_one_path() -> None:
    found = read_condition("boot,path=/api/events")
    assert isinstance(found, Boot)
    (only,) = found.plans(lists=False)
    assert [only.covers("GET", path) for path in ("/api/events", "/api/version")] == [True, False]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not one of rate-limited, .*, a status, redirect, .*, server-clock"),
        ("nonsense", "'nonsense' is not one of"),
        ("199", "'199' is not one of"),
        ("boot,seconds=long", "seconds must be a number, not 'long'"),
        ("boot,60", "an option must be NAME=VALUE, not '60'"),
        ("boot,minutes=1", "boot has no option minutes"),
        ("404,body=page", "body must be one of empty, jetty-json, jetty-html, not 'page'"),
        ("500,rate=2", "rates must be probabilities"),
        ("index-down,from=9,until=1", "during must be"),
        ("second-resume,harm=none", "harm must be one of twice, lost, hangs, refused, not 'none'"),
        ("odd-row", "odd-row needs the option id"),
        ("server-clock,utc-offset=25", "utc_offset"),
    ],
)
def test_an_invalid_text_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_condition(text)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert read_condition(text) is not None
