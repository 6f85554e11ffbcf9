import runpy
import sys

import pytest

from workflow_async.__main__ import main


def hide_module(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith("workflow_async.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["workflow-async", "--version"])
    monkeypatch.delitem(sys.modules, "workflow_async.__main__")
    with pytest.raises(SystemExit) as left:
        runpy.run_module("workflow_async", run_name="__main__")
    assert left.value.code == 0
    assert capsys.readouterr().out.strip()


def test_without_its_extra_the_command_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_module(monkeypatch, "typer")
    with pytest.raises(SystemExit, match=r"pip install 'workflow-async\[cli,sandbox\]'"):
        main()


def test_another_missing_module_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_module(monkeypatch, "workflow_async.cli.app")
    with pytest.raises(ModuleNotFoundError, match=r"workflow_async\.cli\.app"):
        main()
