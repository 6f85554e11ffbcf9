"""What the server sent is kept beside a record only if that was requested."""

import json
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async._core.call import Page, Reply, UnreadableRow
from workflow_async._decode.json import json_tree
from workflow_async._decode.raw import cut_elements, with_raw, with_raw_rows
from workflow_async._decode.xml import reference_xml_tree
from workflow_async.opencast import calls as opencast, params
from workflow_async.preservica import calls as preservica

OBJECT = {"identifier": 7, "state": "running", "event_identifier": "e-1", "unknown": [1.50, None]}
ELEMENT = b"<WorkflowInstance><Id>7</Id><State>ACTIVE</State></WorkflowInstance>"


def reply(value: object) -> Reply:
    return Reply(200, {}, value if isinstance(value, bytes) else json.dumps(value).encode())


def page_of(*rows: object) -> Page[Any]:
    """Return a page of Opencast's list with the rows kept."""
    call = opencast.list_workflows(filter="", sort="", include=params.including(withoperations=True), size=len(rows))
    return with_raw_rows(call, json_tree).read(reply(rows))


def test_a_record_holds_the_object_as_the_server_sent_it() -> None:
    call = opencast.get_workflow(7, params.including(withoperations=True))
    record = with_raw(call, json_tree).read(reply(OBJECT))
    assert record.raw == OBJECT
    assert record.operations == ()
    assert call.read(reply(OBJECT)).raw is None


def test_a_record_of_preservica_holds_the_xml() -> None:
    record = with_raw(preservica.get_workflow(7), bytes).read(reply(ELEMENT))
    assert record.raw == ELEMENT
    assert preservica.get_workflow(7).read(reply(ELEMENT)).raw is None


def test_every_row_of_a_page_and_of_the_pages_after_it_holds_its_own() -> None:
    others = [{**OBJECT, "identifier": id} for id in (8, 9)]
    page = page_of(OBJECT, *others)
    assert [item.raw for item in page.items] == [OBJECT, *others]
    assert page.next is not None
    assert page.next.read(reply([OBJECT])).items[0].raw == OBJECT


def test_a_row_that_cannot_be_read_stays_in_its_place() -> None:
    first, second, third = page_of(OBJECT, {"identifier": None}, {**OBJECT, "identifier": 9}).items
    assert (first.raw, third.raw["identifier"]) == (OBJECT, 9)
    assert isinstance(second, UnreadableRow)


def test_rows_of_xml_hold_their_elements() -> None:
    rows = [ELEMENT, b"<WorkflowInstance/>", b"<w:WorkflowInstance><Id>8</Id><State>x</State></w:WorkflowInstance>"]
    body = b'<Instances xmlns:w="w"><TotalCount>3</TotalCount>' + b"\n ".join(rows) + b"</Instances>"
    call = with_raw_rows(preservica.list_workflows((), size=3), partial(cut_elements, name="WorkflowInstance"))
    first, second, third = call.read(reply(body)).items
    assert (first.raw, third.raw) == (rows[0], rows[2])
    assert isinstance(second, UnreadableRow)


def test_what_was_sent_is_neither_compared_nor_hashed_nor_shown() -> None:
    records: list[tuple[Any, Any]] = [
        (
            with_raw(opencast.get_workflow(7), json_tree).read(reply(OBJECT)),
            opencast.get_workflow(7).read(reply(OBJECT)),
        ),
        (
            with_raw(preservica.get_workflow(7), bytes).read(reply(ELEMENT)),
            preservica.get_workflow(7).read(reply(ELEMENT)),
        ),
    ]
    for kept, bare in records:
        assert kept == bare
        assert hash(kept) == hash(bare)
        assert repr(kept) == repr(bare)
        assert kept.to_dict() == bare.to_dict()
        assert pickle.loads(pickle.dumps(kept)).raw == kept.raw


# Cutting

names = st.sampled_from(["row", "n:row", "other", "list"])
texts = st.sampled_from(
    ["", " ", "t", "/>", "a > b", "&lt;/row&gt;", "<!-- <row/> -->", "<![CDATA[</row>]]>", "<?p <row>?>", "ä"]
)
attributes = st.sampled_from(["", ' a="/>"', " a='\">'", ' b = "&lt;"'])


def _element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def build(name: str, attribute: str, parts: list[str], short: str) -> str:
        content = "".join(parts)
        return f"<{name}{attribute}/>" if not content and short else f"<{name}{attribute}>{content}</{name} >"

    return st.builds(build, names, attributes, st.lists(texts | children, max_size=4), st.sampled_from(["", "yes"]))


elements = st.recursive(_element(st.nothing()), _element, max_leaves=8)


@given(
    st.lists(st.tuples(elements, texts), max_size=6), st.sampled_from(["list", "row"]), st.sampled_from(["", "\ufeff"])
)
def test_the_children_are_cut_exactly(children: list[tuple[str, str]], root: str, mark: str) -> None:
    body = f'{mark}<{root} xmlns:n="n">{"".join(child + text for child, text in children)}</{root}>'.encode()
    reference_xml_tree(body, frozenset())
    wanted = [child.encode() for child, _ in children if child.startswith(("<row", "<n:row"))]
    assert cut_elements(body, "row") == wanted


@pytest.mark.parametrize("size", [10, 3000])
def test_a_long_page_is_cut_row_by_row(size: int) -> None:
    rows = [b"<WorkflowInstance><Id>%d</Id></WorkflowInstance>" % id for id in range(size)]
    assert cut_elements(b"<Instances>" + b"".join(rows) + b"</Instances>", "WorkflowInstance") == rows
