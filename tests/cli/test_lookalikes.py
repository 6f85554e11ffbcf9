"""The output carries what its encoding has."""

import io
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import opencast_of
from workflow_async.cli.lookalikes import LOOKALIKES, replace, use_lookalikes
from workflow_async.sandbox import Sandbox

ENCODINGS = ("cp1252", "latin-1", "cp1250", "ascii")


def show(sandbox: Sandbox, encoding: str, *command: object) -> "subprocess.CompletedProcess[bytes]":
    """Run the command line with redirected outputs in an encoding."""
    return subprocess.run(
        [sys.executable, "-m", "workflow_async", *map(str, command)],
        env={**os.environ, **opencast_of(sandbox), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ENCODINGS[:3])
def test_bars_are_drawn_in_every_encoding(fakes: Sandbox, encoding: str) -> None:
    (id,) = fakes.opencast.seed(1, definitions=["publish"], age=1000)
    ended = show(fakes, encoding, "show", id)
    assert (ended.returncode, ended.stderr) == (0, b"")
    rows = [line for line in ended.stdout.decode(encoding).splitlines() if line.endswith("##")]
    assert [row.split()[0] for row in rows] == ["inspect", "encode", "publish-engage", "archive"]


def test_an_error_with_other_letters_is_told_in_every_encoding(fakes: Sandbox) -> None:
    ended = show(fakes, "cp1252", "start", "é日", "fast")
    assert ended.returncode == 5
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_letters_that_an_encoding_lacks_become_escapes(encoding: str) -> None:
    use_lookalikes()
    assert "日本 \ud800".encode(encoding, "workflow-async") == rb"\u65e5\u672c \ud800"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_everything_that_is_drawn_has_a_lookalike(encoding: str) -> None:
    use_lookalikes()
    drawn = "".join(map(chr, LOOKALIKES))
    assert "\\" not in drawn.encode(encoding, "workflow-async").decode(encoding)


def test_the_letters_of_an_encoding_stay() -> None:
    use_lookalikes()
    assert "Zürich … █".encode("cp1252", "workflow-async").decode("cp1252") == "Zürich … #"


def test_an_output_without_an_encoding_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    use_lookalikes()
    assert sys.stdout.write("\N{FULL BLOCK}") == 1


def test_a_damaged_input_is_not_repaired() -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")
    with pytest.raises(UnicodeDecodeError):
        replace(error)
