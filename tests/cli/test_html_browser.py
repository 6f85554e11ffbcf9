"""The page of `report --html` in a headless Chromium: no request, no script, light and dark, readable on a phone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_html_report import HOSTILE, hostile_history
from tests.support.batch_history import DEFINITIONS, batch_history
from tests.support.chromium import EXECUTABLE, Browser, chromium
from workflow_async.cli.html.page import html_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(EXECUTABLE is None, reason="needs Chromium"),
    pytest.mark.timeout(120),
]
DESKTOP, PHONE = (1200, 900), (360, 740)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SCREENSHOTS = "SCREENSHOTS"
"""The environment variable with the folder in which to keep the screenshots."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def write(folder: Path, starts: int) -> Path:
    page = folder / f"{starts}.html"
    page.write_text(html_report(batch_history(starts, max_running=8, begun=starts - 3), "batch.sqlite"))
    return page


def keep(browser: Browser, name: str, folder: Path) -> int:
    """Store a screenshot and return its size in bytes."""
    (picture := folder / f"{name}.png").write_bytes(browser.screenshot())
    if SCREENSHOTS in os.environ:
        shutil.copy(picture, os.environ[SCREENSHOTS])
    return picture.stat().st_size


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("starts", [20, 200, 2000])
def test_the_page_fits_its_window_and_requests_nothing(
    browser: Browser, tmp_path: Path, starts: int, size: tuple[int, int], *, dark: bool
) -> None:
    page = write(tmp_path, starts)
    width, height = size
    browser.open(page, width=width, height=height, dark=dark)
    assert browser.evaluate(OVERFLOW) == 0
    assert browser.requests == [page.as_uri()]
    assert browser.errors == []
    ink, paper = (browser.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert brightness(ink) > brightness(paper) if dark else brightness(ink) < brightness(paper)
    assert keep(browser, f"{starts}-{width}-{'dark' if dark else 'light'}", tmp_path) > 10_000


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("starts", [20, 200, 2000])
def test_the_parts_of_a_stack_fill_it_and_are_named_below_it(
    browser: Browser, tmp_path: Path, starts: int, size: tuple[int, int], *, dark: bool
) -> None:
    width, height = size
    browser.open(write(tmp_path, starts), width=width, height=height, dark=dark)
    browser.evaluate("document.querySelector('.spread').scrollIntoView()")
    assert keep(browser, f"{starts}-{width}-{'dark' if dark else 'light'}-stacks", tmp_path) > 10_000
    bars = browser.evaluate(
        "[...document.querySelectorAll('.stack')].map(stack => ({bar: stack.children[1].getBoundingClientRect().width,"
        " parts: [...stack.querySelectorAll('i')].map(part => part.getBoundingClientRect().width),"
        " names: [...stack.querySelectorAll('li')].filter(name => name.getBoundingClientRect().height > 0).length}))"
    )
    assert len(bars) == len(DEFINITIONS)
    for bar in bars:
        assert sum(bar["parts"]) == pytest.approx(bar["bar"], abs=2)
        assert bar["names"] == len(bar["parts"]) >= 3
    colours = browser.evaluate(
        "[...document.querySelectorAll('.stack i')].map(part => getComputedStyle(part).backgroundColor)"
    )
    assert "rgba(0, 0, 0, 0)" not in colours


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_every_block_is_drawn_and_has_a_title(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(tmp_path, 200), width=1200, height=900)
    drawn = "[...document.querySelectorAll('.gantt g rect:not(.late)')]"
    assert browser.evaluate(f"{drawn}.filter(block => block.getBoundingClientRect().width >= 0.5).length") >= 197
    assert browser.evaluate(f"{drawn}.every(block => block.textContent.includes(' · '))")


def test_the_texts_are_large_enough_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(tmp_path, 200), width=360, height=740)
    sizes = browser.evaluate(
        "[...document.querySelectorAll('p,h1,h2,h3,td,summary')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11


def test_the_page_is_the_same_without_scripts(browser: Browser, tmp_path: Path) -> None:
    page = write(tmp_path, 20)
    pictures = []
    for scripts in (True, False):
        browser.open(page, width=1200, height=900, scripts=scripts)
        pictures.append(browser.screenshot())
    assert pictures[0] == pictures[1]


def test_hostile_texts_run_nothing_and_load_nothing(browser: Browser, tmp_path: Path) -> None:
    (page := tmp_path / "hostile.html").write_text(html_report(hostile_history(HOSTILE), HOSTILE))
    browser.open(page, width=1200, height=900)
    assert browser.requests == [page.as_uri()]
    assert browser.evaluate("document.scripts.length + document.images.length") == 0
    assert browser.evaluate(OVERFLOW) == 0


def test_a_script_in_the_page_would_not_run(browser: Browser, tmp_path: Path) -> None:
    text = html_report(batch_history(1), "b").replace("</body>", "<script>document.title = 'run'</script></body>")
    (page := tmp_path / "script.html").write_text(text)
    browser.open(page, width=1200, height=900)
    assert browser.evaluate("document.title") != "run"
    browser.errors.clear()
