"""Every block of code in the README and in the guides runs as the reader would run it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.documentation import (
    README,
    Page,
    pages,
    run_commands,
    run_programs,
    run_section,
    run_session,
    sandbox_process,
    served,
)

COMMANDS = {"command-line", "distributed"}
"""The pages whose shell commands run too."""
AT_A_TIME = 4
"""Pages that run at the same time. They mostly wait for the sandbox."""


def run(page: Page, folder: Path) -> str:
    """Run a page in a folder of its own. Return what went wrong, or ""."""
    folder.mkdir()
    try:
        with served(page) as addresses:
            run_programs(page, addresses, folder)
            run_session(page, addresses, folder)
            if page.path.stem in COMMANDS:
                run_commands(page, addresses, folder)
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.timeout(300)
def test_the_blocks_of_every_page_run_in_the_readers_order(tmp_path: Path) -> None:
    runnable = [page for page in pages() if page.programs or page.session or page.path.stem in COMMANDS]
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        errors = [*threads.map(lambda page: run(page, tmp_path / page.path.stem), runnable)]
    assert [*filter(None, errors)] == []


def test_every_guide_has_code_that_runs() -> None:
    runnable = {page.path.stem for page in pages() if page.programs or page.session}
    guides = {
        "listing",
        "starting",
        "changing",
        "waiting",
        "batches",
        "distributed",
        "distributed-nats",
        "embedding",
        "synchronous",
        "observing",
        "testing",
    }
    assert {"README", "errors", "http", "webhooks", *guides} <= runnable


def test_a_block_that_fails_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n1 + 1\n```\n\n```python\n1 / 0\n```\n")
    assert "ZeroDivisionError" in run(Page(page), tmp_path / "session")
    page.write_text("```python\n# first.py\nraise SystemExit(3)\n```\n")
    assert "first.py" in run(Page(page), tmp_path / "program")


@pytest.mark.parametrize("options", [[], ["--opencast-version", "11", "--speed", "50"]], ids=["default", "readme"])
def test_the_command_line_block_of_the_readme_runs_as_pasted(tmp_path: Path, options: list[str]) -> None:
    with sandbox_process(*options) as systems:
        assert "Workflow 1000 is" in run_section(Page(README), "Command line", systems, tmp_path)
