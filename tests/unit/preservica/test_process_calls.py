"""The requests to the process services and reading their responses, without event loop and socket."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from workflow_async._core.call import Call, Page, Replay, Reply, UnreadableRow
from workflow_async.errors import DecodeError, InvalidArgument, ListingInconsistent, ResponseMismatch
from workflow_async.preservica import Message, Monitor, Process, process_calls

T = TypeVar("T")
Sample = Callable[[str], bytes]

RUNNING = (("status", "Running"),)


def read(call: Call[T], body: bytes | dict[str, Any]) -> T:
    return call.read(Reply(200, {}, body if isinstance(body, bytes) else json.dumps(body).encode()))


def monitors(*ids: str, **paging: object) -> dict[str, Any]:
    return {"success": True, "value": {"paging": paging, "monitors": [{"mappedId": id} for id in ids]}}


def page(body: dict[str, Any], limit: int | None = None) -> Page[Monitor]:
    return read(process_calls.list_monitors(RUNNING, limit=limit), body)


# Processes


def test_types_of_processes_are_repeated() -> None:
    call = process_calls.list_processes(["S3", "OPEX"])
    assert (call.method, call.path) == ("GET", "/api/process/ingest/configs")
    assert call.params == (("types", "S3"), ("types", "OPEX"))
    assert process_calls.list_processes().params == ()


def test_processes_are_read_completely(sample: Sample) -> None:
    first, second = read(process_calls.list_processes(), sample("processes.json")).items
    assert first == Process(
        id="9f2c", name="OPEX incremental", type="OPEX", active=True, trigger={"type": "Manual"}
    )  # fmt: skip
    assert (second.active, second.description, second.trigger["cron"]) == (False, "", "0 0 * * *")
    assert second.extra == {"bucket": "b-1"}


def test_a_process_needs_no_more_than_its_id() -> None:
    (only,) = read(process_calls.list_processes(), {"configs": [{"apiId": "p", "trigger": None}]}).items
    assert (only, only.active) == (Process(id="p"), None)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "expected a list @ $.configs"),
        ({"configs": {}}, "expected a list @ $.configs"),
    ],
)
def test_processes_that_cannot_be_read_name_the_path(body: dict[str, Any], fault: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(process_calls.list_processes(), body)
    assert caught.value.faults == (fault,)


def test_a_process_without_an_id_hides_no_other_process() -> None:
    found: tuple[object, ...] = read(process_calls.list_processes(), {"configs": [{"name": "n"}, {"apiId": "p"}]}).items
    unreadable, fine = found
    assert unreadable == UnreadableRow(("required field missing @ $.configs[0].apiId",), {"name": "n"})
    assert fine == Process(id="p")


@pytest.mark.parametrize(
    ("key", "value", "name", "left"),
    [
        ("active", "yes", "active", None),
        ("active", 1, "active", None),
        ("trigger", "Manual", "trigger", {}),
        ("name", 7, "name", ""),
    ],
)
def test_an_unreadable_optional_value_of_a_process_is_kept_raw(key: str, value: Any, name: str, left: Any) -> None:
    (only,) = read(process_calls.list_processes(), {"configs": [{"apiId": "p", key: value}]}).items
    assert (only.id, getattr(only, name), only.extra) == ("p", left, {key: value})


@pytest.mark.parametrize(("active", "body"), [(True, b"true"), (False, b"false")])
def test_a_process_is_switched_by_a_bare_boolean_and_the_request_may_repeat(*, active: bool, body: bytes) -> None:
    call = process_calls.switch_process("p 1", active=active)
    assert (call.method, call.path) == ("PUT", "/api/process/ingest/configs/p%201/active")
    assert (call.body, call.content_type, call.replay) == (body, "application/json", Replay.SAFE)


def test_the_response_shows_whether_a_process_is_on() -> None:
    assert read(process_calls.switch_process("p", active=True), {"active": False}) is False
    assert read(process_calls.switch_process("p", active=True), {"apiId": "p", "active": True}) is True


def test_a_switch_whose_response_is_about_another_process_is_a_mismatch() -> None:
    with pytest.raises(ResponseMismatch, match="requested process p, but the response is about process q"):
        read(process_calls.switch_process("p", active=True), {"apiId": "q", "active": True})


@pytest.mark.parametrize("body", [b"true", b"{}", b'{"active": null}', b""])
def test_a_switch_whose_response_has_no_state_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read(process_calls.switch_process("p", active=True), body)


@pytest.mark.parametrize("id", ["", "..", "a/b", "a?b"])
def test_an_id_that_changes_the_path_is_refused(id: str) -> None:
    with pytest.raises(InvalidArgument, match="^process_id: must"):
        process_calls.switch_process(id, active=True)
    with pytest.raises(InvalidArgument, match="^monitor_id: must"):
        process_calls.get_timeseries(id)


# Monitors


def test_monitors_are_requested_with_their_filters_and_the_limit() -> None:
    call = process_calls.list_monitors(RUNNING, limit=None)
    assert (call.method, call.path, call.params) == ("GET", "/api/processmonitor/monitors", RUNNING)
    assert process_calls.list_monitors(RUNNING, limit=7).params == (*RUNNING, ("max", "7"))


def test_a_monitor_is_read_completely_and_its_percentage_stays_raw(sample: Sample) -> None:
    found = read(process_calls.list_monitors(RUNNING, limit=None), sample("monitors.json"))
    (monitor,) = found.items
    assert found.total == 2
    assert (monitor.id, monitor.name) == ("aacb79d7c91db789ce0f7c5abe02bf7a", "opex/20ab81ce")
    assert (monitor.status, monitor.category, monitor.subcategory) == ("Succeeded", "Ingest", "OPEX")
    assert monitor.started == datetime(2024, 1, 7, 12, 2, 4, tzinfo=UTC)
    assert monitor.completed == datetime(2024, 1, 7, 12, 2, 48, tzinfo=UTC)
    assert (monitor.progress_text, monitor.percent_complete) == ("", "")
    assert (monitor.files_pending, monitor.files_processed, monitor.size) == (3, 1, 6083)
    assert (monitor.warnings, monitor.errors, monitor.can_retry) == (0, 0, True)
    assert monitor.extra == {"abandoned": False}


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("started", "2024-01-07 12:02:04", "started"),
        ("completed", 1704628924000, "completed"),
        ("size", "1.5 GB", "size"),
        ("size", 6083.0, "size"),
        ("filesPending", -1.5, "files_pending"),
        ("filesProcessed", True, "files_processed"),
        ("warnings", "none", "warnings"),
        ("errors", [], "errors"),
        ("canRetry", "yes", "can_retry"),
    ],
)
def test_an_unreadable_date_or_size_of_a_monitor_is_none_and_kept_raw(key: str, value: Any, name: str) -> None:
    body = monitors(*"abc")
    body["value"]["monitors"][1][key] = value
    one, unreadable, two = page(body).items
    assert (one, two) == (Monitor(id="a"), Monitor(id="c"))
    assert (unreadable.id, getattr(unreadable, name), unreadable.extra) == ("b", None, {key: value})


def test_a_monitor_without_an_id_hides_no_other_monitor_and_counts_as_a_row() -> None:
    body = monitors("a", "", "c", next="/x?start=3")
    found = page(body)
    one, unreadable, two = found.items
    assert (one.id, two.id) == ("a", "c")
    assert isinstance(unreadable, UnreadableRow)
    assert unreadable.faults == ("expected a text that is not blank @ $.value.monitors[1].mappedId",)
    assert found.next is not None


@pytest.mark.parametrize("total", [True, "many", 2.5, None])
def test_a_total_that_is_not_a_whole_number_is_none(total: object) -> None:
    assert page(monitors("a", totalResults=total)).total is None


@pytest.mark.parametrize(("said", "kept"), [("50", "50"), (50, "50"), (12.5, "12.5"), (None, ""), ("", "")])
def test_a_percentage_is_always_a_text(said: object, kept: str) -> None:
    body = monitors("a")
    body["value"]["monitors"][0]["percentComplete"] = said
    assert page(body).items[0].percent_complete == kept


def test_the_next_page_is_requested_from_the_same_server_by_the_query_of_its_url(sample: Sample) -> None:
    following = read(process_calls.list_monitors(RUNNING, limit=None), sample("monitors.json")).next
    assert following is not None
    assert (following.method, following.path) == ("GET", "/api/processmonitor/monitors")
    assert following.params == (("start", "1"), ("max", "1"), ("status", "Running"))


def test_a_filter_that_the_url_lacks_is_kept_and_none_is_repeated() -> None:
    address = "https://h/x?start=2&max=1&max=1&category=A&category=B"
    following = page(monitors("a", next=address)).next
    assert following is not None
    expected = (*RUNNING, ("start", "2"), ("max", "1"), ("category", "A"), ("category", "B"))
    assert following.params == expected


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_url_there_is_no_next_page(address: object) -> None:
    assert page(monitors("a", next=address)).next is None
    assert page({"value": {"monitors": [{"mappedId": "a"}]}}).next is None


def test_an_empty_page_is_the_last_even_with_a_url() -> None:
    assert page(monitors(next="/x?start=25")).next is None


def test_a_next_page_that_is_the_same_page_is_inconsistent() -> None:
    with pytest.raises(ListingInconsistent, match="the next page is this page again"):
        page(monitors("a", next="/x?status=Running"))


@pytest.mark.parametrize("address", [7, {"no": 1}, ["x"], "http://[", "/x?" + "&".join(f"p{n}=1" for n in range(65))])
def test_an_invalid_url_is_refused_with_its_path(address: object) -> None:
    with pytest.raises(DecodeError, match=r"expected an address @ \$\.value\.paging\.next"):
        page(monitors("a", next=address))


def test_a_limit_ends_the_listing_and_cuts_a_page_that_is_larger() -> None:
    found = page(monitors("a", "b", "c", next="/x?start=3"), limit=2)
    assert ([monitor.id for monitor in found.items], found.next) == (["a", "b"], None)


def test_a_limit_counts_over_pages() -> None:
    second = page(monitors("a", "b", next="/x?start=2"), limit=3).next
    assert second is not None
    found = read(second, monitors("c", "d", next="/x?start=4"))
    assert ([monitor.id for monitor in found.items], found.next) == (["c"], None)


def test_a_service_that_reports_a_failure_is_quoted() -> None:
    with pytest.raises(DecodeError, match=r"success is false: No such thing @ \$"):
        page({"success": False, "message": "No such thing"})


@pytest.mark.parametrize("body", [{}, [], {"value": None}, {"success": True, "value": []}])
def test_a_response_without_a_value_is_refused_with_its_path(body: Any) -> None:
    with pytest.raises(DecodeError, match=r"expected an object @ \$\.value"):
        page(body)


# Messages, timeseries


def test_messages_are_requested_by_monitor_in_pages() -> None:
    call = process_calls.list_messages((("monitor", "aacb"),), size=1000, limit=30)
    assert (call.method, call.path) == ("GET", "/api/processmonitor/messages")
    assert call.params == (("monitor", "aacb"), ("start", "0"), ("max", "30"))


def test_a_message_is_read_completely_and_has_its_workflow(sample: Sample) -> None:
    call = process_calls.list_messages((("monitor", "aacb"),), size=1000, limit=None)
    (message,) = read(call, sample("messages.json")).items
    assert message == Message(
        id="d667",
        monitor_id="aacb",
        monitor_name="opex/20ab",
        workflow_id=51234,
        workflow_name="Ingest OPEX (Incremental)",
        path="9c43",
        date=datetime(2023, 10, 23, 10, 52, 54, tzinfo=UTC),
        status="Info",
        message='monitor.info.directory.skip|{"matchText":"Source ID TEST"}',
        display_message="Matched directory",
        security_descriptor="closed",
        entity_title="A title",
        entity_ref="f665",
        source_id="TEST",
    )


def test_a_message_needs_no_more_than_its_id() -> None:
    call = process_calls.list_messages((), size=10, limit=None)
    (message,) = read(call, {"value": {"messages": [{"mappedId": "m", "workflowInstanceId": None}]}}).items
    assert message == Message(id="m")


@pytest.mark.parametrize(
    ("key", "value", "name"), [("date", "23.10.2023", "date"), ("workflowInstanceId", "none", "workflow_id")]
)
def test_an_unreadable_optional_value_of_a_message_is_none_and_kept_raw(key: str, value: Any, name: str) -> None:
    call = process_calls.list_messages((), size=10, limit=None)
    unreadable, *others = read(
        call, {"value": {"messages": [{"mappedId": "m", key: value}, {"message": "lost"}]}}
    ).items
    assert (unreadable.id, getattr(unreadable, name), unreadable.extra) == ("m", None, {key: value})
    none: object = others[0]
    assert none == UnreadableRow(("required field missing @ $.value.messages[1].mappedId",), {"message": "lost"})


def test_a_timeseries_is_kept_raw(sample: Sample) -> None:
    call = process_calls.get_timeseries("aacb")
    assert call.path == "/api/processmonitor/monitors/aacb/timeseries"
    assert read(call, sample("timeseries.json")) == (
        {"date": "2026-11-23T00:32:20.150Z", "filesProcessed": 4},
        [1, 2],
    )
