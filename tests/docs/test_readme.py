"""What the README, the pages and the changelog say is so."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import workflow_async
from benchmarks import history
from tests.support.documentation import PAGES, README, ROOT, Page, pages

TEXT = README.read_text(encoding="utf-8")
LONGEST = 180


def links(page: Page) -> list[Path]:
    """Return the files that a page links to or shows."""
    found = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.text)
    return [page.path.parent / target for target in found]


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= LONGEST


def test_the_first_program_of_the_readme_is_whole() -> None:
    (program,) = Page(README).programs
    assert program.text.startswith("# first.py\nimport asyncio\n")
    assert program.text.endswith("asyncio.run(main())\n")


def test_every_link_leads_to_a_file() -> None:
    for page in pages():
        for path in links(page):
            assert path.exists(), f"{page.path.name} links to {path}"


def test_the_picture_shows_what_the_commands_print() -> None:
    picture = "".join(ET.parse(PAGES / "terminal.svg").getroot().itertext()).replace("\xa0", " ")
    for text in ("$ workflow-async list --limit 5", "DEFINITION", "Workflow 1003 is succeeded", "OPERATION"):
        assert text in picture


def test_the_picture_of_the_board_shows_what_a_watch_draws() -> None:
    picture = "".join(ET.parse(PAGES / "board.svg").getroot().itertext()).replace("\xa0", " ")
    for text in (
        "$ workflow-async watch",
        "settled",
        "encode",
        "in encode (attempt 1 of 1",
        "ends a minute",
        "last check",
    ):
        assert text in picture


def test_the_readme_names_the_commands_that_the_gate_runs() -> None:
    assert ".venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest" in TEXT
    assert "'.[dev]'" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_guarantee_names_tests_that_exist() -> None:
    rows = [line for line in Page(PAGES / "guarantees.md").text.splitlines() if "::test_" in line]
    assert len(rows) >= 15
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", "\n".join(rows)):
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file} has no {name}"


def test_every_test_file_that_a_page_names_exists() -> None:
    for page in pages():
        for name in re.findall(r"`((?:tests|benchmarks)/[\w/.-]+\.(?:py|md|json))`", page.text):
            assert (ROOT / name).exists(), f"{page.path.name} names {name}"


def test_every_ratio_of_the_performance_page_is_supported_by_the_last_measurement() -> None:
    rows = [line for line in Page(PAGES / "performance.md").text.splitlines() if line.startswith("|")]
    quoted = [float(ratio) for ratio in re.findall(r"\b([0-9.]+)x \|", "\n".join(rows))]
    lines = history.merge((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"), ())
    for place, (column, ratio) in enumerate(zip(history.QUOTED, quoted, strict=True), 1):
        measured = [line[place] for line in lines if line[place] != history.UNKNOWN]
        assert 0.7 * ratio <= float(measured[-1].rstrip("x")) <= ratio, f"{column} was {measured[-1]}, not {ratio:g}x"


def test_the_changelogs_newest_version_is_the_packages() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.search(r"^## \[Unreleased\] - (\d+\.\d+\.\d+)$", changelog, re.MULTILINE)
    assert version is not None
    assert version[1] == workflow_async.__version__
