"""The generated readers: what they know of a field's default. Their records are compared in `test_records`."""

from typing import Any

import attrs
import pytest
from attrs import field, frozen

from workflow_async._decode.compiled import default_factory


@frozen
class _Record:
    required: str
    plain: int = 7
    made: list[int] = field(factory=list)
    kind: Any = list


@pytest.mark.parametrize("name", ["plain", "required", "kind"])
def test_a_default_that_is_a_value_has_no_factory(name: str) -> None:
    assert default_factory(getattr(attrs.fields(_Record), name).default) is None


def test_the_factory_of_a_default_is_found() -> None:
    assert default_factory(attrs.fields(_Record).made.default) is list
