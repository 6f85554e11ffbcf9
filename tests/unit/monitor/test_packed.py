"""A watch as bytes: what is written is read, and nothing else is."""

import json
import zlib
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from workflow_async import Phase, Poll
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.monitor import WatchSpec
from workflow_async.monitor.spec import packed
from workflow_async.monitor.spec.records import Cursor, SavedOperation, SavedWorkflow, rounded
from workflow_async.monitor.spec.server_memory import ServerMemory

URL = "https://oc.example.org"
INSTANTS = st.floats(0, 4e9, allow_nan=False).map(lambda seconds: round(seconds, 1))
MAYBE = st.none() | INSTANTS
COUNTS = st.integers(0, 1000)
TEXTS = st.text(max_size=8) | st.uuids().map(str) | st.uuids().map(lambda mark: f"wfa-{mark}-{mark}")
OPERATIONS = st.builds(SavedOperation, operation=TEXTS, state_text=TEXTS)


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    id = draw(st.integers(1, 2**40))
    record = st.builds(
        SavedWorkflow,
        id=st.just(id),
        phase=st.sampled_from(Phase),
        state_text=TEXTS,
        step=st.none() | TEXTS.filter(bool),
        operations=st.none() | st.lists(OPERATIONS, max_size=3).map(tuple),
        kind=st.none() | TEXTS.filter(bool),
    )
    return draw(
        st.builds(
            Cursor,
            id=st.just(id),
            since=INSTANTS,
            workflow=st.none() | record,
            **dict.fromkeys(["got_at", "listed_at", "changed_at", "missing_since", "failing_since"], MAYBE),
            **dict.fromkeys(["foreign_since", "checked_at"], MAYBE),
            **dict.fromkeys(["unchanged", "changes", "misses", "failures", "foreign"], COUNTS),
            **dict.fromkeys(["expected", "stalled", "ending", "over"], st.booleans()),
            announced=st.floats(0, 1e5),
            identity=st.lists(st.none() | TEXTS, max_size=3).map(tuple),
        )
    )


SPECS = st.builds(
    WatchSpec,
    url=st.just(URL),
    cursors=st.lists(cursors(), max_size=6, unique_by=lambda cursor: cursor.id).map(
        lambda many: tuple(sorted(many, key=lambda cursor: cursor.id))
    ),
    operations=st.booleans(),
    poll=st.builds(Poll, interval=st.floats(0.1, 10)),
    label=st.text(max_size=5),
    stalled_after=st.none() | st.floats(0.1, 9) | st.integers(1, 999).map(lambda n: timedelta(seconds=n)),
    filters=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.just(("a", "b")), max_size=2),
    durations=st.dictionaries(st.text(max_size=3), st.just((1.0, 2.5)), max_size=2),
    server=st.builds(ServerMemory, paused_until=INSTANTS, list_failures=COUNTS, distrusts_list=st.booleans()),
)


@given(SPECS)
def test_a_watch_that_is_written_is_read_again(spec: WatchSpec) -> None:
    assert WatchSpec.from_bytes(spec.to_bytes()) == spec
    assert WatchSpec.from_json(spec.to_json()) == spec


def test_a_text_that_holds_the_mark_of_a_uuid_is_kept() -> None:
    identity = ("a\x00b", "12345678-1234-1234-1234-123456789012")
    spec = WatchSpec(url=URL, cursors=(Cursor(id=1, identity=identity),))
    assert WatchSpec.from_bytes(spec.to_bytes()) == spec


@given(st.floats(0, 4e9))
def test_an_instant_is_rounded_up_once(seconds: float) -> None:
    once = rounded(Cursor(id=1, got_at=seconds))
    assert once.got_at is not None
    assert -1e-3 <= once.got_at - seconds <= 0.1001
    assert rounded(once) == once
    (read,) = WatchSpec.from_bytes(WatchSpec(url=URL, cursors=(Cursor(id=1, got_at=seconds),)).to_bytes()).cursors
    assert read == once


# Damage

GOOD = WatchSpec(
    url=URL,
    cursors=tuple(
        Cursor(id=id, checked_at=5.0, identity=(f"12345678-1234-1234-1234-12345678901{id}", "fast")) for id in (1, 2, 3)
    ),
).to_bytes()


@given(st.binary(max_size=60))
def test_bytes_that_are_no_watch_are_refused(data: bytes) -> None:
    for wrong in (data, packed.MAGIC + data):
        with pytest.raises((InvalidArgument, DecodeError)):
            WatchSpec.from_bytes(wrong)


@given(st.integers(0, len(GOOD) - 1))
def test_a_watch_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(InvalidArgument, match="data: "):
        WatchSpec.from_bytes(GOOD[:length])
    with pytest.raises(InvalidArgument, match="is damaged"):
        WatchSpec.from_bytes(GOOD + GOOD[:16])


def of_text(text: str, rest: bytes = b"") -> bytes:
    body = zlib.compress(text.encode())
    return packed.MAGIC + packed.HEADER.pack(len(body)) + body + rest


HEAD = json.dumps({"url": URL, "version": 2})


@pytest.mark.parametrize(
    "data",
    [
        of_text("[]"),
        of_text(f"[{HEAD}, true, 0, {{}}]"),
        of_text(f"[{HEAD}, 2, 0, {{}}]"),
        of_text('[{"cursors": []}, 0, 0, {"id": []}]'),
        of_text(f'[{HEAD}, 2, 0, {{"id": [1]}}]'),
        of_text(f'[{HEAD}, 1, 0, {{"id": [1], "identity": [[["a"]], [-1]]}}]'),
        of_text(f'[{HEAD}, 1, 0, {{"id": [1], "identity": [[["a"]], [1]]}}]'),
        of_text(f'[{HEAD}, 1, 1, {{"id": [1], "identity": [[["a"]], [0]]}}]', bytes(16)),
        of_text(f'[{HEAD}, 1, 1, {{"id": [1], "identity": [[["\\u0000\\u0000"]], [0]]}}]', bytes(16)),
        of_text("[" * 100_000),
    ],
)
def test_a_packed_text_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="is damaged"):
        WatchSpec.from_bytes(data)


def test_a_packed_watch_of_a_later_version_names_the_remedy() -> None:
    with pytest.raises(InvalidArgument, match="has another version: read it with the version"):
        WatchSpec.from_bytes(b"wfa\x02" + GOOD[4:])
    with pytest.raises(InvalidArgument, match="version: must be 1 or 2"):
        WatchSpec.from_bytes(of_text(f'[{json.dumps({"url": URL, "version": 3})}, 0, 0, {{"id": []}}]'))


def test_a_bomb_is_not_unpacked_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_UNPACKED", 1000)
    with pytest.raises(InvalidArgument, match="is damaged"):
        WatchSpec.from_bytes(of_text(f"[{HEAD}, 0, 0, {' ' * 1000}{{}}]"))
    with pytest.raises(InvalidArgument, match="is too large to be packed: split it"):
        WatchSpec(url=URL, cursors=tuple(Cursor(id=id) for id in range(1000))).to_bytes()


OLD_CURSOR = {"id": 7, "since": 1.5, "got_at": 2.0, "over": False, "workflow": None}


def test_a_watch_of_version_1_is_read() -> None:
    old = {"url": URL, "cursors": [OLD_CURSOR], "operations": True, "lists": False, "pages": 3, "version": 1}
    spec = WatchSpec.from_json(json.dumps(old))
    assert (spec.ids, spec.operations, spec.lists, spec.pages, spec.version) == ((7,), True, False, 3, 2)
    assert (spec.label, spec.filters, spec.server) == ("", None, ServerMemory())


@pytest.mark.parametrize(
    "change",
    [
        {"stalled_after": "1"},
        {"stalled_after": {"minutes": 1}},
        {"durations": []},
        {"durations": {"fast": []}},
        {"filters": []},
        {"filters": {"state": [1]}},
        {"filters": {"state": 1}},
        {"server": {"factor": "2"}},
        {"cursors": [{**OLD_CURSOR, "workflow": {"id": 7, "phase": "asleep", "state_text": ""}}]},
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object]) -> None:
    good = json.loads(WatchSpec(url=URL, cursors=()).to_json())
    with pytest.raises(DecodeError, match=next(iter(change))):
        WatchSpec.from_json(json.dumps({**good, **change}))
