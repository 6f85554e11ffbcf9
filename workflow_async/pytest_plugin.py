"""A pytest plugin, active where the package is installed: the fixture `workflow_sandbox` serves both systems."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from workflow_async.sandbox import Sandbox


@pytest.fixture
def workflow_sandbox() -> "Iterator[Sandbox]":
    """Serve an Opencast and a Preservica on loopback for the length of one test. Needs the extra `sandbox`."""
    from workflow_async.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
