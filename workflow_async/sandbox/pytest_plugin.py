"""A sandbox as a pytest fixture: `pytest_plugins = ["workflow_async.sandbox.pytest_plugin"]` in a conftest."""

from collections.abc import Iterator

import pytest

from workflow_async.sandbox import Sandbox


@pytest.fixture
def workflow_sandbox() -> Iterator[Sandbox]:
    """Serve a sandbox of both systems for the duration of one test."""
    with Sandbox() as sandbox:
        yield sandbox
