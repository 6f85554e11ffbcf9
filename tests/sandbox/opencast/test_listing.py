"""The list of workflows of Opencast 11: pages, filters, sorts and the lag of its index."""

import contextlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.sandbox.opencast.releases import with_list
from workflow_async.sandbox import Fault, Faults, IndexFault, ManualClock
from workflow_async.sandbox.opencast.filter import (
    BadCriterionError,
    parse_period,
    parse_sort,
    split_filter,
    workflow_filter,
)
from workflow_async.sandbox.systems import FakeOpencast

pytestmark = with_list
PUBLIC = ["state", "event_title"]


async def list_rows(http: httpx.AsyncClient, **params: object) -> list[dict[str, Any]]:
    answer = await http.get("/api/workflows", params={k: str(v) for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def list_ids(http: httpx.AsyncClient, **params: object) -> list[int]:
    return [row["identifier"] for row in await list_rows(http, **params)]


async def refusal(http: httpx.AsyncClient, **params: str) -> tuple[int, str, str | None]:
    answer = await http.get("/api/workflows", params=params)
    return answer.status_code, answer.text, answer.headers.get("content-type")


def start_indexed(opencast: FakeOpencast, definition: str = "fast", **metadata: Any) -> int:
    id = opencast.start(opencast.event(**metadata), definition)
    opencast.state.commit()
    return id


async def test_a_list_is_a_plain_array_under_the_requested_version(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    id = start_indexed(opencast)
    answer = await http.get("/api/workflows", headers={"Accept": "application/v1.3.0+json"})
    assert (answer.headers["content-type"], [row["identifier"] for row in answer.json()]) == (
        "application/v1.3.0+json",
        [id],
    )


@pytest.mark.parametrize("limit", [None, "0", "-1"])
async def test_without_a_limit_there_are_20(http: httpx.AsyncClient, opencast: FakeOpencast, limit: str | None) -> None:
    opencast.seed(30)
    assert len(await list_rows(http, **({"limit": limit} if limit else {}))) == 20


@pytest.mark.parametrize("size", [1, 7, 30, 1000])
async def test_pages_hold_every_workflow_once(http: httpx.AsyncClient, opencast: FakeOpencast, size: int) -> None:
    seeded = opencast.seed(30)
    pages = [await list_ids(http, limit=size, offset=offset) for offset in range(0, 40, size)]
    assert sorted(id for page in pages for id in page) == seeded


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["many", "1.5", "2147483648", "9" * 5000, "²"])
async def test_a_limit_or_offset_that_is_not_a_number_is_404_and_empty(
    http: httpx.AsyncClient, name: str, value: str
) -> None:
    assert (await refusal(http, **{name: value}))[:2] == (404, "")


async def test_a_list_is_10_seconds_late_and_a_get_is_not(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "fast")
    clock.advance(9)
    assert (await list_ids(http), (await http.get(f"/api/workflows/{id}")).json()["state"]) == ([], "succeeded")
    clock.advance(1)
    assert [row["state"] for row in await list_rows(http)] == ["succeeded"]


async def test_a_deleted_workflow_stays_in_the_list_for_a_while(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = start_indexed(opencast, "noop")
    clock.advance(9)
    opencast.state.commit()
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 204
    clock.advance(9)
    assert await list_ids(http) == [id]
    clock.advance(1)
    assert await list_ids(http) == []


async def test_a_workflow_that_is_not_indexed_cannot_be_deleted(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = opencast.start(opencast.event(), "noop")
    clock.advance(9)
    assert (await http.get(f"/api/workflows/{id}")).json()["state"] == "succeeded"
    early = await http.delete(f"/api/workflows/{id}")
    assert (early.status_code, early.text) == (404, f"Cannot find workflow instance with id '{id}'.")
    clock.advance(1)
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 204


async def test_a_workflow_that_is_indexed_as_running_cannot_be_deleted(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    id = start_indexed(opencast, "noop")
    clock.advance(9)
    early = await http.delete(f"/api/workflows/{id}")
    assert (early.status_code, early.text) == (409, "Cannot delete workflow instance in this workflow state")
    clock.advance(1)
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 204


async def post_start(http: httpx.AsyncClient, event: str, definition: str = "fast") -> int:
    form = {"event_identifier": event, "workflow_definition_identifier": definition}
    return (await http.post("/api/workflows", data=form)).status_code


async def test_two_starts_within_the_lag_of_the_index_both_run(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    assert [await post_start(http, event, "publish") for _ in range(2)] == [201, 201]
    clock.advance(10)
    assert [row["state"] for row in await list_rows(http)] == ["running", "running"]
    assert await post_start(http, event) == 409
    clock.advance(100)
    assert await post_start(http, event) == 201


async def test_a_workflow_that_ended_within_the_lag_still_blocks_its_event(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    opencast.start(event, "noop")
    opencast.state.commit()
    clock.advance(9)
    assert await post_start(http, event) == 409
    clock.advance(1)
    assert await post_start(http, event) == 201


async def test_an_empty_index_allows_concurrent_starts_and_refuses_deletes(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    event = opencast.event()
    id = opencast.start(event, "noop")
    clock.advance(60)
    opencast.state.commit()
    opencast.faults = IndexFault("empty")
    assert (await http.delete(f"/api/workflows/{id}")).status_code == 404
    assert [await post_start(http, event) for _ in range(2)] == [201, 201]


async def test_a_start_without_operations_is_500(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.define("empty", [])
    assert await post_start(http, opencast.event(), "empty") == 500


async def test_workflows_of_the_same_date_change_places_when_they_are_indexed_again(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    quick, slow = start_indexed(opencast, "fast", created=5.0), start_indexed(opencast, "publish", created=5.0)
    clock.advance(7)
    opencast.state.commit()
    before = await list_ids(http)
    clock.advance(10)
    assert (before, await list_ids(http)) == ([quick, slow], [slow, quick])


async def test_without_a_sort_the_oldest_event_comes_first(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    late, early = start_indexed(opencast, created=9.0), start_indexed(opencast, created=3.0)
    assert await list_ids(http) == [early, late]
    assert await list_ids(http, sort="event_created:DESC") == [late, early]


async def test_rows_with_equal_keys_are_newest_first_and_rows_without_a_key_last(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    nameless = start_indexed(opencast, title="")
    old, new = (start_indexed(opencast, title="Algebra", created=at) for at in (1.0, 2.0))
    optics = start_indexed(opencast, title="optics")
    assert await list_ids(http, sort="event_title:ASC") == [new, old, optics, nameless]
    assert await list_ids(http, sort=" event_title :Descending") == [optics, new, old, nameless]


async def test_the_last_of_several_sorts_counts(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(30)
    assert await list_ids(http, sort="event_title:ASC,event_created:DESC") == await list_ids(
        http, sort="event_created:DESC"
    )


@pytest.mark.parametrize("sort", ["event_title", "event_title:", "event_title:UP", "event_title: ASC", ","])
async def test_a_sort_without_its_order_is_400_and_empty(http: httpx.AsyncClient, sort: str) -> None:
    assert (await refusal(http, sort=sort))[:2] == (400, "")


async def test_an_unknown_sort_is_400_in_text_called_json(http: httpx.AsyncClient) -> None:
    expected = (400, "Unknown search criterion in request: state", "application/json")
    assert await refusal(http, sort="state:ASC") == expected


async def test_a_sort_by_event_is_known_and_broken(http: httpx.AsyncClient) -> None:
    status, text, type = await refusal(http, sort="event_identifier:ASC")
    assert (status, type) == (500, "text/plain")
    assert text.startswith("Could not retrieve workflow instances, reason: '")


async def test_several_states_are_either_and_several_state_nots_neither(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.seed(300)
    either = await list_rows(http, limit=300, filter="state:running,state:SUCCEEDED")
    neither = await list_rows(http, limit=300, filter="state_not:running,state_not:succeeded")
    assert {row["state"] for row in either} == {"running", "succeeded"}
    assert {row["state"] for row in neither} & {"running", "succeeded"} == set()
    assert len(either) + len(neither) == 300


async def test_different_names_all_have_to_match(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(300)
    found = await list_rows(http, limit=300, filter="state:running,workflow_definition_identifier:PUBLISH")
    assert {(row["state"], row["workflow_definition_identifier"]) for row in found} == {("running", "publish")}


async def test_the_first_of_several_filters_counts(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(300)
    answer = await http.get("/api/workflows?filter=state:failed&filter=state:running&limit=300")
    assert {row["state"] for row in answer.json()} == {"failed"}


@pytest.mark.parametrize(
    ("field", "value", "criterion"),
    [
        ("title", "Linear Algebra", "event_title:algebra"),
        ("title", "Time: a history", "event_title:time: a"),
        ("creator", "Ada; Emmy", "event_creator:emmy"),
        ("contributor", "Emmy", "event_contributor:EMM"),
        ("language", "deu", "event_language:deu"),
        ("license", "CC-BY", "event_license:by"),
        ("subject", "Optics", "event_subject:opt"),
        ("series", "s-1", "series_identifier:s-1"),
        ("series_title", "Winter", "series_title:int"),
        ("identifier", "e-1", "event_identifier:e-1"),
        ("created", 1_600_000_000.0, "event_created:2020-09-13T12:26:40Z/2020-09-13T12:26:40Z"),
        ("subject", "Optics", "textFilter:OPTICS"),
        ("title", "Time", "current_operation:DEFAULTS,event_title:time"),
    ],
)
async def test_a_filter_by_the_event_finds_its_workflow(
    http: httpx.AsyncClient, opencast: FakeOpencast, field: str, value: str, criterion: str
) -> None:
    blank = {"title": "", "creator": "", "contributor": "", "language": "", "license": "", "subject": ""}
    start_indexed(opencast, **blank, series="S-1", series_title="", identifier="E-1")
    id = start_indexed(opencast, **{field: value})
    assert await list_ids(http, filter=criterion) == [id]


async def test_the_last_of_several_single_values_counts(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    start_indexed(opencast, title="Algebra")
    optics = start_indexed(opencast, title="Optics")
    assert await list_ids(http, filter="event_title:algebra,event_title:optics") == [optics]


async def test_a_comma_in_a_value_silently_loses_what_follows(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    first, second = start_indexed(opencast, title="Algebra, part 1"), start_indexed(opencast, title="Algebra, part 2")
    assert sorted(await list_ids(http, filter="event_title:Algebra, part 2")) == [first, second]
    assert (await refusal(http, filter="event_title:A,B:C"))[0] == 400


async def test_an_ended_workflow_has_the_operation_none(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    done = start_indexed(opencast, "noop")
    clock.advance(60)
    active = start_indexed(opencast)
    assert await list_ids(http, filter="current_operation:none") == [done]
    assert await list_ids(http, filter="current_operation_not:none,current_operation_not:editor") == [active]


async def test_a_search_by_definition_misses_workflows_after_their_error_handler_took_over(
    http: httpx.AsyncClient, opencast: FakeOpencast, clock: ManualClock
) -> None:
    start_indexed(opencast, "fails-with-handler")
    clock.advance(10)
    opencast.state.commit()
    assert [row["workflow_definition_identifier"] for row in await list_rows(http)] == ["partial-error"]
    assert await list_ids(http, filter="workflow_definition_identifier:fails-with-handler") == []


@pytest.mark.parametrize(
    ("criterion", "text"),
    [
        ("state:baked", "Invalid workflow state 'baked'"),
        ("state_not:", None),
        ("nothing", None),
        (" ,,", None),
        ("colour:red", "Unknown filter criterion in request: colour"),
        ("state:running, state:paused", "Unknown filter criterion in request:  state"),
        ("State:running", "Unknown filter criterion in request: State"),
    ],
)
async def test_an_unknown_filter_is_400_and_half_a_filter_none_at_all(
    http: httpx.AsyncClient, criterion: str, text: str | None
) -> None:
    wanted = (200, "[]", "application/v1.7.0+json") if text is None else (400, text, "application/json")
    assert await refusal(http, filter=criterion) == wanted


@pytest.mark.parametrize(
    ("dates", "reason"),
    [
        ("2025", "The date range string is malformed"),
        ("2020-01-01T00:00:00Z", "The date range string is malformed"),
        ("2020-01-01T00:00:00Z/", "The date range string is malformed"),
        ("2020-01-01T00:00:00Z/2021-01-01T00:00:00Z/2022-01-01T00:00:00Z", "The date range string is malformed"),
        ("2020-01-01/2021-01-01", "Unable to parse from date parameter"),
        ("/2021-01-01T00:00:00Z", "Unable to parse from date parameter"),
        ("2020-01-01T00:00:00Z/2021-01-01T00:00Z", "Unable to parse to date parameter"),
        ("x/y", "Unable to parse from date parameter"),
    ],
)
async def test_a_period_needs_two_full_ends(http: httpx.AsyncClient, dates: str, reason: str) -> None:
    text = f"Filter 'event_created' could not be parsed: {reason}"
    assert await refusal(http, filter=f"event_created:{dates}") == (400, text, "application/json")


@pytest.mark.parametrize(
    ("dates", "ends"),
    [
        ("2025-13-01T00:00:00Z/2025-01-32T25:61:61Z", ("2026-01-01T00:00:00", "2025-02-02T02:02:01")),
        ("2024-02-30T00:00:00Z/2000-00-00T00:00:00Z", ("2024-03-01T00:00:00", "1999-11-30T00:00:00")),
    ],
)
def test_a_date_is_read_leniently(release: str, dates: str, ends: tuple[str, str]) -> None:
    assert parse_period(dates) == tuple(datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp() for end in ends)


@given(st.datetimes())
def test_every_date_is_itself(release: str, date: datetime) -> None:
    date = date.replace(microsecond=0, tzinfo=UTC)
    text = date.isoformat()
    assert parse_period(f"{text}/{text}") == ((date - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(),) * 2


async def test_a_reversed_period_matches_nothing(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    start_indexed(opencast, created=1_600_000_000.0)
    assert await list_ids(http, filter="event_created:2021-01-01T00:00:00Z/2020-01-01T00:00:00Z") == []


async def test_an_event_without_a_date_is_indexed_as_1970(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    dated, undated = start_indexed(opencast, created=5.0), start_indexed(opencast, created=None)
    assert await list_ids(http) == [undated, dated]
    assert await list_ids(http, filter="event_created:1970-01-01T00:00:00Z/1970-01-01T00:00:00Z") == [undated]


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        ("event_title:What is love?", [0, 1]),
        ("event_title:what*love", [0, 1, 2]),
        ("event_title:l?ve", [0, 1, 2]),
        ("event_title:love!", [1]),
        ("event_title:(lo+ve)", [3]),
        ("textFilter:IS*love?", [0, 1]),
    ],
)
async def test_only_asterisks_and_question_marks_are_wildcards(
    http: httpx.AsyncClient, opencast: FakeOpencast, criterion: str, found: list[int]
) -> None:
    titles = ["What is love?", "What is love!", "What is it, love", "Regex (lo+ve)"]
    started = [start_indexed(opencast, title=title, created=float(n)) for n, title in enumerate(titles)]
    assert await list_ids(http, filter=criterion) == [started[n] for n in found]


async def test_other_users_see_what_they_may_read_and_what_they_started(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    secret = frozenset({"ROLE_SECRET"})
    start_indexed(opencast, readers=secret)
    public = start_indexed(opencast)
    own = opencast.state.start(opencast.event(readers=secret), "fast", creator="viewer")
    opencast.state.commit()
    answer = await http.get("/api/workflows", auth=("viewer", "viewer"))
    assert sorted(row["identifier"] for row in answer.json()) == [public, own]


async def test_a_short_page_has_half_of_the_rows(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(10)
    opencast.faults = Faults(script=(Fault.SHORT_PAGE,))
    assert [len(await list_rows(http, limit=9)) for _ in range(2)] == [5, 9]


async def test_a_repeated_page_equals_the_last_one_byte_for_byte(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.seed(10)
    opencast.faults = Faults(script=(Fault.REPEATED_PAGE, Fault.REPEATED_PAGE))
    pages = [(await http.get(f"/api/workflows?limit=3&offset={n}")).content for n in (0, 3, 3)]
    assert pages[0] == pages[1] != pages[2]


async def test_a_repeated_page_has_the_filter_and_the_sort_that_were_asked_for(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    opencast.seed(100)
    running = {"filter": "state:running", "sort": "event_title:ASC", "limit": "3"}
    before = await list_rows(http, **running)
    await list_rows(http, filter="state:succeeded", limit=3)
    opencast.faults = Faults(rates={Fault.REPEATED_PAGE: 1.0})
    assert await list_rows(http, **running, offset=3) == before
    assert {row["state"] for row in await list_rows(http, filter="state:failed", limit=3)} == {"failed"}


async def test_a_repeated_page_is_of_the_same_list(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    await list_rows(http)
    opencast.faults = Faults(rates={Fault.REPEATED_PAGE: 1.0})
    assert (await http.get("/api/workflow-definitions")).json() != []


@pytest.mark.sweep
async def test_ten_thousand_workflows_are_paged_each_once(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(10_000, age=86_400.0)
    pages = [await list_ids(http, limit=1000, offset=offset) for offset in range(0, 11_000, 1000)]
    assert [len(page) for page in pages] == [1000] * 10 + [0]
    assert len({id for page in pages for id in page}) == 10_000


@pytest.mark.sweep
def test_the_cost_of_seeding_does_not_grow_with_the_workflows_that_exist(opencast: FakeOpencast) -> None:
    def cost(number: int) -> float:
        began = time.process_time()
        opencast.seed(number)
        return time.process_time() - began

    thousand = min(cost(1_000) for _ in range(3))
    assert cost(10_000) < 40 * thousand  # It would be 100 if each start read all earlier workflows.


async def test_mixing_state_and_state_not_is_accepted(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    opencast.seed(100)
    found: Iterable[dict[str, Any]] = await list_rows(http, filter="state:running,state_not:paused")
    assert {row["state"] for row in found} == {"running"}


@given(st.text())
def test_any_text_is_read_as_a_filter_or_refused(release: str, raw: str) -> None:
    for name, value in split_filter(raw):
        assert value
        assert ":" not in name
    with contextlib.suppress(BadCriterionError):
        assert callable(workflow_filter(raw))


@given(st.text())
def test_any_text_is_read_as_a_sort_or_refused(release: str, raw: str) -> None:
    with contextlib.suppress(BadCriterionError):
        assert {name for name, _ in parse_sort(raw, PUBLIC)} <= set(PUBLIC)


@pytest.mark.parametrize("tail", ["Z", "", "+02:00", ".5Z"])
def test_what_follows_the_seconds_of_a_date_does_not_count(release: str, tail: str) -> None:
    assert parse_period(f"1970-01-01T00:00:10{tail}/1970-01-01T00:01:00{tail}") == (10.0, 60.0)
