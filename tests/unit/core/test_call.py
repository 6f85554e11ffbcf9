"""Ids, path segments, configuration values, and responses that cannot be read."""

import enum
import types
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, strategies as st

from workflow_async._core.call import (
    MAX_ID,
    Call,
    Reply,
    checked_on_unreadable,
    parse_id,
    path_segment,
    stringify,
)
from workflow_async._core.excerpts import is_html
from workflow_async.errors import BODY_CUT, DecodeError, InvalidArgument


@pytest.mark.parametrize(
    ("value", "read"), [(0, 0), (1603, 1603), ("1603", 1603), ("007", 7), (MAX_ID, MAX_ID), (str(MAX_ID), MAX_ID)]
)
def test_an_int_or_its_digits_are_an_id(value: int | str, read: int) -> None:
    assert parse_id("workflow_id", value) == read


@pytest.mark.parametrize(
    "value",
    [
        "", " 1", "1 ", "1\n", "+1", "-1", "1.0", "1e3", "0x10", "1_000", ".", "..", "1/../../admin", "1;jsessionid=1",
        "1?x", "1#x", "%31", "\uff11", "٣", "²", "9" * 20, "0" * 20 + "9" * 30, "1" * 5000, str(2**63),
        -1, True, False, 1.0, 2**63, 10**5000, None, b"1", [1],
    ],
    ids=lambda value: str(type(value).__name__),
)  # fmt: skip
def test_anything_else_is_not_an_id(value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_id("workflow_id", value)
    assert caught.value.argument == "workflow_id"


@given(st.integers() | st.text())
def test_an_id_adds_only_digits_to_a_path(value: int | str) -> None:
    try:
        path = str(parse_id("id", value))
    except InvalidArgument:
        return
    assert path.isascii()
    assert path.isdigit()
    assert int(path) == int(value)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("fast", "fast"),
        ("f41e4417-b841", "f41e4417-b841"),
        ("a b", "a%20b"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a&b=c+d", "a%26b%3Dc%2Bd"),
        ("...", "..."),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_text_becomes_one_quoted_segment(value: str, quoted: str) -> None:
    assert path_segment("definition_id", value) == quoted


@pytest.mark.parametrize(
    "value",
    [
        "", ".", "..", "a/b", "1/../../admin", "/", "\\", "..\\admin", ";jsessionid=1", "a;b", "%2e%2e", "%2f", "a?b",
        "a#b", "a\0b", "a\r\nb", "a\tb", "\x7f", "\u2028", "\u200b", "\ud800", "x" * 256, "ä" * 300, None, 7, b"fast",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_text_that_could_be_taken_for_another_path_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        path_segment("definition_id", value)
    assert caught.value.argument == "definition_id"


def test_allowed_characters_are_quoted_and_the_others_still_refused() -> None:
    assert path_segment("event_id", "a;b;", allowed=";") == "a%3Bb%3B"
    with pytest.raises(InvalidArgument, match=r"any of / \\ % \? #, which"):
        path_segment("event_id", "a;b/c", allowed=";")


@given(st.text())
def test_a_segment_decodes_to_its_text_and_never_to_two_segments(value: str) -> None:
    try:
        quoted = path_segment("id", value)
    except InvalidArgument:
        return
    assert unquote(quoted) == value
    assert "/" not in quoted
    assert quoted not in {"", ".", ".."}


@pytest.mark.parametrize(
    "body", [b"<html>", b" \r\n<!DOCTYPE html><html>", b"<!doctype HTML PUBLIC", b"<HTML lang=en>"]
)
def test_an_html_page_is_recognised_by_its_beginning(body: bytes) -> None:
    assert is_html(body)
    assert Reply(200, {"content-type": "application/json"}, body).is_page


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<?xml version='1.0'?>", b"<workflows/>", b" " * 1100 + b"<html>", b"html"]
)
def test_json_xml_and_an_empty_body_are_no_html_page(body: bytes) -> None:
    assert not Reply(200, {}, body).is_page


def test_calls_are_equal_by_their_request_and_their_repr_shows_no_body() -> None:
    one, two = (Call("POST", "/login", lambda reply: reply, body=b"password=secret") for _ in "12")
    assert one == two
    assert "secret" not in repr(one)


def test_the_repr_of_a_reply_shows_neither_body_nor_headers() -> None:
    assert repr(Reply(200, {"set-cookie": "JSESSIONID=secret"}, b"secret")) == "Reply(status=200)"


# Values of a configuration


class Word(str, enum.Enum):  # noqa: UP042 - one that prints itself as Word.FAST
    FAST = "fast"


class Count(enum.IntEnum):
    TWO = 2


class Loud(float):
    def __repr__(self) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("x", "x"), ("", ""), ("ü\U0001f5a4\n", "ü\U0001f5a4\n"), (True, "true"), (False, "false"), (0, "0"),
        (2**70, "1180591620717411303424"), (1.5, "1.5"), (-0.0, "-0.0"), (1e300, "1e+300"), (5e-324, "5e-324"),
        (Word.FAST, "fast"), (Count.TWO, "2"), (Loud(2.5), "2.5"), (10**4299, "1" + "0" * 4299),
    ],
)  # fmt: skip
def test_a_value_is_sent_as_the_text_of_its_basic_type(value: Any, sent: str) -> None:
    found = stringify("configuration", types.MappingProxyType({"k": value, Word.FAST: "v"}))
    assert found == {"k": sent, "fast": "v"}
    assert {type(text) for text in (*found, *found.values())} == {str}


NO_VALUES = [
    "\ud800", "a\udfffb", float("nan"), float("inf"), float("-inf"), Loud("nan"), 10**5000, -(10**5000), None, b"x", [],
    {}, Decimal(1), 1j, object(),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_VALUES, ids=lambda value: type(value).__name__)
def test_an_invalid_value_is_refused_and_its_key_is_named(value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^configuration\['k'\]: must ") as caught:
        stringify("configuration", {"a": "b", "k": value})
    assert caught.value.argument == "configuration['k']"


@pytest.mark.parametrize("key", [None, 7, b"k", ("k",), "\ud800", "k\udc00"], ids=ascii)
def test_an_invalid_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidArgument, match="^configuration: must ") as caught:
        stringify("configuration", {key: "v"})
    assert str(caught.value).encode()


@pytest.mark.parametrize("values", [None, [], "ab", b"ab", {"a"}, 7, [("a", "b")]], ids=repr)
def test_only_a_mapping_is_a_configuration(values: Any) -> None:
    with pytest.raises(InvalidArgument, match="^parameters: must be a dict"):
        stringify("parameters", values)


def test_an_error_shows_only_the_beginning_of_a_key() -> None:
    with pytest.raises(InvalidArgument) as caught:
        stringify("configuration", {"k" * 10_000: None})  # type: ignore[dict-item]  # what is refused
    assert len(str(caught.value)) < 200


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.decimals(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(st.characters()), inner, max_size=2),
    max_leaves=3,
)


@given(ANYTHING | st.dictionaries(st.text(st.characters()) | st.integers() | st.none(), ANYTHING, max_size=3))
def test_any_mapping_becomes_encodable_texts_or_is_refused(values: Any) -> None:
    try:
        found = stringify("configuration", values)
    except InvalidArgument as refused:
        found, values = {str(refused): ""}, [str(refused)]
    assert all(text.encode().decode() == text for text in (*found, *found.values()))
    assert list(found) == list(values)


# Responses that cannot be read


def unreadable(body: bytes, **options: Any) -> DecodeError:
    def read(_: Reply) -> None:
        raise DecodeError("expected an object @ $")

    with pytest.raises(DecodeError) as caught:
        Call("GET", "/thing", read, **options).read_reply(Reply(200, {}, body))
    return caught.value


def test_a_readable_response_returns_what_the_call_reads() -> None:
    assert Call("GET", "/thing", lambda reply: reply.status).read_reply(Reply(200, {}, b"")) == 200


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", ""),
        (b'{"a": 1}', '{"a": 1}'),
        (b"\xff\xfe<a>", "\ufffd\ufffd<a>"),
        (b"x" * 5000, "x" * BODY_CUT),
        ("\U0001f5a4".encode() * 5000, "\U0001f5a4" * BODY_CUT),
        ("ä".encode() * 5000, "ä" * BODY_CUT),
    ],
)
def test_an_unreadable_response_keeps_the_beginning_of_its_body(body: bytes, kept: str) -> None:
    error = unreadable(body)
    assert error.body == kept
    assert (kept[:20] or "-") not in str(error)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"token": "s3cret"}', '{"token": "..."}'),
        (b'{"refresh-token" : "s3\\"cret", "user": "u"}', '{"refresh-token" : "...", "user": "u"}'),
        (b'{"Password":"s3cret', '{"Password":"..."'),
        (b'{"secretKey":"s3cret\\', '{"secretKey":"..."'),
        (b'{"SESSIONID":"s3c\nret","a":"b"}', '{"SESSIONID":"...","a":"b"}'),
        (b'{"title":"token"}', '{"title":"token"}'),
        (b"<CorrelationToken>a</CorrelationToken>", "<CorrelationToken>a</CorrelationToken>"),
    ],
)
def test_credentials_in_a_body_are_left_out(body: bytes, kept: str) -> None:
    assert unreadable(body).body == kept


def test_a_sensitive_call_keeps_nothing_of_its_response() -> None:
    assert unreadable(b'{"anything": "s3cret"}', sensitive=True).body == ""


def test_what_to_do_about_unreadable_rows_is_one_of_two_words() -> None:
    assert (checked_on_unreadable("raise"), checked_on_unreadable("skip")) == ("raise", "skip")
    others: list[Any] = ["", "ignore", None, True, []]
    for wrong in others:
        with pytest.raises(InvalidArgument, match="^unreadable: must be one of raise, skip"):
            checked_on_unreadable(wrong)
