"""A listing that breaks anywhere continues from its point: on a still list nothing is lost and nothing comes twice."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from tests.support.changing_list import ChangingList, Row
from workflow_async._core.call import Call, UnreadableRow
from workflow_async._listing.listing import Items, Listing
from workflow_async._listing.resume import MAX_KEYS, ListingIdentity, Place, ResumePoint
from workflow_async._listing.scan import Consistency
from workflow_async.errors import ConnectionBroken, InvalidArgument

ANCHORED = ListingIdentity(system="opencast", server="oc", consistency="anchored", terms=("state:running", "sort="))
FAST = evolve(ANCHORED, consistency="fast")
POINT = ResumePoint(offset=300, keys=(7, 8), longest=100)
WAYS: tuple[Consistency, ...] = ("fast", "anchored")
each_way = pytest.mark.parametrize("consistency", WAYS)


def breaking(server: ChangingList, breaks: Iterator[bool]) -> Callable[..., Any]:
    """Return a `send` that fails whenever the next of `breaks` is true."""

    async def send(call: Call[Any], /) -> Any:
        if next(breaks, False):
            raise ConnectionBroken("cut")
        return call.read(None)  # type: ignore[arg-type]  # the pages here read no reply

    return send


def listing(
    server: ChangingList,
    consistency: Consistency,
    resume: str | None = None,
    *,
    size: int = 10,
    breaks: Iterable[bool] = (),
    **options: Any,
) -> Listing[Row]:
    """Return a listing of the list."""
    identity = evolve(ANCHORED, consistency=consistency)
    start = server.offset_scan(size, 4) if consistency == "fast" else server.overlap_scan(size, 4, 5, 3)
    return Listing(
        breaking(server, iter(breaks)),
        start,
        lambda row: row.id,
        consistency=consistency,
        identity=identity,
        resume=identity.start(resume),
        **options,
    )


def still_list(count: int, *, reports_total: bool = False) -> ChangingList:
    return ChangingList([Row(id) for id in range(count)], reports_total=reports_total)


async def take(listed: Listing[Row], count: int | None = None) -> list[int]:
    """Return the ids of the first rows of a listing, and leave it. All rows if `count` is None."""
    ids: list[int] = []
    items: Items[Row] = aiter(listed)
    while count is None or len(ids) < count:
        row = await anext(items, None)
        if row is None:
            break
        ids.append(row.id)
    await items.aclose()
    return ids


# A list that stays as it is


@each_way
@given(
    parts=st.lists(st.integers(0, 25), max_size=6),
    sizes=st.lists(st.integers(2, 30), min_size=7, max_size=7),
    server=st.builds(still_list, st.integers(0, 60), reports_total=st.booleans()),
    wanted=st.sampled_from([None, lambda row: row.id % 3 == 0]),
)
async def test_wherever_a_listing_is_left_the_parts_are_the_whole(
    consistency: Consistency, parts: Sequence[int], sizes: Sequence[int], server: ChangingList, wanted: Any
) -> None:
    point: str | None = None
    found: list[int] = []
    for size, part in zip(sizes, [*parts, None], strict=False):
        listed = listing(server, consistency, point, size=size, predicate=wanted)
        found += await take(listed, part)
        point = listed.resume_point
    assert found == [row.id for row in server.rows if wanted is None or wanted(row)]


@each_way
@given(rows=st.integers(0, 60), size=st.integers(2, 20), breaks=st.lists(st.booleans(), max_size=30))
async def test_wherever_a_request_breaks_the_parts_are_the_whole(
    consistency: Consistency, rows: int, size: int, breaks: list[bool]
) -> None:
    server, point, found, left = still_list(rows), None, list[int](), iter(breaks)
    while True:
        listed = listing(server, consistency, point, size=size, breaks=left)
        items = aiter(listed)
        try:
            while (row := await anext(items, None)) is not None:
                found.append(row.id)
        except ConnectionBroken as error:
            point, of_listing = error.resume_point, listed.resume_point
        else:
            break
        assert point == of_listing
    assert found == [*range(rows)]


@each_way
async def test_pages_continue_after_the_last_page(consistency: Consistency) -> None:
    server = still_list(35)
    listed = listing(server, consistency)
    first = await anext(listed.pages())
    later = [row.id for row in first.items] + await take(listing(server, consistency, listed.resume_point))
    assert later == [*range(35)]


@each_way
@given(
    limits=st.lists(st.integers(1, 25), min_size=4, max_size=4),
    server=st.builds(still_list, st.integers(0, 60), reports_total=st.booleans()),
    size=st.integers(2, 30),
    every=st.integers(1, 4),
)
async def test_parts_of_any_limit_are_the_whole(
    consistency: Consistency, limits: list[int], server: ChangingList, size: int, every: int
) -> None:
    point: str | None = None
    found: list[int] = []
    for limit in (*limits, None):
        listed = listing(server, consistency, point, size=size, limit=limit, predicate=lambda row: row.id % every == 0)
        found += await take(listed)
        point = listed.resume_point
    assert found == [row.id for row in server.rows if row.id % every == 0]


@each_way
async def test_the_limit_counts_from_the_point(consistency: Consistency) -> None:
    server = still_list(35)
    listed = listing(server, consistency, limit=12)
    assert await take(listed) == [*range(12)]
    again = listing(server, consistency, listed.resume_point, limit=12)
    assert await take(again) == [*range(12, 24)]
    assert again.report.rows == 12


@each_way
async def test_a_listing_that_has_not_begun_has_the_point_it_would_begin_at(consistency: Consistency) -> None:
    server = still_list(35)
    listed = listing(server, consistency)
    assert await take(listing(server, consistency, listed.resume_point)) == [*range(35)]
    await take(listed, 20)
    point = listed.resume_point
    resumed = listing(server, consistency, point)
    assert resumed.resume_point == point
    assert (await take(resumed, 1), await take(resumed, 1)) == ([20], [20])


@each_way
async def test_the_end_of_a_list_is_a_point_after_which_new_rows_come(consistency: Consistency) -> None:
    server = still_list(30)
    listed = listing(server, consistency)
    await take(listed)
    assert await take(listing(server, consistency, listed.resume_point)) == []
    server.rows += [Row(100), Row(101)]
    assert await take(listing(server, consistency, listed.resume_point)) == [100, 101]


async def test_a_resumed_listing_requests_no_page_before_its_point() -> None:
    server = still_list(500)
    listed = listing(server, "anchored")
    await take(listed, 487)
    server.responses = 0
    assert await take(listing(server, "anchored", listed.resume_point)) == [*range(487, 500)]
    assert server.responses <= 4


# A list whose rows move


@given(
    rows=st.integers(20, 60),
    taken=st.integers(1, 60),
    removed=st.sets(st.integers(0, 60)),
    inserted=st.lists(st.integers(0, 60), max_size=8),
    size=st.integers(2, 30),
)
async def test_an_anchored_listing_loses_no_row_that_stays(
    rows: int, taken: int, removed: set[int], inserted: list[int], size: int
) -> None:
    server = still_list(rows)
    listed = listing(server, "anchored", size=size)
    found = await take(listed, taken)
    server.rows = [row for row in server.rows if row.id not in removed]
    for id, index in enumerate(inserted, 100):
        server.rows.insert(min(index, len(server.rows)), Row(id))
    found += await take(listing(server, "anchored", listed.resume_point, size=size))
    assert set(range(rows)) - removed <= {*found}


async def test_an_anchored_listing_whose_place_is_gone_starts_again_and_repeats_rows() -> None:
    server = still_list(400)
    listed = listing(server, "anchored", size=20)
    await take(listed, 300)
    del server.rows[:200]
    again = await take(listing(server, "anchored", listed.resume_point, size=20))
    assert again[0] == 200
    assert again[-100:] == [*range(300, 400)]


async def test_a_few_rows_that_left_are_stepped_over() -> None:
    server = still_list(400)
    listed = listing(server, "anchored", size=50)
    await take(listed, 300)
    del server.rows[:10]
    assert await take(listing(server, "anchored", listed.resume_point, size=50)) == [*range(300, 400)]


async def test_a_fast_listing_continues_at_its_offset_as_if_it_had_not_stopped() -> None:
    server = still_list(30)
    listed = listing(server, "fast")
    await take(listed, 15)
    del server.rows[:2]
    assert await take(listing(server, "fast", listed.resume_point)) == [*range(17, 30)]
    server.rows[:0] = [Row(100), Row(101), Row(102)]
    assert await take(listing(server, "fast", listed.resume_point)) == [*range(14, 30)]


# The text


def test_a_point_is_a_short_text_that_can_be_read_again() -> None:
    text = POINT.to_json(ANCHORED)
    assert ResumePoint.from_json(text, ANCHORED) == POINT
    assert json.loads(text).keys() == {"version", "system", "consistency", "listing", "offset", "keys", "longest"}
    assert json.loads(text)["version"] == 1
    assert not {"oc", "state:running"} & {*map(str, json.loads(text).values())}


@given(st.lists(st.integers(0, 2**63 - 1), max_size=300), st.integers(0, 300))
def test_a_point_keeps_the_last_keys_only(keys: list[int], yielded: int) -> None:
    rows = [Row(key) for key in dict.fromkeys(keys)]
    place = Place[Row]()
    place.enter(0, [row.id for row in rows], len(rows))
    place.unyielded = iter(rows[yielded:])
    point = place.point(lambda row: row.id, with_keys=True)
    before = rows[:yielded]
    assert point.keys == tuple(row.id for row in before[-MAX_KEYS:])
    assert point.offset == len(before)
    assert ResumePoint.from_json(point.to_json(ANCHORED), ANCHORED) == point


def test_rows_that_cannot_be_read_have_no_key_in_a_point() -> None:
    place = Place[Any]()
    place.enter(0, [1, UnreadableRow(("bad",), {"password": "secret"}).id, 3], 3)
    assert "secret" not in (ANCHORED.point_text(place, lambda row: row) or "")
    assert place.point(lambda row: row, with_keys=True).keys == (1, 3)


def test_the_order_of_filters_does_not_matter() -> None:
    assert evolve(ANCHORED, terms=ANCHORED.terms[::-1]).digest == ANCHORED.digest


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"system": "preservica"}, "is a point of opencast: pass it to a client of that system"),
        ({"consistency": "fast"}, "needs consistency='anchored', as in the listing it is from"),
        ({"server": "other"}, "is a point of another listing: pass the same server, filters and order"),
        ({"terms": ("state:failed", "sort=")}, "is a point of another listing"),
    ],
    ids=str,
)
def test_a_point_of_another_listing_is_refused(other: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^resume: {message}"):
        evolve(ANCHORED, **other).start(POINT.to_json(ANCHORED))


def test_a_listing_by_windows_cannot_be_resumed() -> None:
    partitioned = evolve(ANCHORED, consistency="partitioned")
    assert partitioned.point_text(Place(), lambda row: row) is None
    assert partitioned.start(None) == ResumePoint()
    with pytest.raises(InvalidArgument, match="^resume: must be None with consistency='partitioned'"):
        partitioned.start(POINT.to_json(FAST))


def test_a_point_and_an_offset_exclude_each_other() -> None:
    assert FAST.start(None, 5) == ResumePoint(offset=5)
    with pytest.raises(InvalidArgument, match="^offset: must be 0 with resume"):
        FAST.start(POINT.to_json(FAST), 5)


def changed(**members: Any) -> str:
    return json.dumps({**json.loads(POINT.to_json(ANCHORED)), **members})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "7", "{}", '{"version":true}', "\ud800"),
        *(7, b"{}", {"offset": 3}),
        *(changed(more=1), changed(offset="3"), changed(offset=-1), changed(offset=True), changed(longest=2**63)),
        *(changed(keys=None), changed(keys=["7"]), changed(keys=[1] * 101), changed(keys={}), changed(listing=7)),
    ],
)
def test_a_text_that_is_no_point_is_refused(text: Any) -> None:
    with pytest.raises(InvalidArgument, match="^resume: must be a text that `resume_point` of a listing has returned$"):
        ANCHORED.start(text)


@pytest.mark.parametrize("version", [0, 2, 10**30])
def test_a_point_of_another_version_is_refused(version: int) -> None:
    with pytest.raises(InvalidArgument, match="^resume: must have version 1: another version of the library"):
        ANCHORED.start(changed(version=version))


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_but_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidArgument):
        ANCHORED.start(text)
