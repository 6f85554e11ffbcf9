"""The pages build without a warning, and the reference has every public name."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documentation import PAGES, ROOT

pytestmark = [pytest.mark.docs_build, pytest.mark.timeout(300)]

PUBLIC = ("", ".opencast", ".preservica", ".monitor", ".observe", ".observe.otel", ".batch", ".sync", ".sandbox")
"""The public modules that list their names in `__all__`."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the pages as HTML."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", ROOT / ".sphinx", PAGES, folder]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {page.stem for page in PAGES.glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}


def test_the_reference_has_every_public_name(site: Path) -> None:
    documented = set(
        re.findall(r'<dt [^>]*id="workflow_async\.[\w.]*?(\w+)"', (site / "reference.html").read_text("utf-8"))
    )
    for suffix in PUBLIC:
        module = importlib.import_module(f"workflow_async{suffix}")
        names = {name for name in module.__all__ if not inspect.ismodule(getattr(module, name))}
        assert names <= documented
