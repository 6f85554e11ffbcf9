"""Ids and segments: what may become part of a path, and what may not."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_async._call import MAX_ID, Call, Reply, is_html, number, segment
from workflow_async.errors import InvalidArgument


@pytest.mark.parametrize(
    ("value", "read"), [(0, 0), (1603, 1603), ("1603", 1603), ("007", 7), (MAX_ID, MAX_ID), (str(MAX_ID), MAX_ID)]
)
def test_a_whole_number_or_its_digits_are_an_id(value: int | str, read: int) -> None:
    assert number("workflow_id", value) == read


@pytest.mark.parametrize(
    "value",
    [
        "", " 1", "1 ", "1\n", "+1", "-1", "1.0", "1e3", "0x10", "1_000", ".", "..", "1/../../admin", "1;jsessionid=1",
        "1?x", "1#x", "%31", "\uff11", "٣", "²", "9" * 20, "0" * 20 + "9" * 30, "1" * 5000, str(2**63),
        -1, True, False, 1.0, 2**63, 10**5000, None, b"1", [1],
    ],
    ids=lambda value: str(type(value).__name__),
)  # fmt: skip
def test_anything_else_is_no_id(value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        number("workflow_id", value)
    assert caught.value.argument == "workflow_id"


@given(st.integers() | st.text())
def test_no_id_carries_more_than_digits_into_a_path(value: int | str) -> None:
    try:
        path = str(number("id", value))
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
    assert segment("definition_id", value) == quoted


@pytest.mark.parametrize(
    "value",
    [
        "", ".", "..", "a/b", "1/../../admin", "/", "\\", "..\\admin", ";jsessionid=1", "a;b", "%2e%2e", "%2f", "a?b",
        "a#b", "a\0b", "a\r\nb", "a\tb", "\x7f", "\u2028", "\u200b", "\ud800", "x" * 256, "ä" * 300, None, 7, b"fast",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_a_server_could_take_for_another_path_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        segment("definition_id", value)
    assert caught.value.argument == "definition_id"


@given(st.text())
def test_a_segment_reads_back_as_the_text_it_was_and_never_as_two(value: str) -> None:
    try:
        quoted = segment("id", value)
    except InvalidArgument:
        return
    assert unquote(quoted) == value
    assert "/" not in quoted
    assert quoted not in {"", ".", ".."}


@pytest.mark.parametrize(
    "body", [b"<html>", b" \r\n<!DOCTYPE html><html>", b"<!doctype HTML PUBLIC", b"<HTML lang=en>"]
)
def test_a_page_is_known_by_how_it_begins(body: bytes) -> None:
    assert is_html(body)
    assert Reply(200, {"content-type": "application/json"}, body).is_page


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<?xml version='1.0'?>", b"<workflows/>", b" " * 1100 + b"<html>", b"html"]
)
def test_json_xml_and_nothing_are_no_page(body: bytes) -> None:
    assert not Reply(200, {}, body).is_page


def test_calls_are_equal_by_what_they_ask_and_show_no_body() -> None:
    one, two = (Call("POST", "/login", lambda reply: reply, body=b"password=secret") for _ in "12")
    assert one == two
    assert "secret" not in repr(one)


def test_a_reply_shows_neither_its_body_nor_its_headers() -> None:
    assert repr(Reply(200, {"set-cookie": "JSESSIONID=secret"}, b"secret")) == "Reply(status=200)"
