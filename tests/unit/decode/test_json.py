"""Parsing JSON strictly."""

import contextlib
import json
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from workflow_async._decode import json as json_parser
from workflow_async._decode.json import SpelledNumber, json_rows, json_tree, reference_json_tree, spelled_json_tree
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
def test_a_body_that_is_not_exactly_one_json_value_is_rejected(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        json_tree(body)
    assert str(caught.value).endswith(" @ $")
    assert len(str(caught.value)) < 300


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert json_tree(b'{"title": "Gr\xf6\xdfe"}') == {"title": "Gr\ufffd\ufffde"}


@pytest.mark.parametrize("body", [b"<html>", b"  <!DOCTYPE html>", b"<?xml version='1.0'?>", b"<"])
def test_markup_is_unexpected_content(body: bytes) -> None:
    with pytest.raises(UnexpectedContent):
        json_tree(body)


@given(JSON)
def test_any_json_value_is_read_unchanged(value: Any) -> None:
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
    def recurse(depth: int) -> None:
        if depth:
            recurse(depth - 1)
        else:
            with pytest.raises(DecodeError):
                json_tree(b"[" * 5000)

    recurse(sys.getrecursionlimit() - 300)


def test_an_error_never_repeats_the_body() -> None:
    with pytest.raises(DecodeError) as caught:
        json_tree(b'{"token": "s3cret" oops')
    assert "s3cret" not in str(caught.value)


# With and without orjson


def outcome(read: Any, body: bytes) -> str:
    """Return the tree in every detail, or the faults."""
    try:
        return repr(read(body))
    except DecodeError as error:
        return f"{type(error).__name__} {error.faults}"


SERIALIZERS = [
    json.dumps,
    lambda value: json.dumps(value, separators=(",", ":")),
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    lambda value: json.dumps(value, separators=(",", ":")).replace("/", "\\/"),
    lambda value: json.dumps(value, indent=1),
]
KEYS = st.sampled_from(["a", "b", ":", '"', "/", "\\", "=&<>'", "\u00fc", "a:", '":'])
TREES = st.recursive(
    JSON | st.text(alphabet="/\\\":'<>=&u03a") | st.sampled_from([2**63, 2**64, -(2**63) - 1, -0.0, 1e22, 1e-7, 0.1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(TREES, st.sampled_from(SERIALIZERS))
def test_any_value_is_read_the_same_with_and_without_orjson(value: Any, serialize: Any) -> None:
    body = serialize(value).encode("utf-8", "surrogatepass")
    assert outcome(json_tree, body) == outcome(reference_json_tree, body)


@given(st.lists(st.tuples(KEYS, TREES), min_size=1, max_size=4), st.sampled_from(SERIALIZERS), st.integers(0, 3))
def test_a_repeated_key_is_rejected_in_any_spelling(members: list[tuple[str, Any]], serialize: Any, twice: int) -> None:
    members = [*members, members[twice % len(members)]]
    body = f"[{{{','.join(f'{serialize(key)}:{serialize(value)}' for key, value in members)}}}]".encode(
        "utf-8", "replace"
    )
    assert outcome(json_tree, body) == outcome(reference_json_tree, body)
    assert "a key twice" in outcome(json_tree, body) or "\\ud" in body.decode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"\\u0061":1}', b'{"a":"\\u003a","a":""}', b'{"a":1,"a":":"}', b'[{"a":{"b":1,"b":2},"c":":"}]',
        b'{"a":"\\":","a":1}', b'{"/":1,"\\/":2}', b'{"&":1,"\\u0026":2}',
    ],
)  # fmt: skip
def test_a_key_in_two_spellings_is_the_same_key(body: bytes) -> None:
    with pytest.raises(DecodeError, match="a key twice"):
        json_tree(body)


@given(st.binary() | st.text(alphabet='[]{}":,0123456789eE+-.aNIn\\u/ \n').map(str.encode))
def test_any_bytes_are_read_the_same_with_and_without_orjson(body: bytes) -> None:
    assert outcome(json_tree, body) == outcome(reference_json_tree, body)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40])
def test_no_digit_of_a_number_is_lost(number: int) -> None:
    assert json_tree(b"[%d]" % number) == [number]


@pytest.mark.parametrize(
    "body", [b'{"a":"http:\\/\\/x"}', b'{"a":"x/y"}', b'{"if":"${a} \\u0026\\u0026 b \\u003d \\u0027c\\u0027"}']
)
def test_unneeded_escapes_of_servers_do_not_make_reading_slow(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("orjson")
    expected = reference_json_tree(body)
    monkeypatch.delattr(json_parser, "reference_json_tree")
    assert json_tree(body) == expected


def test_without_orjson_everything_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parser, "_orjson", lambda: None)
    assert json_tree(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(DecodeError):
        json_tree(b'{"a": 1, "a": 1}')


# Row by row


@pytest.fixture
def every_array_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parser, "LARGE_ARRAY", 0)


def rows_of(body: bytes) -> list[Any] | None:
    rows = json_rows(body)
    return None if rows is None else list(rows)


def array_of(body: bytes) -> list[Any] | None:
    tree = json_tree(body)
    return tree if isinstance(tree, list) else None


@pytest.mark.usefixtures("every_array_is_long")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(KEYS, TREES, max_size=3), max_size=4) | TREES, st.sampled_from(SERIALIZERS))
def test_rows_read_one_by_one_equal_those_of_the_whole_array(value: Any, serialize: Any) -> None:
    body = serialize(value).encode("utf-8", "surrogatepass")
    assert outcome(rows_of, body) == outcome(array_of, body)


@pytest.mark.usefixtures("every_array_is_long")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"[{", b"}]", b'"a"', b":", b"1", b",", b"{", b"}", b"\xff", b" "]), max_size=12))
def test_malformed_arrays_are_rejected_row_by_row_as_they_are_as_a_whole(parts: list[bytes]) -> None:
    body = b'[{"a":1},{"a":' + b"".join(parts) + b"}]"
    assert outcome(rows_of, body) == outcome(array_of, body)


def page(*rows: str) -> bytes:
    """Return a page that is long enough to be read row by row."""
    rows_before = ",".join(f'{{"a":{index},"b":"{"x" * 400}"}}' for index in range(1000))
    return f"[{','.join((rows_before, *rows))}]".encode()


def test_rows_of_a_long_page_are_parsed_when_they_are_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []

    def recording_json_tree(body: bytes) -> Any:
        parsed.append(len(body))
        return json_tree(body)

    monkeypatch.setattr(json_parser, "json_tree", recording_json_tree)
    rows = iter(json_rows(page()) or ())
    assert (next(rows)["a"], next(rows)["a"]) == (0, 1)
    assert len(parsed) == 2
    assert max(parsed) < 500


@pytest.mark.parametrize(
    "last",
    [
        '{"a":1,"b":"x","a":2}', '{"a":1,"b":"x"', '{"a":1,"b":"},{"}', '{"b":"}]', '{"a":1,"b":"x"},',
        '{"a":"\\ud800"}',
        '{"a":{"a":1},"b":{"a":2}}', '{"a":[{"a":1,"b":"x"},{"a":2,"b":"x"}],"b":"x"}', "7", "[1]", '{"a":NaN,"b":"x"}',
    ],
)  # fmt: skip
def test_the_last_row_of_a_long_page_is_read_as_in_the_whole_array(last: str) -> None:
    body = page(last)
    assert outcome(rows_of, body) == outcome(array_of, body)


def test_a_long_page_takes_little_more_memory_than_its_records() -> None:
    row = json.dumps({"a": 1, "steps": [{"name": "encode", "at": index, "done": True} for index in range(200)]})
    body = f"[{','.join([row.replace(' ', '')] * 200)}]".encode()
    tracemalloc.start()
    count = sum(1 for _ in json_rows(body) or ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200
    assert peak < len(body) / 2


@pytest.mark.parametrize("digits", ["3.10", "1e5", "-0", "0.0", "1.50E-3", "123456789012345678901234567890.5"])
def test_a_number_that_may_stand_for_a_text_keeps_its_spelling(digits: str) -> None:
    found = spelled_json_tree(f'{{"a": {digits}}}'.encode())["a"]
    assert isinstance(found, SpelledNumber)
    assert (found.spelling, found) == (digits, float(digits))
    assert json.dumps(found) == json.dumps(float(digits))


def test_integers_and_other_values_are_read_as_usual() -> None:
    body = b'{"a": [0, -7, 12345678901234567890, "3.10", true, null, {}]}'
    found = spelled_json_tree(body)
    assert found == json_tree(body)
    assert [type(item) for item in found["a"][:3]] == [int, int, int]


@pytest.mark.parametrize(
    "body", [b"[1e400]", b"[-1e999]", b"[NaN]", b'{"a":1,"a":1}', b"[1", b"", b"[" + b"9" * 5000 + b"]"]
)
def test_spelled_trees_are_as_strict(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        spelled_json_tree(body)
    assert not caught.value.parsed


@pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b"\x00", b"[NaN]"])
def test_an_error_of_the_parser_says_so(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        json_tree(body)
    assert not caught.value.parsed
