"""Lists that are read again: known rows are not parsed again, and pages and errors are those of a plain read."""

import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async._core.call import Call, Page, Reply
from workflow_async._decode import json as json_parser, xml_split
from workflow_async._decode.json import split_array
from workflow_async._decode.xml_rows import uniform_row
from workflow_async._decode.xml_split import split_elements
from workflow_async.errors import CallError, DecodeError
from workflow_async.opencast import active_list as opencast, calls as opencast_calls
from workflow_async.preservica import active_list as preservica, calls as preservica_calls

SIZE = 100
NAMES = ("opencast", "preservica")
FIELDS = ("Id", "State", "CurrentStepName", "WorkflowContextName", "Creator", "Other")


class System:
    """The list of one system: its bodies, its memory, and the same page without a memory."""

    def __init__(self, name: str, *, operations: bool = False) -> None:
        self.name = name
        self.active: Any = opencast.ActiveList(operations=operations) if name == "opencast" else preservica.ActiveList()

    def body(self, *rows: dict[str, Any], pretty: bool = False) -> bytes:
        """Return a page of rows in the system's form."""
        if self.name == "opencast":
            keys = {"Id": "identifier", "State": "state", "CurrentStepName": "title"}
            trees = [{keys.get(key, key): value for key, value in row.items()} for row in rows]
            trees = [{"event_identifier": "e", "workflow_definition_identifier": "d", **tree} for tree in trees]
            return json.dumps(trees, indent=1 if pretty else None, separators=(",", ":")).encode()
        line = "\n  " if pretty else ""
        elements = ("".join(f"<{key}>{value}</{key}>" for key, value in row.items()) for row in rows)
        listed = "".join(f"{line}<WorkflowInstance>{element}</WorkflowInstance>" for element in elements)
        return (
            "<?xml version='1.0'?><WorkflowInstances xmlns='http://workflow.preservica.com'>"
            f"<TotalCount>{len(rows)}</TotalCount>{listed}</WorkflowInstances>"
        ).encode()

    def read(self, body: bytes, offset: int = 0) -> Page[Any]:
        """Read a page with the memory."""
        page: Page[Any] = self.active.page(offset, SIZE).read_reply(Reply(200, {}, body))
        return page

    def plain(self, body: bytes, offset: int = 0) -> Page[Any]:
        """Read a page without the memory."""
        call: Call[Page[Any]] = (
            opencast_calls.list_workflows(filter="", sort="", include=self.active._include, size=SIZE, offset=offset)
            if self.name == "opencast"
            else preservica_calls.list_workflows((), size=SIZE, start=offset)
        )
        return call.read_reply(Reply(200, {}, body))


def row(id: int, step: str = "a", state: str = "running") -> dict[str, Any]:
    return {"Id": id, "State": state, "CurrentStepName": step}


def outcome(read: Callable[[bytes], Page[Any]], body: bytes) -> Any:
    """Return the rows and the total of a page, or the error in every detail."""
    try:
        page = read(body)
    except CallError as error:
        return type(error), str(error), getattr(error, "faults", None), getattr(error, "body", None)
    return page.items, page.total


@pytest.fixture(params=NAMES)
def system(request: pytest.FixtureRequest) -> System:
    return System(request.param)


# What is read again


def test_a_page_with_the_same_bytes_is_the_same_page(system: System) -> None:
    body = system.body(row(1), row(2))
    first = system.read(body)
    system.active.memory.end()
    assert system.read(bytes(bytearray(body))) is first


def test_rows_with_the_same_bytes_are_the_same_records(system: System) -> None:
    first = system.read(system.body(*map(row, range(9)))).items
    changed = system.body(*map(row, range(4)), row(4, "b"), *map(row, range(5, 9)))
    system.active.memory.end()
    second = system.read(changed).items
    assert [new is old for new, old in zip(second, first, strict=True)] == [True] * 4 + [False] + [True] * 4
    assert second == system.plain(changed).items


def test_rows_that_moved_to_another_page_are_the_same_records(system: System) -> None:
    pages = [system.body(*map(row, ids)) for ids in (range(9), range(9, 18))]
    known = {record.id: record for at, page in enumerate(pages) for record in system.read(page, at * 9).items}
    system.active.memory.end()
    moved = [system.body(*map(row, ids)) for ids in (range(5, 14), range(14, 18))]
    for at, body in enumerate(moved):
        items = system.read(body, at * 9).items
        assert all(record is known[record.id] for record in items[1:-1])
        assert items == system.plain(body).items


def test_a_page_of_which_only_the_total_changed_has_the_same_records() -> None:
    one = System("preservica")
    body = one.body(row(1), row(2))
    first = one.read(body)
    one.active.memory.end()
    second = one.read(body.replace(b"<TotalCount>2", b"<TotalCount>7"))
    assert (first.total, second.total) == (2, 7)
    assert all(new is old for new, old in zip(second.items, first.items, strict=True))


def test_new_rows_at_the_end_of_a_page_are_read(system: System) -> None:
    first = system.read(system.body(*map(row, range(8)))).items
    system.active.memory.end()
    body = system.body(*map(row, range(9)))
    second = system.read(body).items
    assert second == system.plain(body).items
    assert all(new is old for new, old in zip(second[:7], first[:7], strict=True))
    system.active.memory.end()
    assert [record.id for record in system.read(system.body(*map(row, range(8)))).items] == [*range(8)]


def test_only_new_rows_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def counted(body: bytes, original: Callable[[bytes], Any] = json_parser.json_tree) -> Any:
        parsed.append(body)
        return original(body)

    monkeypatch.setattr(json_parser, "json_tree", counted)
    one = System("opencast")
    one.read(one.body(*map(row, range(20))))
    one.active.memory.end()
    parsed.clear()
    one.read(one.body(*map(row, range(19)), row(19, "b")))
    assert [b'"title":"b"' in body for body in parsed] == [True]


def test_new_rows_of_preservica_are_read_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def counted(row: str, name: str) -> Any:
        texts.append(row)
        return uniform_row(row, name)

    monkeypatch.setattr(xml_split, "uniform_row", counted)
    one = System("preservica")
    one.read(one.body(*map(row, range(20))))
    one.active.memory.end()
    texts.clear()
    one.read(one.body(*map(row, range(19)), row(19, "b")))
    assert ["<CurrentStepName>b</CurrentStepName>" in text for text in texts] == [True]


# What is remembered


def is_remembered(system: System, *bodies: bytes) -> bool:
    """Return True if the record of a page is still in memory after these bodies were read in passes of their own."""
    record = weakref.ref(system.read(system.body(row(1))).items[0])
    for body in bodies:
        system.active.memory.begin()
        system.read(body)
        system.active.memory.end()
    gc.collect()
    return record() is not None


def test_a_row_that_the_last_pass_did_not_show_is_forgotten(system: System) -> None:
    assert not is_remembered(system, system.body(row(1)), system.body(row(2)))
    assert is_remembered(system, system.body(row(1)), system.body(row(1)))


def test_a_page_that_the_last_pass_did_not_reach_is_forgotten(system: System) -> None:
    system.read(system.body(row(1)), 0)
    page = weakref.ref(system.read(system.body(row(2)), 1))
    for _ in range(2):
        system.active.memory.end()
        system.read(system.body(row(1)), 0)
    gc.collect()
    assert page() is None


def test_a_pass_that_ends_early_forgets_nothing(system: System) -> None:
    bodies = [system.body(row(id)) for id in range(3)]
    pages = [system.read(body, at) for at, body in enumerate(bodies)]
    system.active.memory.end()
    for _ in range(3):
        system.active.memory.begin()
        assert system.read(bodies[0], 0) is pages[0]
    system.active.memory.begin()
    assert [system.read(body, at) for at, body in enumerate(bodies)] == pages
    assert all(system.read(body, at) is pages[at] for at, body in enumerate(bodies))


# Pages that cannot be cut, and rows that mean something else elsewhere


def test_a_row_that_cannot_be_read_keeps_its_place_among_known_rows(system: System) -> None:
    wrong = {"Id": "x", "State": "running"}
    system.read(system.body(*map(row, range(6))))
    system.active.memory.end()
    for at in (2, 3):
        body = system.body(*map(row, range(at)), wrong, *map(row, range(at, 6)))
        assert outcome(system.read, body) == outcome(system.plain, body)
        assert f"$[{at}]" in str(system.read(body).items[at].faults)
        system.active.memory.end()


JSON_ROW = '{"identifier":1,"state":"running","event_identifier":"e","workflow_definition_identifier":"d"}'
XML_ROW = "<WorkflowInstance><Id>1</Id><State>ACTIVE</State></WorkflowInstance>"


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        "[{}]",
        "[{:}]",
        '[{":}]',
        '[{"a":}]',
        "<html>",
        "",
        f"[{JSON_ROW},]",
        f"[{JSON_ROW},,{JSON_ROW}]",
        f"[{JSON_ROW}{JSON_ROW}]",
        f"[{JSON_ROW},{JSON_ROW[:-1]}]",
        f"[{JSON_ROW},1,{JSON_ROW}]",
        f"[{JSON_ROW},{JSON_ROW},{JSON_ROW}] x",
        f" [{JSON_ROW} , {JSON_ROW}]\n",
        f"[{JSON_ROW},\x0b{JSON_ROW}]",
        f'[{JSON_ROW[:-1]},"identifier":2}}]',
        f'[{JSON_ROW[:-1]},"x":[{JSON_ROW},{JSON_ROW}]}},{JSON_ROW}]',
        f"[{JSON_ROW},[{JSON_ROW},{JSON_ROW}]]",
        f'[{{"x":{JSON_ROW}}},{JSON_ROW}]',
        f"{JSON_ROW}",
        f"[[{JSON_ROW},{JSON_ROW}]]",
    ],
)
def test_an_array_with_known_rows_is_read_as_a_whole_if_it_cannot_be_cut(body: str) -> None:
    one = System("opencast")
    one.read(f"[{JSON_ROW},{JSON_ROW}]".encode())
    one.active.memory.end()
    assert outcome(one.read, body.encode()) == outcome(one.plain, body.encode())


@pytest.mark.parametrize(
    "body",
    [
        "<R/>",
        f"<R>{XML_ROW}",
        f"{XML_ROW}",
        f"<R/>{XML_ROW}",
        f"{XML_ROW}<R/>",
        f"<R><!-- {XML_ROW} --></R>",
        f"<R><![CDATA[{XML_ROW}]]></R>",
        f"<R><?x {XML_ROW} ?></R>",
        f"<?x {XML_ROW} ?><R/>",
        f"<R><S>{XML_ROW}</S></R>",
        f"<R><WorkflowInstance>{XML_ROW}</WorkflowInstance></R>",
        f"<R x='{XML_ROW}'/>",
        f"<!DOCTYPE R [<!ENTITY e 'x'>]><R>{XML_ROW}</R>",
        f"<R>{XML_ROW}text{XML_ROW}</R>",
        f"<R>{XML_ROW}<Count>2</Count>{XML_ROW}</R>",
        f"<R>{XML_ROW}</R><!-- </WorkflowInstance> -->",
        f"<R>{XML_ROW}</WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance><Id>&#xfdd0;</Id></WorkflowInstance></R>",
        f"<R><WorkflowInstance>\ufdd0</WorkflowInstance>{XML_ROW}</R>",
        f"<R>{XML_ROW}<X>\ufdd0</X></R>",
        f"<R xmlns:p='u'>{XML_ROW}<p:WorkflowInstance><p:Id>2</p:Id><State>x</State></p:WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance><p:Id>2</p:Id><State>x</State></WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance a='b'><Id>2</Id><State>x</State></WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance><Id>2</Id><Id>3</Id><State>x</State></WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance><Id>2</Id><State/></WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance><Id>2</Id><State>x</State><E/></WorkflowInstance></R>",
        f"<R>{XML_ROW}<WorkflowInstance/></R>",
        f"<R><TotalCount>x</TotalCount>{XML_ROW}</R>",
        f"<R><TotalCount>7</TotalCount><TotalCount>8</TotalCount>{XML_ROW}</R>",
        f"<R a='b'><TotalCount c='d'>7</TotalCount>{XML_ROW}</R>",
        f"<html><body>{XML_ROW}</body></html>",
        f"\ufeff<R>{XML_ROW}</R>",
        f"<R>{XML_ROW}</R>trailing",
        "</WorkflowInstance><WorkflowInstance>",
    ],
)
def test_a_document_with_known_rows_is_read_as_a_whole_if_it_cannot_be_cut(body: str) -> None:
    one = System("preservica")
    one.read(f"<R>{XML_ROW}{XML_ROW}</R>".encode())
    one.active.memory.end()
    assert outcome(one.read, body.encode()) == outcome(one.plain, body.encode())


@pytest.mark.parametrize("broken", [b"\xff", b"\x00", b"\xc3"])
def test_bytes_that_are_no_text_are_refused_as_in_a_plain_read(system: System, broken: bytes) -> None:
    body = system.body(row(1), row(2))
    system.read(body)
    system.active.memory.end()
    for at in range(0, len(body), 3):
        mutated = body[:at] + broken + body[at:]
        assert outcome(system.read, mutated) == outcome(system.plain, mutated)


def test_a_document_that_would_take_long_to_parse_is_refused_before_it_is_cut() -> None:
    with pytest.raises(DecodeError, match="more than 60000 tags"):
        split_elements(b"<R>" + b"<WorkflowInstance></WorkflowInstance>" * 30_001 + b"</R>", "WorkflowInstance")


def test_a_cut_array_equals_the_array() -> None:
    split = split_array(b'[{"a":1,"b":"x"},{"a":2,"b":"y"},{"a":3,"b":"z"}]')
    assert split is not None
    assert [split.tree(row) for row in split.rows] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": "z"}]


# Mutated pages

STEPS = st.sampled_from(["a", "b", "x &amp; y", 'q"', "},{", "", "é"])
STATES = st.sampled_from(["running", "ACTIVE", "paused", "", "new"])
ROWS = st.lists(
    st.builds(row, st.integers(0, 5) | st.just("x"), STEPS, STATES) | st.just({"Id": 1}) | st.just({}), max_size=12
)
EDIT = st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 10_000), st.binary(max_size=2))


def mutate(body: bytes, edits: list[tuple[int, int, int, bytes]]) -> bytes:
    """Replace parts of a body by other parts of it and by other bytes."""
    for at, length, source, text in edits:
        place = at % (len(body) + 1)
        copied = body[source % (len(body) + 1) :][: length if text != b"" else 0]
        body = body[:place] + copied + text + body[place + (length if len(text) == 1 else 0) :]
    return body


@pytest.mark.parametrize("name", NAMES)
@given(
    passes=st.lists(
        st.tuples(
            st.lists(st.tuples(ROWS, st.booleans(), st.lists(EDIT, max_size=2)), min_size=1, max_size=2), st.booleans()
        ),
        max_size=5,
    )
)
def test_mutated_pages_are_read_as_without_a_memory(name: str, passes: list[Any]) -> None:
    one = System(name)
    for pages, is_complete in passes:
        one.active.memory.begin()
        for offset, (rows, pretty, edits) in enumerate(pages):
            body = mutate(one.body(*rows, pretty=pretty), edits)
            for _ in range(2):
                assert outcome(lambda body: one.read(body, offset), body) == outcome(one.plain, body)  # noqa: B023
        if is_complete:
            one.active.memory.end()


@pytest.mark.parametrize("name", NAMES)
@given(rows=ROWS.filter(bool), edits=st.lists(EDIT, min_size=1, max_size=3), data=st.data())
def test_a_known_page_that_is_mutated_is_read_as_without_a_memory(
    name: str, rows: list[Any], edits: list[Any], data: st.DataObject
) -> None:
    one = System(name)
    body = one.body(*rows)
    outcome(one.read, body)
    one.active.memory.end()
    known = (split_array(body) or split_elements(body, "WorkflowInstance")) if body else None
    parts = list(known.rows) if known is not None else []
    piece = data.draw(st.sampled_from(parts or [b""]))
    mutated = mutate(body, edits)
    place = data.draw(st.integers(0, len(mutated)))
    mutated = mutated[:place] + piece + mutated[place:]
    assert outcome(one.read, mutated) == outcome(one.plain, mutated)


@given(rows=ROWS, changed=ROWS)
def test_operations_that_are_requested_are_read_among_known_rows(rows: list[Any], changed: list[Any]) -> None:
    one = System("opencast", operations=True)
    for body in (one.body(*rows), one.body(*rows, *changed), one.body(*changed)):
        assert outcome(one.read, body) == outcome(one.plain, body)
        one.active.memory.end()
