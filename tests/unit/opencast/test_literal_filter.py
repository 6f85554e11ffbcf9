"""Text filters with `*` and `?` that are matched literally, although the server takes them for wildcards."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings, strategies as st

from tests.conftest import FakeTime
from tests.support.virtual_time import run
from workflow_async import Clock, OpencastClient, Retry
from workflow_async._listing.scan import Consistency
from workflow_async.errors import Forbidden, ServerError
from workflow_async.opencast import filters
from workflow_async.opencast.filters import split_by_size

each_way = pytest.mark.parametrize("consistency", ["fast", "anchored", "partitioned"])
KEYS = {
    **{f"event_{key}": key for key in ("title", "contributor", "license", "language")},
    "event_creator": "presenter",
    "event_subject": "subjects",
    "series_title": "series",
}


def text(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value)


@define
class WildcardServer:
    """A server with one workflow on each event, whose text filters have the wildcards of Solr."""

    events: dict[str, dict[str, Any]]
    hidden: set[str] = field(factory=set)
    """Events that no response shows."""
    refusal: Callable[[], httpx.Response] | None = None
    """The response to a request for events."""
    paths: list[str] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        if request.url.path == "/api/version":
            return httpx.Response(200, json={"default": "v1.7.0"})
        terms = [term.partition(":")[::2] for term in params.get("filter", "").split(",") if term]
        self.paths.append(request.url.path)
        if request.url.path == "/api/events":
            return self._events([value for _, value in terms])
        found = [n for n, event in enumerate(self.events.values()) if all(passes(event, *term) for term in terms)]
        page = found[int(params["offset"]) :][: int(params["limit"])]
        return httpx.Response(200, json=[self._workflow(n) for n in page])

    def _workflow(self, n: int) -> dict[str, Any]:
        return {"identifier": n, "state": "running", "event_identifier": list(self.events)[n]}

    def _events(self, ids: list[str]) -> httpx.Response:
        if self.refusal is not None:
            return self.refusal()
        found = [{"identifier": id, **self.events[id]} for id in ids if id not in self.hidden]
        return httpx.Response(200, json=found)


def passes(event: dict[str, Any], name: str, value: str) -> bool:
    if name == "event_created":
        first, _, last = value.partition("/")
        return first <= str(event.get("created", "1970-01-01T00:00:00Z")) <= last
    pattern = "".join({"*": ".*", "?": "."}.get(mark) or re.escape(mark) for mark in value.lower())
    searched = event.values() if name == "textFilter" else [event.get(KEYS[name], "")]
    return any(re.search(pattern, text(each).lower(), re.DOTALL) for each in searched)


def titled(*titles: str) -> dict[str, dict[str, Any]]:
    return {f"e{n}": {"title": title} for n, title in enumerate(titles)}


@asynccontextmanager
async def client(server: WildcardServer, clock: Clock) -> AsyncIterator[OpencastClient]:
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(server)) as http,
        OpencastClient(
            "https://oc.example.org", auth=("user", "secret"), http=http, clock=clock, retry=Retry(attempts=1)
        ) as oc,
    ):
        yield oc


LOVE = ["What is love?", "What is love!", "what is love??", "What is lover", "no match", "So, what is love? Part 2"]


async def test_the_server_matches_wildcards_by_default(fake_time: FakeTime) -> None:
    async with client(WildcardServer(titled(*LOVE)), fake_time.clock) as oc:
        found = [w.event_id async for w in oc.workflows.list(event_title="What is love?")]
        assert found == ["e0", "e1", "e2", "e3", "e5"]
        assert [w.event_id async for w in oc.workflows.list(event_title="s*love")] == ["e0", "e1", "e2", "e3", "e5"]


@each_way
@pytest.mark.parametrize("page_size", [2, 3, 100])
async def test_a_literal_filter_matches_wildcards_as_characters(
    fake_time: FakeTime, consistency: Consistency, page_size: int
) -> None:
    async with client(WildcardServer(titled(*LOVE * 4)), fake_time.clock) as oc:
        listing = oc.workflows.list(
            event_title="What is love?", literal=True, consistency=consistency, page_size=page_size
        )
        found = sorted([w.id async for w in listing])
    assert found == [n for n, title in enumerate(LOVE * 4) if "what is love?" in title.lower()]
    assert listing.report.rows == 12


@pytest.mark.parametrize("limit", [1, 3, 11, 12, 50])
async def test_a_limit_counts_what_matches(fake_time: FakeTime, limit: int) -> None:
    async with client(WildcardServer(titled(*LOVE * 4)), fake_time.clock) as oc:
        listing = oc.workflows.list(event_title="love?", literal=True, limit=limit, page_size=5)
        assert len([w async for w in listing]) == min(limit, 12)


@pytest.mark.parametrize("name", sorted(filters.TEXTS))
async def test_every_text_filter_is_compared_with_what_it_searches(fake_time: FakeTime, name: str) -> None:
    key = KEYS.get(name, "title")
    several = key in {"presenter", "contributor", "subjects"}
    values: list[Any] = [["A", "B*c"], ["A", "Bxc"]] if several else ["A; B*c", "A; Bxc"]
    server = WildcardServer({f"e{n}": {"title": "", key: value} for n, value in enumerate(values)})
    params: Any = {name: "a; b*C"}
    async with client(server, fake_time.clock) as oc:
        assert [w.event_id async for w in oc.workflows.list(**params)] == ["e0", "e1"]
        assert [w.event_id async for w in oc.workflows.list(literal=True, **params)] == ["e0"]


async def test_a_text_filter_searches_every_field(fake_time: FakeTime) -> None:
    events: dict[str, dict[str, Any]] = {
        key: {"title": "", key: ["why?"] if key in {"presenter", "contributor", "subjects"} else "why?"}
        for key in (*KEYS.values(), "is_part_of")
    }
    async with client(WildcardServer(events | {"other": {"title": "whys"}}), fake_time.clock) as oc:
        assert {w.event_id async for w in oc.workflows.list(text_filter="why?", literal=True)} == set(events)


async def test_all_filters_must_match(fake_time: FakeTime) -> None:
    events = {
        "both": {"title": "a?", "series": "b*"},
        "first": {"title": "a?", "series": "bx"},
        "second": {"title": "ax", "series": "b*"},
    }
    async with client(WildcardServer(events), fake_time.clock) as oc:
        found = [w.event_id async for w in oc.workflows.list(event_title="a?", series_title="b*", literal=True)]
    assert found == ["both"]


async def test_without_a_wildcard_no_extra_request_is_sent(fake_time: FakeTime) -> None:
    server = WildcardServer(titled("Algebra", "Optics"))
    async with client(server, fake_time.clock) as oc:
        assert [w.event_id async for w in oc.workflows.list(event_title="gebr", literal=True)] == ["e0"]
        assert [w.event_id async for w in oc.workflows.list(literal=True)] == ["e0", "e1"]
    assert set(server.paths) == {"/api/workflows"}


async def test_a_workflow_whose_event_is_not_listed_is_left_out(fake_time: FakeTime) -> None:
    async with client(WildcardServer(titled("a?", "a?"), hidden={"e0"}), fake_time.clock) as oc:
        assert [w.event_id async for w in oc.workflows.list(event_title="a?", literal=True)] == ["e1"]


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (500, ServerError)])
async def test_a_failed_request_for_events_is_an_error(fake_time: FakeTime, status: int, kind: type[Exception]) -> None:
    server = WildcardServer(titled("a?"), refusal=lambda: httpx.Response(status, text="Cannot do that"))
    async with client(server, fake_time.clock) as oc:
        with pytest.raises(kind, match=f"/api/events.*{status}") as caught:
            await oc.workflows.list(event_title="a?", literal=True, unreadable="skip").first()
    assert "rows" not in str(caught.value)


async def test_a_listing_that_is_iterated_again_compares_again(fake_time: FakeTime) -> None:
    server = WildcardServer(titled("a?", "a?"))
    async with client(server, fake_time.clock) as oc:
        listing = oc.workflows.list(event_title="a?", literal=True)
        assert [w.event_id async for w in listing] == ["e0", "e1"]
        server.events["e0"]["title"] = "ab"
        assert [w.event_id async for w in listing] == ["e1"]


LETTERS = st.text("aA?*", max_size=5)


@settings(max_examples=50)
@given(st.lists(LETTERS, max_size=12), LETTERS.filter(bool), st.integers(1, 13))
def test_a_literal_filter_returns_exactly_the_titles_with_the_text(titles: list[str], wanted: str, size: int) -> None:
    async def main() -> list[int]:
        async with client(WildcardServer(titled(*titles)), FakeTime().clock) as oc:
            return [w.id async for w in oc.workflows.list(event_title=wanted, literal=True, page_size=size)]

    assert run(main()) == [n for n, title in enumerate(titles) if wanted.lower() in title.lower()]


def test_ids_that_do_not_fit_into_one_filter_are_split() -> None:
    ids = [f"{n:036}" for n in range(400)]
    chunks = list(split_by_size(ids))
    assert [id for chunk in chunks for id in chunk] == ids
    assert [len(chunk) for chunk in chunks] == [144, 144, 112]


@given(st.lists(st.text("aü/", max_size=900), max_size=40))
def test_each_id_is_in_one_filter_and_every_filter_fits(ids: list[str]) -> None:
    chunks = list(split_by_size(ids))
    assert [id for chunk in chunks for id in chunk] == list(dict.fromkeys(ids))
    for chunk in chunks:
        size = len(quote_plus(",".join(f"identifier:{id}" for id in chunk)))
        assert size <= filters.MAX_FILTER or len(chunk) == 1
