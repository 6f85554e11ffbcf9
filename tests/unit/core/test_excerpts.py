"""What errors keep of bodies and rows."""

from workflow_async._core.excerpts import redacted_beginning, shortened_repr
from workflow_async.errors import BODY_CUT


def test_the_beginning_of_a_body_holds_no_credential() -> None:
    assert redacted_beginning(b'{"refreshToken": "s3cret", "id": 7}') == '{"refreshToken": "...", "id": 7}'


def test_the_beginning_of_a_body_is_cut_by_characters_not_bytes() -> None:
    assert redacted_beginning("€".encode() * 5000) == "€" * BODY_CUT


def test_a_row_of_any_size_and_depth_has_a_short_repr() -> None:
    row: dict[str, object] = {"title": "x" * 100_000}
    for _ in range(10_000):
        row = {"child": row, "numbers": list(range(1000))}
    assert len(shortened_repr(row)) < 10_000
