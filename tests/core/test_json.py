"""JSON bytes to a tree, strictly."""

import contextlib
import json
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_async._json import json_tree
from workflow_async.errors import DecodeError, UnexpectedContent

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[1,]", b"{'a': 1}", b"undefined", b"01", b"1 2", b"nul", b'"\x01"', b'"\\x"', b"[] []",
        b"NaN", b"[Infinity]", b"-Infinity", b'{"a": NaN}', b"1e400", b"[-1e999]",
        b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "a": 1}}]',
        b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b"9" * 100_000,
        "\ufeff{}".encode(), "{}".encode("utf-16"), "{}".encode("utf-16-le"), "{}".encode("utf-32"), b"\x00",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_not_exactly_one_json_value_is_refused_at_once(body: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(DecodeError) as caught:
        json_tree(body)
    assert time.monotonic() - began < 1
    assert str(caught.value).endswith(" @ $")
    assert len(str(caught.value)) < 300


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert json_tree(b'{"title": "Gr\xf6\xdfe"}') == {"title": "Gr\ufffd\ufffde"}


@pytest.mark.parametrize("body", [b"<html>", b"  <!DOCTYPE html>", b"<?xml version='1.0'?>", b"<"])
def test_markup_is_unexpected_content(body: bytes) -> None:
    with pytest.raises(UnexpectedContent):
        json_tree(body)


@given(JSON)
def test_any_json_value_is_read_as_what_it_is(value: Any) -> None:
    assert json_tree(json.dumps(value).encode()) == value


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()[:-1]))
def test_any_bytes_are_a_tree_or_a_decode_error(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        json.dumps(json_tree(body), allow_nan=False)


@given(st.text(alphabet='[]{}":,0123456789eE+-.aNIn\\u \n'))
def test_any_near_json_is_a_tree_or_a_decode_error(text: str) -> None:
    with contextlib.suppress(DecodeError):
        json_tree(text.encode())


def test_deep_nesting_near_the_end_of_the_stack_is_a_decode_error_too() -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            with pytest.raises(DecodeError):
                json_tree(b"[" * 5000)

    deeper(sys.getrecursionlimit() - 300)


def test_an_error_never_repeats_the_text() -> None:
    with pytest.raises(DecodeError) as caught:
        json_tree(b'{"token": "s3cret" oops')
    assert "s3cret" not in str(caught.value)
