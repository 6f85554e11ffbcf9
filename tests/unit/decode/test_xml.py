"""Parsing and writing XML, including documents that crash other parsers or exhaust their memory."""

import contextlib
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given, strategies as st

from workflow_async._core.excerpts import is_html
from workflow_async._decode import xml as xml_parser
from workflow_async._decode.xml import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_TAGS,
    NOT_XML,
    reference_xml_tree,
    xml_bytes,
    xml_list,
    xml_tree,
)
from workflow_async.errors import DecodeError, InvalidArgument, UnexpectedContent

LAUGHS = b"<!DOCTYPE a [<!ENTITY l0 'lol'>%s]><a>&l9;</a>" % b"".join(
    b"<!ENTITY l%d '%s'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)
)
CHAIN = b"<!DOCTYPE a [<!ENTITY e0 'x'>%s]><a>&e99999;</a>" % b"".join(
    b"<!ENTITY e%d '&e%d;'>" % (n, n - 1) for n in range(1, 100_000)
)
HOSTILE = {
    "billion laughs": LAUGHS,
    "quadratic blow-up": b"<!DOCTYPE a [<!ENTITY e '%s'>]><a>%s</a>" % (b"x" * 50_000, b"&e;" * 50_000),
    "chained entities": CHAIN,
    "DOCTYPE only": b"<!DOCTYPE a><a/>",
    "DOCTYPE after a comment": b"<?xml version='1.0'?><!-- c --><!DOCTYPE a []><a/>",
    "external DTD": b"<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd'><a/>",
    "external entity": b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
    "parameter entity": b"<!DOCTYPE a [<!ENTITY % e SYSTEM 'http://127.0.0.1:9/'> %e;]><a/>",
    "two million deep": b"<a>" * 2_000_000,
    "two million deep, closed": b"<a>" * 2_000_000 + b"</a>" * 2_000_000,
    "a million elements": b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
    "200,000 attributes": b"<a " + b" ".join(b"a%d=''" % n for n in range(200_000)) + b"><b></a>",
    "attributes on 29,000 elements": b"<a>" + b"<b c = '1'/>" * 29_000 + b"</a>",
    "30,000 utf-16 attributes": ("<a " + " ".join(f"a{n} = ''" for n in range(30_000)) + "/>").encode("utf-16"),
    "600,000 sections": b"<a>" + b"<![CDATA[]]>" * 600_000 + b"</a>",
    "a name of 8 MB": b"<" + b"a" * 8_000_000,
    "utf-7": b"<?xml version='1.0' encoding='utf-7'?><a>+ADw-b/+AD4-\xff</a>",
    "utf-16 with a DOCTYPE": "<!DOCTYPE a><a>ä</a>".encode("utf-16"),
    "utf-16 by declaration only": b"<?xml version='1.0' encoding='utf-16'?><a>\xff\xfe</a>",
    "latin-1": b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>",
    "an undefined entity": b"<a>&nbsp;</a>",
    "an undeclared prefix": b"<x:a/>",
    "the same attribute twice": b"<a b='1' b='2'/>",
    "a NUL": b"<a>\0</a>",
    "two roots": b"<a/><b/>",
    "cut short": b"<a><b>text</b>",
    "text only": b"token",
    "nothing": b"",
}

READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
from workflow_async._decode.xml import xml_tree
from workflow_async.errors import DecodeError
body = open(sys.argv[1], 'rb').read()
try:
    xml_tree(body)
except DecodeError as error:
    assert len(str(error)) < 300, error
    print("rejected")
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_rejected_without_a_crash(name: str, tmp_path: Path) -> None:
    document = tmp_path / "document.xml"
    document.write_bytes(HOSTILE[name])
    completed = subprocess.run(
        [sys.executable, "-c", READ, document], capture_output=True, text=True, timeout=30, check=False
    )
    assert (completed.returncode, completed.stdout.strip(), completed.stderr) == (0, "rejected", "")


@pytest.mark.parametrize(
    ("document", "tree"),
    [
        (b"<a/>", ""),
        (b"<a>text</a>", "text"),
        (b"<a>AB<!-- c -->CD</a>", "ABCD"),
        (b"<a>AB<?pi x?>CD</a>", "ABCD"),
        (b"<a><![CDATA[<b>&amp;]]></a>", "<b>&amp;"),
        (b"<a>&lt;&#228;&#x1F600;</a>", "<ä😀"),
        (b"<a>\xc3\xa4</a>", "ä"),
        (b"\xef\xbb\xbf<a>bom</a>", "bom"),
        ("<?xml version='1.0' encoding='utf-16'?><a>ä</a>".encode("utf-16"), "ä"),
        (b"<?xml version='1.0' encoding='utf-8'?>\n<a> x </a>\n", " x "),
        (b"<?xml version='1.0' encoding='iso-8859-1'?><a>plain</a>", "plain"),
        (b"<a><b>1</b><c>2</c></a>", {"b": "1", "c": "2"}),
        (b"<a>\n  <b>1</b>\n</a>", {"b": "1"}),
        (b"<a><b>1</b><b>2</b><b>3</b></a>", {"b": ["1", "2", "3"]}),
        (b"<a><b/><c/><b/></a>", {"b": ["", ""], "c": ""}),
        (b"<a x='1'/>", {"@x": "1"}),
        (b"<a x='1'>text</a>", {"@x": "1", "#text": "text"}),
        (b"<a>before<b/>after</a>", {"b": "", "#text": "beforeafter"}),
        (b"<a xmlns='urn:n'><b>1</b></a>", {"b": "1"}),
        (b"<n:a xmlns:n='urn:n' n:x='1'><n:b>1</n:b></n:a>", {"@x": "1", "b": "1"}),
    ],
)
def test_a_document_becomes_the_tree_that_json_would_give(document: bytes, tree: object) -> None:
    assert xml_tree(document) == tree


@pytest.mark.parametrize(
    ("document", "tree"),
    [
        (b"<a><b>1</b></a>", {"b": ["1"]}),
        (b"<a><b>1</b><b>2</b></a>", {"b": ["1", "2"]}),
        (b"<a><c>1</c></a>", {"c": "1"}),
        (b"<b><b/></b>", {"b": [""]}),
    ],
)
def test_a_listed_name_is_always_a_list(document: bytes, tree: object) -> None:
    assert xml_tree(document, frozenset({"b"})) == tree


def test_a_tree_may_be_64_elements_deep_and_no_deeper() -> None:
    assert xml_tree(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    with pytest.raises(DecodeError, match="deeper than 64"):
        xml_tree(b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("name", [name for name in HOSTILE if "million" not in name and "entities" not in name])
def test_the_error_says_what_is_wrong_and_where(name: str) -> None:
    with pytest.raises(DecodeError, match=" @ /$"):
        xml_tree(HOSTILE[name])


def test_an_html_page_instead_of_xml_is_unexpected_content() -> None:
    with pytest.raises(UnexpectedContent):
        xml_tree(b"<!DOCTYPE html><html><body>Please log in</body></html>")


@given(st.binary() | st.text(alphabet="<>/ab&;!?[]='\" -").map(str.encode))
def test_any_bytes_are_a_tree_or_a_decode_error(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        xml_tree(body)


TEXT = st.text(st.characters(codec="utf-8")).filter(lambda text: not NOT_XML.search(text))


@given(TEXT, TEXT)
def test_any_text_that_xml_can_carry_is_read_back_unchanged(one: str, two: str) -> None:
    body = xml_bytes("Root", "urn:n", [("One", one), ("Pair", [("Key", one), ("Value", two)])])
    assert xml_tree(body) == {"One": one, "Pair": {"Key": one, "Value": two}}


def test_the_writer_escapes_markup() -> None:
    body = xml_bytes("Root", "urn:n", [("One", "</One><Evil/>&\r\n")])
    assert b"<Evil" not in body
    assert ET.fromstring(body).findtext("{urn:n}One") == "</One><Evil/>&\r\n"


@pytest.mark.parametrize("text", ["\0", "a\x0bb", "\x1f", "\ufffe", "\uffff", "\ud800", "\x08"], ids=ascii)
def test_a_character_that_xml_cannot_carry_is_rejected_by_name_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        xml_bytes("Root", "urn:n", [("Pair", [("Key", "secret" + text)])])
    assert caught.value.argument == "Key"
    assert "secret" not in str(caught.value)


def test_the_memory_limit_of_the_subprocesses_does_not_apply_here() -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2**29


# The fast parser and the reference


def outcome(read: Any, body: bytes, lists: frozenset[str]) -> str:
    """Return the tree in every detail, or the faults."""
    try:
        return repr(read(body, lists))
    except DecodeError as error:
        return f"{type(error).__name__} {error.faults}"


NAMES = st.sampled_from(["a", "b", "c", "n:a", "n:b"])
BITS = st.sampled_from(
    [
        "",
        "x",
        " ",
        "\n  ",
        "&lt;",
        "&#65;",
        "&nbsp;",
        "]]>",
        "<!-- c -->",
        "<?p x?>",
        "<![CDATA[<a>]]>",
        "\u00e4",
        "\xa0",
    ]
)
ATTRIBUTES = st.sampled_from(["", "", "", " x='1'", " n:x='1' y=''", " xmlns='urn:o'", " xmlns:n='urn:m }'"])


def element(name: str, attributes: str, inner: list[str]) -> str:
    return f"<{name}{attributes}>{''.join(inner)}</{name}>"


ELEMENTS = st.recursive(
    st.builds(element, NAMES, ATTRIBUTES, st.lists(BITS, max_size=2)),
    lambda inner: st.builds(element, NAMES, ATTRIBUTES, st.lists(inner | BITS, max_size=5)),
    max_leaves=12,
)
PROLOGS = st.sampled_from(
    [
        "",
        "<?xml version='1.0'?>",
        "<?xml version='1.0' encoding='latin-1'?>\n",
        "<!DOCTYPE a>",
        "\ufeff",
        " ",
        "<!-- x -->",
    ]
)


@given(PROLOGS, ELEMENTS, st.sets(st.sampled_from("abc")), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_the_fast_parser_returns_what_the_reference_returns(
    prolog: str, element: str, lists: set[str], encoding: str
) -> None:
    body = f"{prolog}<r xmlns:n='urn:n'>{element}</r>".encode(encoding, "replace")
    assert outcome(xml_tree, body, frozenset(lists)) == outcome(reference_xml_tree, body, frozenset(lists))


@given(st.binary() | st.text(alphabet="<>/ab&;!?[]='\" -").map(str.encode))
def test_both_parsers_read_any_bytes_the_same(body: bytes) -> None:
    assume(not is_html(body))
    assert outcome(xml_tree, body, frozenset()) == outcome(reference_xml_tree, body, frozenset())


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_TAGS // 2 - 2])
@pytest.mark.parametrize("core", [b"", b"x", b"<b/>", b"<b><c/></b>", b"<b x='1'/>"])
def test_both_parsers_find_the_same_depth(depth: int, core: bytes) -> None:
    body = b"<a>" * depth + core + b"</a>" * depth
    assert outcome(xml_tree, body, frozenset()) == outcome(reference_xml_tree, body, frozenset())


def test_a_simple_document_does_not_go_through_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(xml_parser, "reference_xml_tree")
    assert xml_tree(b"<r xmlns='urn:n'>\n <a>1</a>\n <b><a>2</a></b>\n</r>") == {"a": "1", "b": {"a": "2"}}
    with pytest.raises(NameError):
        xml_tree(b"<r x='1'/>")


# Rejected before parsing


def remove_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove both parsers."""
    monkeypatch.delattr(xml_parser, "expat")
    monkeypatch.delattr(xml_parser, "ET")


@pytest.mark.parametrize("read", [xml_tree, lambda body: xml_list(body, "b")], ids=["tree", "list"])
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("two million deep", f"more than {MAX_TAGS} tags @ /"),
        ("a million elements", f"more than {MAX_TAGS} tags @ /"),
        ("600,000 sections", f"more than {MAX_TAGS} tags @ /"),
        ("200,000 attributes", f"more than {MAX_ATTRIBUTES} attributes @ /"),
        ("attributes on 29,000 elements", f"more than {MAX_ATTRIBUTES} attributes @ /"),
        ("30,000 utf-16 attributes", f"more than {MAX_ATTRIBUTES} attributes @ /"),
    ],
)
def test_a_document_that_would_take_long_is_rejected_before_parsing(
    name: str, fault: str, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_parsers(monkeypatch)
    with pytest.raises(DecodeError) as caught:
        read(HOSTILE[name])
    assert caught.value.faults == (fault,)


def test_tags_and_attributes_are_read_up_to_their_limits_and_not_beyond() -> None:
    tags = b"<a>%s</a>" % (b"<b/>" * (MAX_TAGS - 2))
    assert len(xml_tree(tags)["b"]) == MAX_TAGS - 2
    with pytest.raises(DecodeError, match="tags"):
        xml_tree(tags.replace(b"<b/>", b"<b/><b/>", 1))
    attributes = b"<a>%s</a>" % (b"<b x\t=\n''/>" * MAX_ATTRIBUTES)
    assert len(xml_tree(attributes)["b"]) == MAX_ATTRIBUTES
    with pytest.raises(DecodeError, match="attributes"):
        xml_tree(attributes.replace(b"<b x", b"<b y='' x", 1))


def test_the_tags_of_a_short_document_are_not_counted() -> None:
    assert len(b"<a>") * MAX_TAGS >= xml_parser.SAFE_LENGTH
    assert len(b" a=''") * MAX_ATTRIBUTES >= xml_parser.SAFE_LENGTH


def test_a_page_of_a_thousand_rows_with_all_their_children_is_within_the_limits() -> None:
    row = "".join(f"\n<Child{n}>= a == b =\n</Child{n}>" for n in range(28))
    page = f"<R><TotalCount>1000</TotalCount>{f'<Row>{row}</Row>' * 1000}</R>".encode()
    assert len(xml_list(page, "Row")["Row"].trees()) == 1000


def test_equals_signs_in_texts_do_not_count_as_attributes() -> None:
    assert xml_tree(b"<a>%s</a>" % (b"=" * 10 * MAX_ATTRIBUTES)) == "=" * 10 * MAX_ATTRIBUTES


@pytest.mark.parametrize(
    "body", [b"", b"<a>", b"<a></b>", b"\x00", b"<!DOCTYPE a><a/>", b"<a>" * 65, *HOSTILE.values()]
)
def test_an_error_of_the_parser_says_so(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        xml_tree(body)
    assert not caught.value.parsed
