"""Parses XML to the same tree of dicts, lists and texts that JSON gives, and writes XML. Pure.

A leaf is its text. An element with children is a dict by local name. A name that is in `lists` or that repeats holds a
list. Attributes are kept as `@name`, and text beside attributes or children as `#text`, so that nothing is lost.

Simple documents have elements and texts only. ElementTree parses them, and `xml_rows` takes uniform rows out before
that, which is faster still. Every other document goes to expat with one callback per step. All of these give the same
tree. Documents that would take long to parse are rejected before parsing.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

from attrs import define, field

from workflow_async._core.excerpts import is_html
from workflow_async._decode.xml_rows import RowBlock, extract_rows, restore_rows
from workflow_async.errors import DecodeError, InvalidArgument, UnexpectedContent

MAX_DEPTH = 64
MAX_TAGS = 60_000
"""Tags, counting both of each element, comments and sections. A page of 1,000 rows with 28 children has this many."""
MAX_ATTRIBUTES = 20_000
SAFE_LENGTH = min(MAX_TAGS * len("<a>"), MAX_ATTRIBUTES * len(" a=''"))
"""A body of at most this many bytes cannot exceed either limit."""
ATTRIBUTE = re.compile(rb"""=[\s\0]*+["']""")
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry, escaped or not. See https://www.w3.org/TR/xml/#charsets."""


def xml_tree(body: bytes, lists: frozenset[str] = frozenset()) -> Any:
    """Return the tree of an XML body.

    Raises `DecodeError` for malformed, too deep or too large XML, and for any DOCTYPE. Parsing stops at a DOCTYPE,
    because entities can crash parsers and inflate documents.
    """
    check_bounds(body)
    try:
        return parse_simple(body.decode(), lists)
    except (UnicodeDecodeError, ET.ParseError, NotSimple):
        return reference_xml_tree(body, lists)


def xml_list(body: bytes, name: str) -> Any:
    """Return the tree of an XML body. The root's children of this name become a `RowBlock`."""
    check_bounds(body)
    try:
        return _parse_simple_list(body.decode(), name)
    except (UnicodeDecodeError, ET.ParseError, NotSimple):
        tree = reference_xml_tree(body, frozenset({name}))
    if isinstance(tree, dict) and name in tree:
        tree[name] = RowBlock(tree[name])
    return tree


def check_bounds(body: bytes) -> None:
    """Raise `DecodeError` for an HTML page, and for a document that would take long to parse."""
    if is_html(body):
        raise UnexpectedContent("expected XML, got an HTML page @ /")
    if len(body) <= SAFE_LENGTH:
        return
    if body.count(b"<") > MAX_TAGS:
        raise DecodeError(f"more than {MAX_TAGS} tags @ /", parsed=False)
    if body.count(b"=") > MAX_ATTRIBUTES and any(islice(ATTRIBUTE.finditer(body), MAX_ATTRIBUTES, None)):
        raise DecodeError(f"more than {MAX_ATTRIBUTES} attributes @ /", parsed=False)


def _parse_simple_list(text: str, name: str) -> Any:
    """Return the tree of a simple document. Uniform rows are not parsed by ElementTree."""
    document, runs, uniform = extract_rows(text, name)
    tree = parse_simple(document, frozenset({name}))
    elements = tree.get(name, []) if isinstance(tree, dict) else []
    rows = restore_rows(elements, runs, uniform)
    if rows is None:
        raise NotSimple
    if elements:
        tree[name] = rows
    return tree


def parse_simple(text: str, lists: frozenset[str]) -> Any:
    """Return the tree of a simple document."""
    if "<!DOCTYPE" in text or "\0" in text:
        raise NotSimple  # a NUL means UTF-16, which hides a DOCTYPE
    parser = ET.XMLParser(encoding="utf-8")  # noqa: S314 - there are no entities without a DOCTYPE
    parser.feed(text)
    return _simple_tree(parser.close(), lists, {}, MAX_DEPTH)


def reference_xml_tree(body: bytes, lists: frozenset[str]) -> Any:
    """Return the tree of any document. Its depth is checked while it is parsed."""
    builder = _TreeBuilder(lists)
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartDoctypeDeclHandler = builder.reject_doctype
    parser.StartElementHandler = builder.open
    parser.EndElementHandler = builder.close
    parser.CharacterDataHandler = builder.text
    parser.buffer_text = True
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position
    except expat.ExpatError as error:
        problem = f"not XML: {expat.errors.messages[error.code]} in line {error.lineno}"
    except _Rejected as error:
        problem = str(error)
    else:
        return builder.root
    raise DecodeError(f"{problem} @ /", parsed=False)


def xml_bytes(root: str, namespace: str, children: Iterable[tuple[str, "str | list[tuple[str, str]]"]]) -> bytes:
    """Return an element with text children (or children that have text children) as bytes.

    Raises `InvalidArgument` for control characters and lone surrogates.
    """
    element = ET.Element(root, {"xmlns": namespace})
    for name, content in children:
        child = ET.SubElement(element, name)
        if isinstance(content, str):
            child.text = _checked_text(name, content)
        else:
            for inner, text in content:
                ET.SubElement(child, inner).text = _checked_text(inner, text)
    serialized: bytes = ET.tostring(element, encoding="utf-8", xml_declaration=True)
    return serialized.replace(b"\r", b"&#13;")  # XML parsers read an unescaped CR as a line feed


def _checked_text(name: str, text: str) -> str:
    if NOT_XML.search(text):
        raise InvalidArgument(name, "must not contain control characters or lone surrogates, which XML cannot carry")
    return text


class NotSimple(Exception):
    """Raised for a document that has more than elements and texts."""


def _simple_tree(element: ET.Element, lists: frozenset[str], names: dict[str, str], depth: int) -> Any:
    """Return an element's tree.

    Raises `NotSimple` for attributes, text beside children, and unlisted names that repeat.
    """
    text_beside = element.text
    if not len(element) and not element.items():
        return text_beside or ""
    if depth == 1 or element.items() or (text_beside and not text_beside.isspace()):
        raise NotSimple
    tree: dict[str, Any] = {}
    for child in element:
        if child.tail != text_beside:
            text_beside = child.tail
            if text_beside and not text_beside.isspace():
                raise NotSimple
        has_content = len(child) or child.items()
        value = _simple_tree(child, lists, names, depth - 1) if has_content else child.text or ""
        name = names.get(child.tag) or names.setdefault(child.tag, child.tag.rpartition("}")[2])
        if name in lists:
            tree.setdefault(name, []).append(value)
        elif name in tree:
            raise NotSimple
        else:
            tree[name] = value
    return tree


class _Rejected(Exception):
    """Raised by a callback to stop the parser."""


@define
class _Element:
    children: dict[str, Any] = field(factory=dict)
    texts: list[str] = field(factory=list)
    repeated: set[str] = field(factory=set)

    def value(self) -> Any:
        text = "".join(self.texts)
        if not self.children:
            return text
        if text.strip():
            self.children["#text"] = text
        return self.children

    def add(self, name: str, value: Any, *, listed: bool) -> None:
        if name in self.repeated:
            self.children[name].append(value)
        elif listed or name in self.children:
            self.repeated.add(name)
            self.children[name] = [self.children[name], value] if name in self.children else [value]
        else:
            self.children[name] = value


@define
class _TreeBuilder:
    lists: frozenset[str]
    root: Any = None
    open_elements: list[_Element] = field(factory=list)

    def reject_doctype(self, *_: object) -> None:
        raise _Rejected("a DOCTYPE is not allowed")

    def open(self, _: str, attributes: dict[str, str]) -> None:
        if len(self.open_elements) >= MAX_DEPTH:
            raise _Rejected(f"nested deeper than {MAX_DEPTH} elements")
        self.open_elements.append(_Element({f"@{_local_name(name)}": text for name, text in attributes.items()}))

    def text(self, text: str) -> None:
        self.open_elements[-1].texts.append(text)

    def close(self, name: str) -> None:
        value = self.open_elements.pop().value()
        if self.open_elements:
            local = _local_name(name)
            self.open_elements[-1].add(local, value, listed=local in self.lists)
        else:
            self.root = value


def _local_name(name: str) -> str:
    return name.rpartition(" ")[2]
