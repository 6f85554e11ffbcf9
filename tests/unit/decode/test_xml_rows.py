"""Rows that are extracted from a document by a pattern: the tree is the one that a parser alone returns."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async._decode import xml as xml_parser, xml_rows
from workflow_async._decode.xml import reference_xml_tree, xml_list
from workflow_async._decode.xml_rows import MAX_CHILDREN, PLACEHOLDER, ColumnBlock, RowBlock, extract_rows
from workflow_async.errors import DecodeError

PAGE = "<R xmlns='urn:n'><Count>2</Count><Row><A>1</A><B>x y</B></Row><Row><A>2</A></Row></R>"


def outcome(read: Any, document: str, name: str = "Row") -> str:
    """Return the tree in every detail, or the faults."""
    try:
        return repr(read(document.encode(), name))
    except DecodeError as error:
        return f"{type(error).__name__} {error.faults}"


def fast(body: bytes, name: str) -> Any:
    """Return the tree of a list, with its rows as trees."""
    tree = xml_list(body, name)
    if isinstance(tree, dict) and name in tree:
        tree[name] = tree[name].trees()
    return tree


def reference(body: bytes, name: str) -> Any:
    """Return the same tree, read by a parser alone."""
    return reference_xml_tree(body, frozenset({name}))


def extracted(document: str) -> list[dict[str, str]]:
    return extract_rows(document, "Row")[2].trees()


def test_rows_of_texts_are_extracted_whichever_of_their_children_they_have() -> None:
    document, runs, rows = extract_rows(PAGE, "Row")
    assert (runs, rows) == ([2], ColumnBlock({"A": ["1", "2"], "B": ["x y", None]}, 2))
    assert rows.trees() == [{"A": "1", "B": "x y"}, {"A": "2"}]
    assert document == f"<R xmlns='urn:n'><Count>2</Count><Row>{PLACEHOLDER}</Row></R>"


def test_a_placeholder_stands_for_rows_with_only_blanks_between_them() -> None:
    row = "<Row><A>1</A></Row>"
    for between, runs in (
        ("", [3]),
        (" \t\n", [3]),
        ("\r", [1, 1, 1]),
        ("x", [1, 1, 1]),
        ("\x1c", [1, 1, 1]),
        ("<C/>", [1, 1, 1]),
    ):
        document = f"<R>{row}{between}{row}{between}{row}</R>"
        assert extract_rows(document, "Row")[1] == runs
        assert outcome(fast, document) == outcome(reference, document)


def test_uniform_rows_are_restored_in_their_places_among_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(xml_parser, "reference_xml_tree")
    other_rows = "<Row><A>&lt;</A></Row><Row/><Row><B>b</B><A>a</A></Row>"
    page = PAGE.replace("<Row><A>2", other_rows + "<Row><A>2")
    assert fast(page.encode(), "Row") == {
        "Count": "2",
        "Row": [{"A": "1", "B": "x y"}, {"A": "<"}, "", {"B": "b", "A": "a"}, {"A": "2"}],
    }
    rows = xml_list(page.encode(), "Row")["Row"]
    assert rows.layout == [2, "", {"B": "b", "A": "a"}, 1]
    assert rows.merge("xyz", repr) == ["x", "y", "''", "{'B': 'b', 'A': 'a'}", "z"]


def test_rows_of_several_kinds_are_extracted_together() -> None:
    kinds = ["<A>1</A><B>b</B>", "<A>1</A><C>c</C>", "<D>d</D><A>1</A>", "<A>1</A><C>c</C><B>b</B>", "<X>x</X>"]
    document = "<R>" + "".join(f"<Row>{kind}</Row>" for kind in kinds) + "</R>"
    assert len(extracted(document)) == len(kinds)
    assert outcome(fast, document) == outcome(reference, document)


def test_the_usual_escapes_are_read_and_others_are_left_to_the_parser() -> None:
    usual = PAGE.replace("x y", "&lt;a href=&quot;&apos;&quot;&gt; &amp;amp; &amp;lt;")
    assert extracted(usual)[0]["B"] == '<a href="\'"> &amp; &lt;'
    assert outcome(fast, usual) == outcome(reference, usual)
    assert len(extracted(PAGE.replace("x y", "&#65;"))) == 1
    assert len(extracted(PAGE.replace("x y", "a & b"))) == 1


def test_if_neither_the_first_nor_the_last_row_is_uniform_the_parser_reads_all() -> None:
    other_rows = "<Row><A x='1'>1</A></Row>"
    assert extracted(PAGE.replace("<Row>", other_rows + "<Row>", 1)) == extracted(PAGE)
    assert extracted(PAGE.replace("<Row>", other_rows + "<Row>", 1).replace("</R>", other_rows + "</R>")) == []


def test_blanks_between_the_elements_of_a_row_do_not_matter() -> None:
    assert extracted(PAGE.replace("><", ">\n\t <")) == extracted(PAGE)


@pytest.mark.parametrize(
    "row",
    [
        "<Row><A>1</A>x</Row>",
        "<Row>x<A>1</A></Row>",
        "<Row><A>1</A><A>2</A></Row>",
        "<Row><A>1<C>2</C></A></Row>",
        "<Row><C><A>1</A></C></Row>",
        "<Row><Row><A>1</A></Row></Row>",
        "<Row><A x='1'>1</A></Row>",
        "<Row x='1'><A>1</A></Row>",
        "<Row ><A>1</A></Row>",
        "<Row><A>a&amp;b</A></Row>",
        "<Row><A>a>b</A></Row>",
        "<Row><A>a]]>b</A></Row>",
        "<Row><A>a\rb</A></Row>",
        "<Row>\r\n<A>a</A>\r\n</Row>",
        "<Row><A>\x01</A></Row>",
        "<Row><A>\uffff</A></Row>",
        "<Row><A>\x85\u2028</A></Row>",
        f"<Row><A>{PLACEHOLDER}</A></Row>",
        f"<Row>{PLACEHOLDER}</Row>",
        "<Row>&#xfdd0;</Row>",
        "<Row></Row>",
        "<Row>\n</Row>",
        "<Row><A></A></Row>",
        "<Row><A/></Row>",
        "<Row><A>1</A></Row",
        "<Row><A>1</Row></A>",
        "<!-- <Row><A>1</A></Row> -->",
        "<![CDATA[<Row><A>1</A></Row>]]>",
        "<?p <Row><A>1</A></Row> ?>",
        "<!-- ",
        "<C x='<Row><A>1</A></Row>'/>",
        "<C><Row><A>1</A></Row></C>",
        "<x:Row><A>1</A></x:Row>",
        "<Row><x:A>1</x:A></Row>",
        "<Row xmlns='urn:m'><A>1</A></Row>",
        "</R><Row><A>1</A></Row><R>",
        "<!DOCTYPE a>",
    ],
)
@pytest.mark.parametrize("place", ["first", "between", "alone"])
def test_a_row_of_another_kind_is_read_as_the_reference_reads_it(row: str, place: str) -> None:
    document = {
        "first": PAGE.replace("<Count>", row + "<Count>"),
        "between": PAGE.replace("<Row><A>2", row + "<Row><A>2"),
        "alone": row,
    }[place]
    assert outcome(fast, document) == outcome(reference, document)


@pytest.mark.parametrize("placeholder", [PLACEHOLDER, "&#xfdd0;", "&#xFDD0;", "&#x00fdd0;", "&#64976;", "&#0064976;"])
def test_rows_that_are_not_children_of_the_root_are_left_to_the_reference(placeholder: str) -> None:
    document = f"<R><C><Row><A>1</A></Row></C><Row>{placeholder}</Row></R>"
    assert outcome(fast, document) == outcome(reference, document)
    assert fast(document.encode(), "Row") == {"C": {"Row": [{"A": "1"}]}, "Row": [PLACEHOLDER]}
    assert fast(b"<R><C><Row><A>1</A></Row></C></R>", "Row") == {"C": {"Row": [{"A": "1"}]}}
    assert fast(b"<Row><A>1</A></Row>", "Row") == {"A": "1"}


def test_a_list_without_rows_and_one_of_odd_rows_are_read_by_the_parser_alone() -> None:
    assert xml_list(b"<R><Count>0</Count></R>", "Row") == {"Count": "0"}
    assert xml_list(b"<R><Row/><Row>x</Row></R>", "Row") == {"Row": RowBlock(["", "x"])}
    assert xml_list(b"<R><Row/><Row y='1'/></R>", "Row") == {"Row": RowBlock(["", {"@y": "1"}])}
    assert xml_list(b"<R>text</R>", "Row") == "text"


def test_rows_without_any_known_child_are_still_counted() -> None:
    assert ColumnBlock({}, 3).trees() == [{}, {}, {}]


def test_a_pattern_covers_at_most_64_children() -> None:
    many = "".join(f"<N{index}>1</N{index}>" for index in range(4 * MAX_CHILDREN))
    document = f"<R><Row>{many}</Row><Row><N1>1</N1></Row></R>"
    assert extracted(document) == [{"N1": "1"}]
    assert outcome(fast, document) == outcome(reference, document)


def test_at_most_32_patterns_are_cached() -> None:
    for index in range(100):
        extracted(f"<R><Row><A{index}>1</A{index}></Row></R>")
    assert xml_rows._row_pattern.cache_info().currsize <= 32


PIECES = st.sampled_from(
    [
        "<Row>", "</Row>", "<A>", "</A>", "<B>", "</B>", "<A/>", "<A>1</A>", "<B>b</B>", "<C>c</C>", "\n", " ", "x",
        "<Row><A>1</A><B>2</B></Row>", "<Row><A>3</A></Row>", "<Row>\n<B>4</B>\n</Row>", "<!--", "-->", "<![CDATA[",
        "]]>", "<?p", "?>", PLACEHOLDER, "\u00e4", "<Row/>", "<C x='1'>", "</C>", "'", '"', "<", "&lt;", "\r",
        "&amp;", "&#65;", "&", "<C>", "<Row>&#xFDD0;</Row>",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12), st.sampled_from(["Row", "A", "R", "B"]))
def test_for_any_document_the_tree_equals_that_of_the_reference(pieces: list[str], name: str) -> None:
    document = f"<R>{''.join(pieces)}<Row><A>1</A><B>2</B></Row></R>"
    assert outcome(fast, document, name) == outcome(reference, document, name)
