import subprocess
import sys

import pytest

from workflow_async import __version__
from workflow_async.__main__ import main


def hide_module(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith("workflow_async.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "workflow_async", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_without_its_extra_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_module(monkeypatch, "typer")
    with pytest.raises(SystemExit, match=r"pip install 'workflow-async\[cli,sandbox\]'"):
        main()


def test_another_missing_module_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_module(monkeypatch, "workflow_async.cli.app")
    with pytest.raises(ModuleNotFoundError, match=r"workflow_async\.cli\.app"):
        main()
